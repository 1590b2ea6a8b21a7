"""Files of version 1 mean what they meant: the bytes were made with the code before there was a version 2."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from fake_template_engine import fake_renderer
from training_log import Teller

from apollo_train.export.run import run_export
from apollo_train.formats.base import Format
from apollo_train.formats.tokens import TokensFormat
from apollo_train.policy import parse_policy
from sessions import events as ev
from sessions.events.text import canonical_json
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

GOLDEN = Path(__file__).parent / "golden" / "version_1"
WRITE = bool(os.environ.get("APOLLO_WRITE_GOLDEN"))
POLICIES = {
    "default": "version = 1",
    "unaided": 'version = 1\npreset = "unaided"',
    "twins": 'version = 1\npreset = "twins"',
    "strict": 'version = 1\npreset = "strict"\n[sessions]\nsign_off = ["none"]',
    "everything": 'version = 1\npreset = "everything"',
    "message": 'version = 1\n[flags]\nscope = "message"',
    "call": 'version = 1\n[flags]\nscope = "call"\n[advice]\nknowledge = "dropped"',
    "reasoning": 'version = 1\n[flags]\nscope = "reasoning"\npropagation = "until_recovery"',
}
PARTS = ("call", "reasoning")
"""Policies that only files of tokens can say."""


@pytest.fixture
async def log_of_all(writer: LogWriter) -> LogWriter:
    """Everything that version 2 understands otherwise."""
    told = await Teller(writer).begin("Lower the loss.", task_id="all")
    await told.act("python train.py", "error: no such file 17", reasoning="Begin.", text="I begin.")
    await told.act("python train.py", "error: no such file 18", reasoning="Again.")
    await told.flag(ev.Target(1, "call", 1), label="x/impatience", until_recovery=True)
    await told.reply(("run", '{"command": "kill 1"}'), ("run", '{"command": "ls"}'), reasoning="It hangs.", text="So.")
    await told.result(1, "killed")
    await told.result(2, "train.py")
    await told.flag(ev.Target(3, "call", 1))
    await told.advise("Set the learning rate to 3e-4.", "knowledge")
    await told.act("python train.py --lr 0.0003", "loss 0.4", reasoning="I set it to 0.0003.")
    await told.advise("Do not kill job 7.")
    await told.act("wait 7", "done", reasoning="As you said, I wait.")
    await told.reply(("ask", '{"text": "Which?"}'), reasoning="I ask.")
    await told.tell(ev.QuestionAsked(question=1, text="Which?", until=0), step=6, call=1)
    await told.tell(ev.QuestionAnswered(question=1, text="The second."), actor="human:ann")
    await told.result(1, "The second.")
    await told.act("cat second", "2", reasoning="The second, then.")
    await told.flag(ev.Target(7, "reasoning"))
    await told.flag(ev.Target(5, "span", None, 6), verdict="good")
    await told.summarise("Trained with 0.0003.", "<advice-n0>\nSet the learning rate to 3e-4.\n</advice-n0>")
    await told.flag(ev.Target(1, "summary"), verdict="good")
    await told.act("python eval.py", "0.4")
    await told.tell(ev.CorrectionWritten(target=ev.Target(8), text='run {"command": "ls"}'), actor="human:ann")
    await told.tell(ev.StateChanged(state="finished"))
    return writer


CASES = [
    *(("tokens", name) for name in POLICIES),
    *((format_name, name) for format_name in ("steps", "openai") for name in POLICIES if name not in PARTS),
]


@pytest.mark.parametrize(("format_name", "name"), CASES)
async def test_a_policy_of_version_1_gives_the_bytes_that_it_gave(
    log_of_all: LogWriter, reader: LogReader, tmp_path: Path, format_name: str, name: str
) -> None:
    policy = parse_policy(POLICIES[name])
    made: str | Format = TokensFormat(fake_renderer()) if format_name == "tokens" else format_name
    report = run_export(reader, None, policy, made, tmp_path / "rows.jsonl")
    manifest = msgspec.json.decode(report.manifest.read_bytes())
    del manifest["counts"]["calls_lost"]  # which was twice as many for whole conversations
    kept = {key: manifest[key] for key in ("policy", "policy_sha256", "counts", "sessions", "unseen_share")}
    found = b"\n".join((report.path.read_bytes(), report.excluded.read_bytes(), canonical_json(kept)))
    golden = GOLDEN / f"{format_name}-{name}.txt"
    if WRITE:
        golden.parent.mkdir(exist_ok=True)
        golden.write_bytes(found)
    assert found == golden.read_bytes()

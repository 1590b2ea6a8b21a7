from __future__ import annotations

import os
from pathlib import Path

import pytest
from training_log import Teller

from apollo_train.export.run import run_export
from apollo_train.policy import PRESETS_OF_1
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

GOLDEN = Path(__file__).parent / "golden"
WRITE = bool(os.environ.get("APOLLO_WRITE_GOLDEN"))


@pytest.fixture
async def golden_log(writer: LogWriter) -> LogWriter:
    told = await Teller(writer).begin("Train until the loss is below 0.5.", task_id="golden", title="golden")
    await told.act("python train.py", "started job 1", reasoning="Start it.", text="Starting.")
    await told.reply(("run", '{"command": "kill 1"'))
    await told.refuse()
    await told.reply(("run", '{"command": "kill 1"}'), ("run", '{"command": "ls"}'), reasoning="It looks stuck.")
    await told.result(1, "killed")
    await told.result(2, "train.py")
    await told.flag(ev.Target(3, "call", 1), label="x/impatience", note="it was healthy")
    await told.read_all()
    await told.advise("Let it run for 2,000 steps before you judge it.", "strategy", reach=None)
    await told.act("python train.py --resume", "loss 0.44", text="Resuming.")
    block = "<advice-n0>\nLet it run for 2,000 steps before you judge it.\n</advice-n0>"
    await told.summarise("Trained, killed too early, resumed.", block)
    await told.act("cat loss.txt", "0.44")
    await told.tell(ev.StateChanged(state="finished"))
    return writer


@pytest.mark.parametrize(
    ("format_name", "policy"),
    [
        ("steps", "default"),
        ("steps", "twins"),
        ("openai", "default"),
        ("ms-swift", "strict"),
        ("axolotl", "unaided"),
        ("raw", "default"),
    ],
)
async def test_exports_of_a_small_log_are_byte_for_byte_what_they_were(
    golden_log: LogWriter, reader: LogReader, tmp_path: Path, format_name: str, policy: str
) -> None:
    name = f"{format_name}-{policy}.jsonl"
    made_from = PRESETS_OF_1[policy]
    if policy == "strict":
        await golden_log.append(
            ev.NewEvent(reader.summaries()[0].session, ev.SignedOff(verdict="good"), actor="human:ann", at=1)
        )
    report = run_export(reader, None, made_from, format_name, tmp_path / name)
    files = (report.path, report.excluded)
    if WRITE:
        GOLDEN.mkdir(exist_ok=True)
        for file in files:
            (GOLDEN / file.name).write_bytes(file.read_bytes())
    for file in files:
        assert file.read_bytes() == (GOLDEN / file.name).read_bytes(), f"{file.name} changed: is its version raised?"

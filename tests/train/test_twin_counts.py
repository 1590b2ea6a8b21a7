from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_template_engine import fake_renderer
from training_log import SESSION, Teller, rows_of

from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.formats.base import Format
from apollo_train.formats.tokens import TokensFormat
from apollo_train.policy import parse_policy
from sessions import events as ev
from sessions.log.reader import LogReader

TWINS = parse_policy('version = 2\npreset = "twins"')


async def advised(told: Teller) -> None:
    await told.act("ls", reasoning="Look.")
    await told.advise("Please let the job run for another hour.", "strategy")
    await told.act("wait", reasoning="It is fine.")
    await told.act("echo let the job run for another hour", reasoning="So be it.")
    await told.act("kill 1", reasoning="Enough.")
    await told.flag(ev.Target(4))


@pytest.mark.parametrize("name", ["steps", "openai", "tokens"])
async def test_a_reply_that_two_twins_train_counts_once(
    told: Teller, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await advised(told)
    made: str | Format = TokensFormat(fake_renderer()) if name == "tokens" else name
    report = run_export(reader, None, TWINS, made, tmp_path / "out")
    counts = report.counts
    assert (counts.steps, counts.trained, counts.masked) == (4, 3, 1)
    assert (counts.actions, sum(counts.trained_by_model.values())) == (3, 3)
    assert (counts.masked_by, counts.lone_twins) == ({"flagged": 1}, {"target_refers": 1})
    assert "without its twin: 1 target_refers" in report.lines()
    if isinstance(made, TokensFormat):  # step 1 has no advice before it, step 3 refers to it: 2 alone is there twice
        assert (made.report.replies, made.report.twins) == (4, 1)
        assert " rows of 3 replies (1 of them twice, as twins): " in next(made.report.lines())
        assert made.report.counts()["twins"] == 1
    if name == "steps":
        plan = plan_export(reader, None, TWINS, "steps")
        assert (plan.counts.trained, plan.counts.trained_tokens) == (counts.trained, counts.trained_tokens)


async def test_the_twin_file_of_verdicts_says_of_which_reply_it_speaks(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await advised(told)
    await told.act("ls", reasoning="Look.")
    await told.flag(ev.Target(1), verdict="good")
    await told.tell(
        ev.CorrectionWritten(target=ev.Target(5, "call", 1), text='run {"command": "cat"}'), actor="human:ann"
    )
    report = run_export(reader, None, parse_policy("version = 1"), "dpo", tmp_path / "out")
    seqs = {event.step: event.seq for event in reader.events(SESSION, kinds=("model.reply",))}
    [left] = rows_of(report.excluded)
    assert (left["step"], left["reason"], left["seq"]) == ("4", "no_redo", seqs[4])
    [row] = [json.loads(line) for line in report.path.read_text().splitlines()]
    assert (row["meta"]["step"], row["meta"]["redo"], row["meta"]["finish"]) == ("5", "correction", "calls")

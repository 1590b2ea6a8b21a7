"""A flag with what followed until the recovery: a mark says how far it goes, else the rule of sessions/fold/repeats."""

from __future__ import annotations

import json
from pathlib import Path

from training_log import SESSION, Teller, rows_of

from apollo_train.export.run import run_export
from apollo_train.export.training_view import training_view
from apollo_train.policy import FilterPolicy, FlagRules, parse_policy
from sessions import events as ev
from sessions.fold.repeats import RULE, RULE_VERSION, Repeats
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter
from sessions.queries.repeats import read_repeats

TARGET = ev.Target(2, "call", 1)


async def loop(told: Teller, *, again: int = 3, then: tuple[str, str] = ("make", "ok")) -> None:
    """Step 2 fails, and so do those after it, each with other numbers in its error."""
    await told.act("ls")
    for number in range(again + 1):
        await fail(told, f"error at line {number}")
    await told.act(*then)
    await told.act("pwd")


async def fail(told: Teller, output: str, command: str = "make") -> None:
    await told.reply(("run", json.dumps({"command": command})), reasoning="Again.")
    await told.tell(ev.ActionStarted(call_id=f"c{told.step}.1", name="run", arguments={"command": command}),
                    step=told.step, call=1)  # fmt: skip
    result = ev.ActionResult(call_id=f"c{told.step}.1", outcome="error", output=ev.LongText(output))
    await told.tell(result, step=told.step, call=1)


def reasons(reader: LogReader, policy: FilterPolicy | None = None) -> list[str]:
    view = training_view(reader, SESSION, policy or FilterPolicy())
    assert view is not None
    return [view.steps[step].reason for step in sorted(view.steps)]


async def test_an_open_flag_masks_what_does_the_same_again_and_the_export_says_by_which_rule(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await loop(told)
    await told.flag(TARGET, until_recovery=True, label="strategy/loop")
    assert read_repeats(reader, SESSION, TARGET) == Repeats(5, 6)
    assert reasons(reader) == ["", "flagged", "rule", "rule", "rule", "", ""]
    report = run_export(reader, None, FilterPolicy(), "steps", tmp_path / "s.jsonl")
    assert report.counts.masked_by == {"flagged": 1, "rule": 3} and report.counts.unresolved == 0
    assert report.counts.masked_by_label == {"strategy/loop": 4}
    manifest = json.loads(report.manifest.read_text())
    assert manifest["rules"] == {RULE: RULE_VERSION} == {"same_call_same_outcome": 2}
    assert any(line.startswith("rule: same_call_same_outcome, version 2") for line in report.lines())
    assert [line["reason"] for line in rows_of(report.excluded)] == ["flagged", "rule", "rule", "rule"]


async def test_the_first_other_outcome_or_other_call_closes_it(told: Teller, reader: LogReader) -> None:
    await told.act("ls")
    await fail(told, "error: no such file a/7")
    await fail(told, "error: no such file a/9")
    await fail(told, "error: permission denied")
    await fail(told, "error: no such file a/7")
    await told.flag(TARGET, until_recovery=True)
    assert reasons(reader) == ["", "flagged", "rule", "", ""]
    assert read_repeats(reader, SESSION, TARGET) == Repeats(3, 4)


async def test_a_command_of_a_harness_is_the_same_whatever_its_agent_says_of_it(
    writer: LogWriter, reader: LogReader
) -> None:
    told = await Teller(writer).begin(harness=ev.Harness(name="claude-code", tools={"Bash": "run"}))
    await told.act("ls")
    for at in range(3):
        await told.reply(("Bash", json.dumps({"command": "make", "description": f"Try {at}"})))
        await told.result(1, "nothing to be done")
    await told.act("pwd")
    assert read_repeats(reader, SESSION, TARGET) == Repeats(4, 5)


async def test_the_same_call_that_works_at_last_is_trained(told: Teller, reader: LogReader) -> None:
    await told.act("ls")
    await fail(told, "error 1")
    await fail(told, "error 2")
    await told.act("make", "built")
    await told.flag(TARGET, until_recovery=True)
    assert reasons(reader) == ["", "flagged", "rule", ""]


async def test_while_the_loop_runs_the_flag_is_open_and_a_later_export_masks_more(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("ls")
    await fail(told, "error 1")
    await told.flag(TARGET, until_recovery=True)
    assert read_repeats(reader, SESSION, TARGET) == Repeats(2)
    await fail(told, "error 2")
    report = run_export(reader, None, FilterPolicy(), "steps", tmp_path / "s.jsonl")
    assert (report.counts.still_open, report.counts.masked_by) == (1, {"flagged": 1, "rule": 1})
    assert any("1 flag open: the loop that it is about runs still" in line for line in report.lines())
    await fail(told, "error 3")
    assert reasons(reader) == ["", "flagged", "rule", "rule"]
    # A call that has not come back yet neither ends the loop nor is it a part of it.
    await told.reply(("run", '{"command": "ls"}'))
    assert read_repeats(reader, SESSION, TARGET) == Repeats(4)


async def test_a_recovery_mark_goes_before_the_rule_and_a_good_mark_keeps_its_reply(
    told: Teller, reader: LogReader
) -> None:
    await loop(told)
    await told.flag(TARGET, until_recovery=True)
    await told.flag(ev.Target(4), verdict="good")
    assert reasons(reader) == ["", "flagged", "rule", "", "rule", "", ""]
    await told.tell(ev.RecoveryMarked(at_step=4), actor="human:ann")
    assert reasons(reader) == ["", "flagged", "propagated", "", "", "", ""]


async def test_where_nothing_repeats_only_the_flagged_reply_is_masked_and_the_report_says_so(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    for command in ("ls", "make", "pwd"):
        await told.act(command)
    await told.flag(TARGET, until_recovery=True)
    report = run_export(reader, None, FilterPolicy(), "steps", tmp_path / "s.jsonl")
    assert report.counts.masked_by == {"flagged": 1} and report.counts.unresolved == 1


async def test_strict_reaches_by_rule_too_and_version_1_waits_for_a_mark(told: Teller, reader: LogReader) -> None:
    await loop(told)
    await told.flag(TARGET)
    until = FilterPolicy(flags=FlagRules(propagation="until_recovery"))
    assert reasons(reader, until) == ["", "flagged", "rule", "rule", "rule", "", ""]
    old = parse_policy('version = 1\n[flags]\npropagation = "until_recovery"')
    assert reasons(reader, old) == ["", "flagged", "", "", "", "", ""]

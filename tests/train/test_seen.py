"""Who judged a span, a summary or wrote a correction has seen what that is about."""

from __future__ import annotations

from pathlib import Path

from training_log import SESSION, Teller, kept_policy

from apollo_train.export.run import run_export
from apollo_train.export.training_view import training_view
from apollo_train.policy import TargetRules, parse_policy
from sessions import events as ev
from sessions.log.reader import LogReader

UNSEEN = kept_policy(targets=TargetRules(unseen="mask", summaries=True))


def reasons(reader: LogReader, policy: object = UNSEEN) -> dict[str, str]:
    view = training_view(reader, SESSION, policy)  # type: ignore[arg-type]
    assert view is not None
    return {f"S{one.summary}" if one.summary else str(one.step): one.reason for one in view.replies.values()}


async def test_a_span_is_seen_to_its_end_and_a_correction_and_a_judged_summary_are_seen(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    for command in "abcde":
        await told.act(command)
    await told.summarise("All well.")
    await told.act("f")
    assert set(reasons(reader).values()) == {"unseen"}
    await told.flag(ev.Target(2, "span", None, 4), verdict="good")
    await told.tell(ev.CorrectionWritten(target=ev.Target(5, "call", 1), text="wait"), actor="human:ann")
    await told.flag(ev.Target(1, "summary"), verdict="good")
    seen = {name for name, reason in reasons(reader).items() if not reason}
    assert seen == {"2", "3", "4", "5", "S1"}
    report = run_export(reader, None, UNSEEN, "steps", tmp_path / "s.jsonl")
    assert report.counts.masked_by == {"unseen": 2} and report.counts.unseen_share == 0
    all_trained = run_export(reader, None, kept_policy(), "steps", tmp_path / "all.jsonl")
    assert all_trained.counts.unseen_tokens == 20 and all_trained.counts.trained_tokens == 60


async def test_what_is_taken_back_or_said_by_rules_is_not_seen_and_version_1_knows_first_steps_alone(
    told: Teller, reader: LogReader
) -> None:
    for command in "abc":
        await told.act(command)
    flag = await told.flag(ev.Target(1, "span", None, 3), verdict="good")
    await told.tell(ev.FlagRemoved(flag=flag), actor="human:ann")
    await told.flag(ev.Target(1, "span", None, 3), verdict="good", actor="rule:loops")
    await told.tell(ev.CorrectionWritten(target=ev.Target(2), text="x"), actor="human:ann")
    await told.tell(ev.CorrectionWritten(target=ev.Target(2), text=""), actor="human:ann")
    assert set(reasons(reader).values()) == {"unseen"}
    await told.flag(ev.Target(2, "span", None, 3), verdict="good")
    assert reasons(reader) == {"1": "unseen", "2": "", "3": ""}
    old = parse_policy('version = 1\n[targets]\nunseen = "mask"')
    assert reasons(reader, old) == {"1": "unseen", "2": "", "3": "unseen"}

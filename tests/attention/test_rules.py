from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from session_in_memory import Story

from sessions import events as ev
from sessions.attention.notify_when import SignalMemory
from sessions.attention.settings import Thresholds
from sessions.attention.signals import order_sessions, rank_signals, signals_of

MINUTE = 60_000


def fired(story: Story, thresholds: Thresholds | None = None, now: int | None = None) -> dict[str, str]:
    assert story.summary
    found = signals_of(story.summary, now or story.at, thresholds or Thresholds())
    return {signal.rule: signal.reason for signal in found}


@pytest.fixture
def story() -> Iterator[Story]:
    yield Story()


def test_the_same_command_with_the_same_error_fires_once_per_cause(story: Story) -> None:
    for _ in range(4):
        story.act("run", {"command": "make"}, "no rule 12", "error")
    found = fired(story)
    assert found["repeated_action"] == "same command 4 times, same error"
    assert found["repeated_error"] == "same error 4 times, since step 1"
    ids = [s.id for s in signals_of(story.summary, story.at)]  # type: ignore[arg-type]
    story.act("run", {"command": "make"}, "no rule 12", "error")
    assert [s.id for s in signals_of(story.summary, story.at)] == ids  # type: ignore[arg-type]
    story.act("run", {"command": "ls"}, "a b")
    assert "repeated_action" not in fired(story)


def test_polls_between_equal_commands_do_not_hide_the_repetition(story: Story) -> None:
    for _ in range(4):
        story.act("run", {"command": "make"}, "no rule", "error")
        story.act("job_output", {"job": 1}, "…")
    assert "repeated_action" in fired(story)


def test_waiting_for_a_job_is_not_polling(story: Story) -> None:
    for _ in range(12):
        story.act("wait", {"job": 3}, "job 3 is still running")
    assert "polling_streak" not in fired(story)
    for number in range(12):
        story.act("wait", {"seconds": 5}, f"waited {number}")
    assert fired(story)["polling_streak"] == "polling 12×, since step 13"


def test_malformed_calls_in_a_row(story: Story) -> None:
    for _ in range(3):
        story.step += 1
        story.tell(ev.ActionRefused(call_id="c", name="x", why="unknown_tool"), call=1)
    assert fired(story)["malformed_streak"] == "3 malformed calls in a row"
    story.act("run", {"command": "ls"})
    assert "malformed_streak" not in fired(story)


def test_killing_a_job_whose_loss_was_falling(story: Story) -> None:
    started = {"pid": 1, "start_time": "1", "boot_id": "b", "folder": "/x"}
    story.tell(ev.JobStarted(job=7, command="train", **started))  # type: ignore[arg-type]
    story.act("job_output", {"job": 7}, "step 1 loss 2.50\nstep 2 loss 2.10", job=7)
    story.tell(ev.JobEnded(job=7, how="killed_by_agent", duration_ms=40_000))
    assert fired(story)["killed_healthy_job"] == "killed job 7 after 40 s while its loss was falling (2.5 → 2.1)"


def test_advice_after_a_kill_ends_the_signal_and_a_new_kill_begins_another(story: Story) -> None:
    started = {"pid": 1, "start_time": "1", "boot_id": "b", "folder": "/x"}
    for job in (7, 8):
        story.tell(ev.JobStarted(job=job, command="train", **started))  # type: ignore[arg-type]
        story.act("job_output", {"job": job}, "step 1 loss 2.50\nstep 2 loss 2.10", job=job)
        story.tell(ev.JobEnded(job=job, how="killed_by_agent", duration_ms=40_000))
        assert f"killed job {job}" in fired(story)["killed_healthy_job"]
        story.tell(ev.AdviceDelivered(advice=(job,), at_step=story.step + 1, text="let it run"))
        assert "killed_healthy_job" not in fired(story)


def test_killing_a_job_whose_loss_rose_is_no_impatience(story: Story) -> None:
    started = {"pid": 1, "start_time": "1", "boot_id": "b", "folder": "/x"}
    story.tell(ev.JobStarted(job=7, command="train", **started))  # type: ignore[arg-type]
    story.act("job_output", {"job": 7}, "loss=2.1\nloss=nan\nloss=9.5", job=7)
    story.tell(ev.JobEnded(job=7, how="killed_by_agent", duration_ms=40_000))
    assert "killed_healthy_job" not in fired(story)


def test_a_score_that_fell_and_recovered(story: Story) -> None:
    story.tell(ev.EvalScored(score=0.46))
    story.tell(ev.EvalScored(score=0.31))
    assert fired(story)["score_drop"] == "eval fell 0.46 → 0.31"
    story.tell(ev.EvalScored(score=0.5))
    assert "score_drop" not in fired(story)


def test_an_edit_that_goes_back_and_forth(story: Story) -> None:
    for before, after in itertools.pairwise("abab"):
        story.tell(ev.FileChanged(path="a.py", before=before, after=after))
    assert fired(story)["edit_rolled_back"] == "a.py rolled back 2 times"


def test_silence_counts_from_the_last_progress_and_not_through_a_sleep(story: Story) -> None:
    story.act("run", {"command": "ls"})
    story.tell(ev.ActionStarted(call_id="c", name="run", arguments={}), call=1)
    assert fired(story, now=story.at + 13 * MINUTE)["silent"] == "silent for 13 min in `run`"
    story.tell(ev.StateChanged(state="sleeping", until=story.at + 30 * MINUTE))
    assert "silent" not in fired(story, now=story.at + 29 * MINUTE)


def test_budget_context_advice_and_the_end(story: Story) -> None:
    story.step = 79
    story.tell(ev.AdviceDelivered(advice=(1,), at_step=77, text="x"))
    story.act("run", {"command": "ls"})
    found = fired(story)
    assert found["budget"] == "80 % of its steps used"
    assert found["advice_outcome"] == "advice at step 77: 3 steps since, outcome not set"
    story.tell(ev.AdviceOutcome(advice=1, outcome="followed"))
    assert "advice_outcome" not in fired(story)
    story.tell(ev.StateChanged(state="finished", reason="all done"))
    assert fired(story)["finished"] == "finished: all done"
    story.tell(ev.SignedOff(verdict="good"))
    assert "finished" not in fired(story)


def test_done_snoozed_and_false_alarm_silence_a_signal_and_survive_in_the_fold(story: Story) -> None:
    story.tell(ev.EvalScored(score=0.46))
    cause = story.tell(ev.EvalScored(score=0.31))
    story.tell(ev.SignalJudged(signal=f"score_drop:{cause}", verdict="snoozed", until=story.at + 10 * MINUTE))
    assert "score_drop" not in fired(story)
    assert "score_drop" in fired(story, now=story.at + 20 * MINUTE)
    story.tell(ev.SignalJudged(signal=f"score_drop:{cause}", verdict="done"))
    assert "score_drop" not in fired(story, now=story.at + 20 * MINUTE)


def test_the_order_puts_those_who_need_a_person_first_and_says_why() -> None:
    calm, asking, dropped = Story("A", 1), Story("B", 2), Story("C", 3)
    asking.tell(ev.StateChanged(state="needs_you", reason="no key", need="key"))
    dropped.tell(ev.EvalScored(score=0.46))
    dropped.tell(ev.EvalScored(score=0.31))
    summaries = [story.summary for story in (calm, dropped, asking) if story.summary]
    listed = [(summary.session, reason) for summary, reason in order_sessions(summaries, dropped.at)]
    assert listed == [("B", "needs you: no key"), ("C", "eval fell 0.46 → 0.31"), ("A", "")]
    assert rank_signals(summaries, dropped.at)[0].acute


def limited(story: Story) -> None:
    story.step = 59
    story.act("run", {"command": "ls"})
    story.tell(ev.LimitChanged(name="steps", value=60))
    story.tell(ev.StateChanged(state="paused", need="limit", reason="budget used up: 60 of 60 steps"))


def test_a_budget_that_is_used_up_is_acute_until_somebody_says_done_or_lets_it_go_on(story: Story) -> None:
    limited(story)
    assert story.summary
    (found,) = signals_of(story.summary, story.at)
    assert (found.rule, found.acute, found.quiet) == ("budget_used_up", True, False)
    assert found.reason == "budget used up: 60 of 60 steps; raise it or let it rest"
    assert SignalMemory().take_due({"S": [found]}, story.at, 0) == [found]
    story.tell(ev.SignalJudged(signal=found.id, verdict="snoozed", until=story.at + 10 * MINUTE))
    assert fired(story) == {}
    assert fired(story, now=story.at + 20 * MINUTE).keys() == {"budget_used_up"}
    story.tell(ev.SignalJudged(signal=found.id, verdict="done"))
    assert fired(story, now=story.at + 20 * MINUTE) == {}
    story.tell(ev.StateChanged(state="running"))
    story.tell(ev.StateChanged(state="paused", need="limit", reason="budget used up: 60 of 60 steps"))
    assert fired(story).keys() == {"budget_used_up"}


def test_a_budget_that_was_raised_leaves_a_session_that_still_rests(story: Story) -> None:
    limited(story)
    story.tell(ev.LimitChanged(name="steps", value=200))
    assert fired(story)["budget_used_up"] == "the budget was raised, and it still rests: let it go on"
    story.tell(ev.StateChanged(state="running"))
    assert "budget_used_up" not in fired(story)


def test_evaluations_that_are_used_up_stop_a_session_only_where_that_was_what_it_stopped_for(story: Story) -> None:
    story.tell(ev.LimitChanged(name="evaluations", value=2))
    story.tell(ev.EvalScored(score=0.5, used=2))
    story.tell(ev.StateChanged(state="paused", need="limit", reason="budget used up: 2 of 2 evaluations"))
    assert fired(story)["budget_used_up"] == "budget used up: 2 of 2 evaluations; raise it or let it rest"
    story.tell(ev.StateChanged(state="running"))
    story.tell(ev.StateChanged(state="paused", need="limit", reason="budget used up: 60 of 60 steps"))
    assert fired(story)["budget_used_up"].startswith("the budget was raised")


def test_a_pause_by_a_person_is_nothing_to_look_at(story: Story) -> None:
    story.tell(ev.StateChanged(state="paused"))
    assert fired(story) == {}


def failing(story: Story, first: int, last: int) -> None:
    for attempt in range(first, last + 1):
        story.tell(ev.ModelAttemptFailed(request=3, attempt=attempt, reason="connection", retry_ms=500))


def test_a_model_that_fails_to_reply_again_and_again_is_told_until_it_replies(story: Story) -> None:
    story.tell(ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256=""))
    failing(story, 1, 5)
    assert fired(story) == {}
    failing(story, 6, 7)
    assert fired(story)["no_reply"] == "no reply since 6 s, retrying: connection, attempt 8"
    assert fired(story, Thresholds(failed_attempts=8)) == {}
    ids = [s.id for s in signals_of(story.summary, story.at)]  # type: ignore[arg-type]
    failing(story, 8, 8)
    assert [s.id for s in signals_of(story.summary, story.at)] == ids  # type: ignore[arg-type]
    story.tell(ev.ModelReplied(request=3, parts=(), finish="stop"))
    assert fired(story) == {}


def test_commands_that_went_on_in_the_background_are_no_repeated_error(story: Story) -> None:
    for job in (1, 2, 3):
        story.act("run", {"command": f"train {job}"}, f"[Still running: job {job}.]", "timeout", background="timeout")
    assert fired(story) == {}
    for job in (1, 2, 3):
        story.act("run", {"command": f"train {job}"}, f"[Killed: job {job}.]", "timeout")
    assert "repeated_error" in fired(story)

"""The rules, most urgent first. Each looks at one Summary and says its causes in words that a person can check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from sessions.attention.settings import Thresholds
from sessions.events.states import ACTIVE
from sessions.fold.budget import reason_to_stay_paused
from sessions.fold.summary import Summary


class Cause(msgspec.Struct, frozen=True):
    """The event that caused a signal, where and when it stands, and the reason in one line.

    ``place`` is the seq to look at where that is not the cause itself; 0: the newest.
    """

    seq: int
    step: int
    at: int
    reason: str
    place: int | None = None


class Rule(msgspec.Struct, frozen=True):
    """``acute`` rules say that the session cannot go on without a person; ``quiet`` ones wait until one looks.
    ``together`` ones look at what a session and its sub-agents have used."""

    name: str
    when: Callable[[Summary, int, Thresholds], Iterator[Cause]]
    acute: bool = False
    quiet: bool = False
    together: bool = False


def needs_human(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """It asks, or it is held up by something only a person can mend."""
    if s.state == "needs_you":
        yield _state(s, f"needs you: {s.reason or 'no reason given'}")
    elif s.open_question and s.state in ACTIVE:
        yield Cause(s.watch.state_seq, s.step, s.state_at, f"asks: {_short(s.open_question)}")


def budget_used_up(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """It was paused at a limit: only a person can raise that, or let it rest."""
    if s.state == "paused" and s.need == "limit":
        spent = reason_to_stay_paused(s)
        raised = "the budget was raised, and it still rests: let it go on"
        yield _state(s, f"{spent}; raise it or let it rest" if spent else raised)


def failed(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """It could not start, or cannot go on."""
    if s.state == "failed":
        yield _state(s, f"failed: {s.reason or 'no reason given'}")


def no_reply(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """Its model has failed to reply again and again; it goes on trying."""
    tried = s.no_reply
    if tried and tried.attempt >= t.failed_attempts:
        reason = f"no reply since {_span(max(0, now - tried.since))}, {tried.words}"
        yield Cause(tried.seq, s.step, tried.since, reason)


def killed_healthy_job(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """The agent killed a job whose loss was falling (impatience)."""
    kill = s.watch.kill
    if kill:
        ours = isinstance(kill.job, int)
        watched = f"{kill.job} after" if ours else f"{_short(str(kill.job))}, which it had watched for"
        reason = f"killed job {watched} {_span(kill.ran_ms)}{'' if ours else ','} while its loss was falling"
        yield Cause(kill.seq, kill.step, kill.at, f"{reason} ({kill.first:g} → {kill.last:g})")


def malformed_streak(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """Call after call that could not be run."""
    run = s.watch.malformed
    if run.count >= t.malformed_streak:
        yield Cause(run.seq, run.step, run.at, f"{run.count} malformed calls in a row")


def repeated_error(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """The same error again and again."""
    run = s.watch.errors
    if run.count >= t.repeated_error:
        yield Cause(run.seq, run.step, run.at, f"same error {run.count} times, since step {run.step}")


def repeated_action(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """The same call with the same result."""
    run = s.watch.same
    if run.count >= t.repeated_action:
        ending = ", same error" if s.watch.errors.count >= run.count else ", same result"
        yield Cause(run.seq, run.step, run.at, f"same command {run.count} times{ending}")


def score_drop(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """An evaluation that is clearly worse than the best before it."""
    drop = s.watch.drop
    if drop and abs(drop.now - drop.best) >= t.score_drop * max(abs(drop.best), 1e-9):
        word = "fell" if drop.now < drop.best else "rose"
        yield Cause(drop.seq, drop.step, drop.at, f"eval {word} {drop.best:.4g} → {drop.now:.4g}")


def edit_rolled_back(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """A file goes back and forth between versions."""
    for edits in s.watch.edits:
        if edits.rollbacks >= t.edit_rollbacks:
            yield Cause(edits.seq, edits.step, s.last_at, f"{edits.path} rolled back {edits.rollbacks} times")


def polling_streak(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """Asking instead of waiting: many times, or some times with nothing new to see."""
    run, idle = s.watch.polls, s.watch.idle_polls
    if run.count >= t.polling_streak or idle.count >= t.idle_polls:
        unchanged = ", nothing new" if idle.count >= t.idle_polls else ""
        yield Cause(run.seq, run.step, run.at, f"polling {run.count}×, since step {run.step}{unchanged}")


def silent(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """Nothing new for long, counted from the last thing the agent did, or from the end of its sleep."""
    if s.state not in ACTIVE or (s.is_child and s.answered):  # its work is done, and nobody waits for more
        return
    since = max(s.progress_at, s.state_at, s.until or 0)
    minutes = t.silent_on_job_minutes if s.state == "on_job" else t.silent_minutes
    if now - since >= minutes * 60_000:
        where = f" in `{_short(s.doing)}`" if s.doing else ""
        # What causes silence is no event: the moment since when nothing came names it.
        yield Cause(since, s.step, since, f"silent for {_span(now - since)}{where}", place=0)


def budget(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """A budget that is nearly used up."""
    used: dict[str, tuple[float, float | None]] = {
        "steps": (s.step, s.limits.steps),
        "active hours": (s.active_now(now) / 3_600_000, s.limits.active_hours),
        "tokens": (s.tokens, s.limits.tokens),
        "money": (s.spent, s.limits.money),
    }
    if s.state not in ACTIVE:
        return
    for name, (spent, limit) in used.items():
        if limit and spent >= t.budget_share * limit:
            # The cause is the budget itself, named by its limit: raising it makes a new cause.
            reason = f"{min(100, spent / limit * 100):.0f} % of its {name} used"
            yield Cause(int(limit * 1000), s.step, s.last_at, reason, place=0)


def context_full(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """A summary is about to replace the earlier half; a harness shortens its context when it wants to."""
    if s.harness:
        return
    if s.state in ACTIVE and s.context_limit and s.context_tokens >= t.context_share * s.context_limit:
        share = s.context_tokens / s.context_limit * 100
        yield Cause(s.summaries, s.step, s.last_at, f"context {share:.0f} % full, a summary is near", place=0)


def advice_outcome(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """Advice whose effect can be judged by now."""
    seen: set[int] = set()
    for given in s.watch.delivered:
        # Several pieces that were delivered together are one cause.
        if s.step - given.step >= t.advice_steps and given.seq not in seen:
            seen.add(given.seq)
            steps = s.step - given.step
            reason = f"advice at step {given.step}: {steps} steps since, outcome not set"
            yield Cause(given.seq, given.step, given.at, reason)


def finished(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """It came to its end and nobody has signed it off; a sub-agent ends with the session that started it."""
    if s.state == "finished" and not s.sign_off and s.origin != "import" and not s.is_child:
        yield _state(s, f"finished: {_short(s.reason) or 'not signed off'}")


def asks_while_paused(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """Its question is open, though somebody has paused it."""
    if s.open_question and s.state == "paused":
        yield _state(s, f"asks: {_short(s.open_question)}")


def held_by_host(s: Summary, now: int, t: Thresholds) -> Iterator[Cause]:
    """The host has paused it, as when it stops: a person has to let it go on."""
    if s.state == "paused" and s.need != "limit" and not s.state_by.startswith("human:"):
        yield _state(s, f"paused by the host: {s.reason or 'no reason given'}")


RULES: Final[tuple[Rule, ...]] = (
    Rule("needs_human", needs_human, acute=True),
    Rule("budget_used_up", budget_used_up, acute=True),
    Rule("failed", failed, acute=True),
    Rule("no_reply", no_reply),
    Rule("killed_healthy_job", killed_healthy_job),
    Rule("malformed_streak", malformed_streak),
    Rule("repeated_error", repeated_error),
    Rule("repeated_action", repeated_action),
    Rule("score_drop", score_drop),
    Rule("edit_rolled_back", edit_rolled_back),
    Rule("polling_streak", polling_streak),
    Rule("silent", silent),
    Rule("budget", budget, together=True),
    Rule("context_full", context_full, quiet=True),
    Rule("advice_outcome", advice_outcome, quiet=True),
    Rule("finished", finished),
)


WAITING: Final[tuple[Rule, ...]] = (
    Rule("needs_human", needs_human, acute=True),
    Rule("asks_while_paused", asks_while_paused, acute=True),
    Rule("budget_used_up", budget_used_up, acute=True),
    Rule("failed", failed, acute=True),
    Rule("held_by_host", held_by_host, acute=True),
)
"""What holds a session up until a person has done something about it."""


def _state(s: Summary, reason: str) -> Cause:
    return Cause(s.watch.state_seq, s.step, s.state_at, reason)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"


def _span(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"

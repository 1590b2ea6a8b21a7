"""Session facts from its summary: plan, clock, tokens, limits, jobs, files. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sessions import events as ev
from sessions.annotators import shown_name
from sessions.events.session import add_what_is_in_sight
from sessions.events.states import ENDED
from sessions.fold.budget import limit_it_stands_at
from sessions.fold.costs import UNKNOWN, say_cost
from sessions.fold.families import count_together
from sessions.fold.notes import SessionNotes
from sessions.fold.summary import Summary
from sessions.terminal_text import say_count
from widgets.glyphs import count, duration
from widgets.models import FactsView, JobView, PlanLine, SessionView

ENDED_SHOWN: Final = 3
"""So many jobs that are over are shown, the newest first."""


def facts_of(
    s: Summary,
    view: SessionView,
    files: Mapping[str, tuple[int, int]],
    now: int,
    *,
    remarks: SessionNotes | None = None,
    jobs: Mapping[int, str] = MappingProxyType({}),
    ended: Sequence[ev.JobEnded] = (),
    below: Iterable[Summary] = (),
    children: Sequence[SessionView] = (),
) -> FactsView:
    """What the side of the Session screen shows. ``files``: path → lines added and removed.

    ``jobs``: the last line that each job was seen to print; ``ended``: the jobs that are over, newest last. ``below``:
    all sub-agents below it, which use up its limits with it; ``children``: those that it started itself.
    """
    below = tuple(below)
    whole = count_together(s, below)
    return FactsView(
        session=view,
        wall_ms=max(0, _until(s, now) - s.created_at),
        input_tokens=s.input_tokens,
        output_tokens=s.output_tokens,
        cached_tokens=s.cached_tokens,
        plan=tuple(PlanLine(item.text, item.status) for item in s.plan),
        scores=tuple((score.step, score.score) for score in s.scores),
        better=s.better,
        limits=tuple(_limits(whole, now)),
        jobs=() if s.harness else tuple(_jobs(s, jobs, ended, now)),
        files=tuple((path, added, removed) for path, (added, removed) in files.items()),
        remarks=tuple(_remarks(remarks)) if remarks is not None else (),
        recording=tuple(remarks.recording.lines) if remarks is not None else (),
        recording_file=remarks.recording.file if remarks is not None else "",
        advice=tuple(_advice(s, now)),
        children=tuple(children),
        together=say_together(whole) if below else "",
        extra=tuple(_extra(s, ended, now)),
    )


def say_together(whole: Summary) -> str:
    """What a session has used with its sub-agents: ``63 steps, 41.2k tokens, $0.84``."""
    cost = say_cost(whole.spent, whole.unpriced)
    used = [say_count(whole.step, "step"), f"{_about(count(whole.tokens), whole.estimated_tokens)} tokens"]
    return ", ".join(used + [_about(cost, whole.estimated_cost)] * (cost != UNKNOWN and whole.spent > 0))


def _jobs(s: Summary, jobs: Mapping[int, str], ended: Sequence[ev.JobEnded], now: int) -> Iterator[JobView]:
    for job in s.open_jobs:
        yield JobView(job.job, job.command, jobs.get(job.job, ""), max(0, now - job.since))
    for end in ended[-ENDED_SHOWN:][::-1]:
        yield JobView(end.job, "", end.last_line, end.duration_ms, _ended(end))


def _until(s: Summary, now: int) -> int:
    """Up to when its time counts: to its end once it has ended."""
    if s.archived:
        return s.progress_at
    return s.state_at if s.state in ENDED else now


def _ended(job: ev.JobEnded) -> str:
    how = {"exited": f"exit {job.exit_code}", "killed_by_agent": "killed", "killed_by_host": "killed by the host"}
    return f"{how.get(job.how, 'lost')} after {duration(job.duration_ms)}"


def _remarks(remarks: SessionNotes) -> Iterator[str]:
    yield from remarks.sign_off_lines()
    for name in ev.Terms.__struct_fields__:
        if words := getattr(remarks.terms, name):
            yield f"{name}: {words}"
    for gone in remarks.purged:
        yield f"the session that it began in ({gone.session}) was purged: {gone.why}"
    for who, text in remarks.notes.items():
        yield f"{shown_name(who)}: {text}"
    if remarks.bookmarks:
        yield "bookmarks " + ", ".join(str(mark.target) for mark in remarks.bookmarks)
    if remarks.recoveries:
        yield "recovered at step " + ", ".join(str(step) for step in sorted(remarks.recoveries))


def _limits(s: Summary, now: int) -> Iterator[tuple[str, str, str]]:
    limits = s.limits
    if limits.steps is not None:
        yield "steps", str(s.step), str(limits.steps)
    if limits.active_hours is not None:
        yield "active", duration(s.active_now(now)), duration(int(limits.active_hours * 3_600_000))
    if limits.tokens is not None:
        yield "tokens", _about(count(s.tokens), s.estimated_tokens), count(limits.tokens)
    if limits.money is not None:
        yield "money", _about(say_cost(s.spent, s.unpriced), s.estimated_cost), say_cost(limits.money)
    if limits.evaluations is not None:
        yield "evals", str(s.evaluations), str(limits.evaluations)


def _about(used: str, estimated: float) -> str:
    return f"about {used}" if estimated else used


def _advice(s: Summary, now: int) -> Iterator[str]:
    for advice in s.open_advice:
        if (spent := limit_it_stands_at(s)) is not None:
            waits = f"when its limit of {spent.allowed} is raised"
        elif s.state in ("paused", "needs_you"):
            waits = "when it is resumed"
        elif advice.now:
            waits = "now"
        elif advice.not_before > now:
            waits = "held for 3 s"
        elif s.doing and s.doing != "model":
            waits = f"after `{s.doing}`, running {duration(max(0, now - s.doing_since))}"
        else:
            waits = "for the next boundary"
        yield f"{advice.text} ({waits})"


AS_THEY_COME: Final = "as they come"
"""How a harness is handed replies of which nothing can be held, or taken back."""


def say_agent(s: Summary) -> str:
    """The agent program of a session in words: ``codex, codex-cli 0.171.0, speaks responses``."""
    spoken = f"speaks {s.dialect}" if s.dialect else ""
    return ", ".join(filter(None, (s.harness, s.harness_version, spoken)))


def _say_program(s: Summary, ended: Sequence[ev.JobEnded], now: int) -> str:
    """How the program of a harness stands, "" where somebody else started it: it is the one job of its session."""
    if s.open_jobs:
        return f"runs for {duration(max(0, now - s.open_jobs[-1].since))}"
    return _ended(ended[-1]) if ended else ""


def _extra(s: Summary, ended: Sequence[ev.JobEnded], now: int) -> Iterator[tuple[str, str]]:
    if s.harness:
        yield "agent", say_agent(s)
        if program := _say_program(s, ended, now):
            yield "program", program
        yield "upstream", s.upstream or f"{s.model.partition(':')[0]}'s own"
        if s.summaries:
            yield "segment", f"{s.summaries + 1}, from step {s.segment_from}"
    if s.passes_replies:
        yield "replies", AS_THEY_COME
    if s.contained:
        yield "commands", add_what_is_in_sight(s.contained)
    # Of a call that a harness could not read nobody hears.
    yield (
        "actions",
        f"{s.actions}, {s.errors} errors"
        if s.harness
        else (f"{s.actions}, {s.malformed} malformed, {s.errors} errors"),
    )
    if s.flags:
        yield "flags", str(s.flags)
    if s.advice:
        yield "advice", f"{s.advice_delivered} of {s.advice} delivered"
    if s.summaries:
        yield "summaries", str(s.summaries)
    if s.sign_off:
        yield "sign-off", s.sign_off
    if s.last_export:
        yield "exported", s.last_export

"""What will stop before morning, and why: the question that somebody who goes home has. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec

from sessions.annotators import shown_name
from sessions.events.states import ACTIVE, ENDED
from sessions.fold.families import Families, count_together
from sessions.fold.summary import Summary
from sessions.terminal_text import say_count

MORNING_HOUR: Final = 8
ORDER: Final = ("no host", "needs you", "question", "paused", "not started", "no reply", "budget", "unsent draft")
"""What worries most comes first."""
NO_BUDGET: Final = "no limit ends it, however long it goes wrong"
RATE_NEEDS_MS: Final = 5 * 60_000
"""A session must have been active this long before its rate says anything."""


class Worry(msgspec.Struct, frozen=True):
    """One thing that will stand still overnight. ``what`` is short, ``why`` says it to a person."""

    session: str
    number: int
    title: str
    what: str
    why: str
    address: str
    """What people call the session by."""


def nothing_stops_text(summaries: Sequence[Summary]) -> str:
    """What is to be said where nothing worries: how many go on, and that nothing runs where nothing does."""
    working = sum(s.state in ACTIVE and not s.is_child for s in summaries)
    if not working:
        return "nothing runs, so nothing will stop"
    return f"nothing will stop before morning: {say_count(working, 'session')} at work"


def exit_message(working: int, back: str, *, host: bool) -> str:
    """What the terminal shows after the app has been left. ``back`` is the command that comes back."""
    if working and host:
        words = "1 session goes on" if working == 1 else f"{working} sessions go on"
        return f"{words}; `{back}` comes back to them"
    if working:
        stands = "1 session stands" if working == 1 else f"{working} sessions stand"
        return f"no host is connected: {stands} still until `{back} host start`"
    if host:
        return f"nothing runs; the host waits for work, `{back} host stop` ends it"
    return "nothing runs, and no host is connected"


def morning(now: int) -> int:
    """The next morning in local time, Unix ms."""
    here = dt.datetime.fromtimestamp(now / 1000).astimezone()
    then = here.replace(hour=MORNING_HOUR, minute=0, second=0, microsecond=0)
    if then <= here:
        then += dt.timedelta(days=1)
    return int(then.timestamp() * 1000)


def worries(summaries: Sequence[Summary], drafts: Collection[str], now: int, *, host: bool = True) -> list[Worry]:
    """Everything that will stop before morning, worst first. ``drafts``: sessions with unsent text."""
    known, families = {s.session: s for s in summaries}, Families.of(summaries)
    found: list[Worry] = []
    for s in sorted(summaries, key=lambda s: s.number):
        together = count_together(s, (known[one] for one in families.below(s.session)))
        found += (
            Worry(s.session, s.number, s.title, what, why, s.address)
            for what, why in _of(s, together, s.session in drafts, now, host)
        )
    return sorted(found, key=lambda worry: ORDER.index(worry.what))


def _of(s: Summary, together: Summary, draft: bool, now: int, host: bool) -> Iterator[tuple[str, str]]:
    """``together``: what it has used with its sub-agents, which its limits count."""
    if not host and s.state in ACTIVE:
        yield "no host", "it stands still until a host is started"
    if s.open_question:
        yield "question", f"asks: {s.open_question}"
    elif s.state == "needs_you":
        yield "needs you", s.reason or "it waits for a person"
    if s.state == "paused":
        yield "paused", f"by {shown_name(s.state_by) or 'the host'}" + (f": {s.reason}" if s.reason else "")
    if s.state == "created":
        yield "not started", "it was created and never started"
    if s.no_reply:
        yield "no reply", f"its model gives none; {s.no_reply.words}"
    if s.state in ACTIVE:
        ends = budget_end(together, now)
        if ends is not None and ends[1] < morning(now):
            clock = dt.datetime.fromtimestamp(ends[1] / 1000).astimezone().strftime("%H:%M")
            yield "budget", f"{ends[0]} runs out at about {clock} at this rate"
    if draft and s.state not in ENDED:
        yield "unsent draft", "advice was written and not sent"


def without_budget(summaries: Sequence[Summary]) -> list[Worry]:
    """The sessions at work that nothing ends: no step, no token, no money and no hour is counted for them. What ends a
    session ends its sub-agents."""
    free = [
        s
        for s in summaries
        if s.state in ACTIVE and not s.is_child and all(limit is None for _, _, limit in _budgets(s, 0))
    ]
    return [Worry(s.session, s.number, s.title, "no budget", NO_BUDGET, s.address) for s in free]


def budget_end(s: Summary, now: int) -> tuple[str, int] | None:
    """Which limit ends the session first at its present rate, and when (Unix ms); None if none can be told."""
    active = s.active_now(now)
    if active < RATE_NEEDS_MS:
        return None
    ends = [
        (name, now + int(max(0.0, allowed - spent) / spent * active))
        for name, spent, allowed in _budgets(s, active)
        if allowed is not None and spent > 0
    ]
    return min(ends, key=lambda end: end[1]) if ends else None


def _budgets(s: Summary, active: int) -> list[tuple[str, float, float | None]]:
    """What is counted, how much of it is used, and how much is allowed."""
    limits = s.limits
    return [
        ("steps", s.step, limits.steps),
        ("tokens", s.tokens, limits.tokens),
        ("money", s.spent, limits.money),
        ("active hours", active / 3_600_000, limits.active_hours),
    ]

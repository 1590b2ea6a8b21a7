"""How many things of a session wait for a person's verdict: what the header counts. Pure.

That is what a rule or a judge flagged and no person has judged, what another annotator called unsure and nobody has
decided, what annotators disagree about, and signals about what the agent did: the review lists all of it. What merely
nobody has read is not counted: nobody can act on five thousand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sessions.attention.signals import Signal
from sessions.events import Target
from sessions.fold.flags import Flag, FlagBook
from sessions.queries.review import ABOUT_ACTIONS

KINDS: Final = frozenset({"flag.set", "flag.removed", "recovery.marked", "session.signed_off"})
"""The kinds that change the number."""


def count_open_flags(book: FlagBook, actor: str) -> int:
    """Targets with a verdict that is open, as ``actor`` sees it."""
    undecided = {str(next(iter(flags.values())).target) for flags in book.find_undecided(actor)}
    proposed = {
        str(flag.target)
        for flag in book.active
        if not flag.human and flag.verdict != "good" and not _is_judged(book, flag.target)
    }
    return len(undecided | proposed)


def _is_judged(book: FlagBook, target: Target) -> bool:
    """As the review sees it: a person said something of all of it, or has signed off that far."""
    return book.is_signed_off(target.step) or any(flag.human for flag in book.covers(target.step, target.call))


def count_open_signals(signals: Iterable[Signal], book: FlagBook | None) -> int:
    """Signals about what the agent did that nobody has judged."""
    about = {signal.id: signal.step for signal in signals if signal.rule in ABOUT_ACTIONS}
    return sum(book is None or not _is_spoken_of(book, step) for step in about.values())


def _is_spoken_of(book: FlagBook, step: int) -> bool:
    said = any(flag.human for flag in book.active if _holds(flag, step))
    return said or book.is_signed_off(step)


def _holds(flag: Flag, step: int) -> bool:
    return flag.target.part != "summary" and flag.target.step <= step <= (flag.target.to_step or flag.target.step)

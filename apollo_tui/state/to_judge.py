"""How many things of a session wait for a person's verdict: what the header counts. Pure.

That is what a rule or a judge flagged and no person has judged, what a person called unsure and nobody has decided,
what annotators disagree about, and signals about what the agent did. What merely nobody has read is not counted:
nobody can act on five thousand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sessions.attention.signals import Signal
from sessions.fold.flags import Flag, FlagBook
from sessions.queries.review import ABOUT_ACTIONS

KINDS: Final = frozenset({"flag.set", "flag.removed", "recovery.marked", "session.signed_off"})
"""The kinds that change the number."""


def count_open_flags(book: FlagBook, actor: str) -> int:
    """Targets with a verdict that is open, as ``actor`` sees it."""
    by_target: dict[str, list[Flag]] = {}
    for flag in book.active:
        by_target.setdefault(str(flag.target), []).append(flag)
    return sum(_is_open(flags, book, actor) for flags in by_target.values())


def _is_open(flags: list[Flag], book: FlagBook, actor: str) -> bool:
    target = flags[0].target
    if book.is_signed_off(target.step):
        return False
    said = {flag.by: flag for flag in flags if flag.human}
    if not said:
        proposed = any(flag.verdict != "good" for flag in flags)
        return proposed and not any(flag.human for flag in book.covers(target.step, target.call))
    newest = max(said.values(), key=lambda flag: flag.seq)
    if newest.verdict == "unsure":
        return True
    firm = {flag.verdict for flag in said.values() if flag.verdict != "unsure"}
    return len(firm) > 1 and newest.by != actor  # else this annotator had the last word


def count_open_signals(signals: Iterable[Signal], book: FlagBook | None) -> int:
    """Signals about what the agent did that nobody has judged."""
    about = {signal.id: signal.step for signal in signals if signal.rule in ABOUT_ACTIONS}
    return sum(book is None or not _is_judged(book, step) for step in about.values())


def _is_judged(book: FlagBook, step: int) -> bool:
    said = any(flag.human and flag.verdict != "unsure" for flag in book.active if _holds(flag, step))
    return said or book.is_signed_off(step)


def _holds(flag: Flag, step: int) -> bool:
    return flag.target.part != "summary" and flag.target.step <= step <= (flag.target.to_step or flag.target.step)

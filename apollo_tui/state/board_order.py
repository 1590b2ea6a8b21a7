"""In which order the rows of the board stand, and which of them stand together. Pure; nothing moves by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count, groupby
from typing import Final, Literal

from sessions.fold.families import Families
from sessions.fold.summary import Summary

Order = Literal["number", "need", "activity", "name"]

WORDS: Final[dict[Order, str]] = {
    "need": "who needs you",
    "activity": "activity, the newest first",
    "name": "name",
    "number": "number",
}
"""In the order in which one key goes through them."""

NO_TASK: Final = "no task name"


def next_order(order: Order) -> Order:
    """The order after this one."""
    known = list(WORDS)
    return known[(known.index(order) + 1) % len(known)]


def sort_sessions(
    order: Order, summaries: Mapping[str, Summary], families: Families, needing: Sequence[str] = ()
) -> list[str]:
    """All sessions in this order, sub-agents below the one that started them. ``needing``: those that need somebody,
    the worst first. What is equal stands by number."""
    match order:
        case "need":
            worst: dict[str, float] = {}
            for place, session in enumerate(needing):
                worst.setdefault(session, place)
            return families.order(worst)
        case "activity":
            return families.order({id: -summary.progress_at for id, summary in summaries.items()})
        case "name":
            # A tree goes by the name of the session that it began with.
            named = sorted(summaries, key=lambda id: (_name_key(summaries[id].title), summaries[id].number))
            return _order_by_own(families, dict(zip(named, count(), strict=False)))
        case _:
            return families.order()


def _order_by_own(families: Families, rank: Mapping[str, int]) -> list[str]:
    def add(sessions: Iterable[str]) -> Iterable[str]:
        for session in sorted(sessions, key=lambda one: rank.get(one, len(rank))):
            yield session
            yield from add(families.children(session))

    return list(add(families.roots()))


def _name_key(title: str) -> list[tuple[int, str]]:
    """Names as people sort them: ``run 9`` before ``run 10``."""
    parts = re.split(r"(\d+)", title.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts if part]


def group_by_task(order: Sequence[str], summaries: Mapping[str, Summary], families: Families) -> list[str]:
    """``order`` with the sessions of a task together, in the place of the first of them. A sub-agent stands with the
    session that started it."""
    first: dict[str, int] = {}
    for place, id in enumerate(order):
        first.setdefault(task_of(id, summaries, families), place)
    return sorted(order, key=lambda id: first[task_of(id, summaries, families)])


def group_words(rows: Sequence[str], summaries: Mapping[str, Summary], families: Families) -> dict[str, str]:
    """What stands at the first row of each run of one task: the task, and how many sessions it has there."""
    words: dict[str, str] = {}
    for task, run in groupby(rows, lambda id: task_of(id, summaries, families)):
        first, *more = run
        count = sum(not families.parent(id) for id in (first, *more))
        words[first] = f"{task} ({count})" if count > 1 else task
    return words


def task_of(session: str, summaries: Mapping[str, Summary], families: Families) -> str:
    """What the task is called of the session, or of the one that its tree began with."""
    return summaries[families.root(session)].task_id or NO_TASK

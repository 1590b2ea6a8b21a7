"""In which order the rows of the board stand, and which of them stand together. Pure; nothing moves by itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
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
            places: Iterable[tuple[str, int]] = zip(
                sorted(summaries, key=lambda id: _name_key(summaries[id].title)), count(), strict=False
            )
            return _order_by_own(families, dict(places))
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


def group_by_task(
    order: Sequence[str], summaries: Mapping[str, Summary], families: Families
) -> tuple[list[str], dict[str, str]]:
    """``order`` with the sessions of a task together, in the place of the first of them; and the words of each group
    by its first session. A sub-agent stands with the session that started it."""
    tasks = {id: summaries[families.root(id)].task_id or NO_TASK for id in order}
    first: dict[str, int] = {}
    for place, id in enumerate(order):
        first.setdefault(tasks[id], place)
    grouped = sorted(order, key=lambda id: first[tasks[id]])
    sizes = Counter(tasks[id] for id in order if not families.parent(id))
    words: dict[str, str] = {}
    said: set[str] = set()
    for id in grouped:
        if tasks[id] not in said:
            said.add(tasks[id])
            words[id] = f"{tasks[id]} ({sizes[tasks[id]]})" if sizes[tasks[id]] > 1 else tasks[id]
    return grouped, words

"""The ways through a recording that is a tree: the one that led to its end, and those that were left.

A rewind, a rollback or a fork leaves records behind which the later context does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Way:
    """Records, by their places in the file, in order. ``parent`` is the way that it leaves, after the record
    ``border`` of that way (None: before its first)."""

    records: list[int] = field(default_factory=list)
    parent: Way | None = None
    border: int | None = None


def find_ways(parents: Sequence[int | None], said: Sequence[bool], joins: Callable[[int, Way], bool]) -> list[Way]:
    """The ways through the records, that of the last one first; each is listed after the one it leaves.

    ``parents``: the record that each one follows. ``said``: whether a record is a turn, which can end a way.
    ``joins(place, way)``: whether a record beside a way is part of a turn of it all the same, as the result of one of
    its calls is; the beginning of a side that joins is put into the way.
    """
    owner: list[Way | None] = [None] * len(parents)
    ways: list[Way] = []
    for end in range(len(parents) - 1, -1, -1):
        if owner[end] is not None or not said[end]:
            continue
        chain: list[int] = []
        seen: set[int] = set()
        at: int | None = end
        while at is not None and owner[at] is None and at not in seen:
            seen.add(at)
            chain.append(at)
            at = parents[at]
        chain.reverse()
        parent = owner[at] if at is not None and at not in seen else None
        border = at if parent is not None else None
        if parent is not None:
            while chain and joins(chain[0], parent):
                border = chain.pop(0)
                owner[border] = parent
                parent.records.append(border)
        if not chain:
            continue
        way = Way(chain, parent if parent is not None else (ways[0] if ways else None), border)
        for place in chain:
            owner[place] = way
        ways.append(way)
    for way in ways:
        way.records.sort()
    return ways

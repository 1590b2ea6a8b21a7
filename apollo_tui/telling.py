"""What the log is told of the annotator, now and then: how far they have read, and how long they worked."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from apollo_tui.desk import Desk
from apollo_tui.feed import NotDone
from sessions.log.events import CursorMoved, EffortSpent
from sessions.ulid import new_ulid


def due(desk: Desk, now: int, *, all_of_it: bool = False) -> list[Coroutine[Any, Any, None]]:
    """What to tell now (``now`` in Unix ms); what cannot be told is kept for later. Nothing without a host."""
    if not desk.state.writable:
        return []
    read = desk.state.reading.due(now, all_of_it=all_of_it)
    spent = desk.effort.due(all_of_it=all_of_it)
    return [
        *(_read(desk, session, moved) for session, moved in read.items()),
        *(_spent(desk, session, one) for session, one in spent.items()),
    ]


async def _read(desk: Desk, session: str, moved: CursorMoved) -> None:
    try:
        await desk.judging.annotate(session, moved, new_ulid())
    except NotDone:
        desk.state.reading.failed(session, moved, desk.clock())


async def _spent(desk: Desk, session: str, spent: EffortSpent) -> None:
    try:
        await desk.judging.annotate(session, spent, new_ulid())
    except NotDone:
        desk.effort.failed(session, spent)

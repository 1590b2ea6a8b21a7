"""Budgets, set or raised while a session lives."""

from __future__ import annotations

import math
from typing import Final

from sessions.fold.summary import Summary
from sessions.host.handlers.desk import Desk, only_people, refused
from sessions.host.protocol import Done, SetLimit
from sessions.log.events import LimitChanged
from sessions.remedy import go_on

WHOLE: Final = frozenset({"steps", "tokens", "evaluations"})


async def set_limit(desk: Desk, call: SetLimit, actor: str) -> Done:
    """Set a budget, lift it (no value), or change it by a difference."""
    only_people(actor, "change a limit")
    async with desk.turn(call.session):
        s = desk.summary(call.session)
        value = _value(s, call)
        note = f"{call.name}: {'no limit' if value is None else f'{value:g}'}"
        waits = s.need == "limit" and s.state == "paused"
        body = LimitChanged(name=call.name, value=value)
        remedies = [go_on(s.number)] if waits else []
        return await desk.commit(s.session, actor, call.request, body, note=note, remedies=remedies)


def _value(s: Summary, call: SetLimit) -> float | None:
    value = call.value
    if call.delta is not None:
        before = getattr(s.limits, call.name)
        if before is None:
            raise refused(f"session {s.number} has no limit of {call.name} that could be changed by {call.delta:+g}")
        value = before + call.delta
    if value is None:
        return None
    if not math.isfinite(value) or value < 0:
        raise refused(f"a limit of {call.name} cannot be {value:g}")
    if call.name in WHOLE and value != int(value):
        raise refused(f"a limit of {call.name} is a whole number, not {value:g}")
    return value

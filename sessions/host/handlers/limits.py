"""Budgets, set or raised while a session lives."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from sessions.events import LimitChanged
from sessions.events.states import ENDED
from sessions.fold import budget, remedies
from sessions.fold.families import Families, count_together
from sessions.fold.summary import Summary
from sessions.hints import Remedy, go_on
from sessions.host.handlers.context import HandlerContext, refusal, require_person
from sessions.host.protocol import Done, SetLimit

WHOLE: Final = frozenset({"steps", "tokens", "evaluations"})


async def set_limit(context: HandlerContext, call: SetLimit, actor: str) -> Done:
    """Set a budget, lift it (no value), or change it by a difference."""
    require_person(actor, "change a limit")
    async with context.turn(call.session) as s:
        value = _new_value(s, call)
        body = LimitChanged(name=call.name, value=value)
        families = Families.of((known := context.writer.summaries()).values())
        used = count_together(s, (known[one] for one in families.below(s.session)))
        note, remedies = _describe_effect(s, used, call.name, value, context.clock())
        return await context.commit(s.session, actor, call.request, body, note=note, remedies=remedies)


def _describe_effect(
    s: Summary, used: Summary, name: str, value: float | None, now: int
) -> tuple[str, tuple[Remedy, ...]]:
    """What the new limit comes to, and what to do next. ``used``: the session with all that its sub-agents used."""
    said = f"{name}: {'no limit' if value is None else f'{value:g}'}"
    after = msgspec.structs.replace(s, limits=msgspec.structs.replace(s.limits, **{name: value}))
    counted = msgspec.structs.replace(used, limits=after.limits)
    limited = budget.budgets(counted, now, step=counted.step)
    limited += [spent] if (spent := budget.evaluation_budget(after)) else []
    new = next((each for each in limited if each.name == name), None)
    waits = s.need == "limit" and s.state == "paused"
    if waits and (why := budget.reason_to_stay_paused(after)):
        stays = f"{budget.say_figure(new.used)} are used already" if new and new.used >= new.limit else why
        return f"{said}; {stays}: it stays paused", remedies.remedies_to_raise_limit(after)
    if new and new.used >= new.limit and not waits:
        if name == "evaluations":
            then = "it can evaluate no more"
        elif s.state in ENDED:
            then = "it would be paused at once"
        else:
            then = "it pauses at the boundary"
        return f"{said}; {budget.say_figure(new.used)} are used already: {then}", ()
    return said, (go_on(s.address),) if waits else ()


def _new_value(s: Summary, call: SetLimit) -> float | None:
    value = call.value
    if call.delta is not None:
        before = getattr(s.limits, call.name)
        if before is None:
            raise refusal(f"session {s.address} has no limit of {call.name} that could be changed by {call.delta:+g}")
        value = before + call.delta
    if value is None:
        return None
    if not math.isfinite(value) or value < 0:
        raise refusal(f"a limit of {call.name} cannot be {value:g}")
    if call.name in WHOLE and value != int(value):
        raise refusal(f"a limit of {call.name} is a whole number, not {value:g}")
    return value

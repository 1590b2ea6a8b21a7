"""Which entry a verdict is about where an event led to it: a call made the score, a step led to the state. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from widgets.models import Anchor, Entry

JUDGED: Final = frozenset({"action.started", "action.refused", "model.reply", "summary.written"})
JUDGED_ENTRIES: Final = frozenset({"action", "reply", "summary"})


class Place(NamedTuple):
    """One entry of a transcript. ``judged``: a verdict can be about it; ``delivery``: it is advice to the agent."""

    seq: int
    step: int | None
    call: int | None
    judged: bool
    delivery: bool


def places_of_anchors(anchors: Iterable[Anchor]) -> list[Place]:
    """The places of an index."""
    return [Place(a.seq, a.step, a.call, a.kind in JUDGED, a.kind == "advice.delivered") for a in anchors]


def places_of_entries(entries: Iterable[Entry]) -> list[Place]:
    """The places of a pane."""
    return [Place(e.seq, e.step, e.call, e.kind in JUDGED_ENTRIES, e.kind == "advice") for e in entries if not e.live]


def judged_seq(places: Sequence[Place], seq: int) -> int | None:
    """The entry that a verdict on the event ``seq`` is about; None where there is nothing to judge.

    Itself, or the call that it is a part of; of advice the first that followed; else the newest one before it.
    """
    at = next((at for at in range(len(places) - 1, -1, -1) if places[at].seq <= seq), None)
    if at is None:
        return None
    here, before = places[at], places[at::-1]
    callers = (one for one in before if here.call is not None and (one.step, one.call) == (here.step, here.call))
    followers = places[at:] if here.delivery else []
    return next((one.seq for one in (here, *callers, *followers, *before) if one.judged), None)


def seq_of_step(places: Sequence[Place], step: int) -> int | None:
    """The first action of the step, else its reply; where it has neither, of the last step before it that has."""
    judged = [one for one in places if one.judged and one.step is not None and one.step <= step]
    if not judged:
        return None
    last = max(one.step or 0 for one in judged)
    of_step = [one for one in judged if one.step == last]
    return next((one.seq for one in of_step if one.call), of_step[0].seq)

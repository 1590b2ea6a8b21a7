"""Which of two sessions of one task people say is better. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sessions import events as ev
from sessions.fold.summary import Summary


class Preference(msgspec.Struct, frozen=True):
    """A word that stands: ``better`` is the better trajectory of the two; ``equal``: neither is, and the order says
    nothing. ``at`` in Unix ms."""

    better: str
    worse: str
    by: str
    note: str = ""
    equal: bool = False
    at: int = 0


def can_compare(one: Summary, other: Summary) -> bool:
    """Whether a preference between the two says something: one task, or one of them began in the other."""
    if one.session == other.session:
        return False
    if one.task_id and one.task_id == other.task_id:
        return True
    return _began_in(one, other) or _began_in(other, one)


def _began_in(one: Summary, other: Summary) -> bool:
    return one.begins is not None and one.begins.kind == "branch" and one.begins.session == other.session


def standing_preferences(events: Iterable[ev.Event]) -> list[Preference]:
    """The words that stand, oldest first: the newest of each person about each two sessions. ``events`` are of any
    sessions, each in its order; those of other kinds are passed over.

    Example: ada says that a session is better than another, later that both are equal: one word stands, ``equal``.
    """
    found: dict[tuple[str, str, str], ev.Event] = {}
    for event in events:
        if isinstance(event.body, ev.PreferenceStated):
            place = (event.actor, event.session, event.body.other)
            found.pop(place, None)
            found[place] = event
    return [word for event in found.values() if (word := _word_of(event)) is not None]


def _word_of(event: ev.Event) -> Preference | None:
    body = event.body
    assert isinstance(body, ev.PreferenceStated)
    if body.verdict is None:
        return None
    pair = (event.session, body.other) if body.verdict != "worse" else (body.other, event.session)
    return Preference(*pair, event.actor, body.note, body.verdict == "equal", event.at)

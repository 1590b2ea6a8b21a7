"""Which of two sessions is better: one word of a person on two whole trajectories."""

from __future__ import annotations

from apollo_tui.acts.control import session_name
from apollo_tui.acts.requests import send_annotation
from apollo_tui.backend.feed import Feed
from apollo_tui.state.board import BoardState
from sessions import events as ev

EQUAL = "equal"


def preference_body(one: str, other: str, better: str, note: str = "") -> tuple[str, ev.PreferenceStated]:
    """Where the word is written, and what: ``better`` is one of the two ids, ``equal``, or "" to take it back.

    All words about the same two sessions are in the older one, so that ``u`` finds what stood before.
    """
    first, second = sorted((one, other))
    if better not in (one, other):
        return first, ev.PreferenceStated(other=second, verdict="equal" if better == EQUAL else None, note=note)
    return first, ev.PreferenceStated(other=second, verdict="better" if better == first else "worse", note=note)


async def state_preference(feed: Feed, state: BoardState, one: str, other: str, better: str, note: str = "") -> str:
    """Say it; returns the receipt. Raises NotDone."""
    session, body = preference_body(one, other, better, note)
    await send_annotation(feed, session, body)
    names = session_name(state, one), session_name(state, other)
    if body.verdict is None:
        return f"{names[0]} and {names[1]}: your word is taken back · u undoes"
    if body.verdict == "equal":
        return f"{names[0]} and {names[1]} are equally good · u undoes"
    better_name, worse_name = names if better == one else names[::-1]
    return f"{better_name} is better than {worse_name}{': ' + note if note else ''} · u undoes"

"""What a person can do about a session that stands still, by its state."""

from __future__ import annotations

from sessions.events.states import ENDED
from sessions.fold.budget import at_limit
from sessions.fold.summary import Summary
from sessions.hints import Remedy, go_on


def out_of_limit(s: Summary) -> tuple[Remedy, ...]:
    """What lets a session go on that was paused at a limit; nothing for any other."""
    return (*raises(s), go_on(s.number, then=True)) if s.need == "limit" and s.state == "paused" else ()


def goes_on(s: Summary) -> tuple[Remedy, ...]:
    """What lets it go on from the state that it is in; nothing while it works."""
    if s.state == "archived":
        return (Remedy("unarchive", "brings it back", s.number),)
    if s.state in ENDED:
        return (go_on(s.number, "reopen"),)
    if s.state in ("paused", "needs_you"):
        return (go_on(s.number),)
    return ()


def raises(s: Summary) -> tuple[Remedy, ...]:
    """What raises the limit that it stands at."""
    name = at_limit(s) or "NAME"
    return (Remedy("limit", "raises it", s.number, f"{name} +N"),)

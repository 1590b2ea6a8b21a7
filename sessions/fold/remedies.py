"""What a person can do about a session that stands still, by its state."""

from __future__ import annotations

from sessions.events.states import ENDED
from sessions.fold.budget import exhausted_budget
from sessions.fold.summary import Summary
from sessions.hints import Remedy, go_on


def remedies_at_limit(s: Summary) -> tuple[Remedy, ...]:
    """What lets a session go on that was paused at a limit; nothing for any other."""
    return (
        (*remedies_to_raise_limit(s), go_on(s.address, then=True)) if s.need == "limit" and s.state == "paused" else ()
    )


def remedies_at_refusal(s: Summary) -> tuple[Remedy, ...]:
    """What gets a session over a conversation that its server refuses; nothing for any other."""
    if s.state != "needs_you" or s.need not in ("refused", "context"):
        return ()
    if s.need == "context":
        return (Remedy("drop", "leaves its last reply out", s.address),) if s.step else ()
    return (
        Remedy("drop", "leaves its last reply out", s.address),
        Remedy("shorten", "puts a summary in the place of all", s.address),
        Remedy("retry", "sends the same once more", s.address),
    )


def remedies_where_it_stands(s: Summary) -> tuple[Remedy, ...]:
    """What helps a session that stands still for a reason that a person can do something about."""
    held = (go_on(s.address),) if s.holds_reply else ()
    return remedies_at_limit(s) or remedies_at_refusal(s) or held


def remedies_to_go_on(s: Summary) -> tuple[Remedy, ...]:
    """What lets it go on from the state that it is in; nothing while it works."""
    if s.state == "archived":
        return (Remedy("unarchive", "brings it back", s.address),)
    if s.state in ENDED:
        return (go_on(s.address, "reopen"),)
    if s.state in ("paused", "needs_you"):
        return (go_on(s.address),)
    return ()


def remedies_to_raise_limit(s: Summary) -> tuple[Remedy, ...]:
    """What raises the limit that it stands at."""
    name = exhausted_budget(s) or "NAME"
    return (Remedy("limit", "raises it", s.address, f"{name} +N"),)

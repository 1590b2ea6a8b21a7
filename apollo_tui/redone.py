"""Which flagged step an agent did over: the first step after advice may have been right where the flag stands, too."""

from __future__ import annotations

from collections.abc import Iterable

from sessions.log import events as ev
from sessions.log.reader import LogReader


def redone(reader: LogReader, session: str, step: int, flagged: Iterable[int]) -> int | None:
    """The newest of the ``flagged`` steps that ``step`` did over: no other advice came between the two.

    None where ``step`` is not the first one after advice, or nothing before it is flagged. It is what training looks
    for: the action after the next advice.
    """
    before = [number for number in flagged if number < step]
    if not before:
        return None
    turns = [event.body.at_step for event in reader.events(session, kinds={"advice.delivered"})
             if isinstance(event.body, ev.AdviceDelivered)]  # fmt: skip
    last = max(before)
    return last if next((at for at in sorted(turns) if at > last), None) == step else None

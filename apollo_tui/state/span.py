"""The span that an annotator has begun: which steps a verdict would be about, to be shown before it is given. Pure."""

from __future__ import annotations

import msgspec

from sessions import events as ev
from sessions.fold.repeats import Loop


class OpenSpan(msgspec.Struct, frozen=True):
    """A span of one session. ``first`` and ``last`` are the steps of the row where it was begun, or all of a ``loop``.

    ``count``: the digits that were typed since: so many steps it is to have. ``going_on``: the loop has not ended.
    """

    session: str
    first: int
    last: int
    loop: ev.Target | None = None
    """The first action of the loop that it is."""
    going_on: bool = False
    count: int = 0

    def steps(self, first: int, last: int) -> tuple[int, int] | None:
        """The first and the last step of it while the steps from ``first`` to ``last`` are selected.

        A loop is as long as it is; for what lies elsewhere it means nothing.
        """
        if self.loop is None:
            return min(self.first, first), max(self.last, last)
        return (self.first, self.last) if first <= self.last and last >= self.first else None

    def counted(self, digit: int) -> OpenSpan:
        """The span after one more digit."""
        return msgspec.structs.replace(self, count=self.count * 10 + digit)

    @property
    def end(self) -> int:
        """The step that the digits lead to."""
        return self.first + max(1, self.count) - 1


def span_of_loop(session: str, loop: Loop, *, ended: bool) -> OpenSpan:
    """A loop as a span. ``ended``: the session is over, and with it the loop."""
    return OpenSpan(session, *loop.steps, loop.begin, going_on=loop.closed_at is None and not ended)


def words(target: ev.Target) -> str:
    """What a target is, for a person: a call and the whole reply are told apart by more than their number."""
    match target.part:
        case "call":
            return f"the call {target}"
        case "span":
            return f"steps {target.step} to {target.to_step}"
        case "reply":
            return f"the whole reply of step {target.step}"
        case "summary":
            return f"the summary {target}"
        case part:
            return f"the {part} of step {target.step}"

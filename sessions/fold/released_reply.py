"""The reply of a step: the one that the agent goes on with. Whoever wants it asks here.

A step may have several replies, and the newest need not be the one: ``reply.superseded`` says which one gave way to
which, or was left out of the context without another one in its place. One that gave way can be taken again: the
newest word counts. A reply that no such event names is released; of several in old logs, the newest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sessions import events as ev

REPLY_KINDS: Final = frozenset({"model.reply", "reply.superseded"})
"""The kinds that say what the reply of a step is; both carry the step."""


class Replies:
    """The fold of a session's replies, in order. It grows with what it is given."""

    def __init__(self, events: Iterable[ev.Event] = ()) -> None:
        self._by_step: dict[int, list[ev.Event]] = {}
        self._superseded: set[int] = set()
        for event in events:
            self.fold(event)

    def fold(self, event: ev.Event) -> None:
        """Take the next event; all but ``REPLY_KINDS`` change nothing."""
        match event.body:
            case ev.ModelReplied() if event.step:
                self._by_step.setdefault(event.step, []).append(event)
            case ev.ReplySuperseded(old=old, new=new):
                self._superseded.add(old)
                self._superseded.discard(new or 0)
            case _:
                pass

    def is_superseded(self, seq: int) -> bool:
        """Whether the reply at ``seq`` is no step's any more."""
        return seq in self._superseded

    def of(self, step: int) -> ev.Event | None:
        """The reply of the step; None where it has none, or only such as gave way."""
        released = (event for event in reversed(self._by_step.get(step, ())) if event.seq not in self._superseded)
        return next(released, None)

    def newest_of(self, step: int) -> ev.Event | None:
        """The newest reply of the step, whatever became of it."""
        return next(reversed(self._by_step.get(step, ())), None)

    @property
    def newest(self) -> ev.Event | None:
        """The reply that the agent goes on from."""
        return next((event for step in sorted(self._by_step, reverse=True) if (event := self.of(step))), None)

    @property
    def newest_step(self) -> int:
        """The highest number that a step with a reply has: it is not given again, whatever became of the reply."""
        return max(self._by_step, default=0)

    @property
    def dropped_steps(self) -> frozenset[int]:
        """Steps whose replies are all superseded: nothing of them is in the context."""
        return frozenset(step for step in self._by_step if self.of(step) is None)


def released_reply(events: Iterable[ev.Event], step: int, *, dropped: bool = False) -> ev.ModelReplied | None:
    """The body of the reply of ``step``, from ``events`` that hold its REPLY_KINDS; None where it has none.

    ``dropped``: where its only reply was left out of the context, that one, for who looks at what the agent did.
    """
    replies = Replies(events)
    found = replies.of(step) or (replies.newest_of(step) if dropped else None)
    return found.body if found is not None and isinstance(found.body, ev.ModelReplied) else None

"""What a harness's conversations are: which of them is its work."""

from __future__ import annotations

from typing import ClassVar, Literal

from sessions.events.base import Body, Seq


class ThreadAssigned(Body, frozen=True, kw_only=True):
    """A conversation is another than it was taken for, from its next request on.

    ``thread``: the conversation, as ``model.request`` names it in its frame, for one that is not the main line now.
    ``requests``: the seqs of the requests that are meant, of the main line as it was. Requests that were steps are none
    any more: ``reply.superseded`` beside it leaves their replies out, their numbers are not given again, and no later
    word brings them back.
    """

    kind: ClassVar[str] = "thread.assigned"
    line: Literal["main", "child", "summary"]
    thread: str = ""
    requests: tuple[Seq, ...] = ()
    why: str = ""

"""What all events share: the row that carries them, long texts, references to messages and targets."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

import msgspec

HOST_SESSION = "-"
"""The session column of events that belong to the host itself and to no session."""


SEQ: Final = "seq"
"""The mark of fields that refer to an event of the same session (seq_references.py)."""
Seq = Annotated[int, msgspec.Meta(extra={SEQ: "number"})]
"""The seq of an event of the same session."""
SignalId = Annotated[str, msgspec.Meta(extra={SEQ: "ending"})]
"""``RULE:SEQ``, the seq being that of the event that caused the signal."""


class LongText(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text that may be long: whole in ``text`` when short, else its head, with the whole in a blob.

    ``chars`` is the length of the whole. ``lost`` counts characters beyond the 8 MB cap that are in no blob
    (head and tail are; the capped file stays in the session's folder as ``file``).
    """

    text: str
    blob: str | None = None
    chars: int = 0
    lost: int = 0
    file: str | None = None


class EventPlace(msgspec.Struct, frozen=True):
    """An event of another session."""

    session: str
    seq: int


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A piece that a harness moves about, or makes anew, in a block that stays the same: ``text`` at ``offset``
    (characters of the block without its marks)."""

    offset: int
    text: str


class MessageRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message as it went over the wire: the blob hash of its JSON and the events it came from.

    ``session``: whose events these are, where a branch has the message from the session that it left.

    In a request of a harness it is one block of the conversation, with all that its bytes need: ``lead`` stands before
    it, ``tail`` behind it, and ``marks`` in it. ``own``: a person's words are joined to what the harness wrote, whose
    hash this is.
    """

    hash: str
    role: str
    sources: tuple[Seq, ...] = ()
    session: str = ""
    lead: str = ","
    tail: str = ""
    marks: tuple[Mark, ...] = ()
    own: str = ""


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a verdict is about.

    ``part``: ``reply`` (the whole step's reply), ``reasoning``, ``text``, ``call`` (``call`` is its number, from 1),
    ``summary`` (``step`` is then the summary's number) or ``span`` (steps ``step`` to ``to_step``, both included).
    """

    step: int
    part: Literal["reply", "reasoning", "text", "call", "summary", "span"] = "reply"
    call: int | None = None
    to_step: int | None = None

    def __str__(self) -> str:
        if self.part == "call":
            return f"{self.step}.{self.call}"
        if self.part == "span":
            return f"{self.step}-{self.to_step}"
        if self.part == "summary":
            return f"S{self.step}"
        return f"{self.step}" if self.part == "reply" else f"{self.step}:{self.part}"


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was on the annotator's screen when they judged: last visible event and how long it was visible."""

    seq: Seq
    visible_ms: int = 0


class SeqRange(msgspec.Struct, frozen=True, array_like=True):
    """The events of a session from ``first`` to ``last`` (seqs), both included."""

    first: Seq
    last: Seq


class Body(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Base of all event bodies. ``kind`` names the event in the log, ``v`` is the version of the body's shape."""

    kind: ClassVar[str] = ""
    v: ClassVar[int] = 1


class ReversibleAct(Body, frozen=True, kw_only=True):
    """Base of what an annotator does and can take back. No kind of its own.

    ``undoes``: the seq of the event of the same session and actor that this one takes back. What takes back an undo
    does the act again. Older clients said it in the id of their request: sessions/fold/undo.py reads both.
    """

    undoes: Seq | None = None
    bulk: str = ""
    """Acts with the same id here were one, on several sessions: they are taken back together. "": an act of its own."""


class Event(msgspec.Struct, frozen=True):
    """One row of the log. ``step`` and ``call`` number from 1; ``request`` is the client-made id of the request."""

    id: int
    session: str
    seq: int
    step: int | None
    call: int | None
    kind: str
    v: int
    at: int
    actor: str
    request: str | None
    body: Body


class NewEvent(msgspec.Struct, frozen=True):
    """An event before the writer has given it an id and a seq. ``at`` None: the writer's clock."""

    session: str
    body: Body
    step: int | None = None
    call: int | None = None
    actor: str = "host"
    request: str | None = None
    at: int | None = None

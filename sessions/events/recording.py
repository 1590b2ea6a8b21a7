"""What an import says of the file that it read: what could not be kept of it, and what holds for the run as a whole."""

from __future__ import annotations

from typing import ClassVar, Literal

from sessions.events.base import Body, Seq
from sessions.events.messages import Usage

LostPart = Literal["image", "audio", "video", "file", "reasoning", "history", "result", "instruction", "part"]
"""What a message can lack; ``history`` is a summary that only its server can read, ``part`` one of an unknown kind."""


class RecordingLoss(Body, frozen=True, kw_only=True):
    """The message made of the event at seq ``of`` lacks ``count`` parts that the model read, or thought, in it.

    ``what``: an image, audio, video, a file, hidden or encrypted reasoning, history, a result, an instruction, or
    another part.
    """

    kind: ClassVar[str] = "recording.loss"
    what: LostPart
    of: Seq
    count: int = 1


class RecordingRead(Body, frozen=True, kw_only=True):
    """The session came of ``file``. ``notes`` say what of it was left out or had to be made up.

    A later import that goes on with the session says all of them anew.

    ``usage`` and ``cost`` (US dollars) are the rest that the file says of the whole run and of no single reply. A later
    import says what is to be added to that: less than nothing, where a reply that grew meanwhile was counted before.
    """

    kind: ClassVar[str] = "recording.read"
    file: str
    notes: tuple[str, ...] = ()
    usage: Usage | None = None
    cost: float | None = None

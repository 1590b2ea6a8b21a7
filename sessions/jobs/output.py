"""What a job wrote, as text: decoded without loss of place, and what a line with carriage returns last showed."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from sessions.jobs.ring_buffer import Piece

LAST_LINE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Output:
    """A stretch of a job's output. ``start`` and ``end`` are byte offsets; ``total`` is how many bytes there are.

    ``missing`` bytes of those asked for were dropped before ``text``, because there was too much output.
    """

    text: str
    start: int
    end: int
    total: int
    missing: int = 0


def decode_piece(piece: Piece, *, more_may_come: bool = False) -> Output:
    """``piece`` as text, U+FFFD for what is no UTF-8. With ``more_may_come`` half a character at the end is left for
    the next call, which begins at ``end``; half a character at the start of a cut piece is skipped.
    """
    data, start = piece.data, piece.start
    if start > 0:
        skip = next((i for i, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)
        data, start = data[skip:], start + skip
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=not more_may_come)
    held = len(decoder.getstate()[0])
    return Output(text, start, piece.end - held, piece.total, piece.missing)


def last_state(text: str) -> str:
    """Each line as a terminal would show it at the end: what its last carriage return left, so progress bars take
    one line. Escape sequences are left alone.
    """
    if "\r" not in text:
        return text
    return "\n".join(_last_segment(line) for line in text.split("\n"))


def last_line(text: str) -> str:
    """The newest line that is not blank, in its last state and cut to a line's length."""
    for line in reversed(last_state(text).split("\n")):
        if line.strip():
            return line.strip()[:LAST_LINE_CHARS]
    return ""


def last_lines(text: str, count: int) -> str:
    """The newest ``count`` lines, as they are."""
    lines = text.split("\n")
    # A text that ends with a line's end has an empty piece after it, which is no line.
    return "\n".join(lines[-count - (not lines[-1]) :])


def _last_segment(line: str) -> str:
    for segment in reversed(line.split("\r")):
        if segment:
            return segment
    return ""

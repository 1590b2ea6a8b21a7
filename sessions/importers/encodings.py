"""Bytes as text: by their mark, or by where the zeros stand in their first signs; UTF-8 else."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

_MARKS: Final = (  # the longer ones first: one begins as another does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""What files begin with that say how they are encoded; a shell of Windows writes UTF-16 where output goes to a file."""


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A text; ``damaged``: some of its bytes are none, and U+FFFD stands for them; ``cut``: its end is missing."""

    text: str
    damaged: bool = False
    cut: bool = False


def encoding_of(head: bytes) -> str:
    """How JSON is encoded that begins so: its first sign is one of ASCII."""
    found = next((name for mark, name in _MARKS if head.startswith(mark)), "")
    if found or len(head) < 2:
        return found or "utf-8"
    return "utf-16-be" if not head[0] and head[1] else "utf-16-le" if head[0] and not head[1] else "utf-8"


def decode(data: bytes) -> DecodedText:
    """The whole text. Zeros at the end are what a disk has left of lines that were not written any more."""
    encoding = encoding_of(data[:4])
    cut = False
    if encoding.startswith("utf-8"):
        kept = data.rstrip(b"\0")
        cut, data = len(kept) < len(data), kept
    try:
        return DecodedText(data.decode(encoding), cut=cut)
    except UnicodeDecodeError as problem:
        # A file may end in the middle of a sign: what is not there is no damage.
        at_end = (problem.end >= len(data) and "end of data" in problem.reason) or "truncated" in problem.reason
        return DecodedText(data.decode(encoding, errors="replace"), not at_end, cut)

"""Characters whose width terminals dispute: clusters, and whether one's guess of its cells may be wrong."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from widgets.cells import char_width

_EMOJI: Final = ((0x1F000, 0x1FBFF), (0x2600, 0x27BF), (0x2B00, 0x2BFF), (0x3030, 0x303D))
_JAMO: Final = ((0x1100, 0x11FF), (0xA960, 0xA97F), (0xD7B0, 0xD7FF))
_SETTLED: Final = ((0x4E00, 0x9FFF), (0x3041, 0x30FF), (0xAC00, 0xD7A3), (0x20000, 0x2A6DF), (0xFF01, 0xFF60))
"""What all count as two cells, so that a row of it costs no more than its letters."""
_OWN: Final = (
    (0x2010, 0x2027),
    (0x2030, 0x205E),
    (0x2190, 0x21FF),
    (0x2200, 0x22FF),
    (0x2300, 0x231A),
    (0x2500, 0x25FC),
)
"""Dashes, arrows, boxes and shapes, of which the app's own screens are made."""
_WITHOUT_EMOJI: Final = frozenset(map(ord, "✓✗✚⚐⚑"))
"""The app's own marks that stand among emoji and are none: all count as one cell."""
_LATIN_MARKS: Final = (0x0300, 0x036F)


def ambiguous_is_wide(env: Mapping[str, str] = os.environ) -> bool:
    """Whether this terminal may give two cells to what Unicode calls ambiguous: those of East Asian locales do."""
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or ""
    said = env.get("RUNEWIDTH_EASTASIAN") == "1" or env.get("VTE_CJK_WIDTH") in ("2", "wide")
    return said or locale.startswith(("zh", "ja", "ko"))


@lru_cache(8192)
def is_disputed(char: str, wide: bool = False) -> bool:
    """Whether terminals differ on this character's cells. ``wide``: they may also differ on the ambiguous ones."""
    code = ord(char)
    if code < 0x7F or code in _WITHOUT_EMOJI or _within(code, _SETTLED):
        return False
    category = unicodedata.category(char)
    if category in ("Cn", "Co", "Mc", "Cf") or _within(code, _EMOJI) or _within(code, _JAMO) or code >= 0x2FFFF:
        return True
    if category in ("Mn", "Me"):
        return not _LATIN_MARKS[0] <= code <= _LATIN_MARKS[1]
    if wide and unicodedata.east_asian_width(char) == "A":
        return True
    if code < 0x0300 or _within(code, _OWN):
        return False
    from wcwidth import wcwidth  # its tables are no part of the app's start

    return wcwidth(char) != char_width(char)


def clusters(text: str) -> Iterator[str]:
    """``text`` cut before each character that is not drawn onto the one before it."""
    begun = ""
    for char in text:
        # A mark that takes a cell of its own here belongs to its letter all the same.
        joins = bool(begun) and (char_width(char) == 0 or (ord(char) > 0x7F and unicodedata.category(char) == "Mc"))
        # What comes before the first letter has no cell of its own; it goes with that letter.
        if joins or (len(begun) == 1 and char_width(begun) == 0):
            begun += char
        else:
            if begun:
                yield begun
            begun = char
    if begun:
        yield begun


def _within(code: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= code <= last for first, last in ranges)

"""Foreign text for a plain terminal: what a command line prints may not move the cursor, set a title or hide itself.

The app has its own painters; this is for lines that go to stdout and stderr as they are. Commands print by
``apollo_train.cli.terminal_output``, which passes everything through here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from sessions.events.text import valid_unicode

_SEQUENCE: Final = re.compile(
    r"(?:\x1b[PX^_\]]|[\x90\x98\x9d\x9e\x9f])"  # DCS, SOS, PM, APC, OSC: swallow their text as well,
    r"[^\x07\x18\x1a\x1b\x9c]{0,4096}"  # but never without bound: an unterminated one must not eat the page
    r"(?:\x07|\x1b\\|\x9c|(?=[\x18\x1a\x1b])|\Z)?"
    r"|(?:\x1b\[|\x9b)[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]?"  # CSI
    r"|\x1b[\x20-\x2f]*[\x30-\x7e]?"  # two-character sequences
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_INVISIBLE: Final = re.compile(
    "[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\U000e0000-\U000e007f]"
)
_ODD_IN_JSON: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
PILE: Final = r"[^\w\s\x00-\x7f]{4,}"
"""Where marks may be piled up: a mark is no letter. Whether they are marks, ``limit_marks`` looks."""
_PILE: Final = re.compile(PILE)
MOST_MARKS: Final = 3
"""So many marks stand on one letter; more climb over the rows around it."""


def plain_text(text: str) -> str:
    """``text`` over several lines, harmless: no escape sequence, no control but line feed and tab, no override.

    A line that was overwritten by carriage returns shows its last state, as a terminal would have left it.
    """
    text = valid_unicode(text).replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    lines = (_last_state(line) for line in _SEQUENCE.sub("", text).split("\n"))
    return limit_marks(_INVISIBLE.sub("", _CONTROL.sub("\ufffd", "\n".join(lines))))


def plain_line(text: str) -> str:
    """``text`` on one line, harmless: line feeds and tabs become single spaces."""
    return plain_text(text).replace("\n", " ").replace("\t", " ")


def plain_json(text: str) -> str:
    """JSON ``text`` for a terminal: the same values, with escapes for what a terminal would act on or hide.

    Control characters inside strings are escapes already, and nothing but a string holds such a character.
    """
    text = _ODD_IN_JSON.sub(lambda found: _json_escape(found[0]), text)
    return _PILE.sub(lambda found: _limited(found[0], _json_escape), text)


def limit_marks(text: str) -> str:
    """``text`` with at most three combining marks on a letter, of whatever script."""
    return text if text.isascii() else _PILE.sub(lambda found: _limited(found[0], lambda _: ""), text)


def _limited(run: str, instead: Callable[[str], str]) -> str:
    kept, marks = [], 0
    for char in run:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        kept.append(char if marks <= MOST_MARKS else instead(char))
    return "".join(kept)


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _last_state(line: str) -> str:
    """What a progress line shows in the end: the text after its last carriage return that something follows."""
    return line.rstrip("\r").rpartition("\r")[2]


def say_count(count: int, noun: str, nouns: str = "") -> str:
    """``1 session``, ``2 sessions``; ``nouns`` where an s is not enough."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"

"""Foreign text for a plain terminal: what a command line prints may not move the cursor, set a title or hide itself.

The app has its own painters; this is for lines that go to stdout and stderr as they are.
"""

from __future__ import annotations

import re
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
    "[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]|[\U000e0000-\U000e007f]"
)


def plain_text(text: str) -> str:
    """``text`` over several lines, harmless: no escape sequence, no control but line feed and tab, no override.

    A line that was overwritten by carriage returns shows its last state, as a terminal would have left it.
    """
    text = valid_unicode(text).replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    lines = (_last_state(line) for line in _SEQUENCE.sub("", text).split("\n"))
    return _INVISIBLE.sub("", _CONTROL.sub("\ufffd", "\n".join(lines)))


def plain_line(text: str) -> str:
    """``text`` on one line, harmless: line feeds and tabs become single spaces."""
    return plain_text(text).replace("\n", " ").replace("\t", " ")


def _last_state(line: str) -> str:
    """What a progress line shows in the end: the text after its last carriage return that something follows."""
    return line.rstrip("\r").rpartition("\r")[2]


def say_count(count: int, noun: str, nouns: str = "") -> str:
    """``1 session``, ``2 sessions``; ``nouns`` where an s is not enough."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"

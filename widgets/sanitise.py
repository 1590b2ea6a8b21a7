"""The one sanitiser: what a model, a tool, a path or a title says, made harmless for a terminal.

The log keeps the text as it was; this is for the screen only. Escape sequences go whole where they can be recognised,
what is left of them is made visible. Lines with carriage returns show their last state, as a terminal would.
Emoji joiners, variation selectors and skin tones go, and flags become letters: terminals disagree on their width,
and a row that is wider than we think moves what stands beside it.
"""

from __future__ import annotations

import re
from typing import Final

from sessions.terminal_text import limit_marks

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200d\u2060-\u2065\u206a-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U0001f3fb-\U0001f3ff\U000e0000-\U000e0fff"
)
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_FLAGS = "\U0001f1e6-\U0001f1ff"

_SUSPECT: Final = re.compile(
    f"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_BIDI}{_INVISIBLE}{_FLAGS}{_MARKS}]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_ERASED = "\udcff"
"""Stands for "erase to the end of the line" between two passes; no surrogate is left in the text by then."""

_ST = r"(?:\x07|\x1b\\|\x9c)"
_PAYLOAD = r"[^\x07\x1b\x9c\x90\x98\x9d-\x9f\n]{0,8192}"
_ESCAPE: Final = re.compile(
    rf"(?:\x1b\[|\x9b)[0-?]{{0,64}}[ -/]{{0,8}}(?P<final>[@-~])"
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_PAYLOAD}{_ST}"
    r"|\x1b[ -/]{1,8}[0-~]"
    r"|\x1b[0-OQ-WYZ\\`-~]"
)
_ODD: Final = re.compile(f"[\x00-\x09\x0b-\x1f\x7f-\x9f{_BIDI}{_INVISIBLE}{_FLAGS}]")
_PILED_MARKS: Final = re.compile(f"([{_MARKS}]{{3}})[{_MARKS}]+")
_LEADING_MARK: Final = re.compile(f"^(?=[{_MARKS}])", re.MULTILINE)
_BREAKS: Final = re.compile("\r\n|[\x85\u2028\u2029]")

_REMARKS: Final = (("[", "]"), ("(", ")"))
_SILENT: Final = re.compile(r"\W+|\[?[\w.@:~/-]{1,80}(?: [\w.~/-]{1,80})?\]?[$#]")
"""A line that says nothing: without letters and digits, or a shell's prompt."""

TAB: Final = 4
"""Cells per tab stop."""


def is_clean(text: str) -> bool:
    """Whether nothing in ``text`` needs ``clean``; newlines are fine."""
    return _SUSPECT.search(text) is None and limit_marks(text) == text


def clean(text: str) -> str:
    """``text`` without anything that a terminal would act on; lines stay lines, tabs become spaces."""
    if _SUSPECT.search(text) is None:
        return limit_marks(text)
    text = _SURROGATE.sub("\ufffd", text)
    if "\x1b" in text or "\x9b" in text or "\x90" in text or "\x9d" in text:
        text = _ESCAPE.sub(lambda found: _ERASED if found["final"] == "K" else "", text)
    text = _BREAKS.sub("\n", text)
    if "\r" in text or "\t" in text or "\x08" in text or _ERASED in text:
        text = "\n".join(_last_state(line) for line in text.split("\n"))
    text = _ODD.sub(_visible, text)
    text = _PILED_MARKS.sub(r"\1", text)
    return _LEADING_MARK.sub("◌", limit_marks(text))


def clean_line(text: str, limit: int = 400) -> str:
    """One line of at most ``limit`` characters; line breaks show as ⏎. A text of megabytes costs nothing: cut first."""
    bound = limit * 4 + 256
    if len(text) > bound:
        # The last state of a line that rewrites itself is at its end.
        head, _, _ = text[: bound * 16].partition("\n")
        text = head[-bound:] if "\r" in head.rstrip("\r") else text[:bound]
    text = clean(text).strip()
    if "\n" in text:
        text = " ⏎ ".join(line.strip() for line in text.split("\n") if line.strip())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def last_line(text: str, limit: int = 400) -> str:
    """The last line of ``text`` that says something, cleaned; "" if there is none.

    A line wholly in brackets is a tool's own remark about its output, and a shell's prompt or a line without letters
    says nothing: they count only if there is no other.
    """
    remark = ""
    for line in reversed(text[-8192:].rstrip().split("\n")):
        cleaned = clean_line(line, limit)
        if (cleaned[:1], cleaned[-1:]) in _REMARKS or _SILENT.fullmatch(cleaned):
            remark = remark or cleaned
        elif cleaned:
            return cleaned
    return remark


def _last_state(line: str) -> str:
    """What a terminal shows of a line after its carriage returns: later segments lie over earlier ones."""
    if "\t" in line:
        line = line.expandtabs(TAB)
    if "\x08" in line:
        line = _apply_backspaces(line)
    if "\r" not in line:
        return line.replace(_ERASED, "")
    shown = ""
    for segment in reversed(line.rstrip("\r").split("\r")):
        plain = segment.replace(_ERASED, "")
        if len(plain) > len(shown):
            shown += plain[len(shown) :]
        if _ERASED in segment:
            break
    return shown


def _apply_backspaces(line: str) -> str:
    """Backspaces take the letter before them; those at the end of a line (spinners) take nothing."""
    kept: list[str] = []
    for char in line.rstrip("\x08"):
        if char != "\x08":
            kept.append(char)
        elif kept and kept[-1] not in "\r":
            kept.pop()
    return "".join(kept)


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if 0x1F1E6 <= code <= 0x1F1FF:
        return chr(ord("A") + code - 0x1F1E6)
    bidi = code in (0x061C, 0x200E, 0x200F) or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    return "\ufffd" if bidi or code <= 0x9F else ""

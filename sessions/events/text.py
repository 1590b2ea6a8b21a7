"""Text on its way into the log: valid Unicode, long texts as blobs, and the one canonical form of JSON."""

from __future__ import annotations

import json
from typing import Final

import msgspec

from sessions.events import LongText

INLINE_CHARS: Final = 2000
"""Up to this many characters a text stays inside its event."""
MAX_TEXT_BYTES: Final = 8 * 1024 * 1024
"""Of a longer text (as UTF-8) only head and tail, half of this each, are kept."""

_TEXTS: Final = msgspec.json.Encoder(order="sorted")
"""Ten times as fast as Python's own, and not used for numbers, which it writes otherwise."""
_ONLY_TEXTS: Final = frozenset({str})
_LEAVES: Final = frozenset({str, type(None)})


class Blob(msgspec.Struct, frozen=True):
    """Bytes stored once, under the SHA-256 (hex) of what they are before compression."""

    hash: str
    data: bytes

    @classmethod
    def of(cls, data: bytes) -> Blob:
        """The blob of ``data``."""
        import hashlib  # readers start without OpenSSL

        return cls(hashlib.sha256(data).hexdigest(), data)


def canonical_json(value: object) -> bytes:
    """The one form of a JSON value that hashes are made of: sorted keys, no spaces, UTF-8, valid Unicode, no NaN."""
    if _is_of_texts(value):
        try:
            return _TEXTS.encode(value)
        except UnicodeEncodeError:
            pass
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=msgspec.to_builtins
    )
    try:
        return text.encode()
    except UnicodeEncodeError:
        return valid_unicode(text).encode()


def _is_of_texts(value: object) -> bool:
    """Whether there is nothing in it but texts, of which both encoders make the same bytes."""
    left = [value]
    while left:
        one = left.pop()
        if type(one) is dict:
            if not _ONLY_TEXTS.issuperset(map(type, one)):
                return False
            if not _LEAVES.issuperset(map(type, one.values())):
                left += one.values()
        elif type(one) is list or type(one) is tuple:
            left += one
        elif type(one) is not str and one is not None:
            return False
    return True


def valid_unicode(text: str) -> str:
    """``text`` with U+FFFD for each lone surrogate; a surrogate pair becomes the character that it means."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def long_text(text: str, *, inline: int = INLINE_CHARS, file: str | None = None) -> tuple[LongText, list[Blob]]:
    """``text`` as an event stores it, and the blobs to append with it.

    Beyond ``inline`` characters the whole goes into a blob; beyond 8 MB head and tail do, with a line between
    them that says how many characters are missing. ``file`` names the capped file in the session's folder.
    """
    text = valid_unicode(text)
    chars = len(text)
    if chars <= inline:
        return LongText(text=text, chars=chars, file=file), []
    data = text.encode()
    lost = 0
    if len(data) > MAX_TEXT_BYTES:
        head = data[: MAX_TEXT_BYTES // 2].decode(errors="ignore")
        tail = data[-MAX_TEXT_BYTES // 2 :].decode(errors="ignore")
        lost = chars - len(head) - len(tail)
        data = f"{head}\n[… {lost:,} characters are not kept in the log …]\n{tail}".encode()
    blob = Blob.of(data)
    return LongText(text=text[:inline], blob=blob.hash, chars=chars, lost=lost, file=file), [blob]

"""Text as the words that the index holds. The same for what goes in and for what is looked for, or nothing is found."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_WORD: Final = re.compile(r"\w+")
_UNSPACED: Final = re.compile(
    "(["
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # kana and iteration marks
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"  # Hangul: particles and compounds are written together
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "])"
)
"""Letters of scripts that put no space between words: each is a word of its own, and a word is a phrase of them."""


def space_words(text: str) -> str:
    """``text`` with one form for each letter, however it was typed, and room around those that stand for themselves."""
    if text.isascii():
        return text
    return _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFKC", text))


def is_unspaced(text: str) -> bool:
    """Whether any of it is written without spaces between words."""
    return not text.isascii() and bool(_UNSPACED.search(unicodedata.normalize("NFKC", text)))


def words_of(text: str) -> list[str]:
    """The words of ``text``, in order."""
    return _WORD.findall(space_words(text))


def fold_word(word: str) -> str:
    """A word as the index spells it: small letters, no accents."""
    bare = unicodedata.normalize("NFD", word.lower())
    return unicodedata.normalize("NFC", "".join(char for char in bare if not unicodedata.combining(char)))

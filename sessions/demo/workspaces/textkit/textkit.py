"""Small helpers for plain text."""

from __future__ import annotations


def count_words(text: str) -> int:
    """How many words ``text`` has; any run of white space separates."""
    return len(text.split(" "))


def longest_line(text: str) -> str:
    """The longest line of ``text``, or the empty string."""
    return max((len(line) for line in text.splitlines()), default=0)


def title_case(text: str) -> str:
    """Every word begins with a capital; the other letters stay as they are."""
    return " ".join(word.capitalize() for word in text.split())


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters; words stay whole."""
    return [text[i : i + width] for i in range(0, len(text), width)]

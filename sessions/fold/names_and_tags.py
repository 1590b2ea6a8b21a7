"""What a session is called, and by which words it is found: its tags after somebody changed them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sessions import events as ev

MOST_TITLE: Final = 200
MOST_TAG: Final = 60
MOST_TAGS: Final = 40
"""Characters of a title and of a tag, and tags of a session."""


def is_tag(word: str) -> bool:
    """Whether a word can be a tag: lists of tags are split at spaces and commas.

    >>> is_tag("lr-sweep"), is_tag("two words"), is_tag("-x")
    (True, False, False)
    """
    return 0 < len(word) <= MOST_TAG and word.split() == [word] and "," not in word and word[0] not in "-+"


def check_tag_words(words: Iterable[str]) -> str:
    """What is wrong with ``words`` that add tags, and take some away with a ``-``; "" if nothing is.

    >>> check_tag_words(("lr-sweep", "-old", "a,b"))
    'a,b is no tag: one word of at most 60 characters, without a comma'
    """
    wrong = next((word for word in words if not word.startswith("-") and not is_tag(word.removeprefix("+"))), None)
    said = f"{wrong} is no tag: one word of at most {MOST_TAG} characters, without a comma"
    return said if wrong is not None else ""


def change_tags(before: tuple[str, ...], said: ev.SessionTagged) -> tuple[str, ...]:
    """The tags after somebody added and removed some; those that stay keep their places."""
    kept = tuple(tag for tag in before if tag not in said.removed)
    return kept + tuple(tag for tag in dict.fromkeys(said.added) if tag not in kept)


def tag_change(before: tuple[str, ...], words: tuple[str, ...]) -> ev.SessionTagged:
    """What ``words`` change of these tags: ``x`` and ``+x`` add, ``-x`` removes; what is so already is left out.

    >>> tag_change(("a",), ("a", "b", "-c"))
    SessionTagged(added=('b',))
    """
    added = [word.removeprefix("+") for word in words if not word.startswith("-")]
    removed = [word[1:] for word in words if word.startswith("-")]
    return ev.SessionTagged(
        added=tuple(dict.fromkeys(tag for tag in added if tag not in before)),
        removed=tuple(dict.fromkeys(tag for tag in removed if tag in before)),
    )

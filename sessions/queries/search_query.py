"""What a person types into a search: words and filters. ``tool:run label:x/impatience state:paused "loss is" nan``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, get_args

from sessions.errors import ApolloError
from sessions.events.states import State
from sessions.queries.search_words import is_unspaced, words_of

FILTERS: Final = ("tool", "label", "state", "session")
_TERM: Final = re.compile(r'(?:(?P<key>tool|label|state|session):)?(?:"(?P<phrase>[^"]*)"?|(?P<word>\S+))')
STATES: Final[frozenset[str]] = frozenset(get_args(State))


class BadQuery(ApolloError):
    """A search that cannot be understood; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Query:
    """Every word has to occur in the same entry: a word by its beginning, one of ``parts`` anywhere in a word, a
    phrase as it stands. In scripts without spaces all three are found anywhere.

    Filters of one kind are alternatives; filters of different kinds have to hold together.
    """

    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    tools: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()

    @property
    def match(self) -> str:
        """The words for FTS5, "" if there are none; ``parts`` are not among them."""
        terms = [f'"{inner}"*' for text in self.words for inner in _runs(text)]
        for phrase in self.phrases:
            inner = " ".join(words_of(phrase))
            terms += [f'"{inner}"'] if inner else []
        return " ".join(terms)

    @property
    def texts(self) -> tuple[str, ...]:
        """What to show in a result: the words and phrases as they were typed."""
        return (*self.phrases, *self.words, *self.parts)


def _runs(text: str) -> list[str]:
    """What of a typed word stands together: each word by itself, in a script without spaces all of them."""
    words = words_of(text)
    return [" ".join(words)] if words and is_unspaced(text) else words


def parse_query(text: str) -> Query:
    """Raises BadQuery for an empty search, an unknown state, or words without a letter."""
    words: list[str] = []
    phrases: list[str] = []
    parts: list[str] = []
    found: dict[str, set[str]] = {key: set() for key in FILTERS}
    for term in _TERM.finditer(text):
        value = term["phrase"] if term["phrase"] is not None else term["word"]
        if term["key"]:
            found[term["key"]].add(value)
        elif term["phrase"] is not None:
            phrases.append(value)
        elif value.startswith("*") and value.strip("*"):
            parts.append(value.strip("*"))
        else:
            words.append(value)
    for state in found["state"] - STATES:
        raise BadQuery(f"state:{state}: there is no such state; known are {', '.join(sorted(STATES))}")
    query = Query(
        tuple(words),
        tuple(phrase for phrase in phrases if phrase),
        tuple(parts),
        frozenset(found["tool"]),
        frozenset(found["label"]),
        frozenset(found["state"]),
        frozenset(found["session"]),
    )
    if (words or phrases) and not query.match:
        raise BadQuery(f"{text.strip()}: type letters or digits to look for; the index holds words only")
    for part in parts:
        if len(words_of(part)) != 1:
            raise BadQuery(f"*{part}: what is looked for inside words is one word; put several into quotation marks")
    if not query.match and not parts and not any(found.values()):
        raise BadQuery(f"type words to look for, or {', '.join(f'{key}:' for key in FILTERS)}")
    return query

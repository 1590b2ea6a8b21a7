"""Which sessions of the board a few words mean: free text, and ``tag:x state:paused task:…``. Pure.

Words narrow one another down; one that begins with ``-`` leaves out, and a comma stands between words of which one is
enough: ``state:paused,finished -tag:old adam``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

from sessions.events.states import ENDED, STATES, State

Field = Literal["text", "state", "tag", "task", "model", "annotator", "is"]
FIELDS: Final[tuple[Field, ...]] = get_args(Field)
ALWAYS: Final = "text"

IS: Final[Mapping[str, str]] = {
    "need": "somebody is wanted there",
    "unread": "something is not read yet",
    "flagged": "something carries a flag",
    "signed": "somebody has signed it off",
    "unsigned": "nobody has signed it off",
    "live": "it has not ended",
    "ended": "it has ended",
    "marked": "it is marked",
}
"""What ``is:`` can ask, and what that means."""

LEAST_ABBREVIATION: Final = 2


class SessionFacts(msgspec.Struct, frozen=True):
    """What words can ask of one session. ``annotators``: names of people who judged, advised or noted something."""

    session: str
    address: str
    title: str
    state: State
    model: str = ""
    harness: str = ""
    task: str = ""
    tags: tuple[str, ...] = ()
    annotators: frozenset[str] = frozenset()
    needs: bool = False
    unread: bool | None = False
    """None: nobody knows yet."""
    flagged: bool = False
    signed: bool = False
    marked: bool = False

    @property
    def state_words(self) -> str:
        """The state as the board says it."""
        return self.state.replace("_", " ")


class FilterWord(msgspec.Struct, frozen=True):
    """One word: a field, the values of which one is enough (lower case), and whether it leaves out."""

    field: Field
    values: tuple[str, ...]
    out: bool = False


class BoardFilter(msgspec.Struct, frozen=True):
    """All words together; none of them: every session."""

    text: str = ""
    words: tuple[FilterWord, ...] = ()

    @property
    def archived(self) -> bool:
        """Whether archived sessions are asked for: else they stay out of sight."""
        return any(word.field == "state" and not word.out and "archived" in _states_of(word) for word in self.words)

    @property
    def asks_unread(self) -> bool:
        """Whether a word asks what is unread, which is not known of all sessions."""
        return any(word.field == "is" and "unread" in word.values for word in self.words)

    def matches(self, facts: SessionFacts) -> bool:
        """Whether the words mean this session; as long as one of them cannot be answered, they do not."""
        if facts.unread is None and self.asks_unread:
            return False
        return all(_holds(word, facts) != word.out for word in self.words)


def parse_filter(text: str) -> BoardFilter:
    """The filter that ``text`` says. A word with a colon whose field is unknown is text; so is half a word.

    >>> parse_filter("state:paused -tag:old adam").words[1:]
    (FilterWord(field='tag', values=('old',), out=True), FilterWord(field='text', values=('adam',), out=False))
    """
    return BoardFilter(" ".join(text.split()), tuple(filter(None, map(_parse_word, text.split()))))


def _parse_word(word: str) -> FilterWord | None:
    out, bare = word.startswith("-"), word.removeprefix("-")
    if not bare:
        return None
    name, colon, rest = bare.partition(":")
    field = next((field for field in FIELDS if field == name.lower()), None) if colon else None
    if field is None:
        if bare.lower() == "archived":  # no text has to be read for what everybody means by it
            return FilterWord("state", ("archived",), out)
        return FilterWord("text", (bare.lower(),), out)
    values = tuple(value for value in rest.lower().split(",") if value)
    return FilterWord(field, values, out) if values else None


def _holds(word: FilterWord, facts: SessionFacts) -> bool:
    return any(_MEANS[word.field](value, facts) for value in word.values)


def _text(value: str, facts: SessionFacts) -> bool:
    return value == facts.address or any(
        value in said.lower()
        for said in (facts.title, facts.task, facts.model, facts.harness, facts.state_words, *facts.tags)
    )


def _is(value: str, facts: SessionFacts) -> bool:
    answers = {
        "need": facts.needs,
        "unread": bool(facts.unread),
        "flagged": facts.flagged,
        "signed": facts.signed,
        "unsigned": not facts.signed,
        "live": facts.state not in ENDED,
        "ended": facts.state in ENDED,
        "marked": facts.marked,
    }
    return answers.get(value, False)


def _find_states(value: str) -> set[State]:
    """The states that ``value`` is, or begins: ``need`` is needs_you."""
    wanted = value.replace(" ", "_")
    exact: set[State] = {state for state in STATES if state == wanted}
    begun: set[State] = {state for state in STATES if state.startswith(wanted)}
    return exact or (begun if len(wanted) >= LEAST_ABBREVIATION else set())


def _states_of(word: FilterWord) -> set[State]:
    return {state for value in word.values for state in _find_states(value)}


_MEANS: Final[Mapping[Field, Callable[[str, SessionFacts], bool]]] = {
    "text": _text,
    "state": lambda value, facts: facts.state in _find_states(value),
    "tag": lambda value, facts: any(value == tag.lower() for tag in facts.tags),
    "task": lambda value, facts: value in facts.task.lower(),
    "model": lambda value, facts: value in facts.model.lower() or value in facts.harness.lower(),
    "annotator": lambda value, facts: any(value in name.lower() for name in facts.annotators),
    "is": _is,
}


class FilterValue(msgspec.Struct, frozen=True):
    """A word that would mean some of the sessions: whole, as it is typed, and how many it means."""

    word: str
    count: int
    about: str = ""


def complete_filter(text: str, known: Sequence[SessionFacts]) -> list[FilterValue]:
    """What the last word of ``text`` may become, and of how many sessions that is true beside the words before it.

    Values that no session has are not offered; what is not known yet of some is.
    """
    *before, last = text.split(" ") if text else [""]
    kept = parse_filter(" ".join(before))
    rest = [facts for facts in known if kept.matches(facts)]
    sign, bare = ("-", last[1:]) if last.startswith("-") else ("", last)
    unknown = sum(facts.unread is None for facts in rest)
    found = [
        FilterValue(f"{sign}{field}:{value}", count, _about(field, value, unknown))
        for field in FIELDS
        for value, count in _values(field, rest)
    ]
    if unknown and not any(facts.unread for facts in rest):
        found.append(FilterValue(f"{sign}is:unread", 0, _about("is", "unread", unknown)))
    return [one for one in found if _begins(one.word.removeprefix("-"), bare)]


def _about(field: Field, value: str, unknown: int) -> str:
    if field != "is":
        return ""
    return IS[value] + say_unknown(unknown) if value == "unread" else IS[value]


def say_unknown(count: int) -> str:
    """Of how many sessions it is not known yet what is unread, "" if of none."""
    return f", {count} not looked up yet" if count else ""


def _begins(word: str, typed: str) -> bool:
    """Whether a typed beginning means the word, with or without its field."""
    low, (_, _, value) = typed.lower(), word.partition(":")
    return word.lower().startswith(low) or (":" not in low and low != "" and value.lower().startswith(low))


def _values(field: Field, known: Iterable[SessionFacts]) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for facts in known:
        counts.update(_VALUES[field](facts))
    return sorted(counts.items(), key=lambda found: (-found[1], found[0]))


def _of(*values: str) -> Collection[str]:
    return {value for value in values if value and not any(letter.isspace() or letter == "," for letter in value)}


_VALUES: Final[Mapping[Field, Callable[[SessionFacts], Collection[str]]]] = {
    "text": lambda facts: (),
    "state": lambda facts: (facts.state,),
    "tag": lambda facts: _of(*facts.tags),
    "task": lambda facts: _of(facts.task),
    "model": lambda facts: _of(facts.model),
    "annotator": lambda facts: _of(*facts.annotators),
    "is": lambda facts: [word for word in IS if _is(word, facts)],
}


class FoundSessions:
    """The sessions that a filter has found. They change when somebody asks, and when one comes to match; none leaves by
    itself, so that nothing moves under the cursor."""

    def __init__(self) -> None:
        self.filter = BoardFilter()
        self._ids: set[str] = set()

    def __bool__(self) -> bool:
        """Whether some sessions may be out of sight."""
        return bool(self.filter.words)

    def __contains__(self, session: str) -> bool:
        return not self.filter.words or session in self._ids

    def ask(self, text: str, known: Iterable[SessionFacts]) -> None:
        """Find anew by these words."""
        self.filter = parse_filter(text)
        self._ids = {facts.session for facts in known if self.filter.matches(facts)}

    def look(self, changed: Iterable[SessionFacts]) -> None:
        """Take in what has come to match."""
        self._ids.update(facts.session for facts in changed if self.filter.matches(facts))

    def keep(self, sessions: Iterable[str]) -> list[str]:
        """Those of ``sessions`` that were found, in their order."""
        return [session for session in sessions if session in self]

"""Who started whom: sessions and their sub-agents, as trees; and what a tree has used together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from sessions.fold.summary import Summary


class Families:
    """The trees of these sessions. One whose parent is not among them stands by itself."""

    def __init__(self, summaries: Iterable[Summary]) -> None:
        self._numbers = {summary.session: summary.number for summary in summaries}
        self._parents: dict[str, str] = {}
        self._children: dict[str, list[str]] = {}

    @classmethod
    def of(cls, summaries: Iterable[Summary]) -> Families:
        """The trees that these sessions make; the order of the sessions says nothing."""
        known = sorted(summaries, key=lambda summary: summary.number)
        made = cls(known)
        for summary in known:
            begins = summary.begins
            if begins is None or begins.kind != "child" or begins.session not in made._numbers:
                continue
            # A recording may say anything: nobody is its own ancestor.
            if summary.session not in (begins.session, *made.above(begins.session)):
                made._parents[summary.session] = begins.session
                made._children.setdefault(begins.session, []).append(summary.session)
        return made

    def parent(self, session: str) -> str:
        """The session that started it, "" for one that began by itself."""
        return self._parents.get(session, "")

    def children(self, session: str) -> tuple[str, ...]:
        """Those that it started itself, by number."""
        return tuple(self._children.get(session, ()))

    def has_relatives(self, session: str) -> bool:
        """Whether it started another one, or was started by one."""
        return session in self._parents or session in self._children

    def above(self, session: str) -> Iterator[str]:
        """Its parent, the parent of that, up to the one that all began with."""
        while session := self.parent(session):
            yield session

    def level(self, session: str) -> int:
        """How many sessions it is below."""
        return sum(1 for _ in self.above(session))

    def below(self, session: str) -> Iterator[str]:
        """All that it started, and that these started: each parent before its children."""
        for child in self.children(session):
            yield child
            yield from self.below(child)

    def root(self, session: str) -> str:
        """The session that its tree began with."""
        for one in self.above(session):
            session = one
        return session

    def siblings(self, session: str) -> tuple[str, ...]:
        """Those with the same parent, itself among them; for one that began by itself, all that did."""
        parent = self.parent(session)
        return self.children(parent) if parent else self.roots()

    def roots(self) -> tuple[str, ...]:
        """Those that began by themselves, by number."""
        return tuple(session for session in self._numbers if session not in self._parents)

    def order(self, rank: Mapping[str, float] | None = None) -> list[str]:
        """All sessions, each with its children below it: by number, or by the best ``rank`` of each with all below."""
        found: list[str] = []
        self._add(found, self.roots(), rank or {})
        return found

    def _add(self, found: list[str], sessions: Iterable[str], rank: Mapping[str, float]) -> None:
        last = float("inf")
        best = {one: min(rank.get(each, last) for each in (one, *self.below(one))) for one in sessions}
        for session in sorted(best, key=lambda one: best[one]):
            found.append(session)
            self._add(found, self.children(session), rank)


def next_child_address(parent: str, known: Iterable[str]) -> str:
    """What the next sub-agent of the session with the address ``parent`` is called by. ``known``: the addresses that
    there are; one is not given again while its session, or one made after it, is in the log.

    >>> next_child_address("3", ["3.a", "3.c", "3.c.a", "4.a"])
    '3.d'
    """
    letters = (one.removeprefix(f"{parent}.") for one in known if one.startswith(f"{parent}."))
    return f"{parent}.{_letters(max((_place(one) for one in letters if '.' not in one), default=0) + 1)}"


def _letters(place: int) -> str:
    """``a`` for 1, ``z`` for 26, ``aa`` for 27."""
    found = ""
    while place > 0:
        place, at = divmod(place - 1, 26)
        found = chr(ord("a") + at) + found
    return found


def _place(letters: str) -> int:
    place = 0
    for letter in letters:
        place = place * 26 + ord(letter) - ord("a") + 1
    return place


def count_together(root: Summary, below: Iterable[Summary]) -> Summary:
    """``root`` with the steps, tokens and money of all below it: these limits are a tree's, hours are its own."""
    for summary in below:
        root = msgspec.structs.replace(
            root,
            step=root.step + summary.step,
            input_tokens=root.input_tokens + summary.input_tokens,
            output_tokens=root.output_tokens + summary.output_tokens,
            estimated_tokens=root.estimated_tokens + summary.estimated_tokens,
            cost=root.cost + summary.cost,
            unpriced=root.unpriced + summary.unpriced,
            estimated_cost=root.estimated_cost + summary.estimated_cost,
        )
    return root

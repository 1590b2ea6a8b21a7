"""Which conversation a request belongs to: the main line of a harness, a child's, or none.

A harness resends its whole conversation with every request, and mixes in others: titles, reviewers, sub-agents. What
tells them apart is the tree of prefixes: a request goes on from the longest earlier one that it extends. Headers only
help where they are explicit; tools, session ids and cache keys do not tell (docs/agents.md says what was measured).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

Line = Literal["main", "child", "side"]
Step = Literal["next", "again", "segment", "compaction"]
"""``next``: it goes on (or begins); ``again``: its chain is that of an earlier request; ``segment``: the conversation
was rewritten; ``compaction``: it asks for the summary that the next segment begins with."""

MAIN: Final = "main"
MOST_REWRITTEN: Final = 2
"""So many units may be rewritten in place for two conversations to be one."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a request says where it belongs.

    ``units``: the identities of its content blocks, in order. ``prompts``: places of units that are, word for word,
    what the host itself told the harness to do. ``thread``: the id that the harness gives the conversation, "" if it
    gives none. ``child``: it says that it is a sub-agent's. ``compacts``: it says that it asks for a summary.
    ``calls``: the ids of the calls in it. ``frame``: the identity of what stands beside the conversation (system
    prompt, model), "" if it is not known: two conversations that are equal but for that are two. ``acts``: whether it
    could do its work: False where it declares none of the tools that its harness is known to have.
    ``stored``: the server has what comes before, for which the first of the units stands; ``follows``: the number of
    the request whose reply that ends with, None: of none that is known.
    """

    units: Sequence[str]
    prompts: Collection[int] = ()
    tools: int = 0
    thread: str = ""
    child: bool = False
    compacts: bool = False
    calls: frozenset[str] = frozenset()
    frame: str = ""
    acts: bool = True
    stored: bool = False
    follows: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request belongs. ``parent``: the number of the request that it goes on from, or is again; None: none."""

    number: int
    line: Line
    thread: str
    step: Step
    parent: int | None = None


@dataclass(slots=True)
class _Seen:
    place: Place
    shape: Shape
    extended: bool = False
    handed: frozenset[str] = frozenset()
    """The ids of the calls in the reply that was handed over."""
    before: int | None = None
    """The head of the main line before it."""


@dataclass(slots=True)
class Threads:
    """The requests of one session in the order in which they came.

    The main line begins with what the host told the harness to do; where that is nowhere, or the host does not know it,
    it is the first conversation that goes on.
    """

    _seen: list[_Seen] = field(default_factory=list)
    _by_chain: dict[bytes, int] = field(default_factory=dict)
    """The first request with this chain, one of the main line before others."""
    _by_whole: dict[tuple[bytes, str], int] = field(default_factory=dict)
    """The first request with this chain and frame."""
    _head: int | None = None
    _main_thread: str = ""
    _adopted: set[str] = field(default_factory=set)
    """Threads of sub-agents that somebody said are the main line, whatever their harness says."""
    _volatile: set[int] = field(default_factory=set)
    """Places of units that the harness writes anew in each request: the time that is left, say."""

    def take(self, shape: Shape) -> Place:
        """Say where the next request belongs, and keep it."""
        chain = hash_chain(shape.units)
        place = self._place(shape, chain)
        self._seen.append(_Seen(place, shape))
        end = chain[-1] if chain else b""
        if place.step != "again":
            self._by_whole.setdefault((end, shape.frame), place.number)
            if place.line == MAIN:  # of two that are equal but for their frame it is the one that goes on
                self._by_chain[end] = place.number
        self._by_chain.setdefault(end, place.number)
        if place.parent is not None and place.step != "again":
            self._seen[place.parent].extended = True
            self._claim_main(place.parent)
        if self.place_of(place.number).line == MAIN and place.step in ("next", "segment"):
            if self._head is not None and self._head != place.number:
                self._let_go(self._head)
                self._seen[place.number].before = self._head
            self._head = place.number
            self._main_thread = self._main_thread or shape.thread
        else:
            self._let_go(place.number)
        return self.place_of(place.number)

    def _let_go(self, number: int) -> None:
        """Keep of a request what is asked for later: all units of all requests would be too much."""
        shape = self._seen[number].shape
        self._seen[number].shape = Shape((), tools=shape.tools, thread=shape.thread, frame=shape.frame)

    def take_back(self, number: int) -> None:
        """The request was never sent: what comes next goes on from what came before it."""
        self._by_chain = {chain: at for chain, at in self._by_chain.items() if at != number}
        self._by_whole = {whole: at for whole, at in self._by_whole.items() if at != number}
        if self._head == number:
            self._head = self._seen[number].before

    def restore(self, chain: bytes, line: Line, thread: str, purpose: str) -> int:
        """Keep a request of an earlier host, by the end of its chain; returns its number."""
        number = len(self._seen)
        same = self._by_whole.setdefault((chain, ""), number)
        self._by_chain.setdefault(chain, number)
        step: Step = "again" if same != number else "compaction" if purpose == "summary" else "next"
        place = Place(number, line, thread, step, same if same != number else None)
        self._seen.append(_Seen(place, Shape(()), extended=True))  # what it is was found out then
        if line == MAIN and step == "next":
            if self._head is not None:
                self._seen[self._head].extended = True
            self._head = number
        return number

    @property
    def head(self) -> int | None:
        """The number of the newest request of the main line, None before the first."""
        return self._head

    def remember(self, number: int, units: Sequence[str], calls: Collection[str]) -> None:
        """What a request of an earlier host held, and the calls in its reply."""
        seen = self._seen[number]
        seen.shape, seen.handed = Shape(units), frozenset(calls)

    def note_reply(self, number: int, calls: Collection[str]) -> None:
        """What the request was answered: a conversation that carries it goes on from there."""
        place = self._seen[number].place
        again = place.parent if place.step == "again" else None
        seen = self._seen[number if again is None else again]
        seen.handed |= frozenset(calls)  # of several samples the harness goes on with any

    def place_of(self, number: int) -> Place:
        """Where this request belongs, as it is known by now."""
        return self._seen[number].place

    def adopt(self, thread: str) -> None:
        """The conversation beside the main line that goes by this name is the main line from its next request on."""
        numbers = [seen.place.number for seen in self._seen if seen.place.line != MAIN and seen.place.thread == thread]
        self._adopted.add(thread)
        self._assign(numbers, MAIN, MAIN)

    def part(self, numbers: Collection[int], thread: str, logged: Collection[int]) -> None:
        """These requests of the main line are a sub-agent's, in a conversation that goes by ``thread``.

        ``logged``: the requests of the main line that the log has as such: only to these it can go back.
        """
        meant = self._assign(numbers, "child", thread)
        if self._head in meant:
            places = (seen.place for seen in self._seen)
            own = (p.number for p in places if p.line == MAIN and p.step in ("next", "segment") and p.number in logged)
            self._head = max(own, default=None)

    def _assign(self, numbers: Collection[int], line: Line, thread: str) -> set[int]:
        """These requests, and what goes on from them, are of another conversation than they were taken for.

        What goes on from one that is the main line now is a segment of it.
        """
        meant = set(numbers)
        for seen in self._seen:
            place = seen.place
            if place.number in meant or (place.parent in meant and place.step != "segment"):
                meant.add(place.number)
                seen.place = replace(place, line=line, thread=thread)
        return meant

    def _place(self, shape: Shape, chain: Sequence[bytes]) -> Place:
        number = len(self._seen)
        end = chain[-1] if chain else b""
        same = self._by_whole.get((end, shape.frame), self._by_whole.get((end, "")))
        if same is not None and self._seen[same].place.step == "compaction":
            return replace(self._seen[same].place, number=number)
        if same is not None:
            return Place(number, *self._kin(same), "again", same)
        named = f"agent {shape.thread}" if shape.child and shape.thread else ""
        child = shape.child and named not in self._adopted
        if not child and (rewritten := self._find_rewritten(shape)) is not None:
            return Place(number, *self._kin(rewritten[0]), rewritten[1], rewritten[0])
        parent = shape.follows
        if not shape.stored:
            parent = next((found for h in reversed(chain[:-1]) if (found := self._by_chain.get(h)) is not None), None)
        if child:
            thread = named or (self._seen[parent].place.thread if parent is not None else f"child {number}")
            own = parent is not None and self._seen[parent].place.thread == thread
            return Place(number, "child", thread, "next", parent if own else None)
        if parent is not None:
            line, thread = self._kin(parent)
            if line == MAIN and shape.compacts:
                return Place(number, line, thread, "compaction", parent)
            # An older node of the same conversation: a compaction that kept its beginning, a rewind, an edited history.
            goes_on = line != MAIN or parent == self._head or self._seen[parent].place.step == "compaction"
            return Place(number, line, thread, "next" if goes_on else "segment", parent)
        return self._place_root(number, shape, f"side {end.hex()[:12]}")

    def _find_rewritten(self, shape: Shape) -> tuple[int, Step] | None:
        """The head of the main line, where this conversation is the same but for units that were rewritten in place.

        It goes on from there if it carries the reply that was handed over; it is the same request again if only units
        differ that have changed in place before.
        """
        if self._head is None:
            return None
        head = self._seen[self._head]
        before = head.shape.units
        if shape.stored or head.shape.stored:
            return None
        if not before or len(shape.units) < len(before):
            return None
        changed = {at for at, (old, new) in enumerate(zip(before, shape.units, strict=False)) if old != new}
        if not changed:
            return None
        if len(shape.units) == len(before):
            # Also the very first time, as long as nobody has answered it.
            rewritten = changed <= self._volatile or (len(changed) <= MOST_REWRITTEN and not head.handed)
            return (self._head, "again") if rewritten else None
        if len(changed) > MOST_REWRITTEN or not head.handed & shape.calls:
            return None
        self._volatile |= changed
        return self._head, "next"

    def _place_root(self, number: int, shape: Shape, aside: str) -> Place:
        """A conversation that nothing came before."""
        if shape.compacts and self._head is not None:
            return Place(number, MAIN, MAIN, "compaction")
        if self._head is None:
            if shape.prompts and shape.acts:
                return Place(number, MAIN, MAIN, "next")
            return Place(number, "side", aside, "next")
        head = self._seen[self._head]
        if shape.prompts and not head.extended and head.place.parent is None and shape.tools > head.shape.tools:
            # What looked like the beginning was a title or a probe: it has the task in it, but fewer tools.
            self._disown(head)
            return Place(number, MAIN, MAIN, "next")
        own_thread = bool(shape.thread) and shape.thread == self._main_thread
        begun = head.extended or head.place.parent is not None
        if own_thread or (shape.prompts and shape.tools == head.shape.tools and begun):
            return Place(number, MAIN, MAIN, "segment", None)
        return Place(number, "side", aside, "next")

    def _kin(self, number: int) -> tuple[Line, str]:
        place = self._seen[number].place
        return place.line, place.thread

    def _disown(self, head: _Seen) -> None:
        number = head.place.number
        head.place = Place(number, "side", f"side {number}", "next")
        self._head, self._main_thread = None, ""

    def _claim_main(self, root: int) -> None:
        """Where no conversation began with what the harness was told, the first that goes on is the main line."""
        if self._head is not None or self._seen[root].place.line != "side":
            return
        thread = self._seen[root].place.thread
        for seen in self._seen:
            if seen.place.thread == thread:
                p = seen.place
                seen.place = Place(p.number, MAIN, MAIN, p.step, p.parent)
                self._head, self._main_thread = p.number, seen.shape.thread


def hash_chain(units: Sequence[str]) -> list[bytes]:
    """``h[i] = H(h[i - 1], units[i])``: equal where two conversations are equal up to there."""
    chain: list[bytes] = []
    at = b""
    for unit in units:
        at = hashlib.blake2b(at + unit.encode(), digest_size=16).digest()
        chain.append(at)
    return chain

"""Prompts that are nearly equal on two sides of a split: what is trained may be what is tested.

Prompts are compared by a sketch (the smallest hashes of the pieces they are made of), each with a bounded number of
others that share a piece with it, so that time grows with the number of sessions and not with its square.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from apollo_train.masks.session_events import read_events
from apollo_train.policy import FilterPolicy
from apollo_train.samples.row_meta import split_of_session
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.task_ids import normalise_prompt
from sessions.terminal_text import say_count

LIKENESS: Final = 0.6
"""The share of pieces that two prompts have in common from which on they are nearly equal."""
PIECE_CHARS: Final = 5
SKETCH: Final = 64
KEYS: Final = 16
"""Hashes of a sketch by which others are looked for."""
COMPARED: Final = 256
"""Others that are looked at for each of these."""
SHARED: Final = 4
"""Of these hashes two prompts have to share so many before they are compared whole."""
READ_CHARS: Final = 8_000
"""So much of a prompt is compared."""
KEPT: Final = 1_000
"""Pairs that a manifest lists."""
SHOWN: Final = 5
_MARKS: Final = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True)
class PromptOfSession:
    """What a session was asked first, and the split that its rows are in."""

    session: str
    split: str
    text: str


@dataclass(frozen=True, slots=True)
class NearPrompts:
    """How many pairs there are, and which (the first of them). ``bounded``: there may be more."""

    number: int = 0
    pairs: tuple[tuple[PromptOfSession, PromptOfSession], ...] = ()
    bounded: bool = False

    def lines(self) -> list[str]:
        """What there is to say, for a person."""
        about = "near-equal prompts across splits"
        if not self.number:
            return [f"{about}: none{' among those that were compared' if self.bounded else ''}"]
        least = "at least " if self.bounded else ""
        pairs = [f"near-equal: {_say(one)} and {_say(other)}" for one, other in self.pairs[:SHOWN]]
        more = self.number - len(pairs)
        rest = [f"near-equal: {say_count(more, 'more pair')}; the manifest lists them"] if more else []
        return [f"{about}: {least}{say_count(self.number, 'pair')} of sessions", *pairs, *rest]

    def plain(self) -> dict[str, Any]:
        """The same for a manifest."""
        pairs = [
            {"sessions": [one.session, other.session], "splits": [one.split, other.split]} for one, other in self.pairs
        ]
        return {"number": self.number, "complete": not self.bounded, "pairs": pairs}


def read_near_prompts(
    reader: LogReader, sessions: Iterable[str], policy: FilterPolicy, position: int
) -> NearPrompts | None:
    """Those among the sessions that have rows; None where the policy parts nothing, or is of version 1."""
    if policy.version == 1 or not (policy.split.validation or policy.split.test):
        return None
    found: list[PromptOfSession] = []
    for session in sessions:
        for event in read_events(reader, session, position, frozenset({"session.created"})):
            if isinstance(event.body, ev.SessionCreated):
                found.append(PromptOfSession(session, split_of_session(event.body, policy), event.body.task))
                break
    return find_near_prompts(found)


def find_near_prompts(prompts: Iterable[PromptOfSession]) -> NearPrompts:
    """The pairs that are in two splits; equal prompts count as nearly equal, empty ones as nothing."""
    equal: dict[str, dict[str, list[PromptOfSession]]] = {}
    for prompt in sorted(prompts, key=lambda one: one.session):
        if text := _MARKS.sub(" ", normalise_prompt(prompt.text[:READ_CHARS])).strip():
            equal.setdefault(text, {}).setdefault(prompt.split, []).append(prompt)
    search = _Search()
    for text, by_split in equal.items():
        sketch = _sketch(text)
        splits = sorted(by_split)
        for place, split in enumerate(splits):
            for other in splits[place + 1 :]:
                search.add(by_split[split], by_split[other])
        for split in splits:
            search.compare(sketch, split, by_split[split])
        for split in splits:
            search.keep(sketch, split, by_split[split])
    return NearPrompts(search.number, tuple(search.pairs), search.bounded)


class _Search:
    """The texts so far, by the hashes that they have, in each split."""

    def __init__(self) -> None:
        self.number = 0
        self.pairs: list[tuple[PromptOfSession, PromptOfSession]] = []
        self.bounded = False
        self._known: list[tuple[tuple[int, ...], list[PromptOfSession]]] = []
        self._by_hash: dict[str, dict[int, list[int]]] = {}

    def keep(self, sketch: tuple[int, ...], split: str, members: list[PromptOfSession]) -> None:
        """A text that later ones are compared with."""
        self._known.append((sketch, members))
        by_hash = self._by_hash.setdefault(split, {})
        for key in sketch[:KEYS]:
            by_hash.setdefault(key, []).append(len(self._known) - 1)

    def compare(self, sketch: tuple[int, ...], split: str, members: list[PromptOfSession]) -> None:
        """Look for texts of other splits that are nearly this one."""
        shared: Counter[int] = Counter()
        for other, by_hash in self._by_hash.items():
            if other == split:
                continue
            for key in sketch[:KEYS]:
                listed = by_hash.get(key, [])
                self.bounded = self.bounded or len(listed) > COMPARED
                shared.update(listed[-COMPARED:])
        for number, times in shared.items():
            theirs, others = self._known[number]
            if times >= min(SHARED, len(theirs), len(sketch)) and likeness(sketch, theirs) >= LIKENESS:
                self.add(others, members)

    def add(self, ones: list[PromptOfSession], others: list[PromptOfSession]) -> None:
        """Each of the ones is nearly each of the others."""
        self.number += len(ones) * len(others)
        for one in ones:
            for other in others:
                if len(self.pairs) >= KEPT:
                    return
                self.pairs.append((one, other) if one.session < other.session else (other, one))


def _sketch(text: str) -> tuple[int, ...]:
    """The smallest hashes of its pieces."""
    data = text.encode()
    pieces = {data[at : at + PIECE_CHARS] for at in range(max(1, len(data) - PIECE_CHARS + 1))}
    return tuple(sorted({zlib.crc32(piece) for piece in pieces})[:SKETCH])


def likeness(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """The share of their pieces that two texts have in common, as far as their sketches say."""
    mine, theirs = set(one), set(other)
    union = sorted(mine | theirs)[:SKETCH]
    return sum(key in mine and key in theirs for key in union) / len(union)


def _say(prompt: PromptOfSession) -> str:
    return f"{prompt.session} ({prompt.split})"

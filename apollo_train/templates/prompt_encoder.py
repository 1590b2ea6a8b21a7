"""Token ids of texts that begin alike, each stretch of text encoded once.

A tokenizer takes its special tokens out of a text before it looks at the rest, so that what stands before one is
encoded the same whatever follows: there a text can be cut. Which of its tokens these are, the engine knows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final, overload

from apollo_train.runtime import TrainError
from apollo_train.templates.engine import Engine

PIECE: Final = 1 << 16
"""Characters that are compared at once."""


class EncodesOtherwise(TrainError):
    """A text and its parts have other ids."""


class PromptIds(Sequence[int]):
    """The ids of a prompt. What it shares with the prompt before is kept once for all of them."""

    __slots__ = ("shared", "size", "tail")

    def __init__(self, shared: list[int], size: int, tail: list[int]) -> None:
        """The first ``size`` of ``shared``, which only grows behind them, then ``tail``."""
        self.shared, self.size, self.tail = shared, size, tail

    def __len__(self) -> int:
        return self.size + len(self.tail)

    def __iter__(self) -> Iterator[int]:
        return chain(islice(self.shared, self.size), self.tail)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> list[int]: ...
    def __getitem__(self, at: int | slice) -> int | list[int]:
        if not isinstance(at, slice):
            at = range(len(self))[at]
            return self.shared[at] if at < self.size else self.tail[at - self.size]
        start, stop, step = at.indices(len(self))
        if step != 1:
            return list(self)[at]
        size = self.size
        return self.shared[start : min(stop, size)] + self.tail[max(0, start - size) : max(0, stop - size)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash((self.size, tuple(self.tail)))

    def shared_with(self, other: object) -> int:
        """How many ids at their beginning both have for the reason alone that they are kept once; 0: nobody knows."""
        if not isinstance(other, PromptIds) or self.shared is not other.shared:
            return 0
        return min(self.size, other.size)


class PromptEncoder:
    """The ids of one text after the other; what a text shares with the one before it is not encoded again.

    ``<|im_start|>user\\nHi<|im_end|>\\n<|im_start|>assistant\\n`` and, a step later, the same with the reply and its
    result behind it: all before the last ``<|im_start|>`` keeps its ids.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._text = ""
        self._ids: list[int] = []
        """Those of the newest text. Prompts that were handed out share them up to where they were cut then."""
        self._lent = 0
        """Up to where."""
        self._cuts: list[tuple[int, int]] = [(0, 0)]
        """Where the text can be cut: how many characters, and how many tokens, are before; the first is its start."""
        self._ends: list[int] = [0]
        """Up to which character each cut hangs on the text: the end of the token that begins there."""

    def encode(self, text: str, *, compare: bool = False) -> PromptIds:
        """The ids of ``text``, as ``Engine.encode`` gives them; ``compare`` them, where a part of them was known.

        Raises EncodesOtherwise.
        """
        kept = max(1, bisect_right(self._ends, _shared_length(self._text, text)))
        start, tokens = self._cuts[kept - 1]
        ids, offsets = self._engine.encode(text[start:])
        del self._cuts[kept:], self._ends[kept:]
        borders = self._engine.borders
        for at in [at for at, number in enumerate(ids) if number in borders]:
            begin, end = offsets[at]
            if begin:
                self._cuts.append((start + begin, tokens + at))
                self._ends.append(start + end)
        if tokens < self._lent:
            self._ids = self._ids[:tokens]
        else:
            del self._ids[tokens:]
        self._ids += ids
        self._text, self._lent = text, tokens
        if compare and start and self._ids != self._engine.encode(text)[0]:
            raise EncodesOtherwise(
                f"the tokenizer {self._engine.name!r} encodes a text otherwise than its parts between special tokens: "
                "say --render whole, which takes long for long sessions"
            )
        return PromptIds(self._ids, tokens, ids)


def _shared_length(one: str, other: str) -> int:
    """How many characters both begin with."""
    end = min(len(one), len(other))
    at = 0
    while at < end and one[at : at + PIECE] == other[at : at + PIECE]:
        at += PIECE
    low, high = min(at, end), min(at + PIECE, end)
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low

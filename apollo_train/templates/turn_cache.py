"""Turns that were put into another form, so that each is put into it once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, ParamSpec

from apollo_train.samples.chat import Turn

P = ParamSpec("P")
KEPT: Final = 8192
"""Turns that are remembered at most."""


class TurnCache:
    """Turns by what they were made from: other turns, and whatever else decides.

    A step sample repeats all turns of the one before, and they are the very same objects (samples/prompt_prefix.py). A
    session of 400 steps has a turn in up to 400 samples; with this it is made once:

        cache.get_or_make((turn, framed), write_reply, turn, framed)
    """

    def __init__(self) -> None:
        self._turns: dict[tuple[Hashable, ...], Turn] = {}

    def get_or_make(
        self, source: tuple[Hashable, ...], make: Callable[P, Turn], *args: P.args, **kwargs: P.kwargs
    ) -> Turn:
        """The turn that was made from ``source``, or the one that ``make`` makes now."""
        turn = self._turns.get(source)
        if turn is None:
            if len(self._turns) > KEPT:
                self._turns.clear()
            turn = self._turns[source] = make(*args, **kwargs)
        return turn

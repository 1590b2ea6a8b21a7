"""How a scripted model is written: a generator that yields what it says and is sent what it then sees.

A script is a pure function of what it has seen, so the reply to a request can be computed from the request's own
messages: a request that is sent again after a crash gets the same reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call with the JSON text of its arguments, which a script may break on purpose."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One scripted reply."""

    reasoning: str = ""
    text: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Feedback:
    """What followed a reply: the observations in order, and the text of any advice."""

    results: tuple[str, ...] = ()
    advice: str = ""

    @property
    def result(self) -> str:
        """The first observation, or the empty string."""
        return self.results[0] if self.results else ""

    @property
    def job(self) -> int | None:
        """The number of the job that the first observation speaks of."""
        found = re.search(r"\bjob (\d+)", self.result)
        return int(found.group(1)) if found else None


Script = Generator[Turn, Feedback, None]


def call(name: str, /, **arguments: object) -> Call:
    """A well-formed call."""
    return Call(name, json.dumps(arguments, ensure_ascii=False))


def say(text: str, *calls: Call, why: str = "") -> Turn:
    """A reply: ``why`` is its reasoning."""
    return Turn(reasoning=why, text=text, calls=calls)


def next_turn(script: Callable[[], Script], history: Sequence[Feedback]) -> Turn:
    """What the model says after ``history``: the script is played from its beginning.

    A script that has come to its end says so and finishes.
    """
    play = script()
    try:
        turn = next(play)
        for seen in history:
            turn = play.send(seen)
    except StopIteration:
        return say("There is nothing left to do.", call("finish", summary="The script has come to its end."))
    return turn

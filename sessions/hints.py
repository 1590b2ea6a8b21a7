"""What to do about a refusal, said so that each front can name it in its own words: a command, a key, a `:` command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

Way = Literal[
    "start",
    "resume",
    "reopen",
    "unarchive",
    "stop",
    "drop",
    "shorten",
    "retry",
    "limit",
    "advise",
    "advise_reopening",
    "answer",
    "send_draft",
    "send_correction",
    "list",
    "create",
    "demo",
    "start_host",
    "restart_host",
    "stop_host",
]


class Remedy(msgspec.Struct, frozen=True, omit_defaults=True):
    """One way on. ``does`` ends the sentence that names it: "`p` lets it go on"."""

    way: Way
    does: str
    session: str = ""
    """The address of the session that it is about, "": none."""
    words: str = ""
    """What comes with it, e.g. ``steps +N``."""
    then: bool = False
    """It follows the one before; without it, it is another way."""
    also: bool = False
    """It is good to know beside the others."""


def go_on(session: str, way: Way = "resume", *, then: bool = False) -> Remedy:
    """The most frequent one: let a session go on."""
    return Remedy(way, "lets it go on", session, then=then)


def say_remedies(text: str, remedies: Sequence[Remedy], name: Callable[[Remedy], str], joint: str = ": ") -> str:
    """``text`` and the ways on: "paused already: `p` lets it go on". A way that ``name`` calls "" does not exist here.

    What follows a way that does not exist is left out with it.
    """
    told = ""
    missing = False
    for remedy in remedies:
        called = name(remedy)
        missing = not called or (remedy.then and missing)
        if not missing:
            told += (", then " if remedy.then else (" · " if remedy.also else ", or ")) if told else ""
            told += f"`{called}` {remedy.does}"
    return f"{text}{joint}{told}" if told else text


COMMANDS: Final[dict[Way, str]] = {
    "start": "apollo resume {session}",
    "resume": "apollo resume {session}",
    "reopen": "apollo resume {session}",
    "unarchive": "apollo resume {session}",
    "stop": "apollo stop {session}",
    "drop": "apollo drop {session}",
    "shorten": "apollo shorten {session}",
    "retry": "apollo retry {session}",
    "limit": "apollo limit {session} {words}",
    "advise": "apollo advise {session} {words}",
    "advise_reopening": "apollo advise {session} {words} --reopen",
    "answer": "apollo answer {session} {words}",
    "list": "apollo ls",
    "create": "apollo new",
    "demo": "apollo demo",
    "start_host": "apollo host start",
    "restart_host": "apollo host restart",
    "stop_host": "apollo host stop",
}


def command_of(remedy: Remedy) -> str:
    """What the command line calls it, "" where it has nothing of the kind."""
    return COMMANDS.get(remedy.way, "").format(session=remedy.session, words=remedy.words)


def say_in_shell(problem: Exception) -> str:
    """An error as a command line says it, with the commands that help."""
    return say_remedies(str(problem), getattr(problem, "remedies", ()), command_of)

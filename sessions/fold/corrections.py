"""What annotators say the agent should have done instead: one word per annotator and target, a newer one replaces it.

A correction is free text. Where it ends with calls, each as ``tool {"argument": 1}`` at the beginning of a line, it is
a reply that a model could have given in place of its own; training makes pairs of those only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from sessions import events as ev

_CALL: Final = re.compile(r"[A-Za-z_][\w.-]*(?=[ \t]*\{)")


class Correction(msgspec.Struct, frozen=True):
    """One that stands. ``by`` is the actor; ``at`` in Unix ms."""

    target: ev.Target
    text: str
    by: str
    seq: int
    at: int


class WrittenCall(msgspec.Struct, frozen=True):
    """A call as a correction writes it; ``arguments`` is its JSON text."""

    name: str
    arguments: str


class CorrectionBook:
    """The fold of one session: all corrections that stand. What is older than what was heard changes nothing."""

    def __init__(self, events: Iterable[ev.Event] = ()) -> None:
        self._current: dict[tuple[str, str], Correction] = {}
        self._newest_seq: dict[tuple[str, str], int] = {}
        for event in events:
            self.fold(event)

    def fold(self, event: ev.Event) -> None:
        """Take the next event; other kinds change nothing."""
        if isinstance(event.body, ev.CorrectionWritten):
            key = (event.actor, str(event.body.target))
            if event.seq <= self._newest_seq.get(key, 0):
                return
            self._newest_seq[key] = event.seq
            self._current.pop(key, None)
            if event.body.text:
                said = Correction(event.body.target, event.body.text, event.actor, event.seq, event.at)
                self._current[key] = said

    @property
    def all(self) -> list[Correction]:
        """Those that stand, the newest last."""
        return list(self._current.values())

    def on(self, target: ev.Target) -> list[Correction]:
        """Those of exactly this target, the newest last."""
        return [one for one in self._current.values() if one.target == target]

    def own(self, actor: str, target: ev.Target) -> str:
        """What ``actor`` says of the target, "" for nothing."""
        found = self._current.get((actor, str(target)))
        return found.text if found else ""


def parse_reply(text: str) -> tuple[str, list[WrittenCall]]:
    """What a correction would have the agent say, and the calls it ends with; no calls: it is words only."""
    for found in re.finditer(rf"^{_CALL.pattern}", text, re.M):
        calls = _calls(text[found.start() :])
        if calls:
            return text[: found.start()].strip(), calls
    return text.strip(), []


def broken_call(text: str) -> str:
    """The tool that a correction seems to call and does not, by broken JSON or by what follows it; "" for none."""
    found = re.search(rf"^{_CALL.pattern}", text, re.M)
    return found.group() if found and not parse_reply(text)[1] else ""


def call_text(name: str, arguments: str) -> str:
    """A call as a correction writes it."""
    return f"{name} {arguments or '{}'}"


def _calls(text: str) -> list[WrittenCall]:
    """The calls that ``text`` is made of, to its end; none if anything else is in it."""
    from json import JSONDecoder  # a start has no corrections to read

    calls: list[WrittenCall] = []
    rest = text.strip()
    while rest:
        name = _CALL.match(rest)
        if name is None:
            return []
        rest = rest[name.end() :].lstrip()
        try:
            value, end = JSONDecoder().raw_decode(rest)
        except ValueError:
            return []
        if not isinstance(value, dict):
            return []
        calls.append(WrittenCall(name.group(), rest[:end]))
        rest = rest[end:].lstrip()
    return calls

"""What a recording says against what the product made of it, as a list of differences."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Final

from .transcript import Call, Reply, Transcript

WIDTH: Final = 160
"""Characters of a text that a difference shows, from where the two begin to differ."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same. ``kind`` is what reasons and counts go by."""

    kind: str
    where: str
    expected: str = ""
    actual: str = ""

    def __str__(self) -> str:
        return f"{self.kind} at {self.where}: {self.expected!r} became {self.actual!r}"


def differences(expected: Sequence[Transcript], actual: Sequence[Transcript]) -> list[Difference]:
    """All that differs between the sessions of a file (branches and children apart) and those in the log."""
    found: list[Difference] = []
    for role in ("main", "branch", "child"):
        ours = [t for t in expected if t.role == role and (t.replies or role == "main")]
        theirs = [t for t in actual if t.role == role]
        if role == "main":
            ours = [t for t in ours if t.replies] or ours
        if len(ours) != len(theirs):
            kind = {"main": "sessions", "branch": "branches", "child": "children"}[role]
            found.append(Difference(kind, "the file", str(len(ours)), str(len(theirs))))
        for number, (a, b) in enumerate(_in_order(ours, theirs), start=1):
            found += _sessions(a, b, role if role == "main" and len(ours) == 1 else f"{role} {number}")
    return found


def _in_order(ours: Sequence[Transcript], theirs: Sequence[Transcript]) -> Iterator[tuple[Transcript, Transcript]]:
    """Each of ours with the session in the log that has most of its words; each is taken once."""
    left = list(theirs)
    for a in ours:
        if left:
            best = max(left, key=lambda b: _likeness(a, b))
            left.remove(best)
            yield a, best


def _likeness(a: Transcript, b: Transcript) -> float:
    same = len({_key(r) for r in a.replies} & {_key(r) for r in b.replies})
    return 2 * same + (_normal(a.task) == _normal(b.task)) - abs(len(a.replies) - len(b.replies)) / 1000


def _sessions(a: Transcript, b: Transcript, name: str) -> Iterator[Difference]:
    yield from _task(a, b, name)
    if a.summaries != b.summaries:
        yield Difference("summaries", name, str(a.summaries), str(b.summaries))
    matcher = SequenceMatcher(None, [_key(r) for r in a.replies], [_key(r) for r in b.replies], autojunk=False)
    for what, a1, a2, b1, b2 in matcher.get_opcodes():
        if what != "equal" and a2 - a1 != b2 - b1:
            yield Difference("replies", f"{name} {a1 + 1}-{a2}", _summary(a.replies[a1:a2]), _summary(b.replies[b1:b2]))
            continue
        for place, (x, y) in enumerate(zip(a.replies[a1:a2], b.replies[b1:b2], strict=True), start=a1 + 1):
            yield from _replies(x, y, f"{name} {place}", last=place == len(a.replies))


def _task(a: Transcript, b: Transcript, name: str) -> Iterator[Difference]:
    ours, theirs = _normal(a.task), _normal(b.task)
    if not ours or ours == theirs:
        return
    yield Difference("more than the task" if ours in theirs else "task", name, *_apart(ours, theirs))


def _replies(a: Reply, b: Reply, where: str, *, last: bool) -> Iterator[Difference]:
    if _normal(a.text) != _normal(b.text):
        yield Difference("text", where, *_apart(_normal(a.text), _normal(b.text)))
    if a.reasoning != b.reasoning:
        yield Difference("reasoning", where, str(a.reasoning), str(b.reasoning))
    if a.model and a.model.rpartition("/")[2] != b.model.rpartition("/")[2]:
        yield Difference("model", where, a.model, b.model)
    if a.usage != b.usage:
        kind = "usage of nothing" if a.usage is None else "no usage" if b.usage is None else "usage"
        yield Difference(kind, where, str(a.usage), str(b.usage))
    if len(a.calls) != len(b.calls):
        yield Difference("calls", where, str([c.name for c in a.calls]), str([c.name for c in b.calls]))
    else:
        for number, (x, y) in enumerate(zip(a.calls, b.calls, strict=True), start=1):
            yield from _calls(x, y, f"{where}.{number}")
    yield from _turns(a, b, where, last=last)


def _turns(a: Reply, b: Reply, where: str, *, last: bool) -> Iterator[Difference]:
    """A person's words are advice wherever they stand; what the harness said after the last reply no model read."""
    for kind, person in (("advice", True), ("turns of the harness", False)):
        if person or not last:
            ours, theirs = (_normal(" ".join(t.text for t in r.turns if t.person is person)) for r in (a, b))
            if ours != theirs:
                yield Difference(kind, where, *_apart(ours, theirs))


def _calls(a: Call, b: Call, where: str) -> Iterator[Difference]:
    if a.name != b.name:
        yield Difference("name of a call", where, a.name, b.name)
    if not _same_arguments(a.arguments, b.arguments):
        yield Difference("arguments", where, *_apart(_canonical(a.arguments), _canonical(b.arguments)))
    if (a.result is None) != (b.result is None):
        kind = "result of nothing" if a.result is None else "no result"
        yield Difference(kind, where, *(_normal(c.result or "")[:WIDTH] for c in (a, b)))
        return
    if a.result is None or b.result is None:
        return
    ours, theirs = _normal(a.result), _normal(b.result)
    if ours != theirs and not (a.partial and ours in theirs):
        yield Difference("result", where, *_apart(ours, theirs))
    if a.failed is not None and a.failed != b.failed:
        yield Difference("failed", where, str(a.failed), str(b.failed))


def _same_arguments(a: Any, b: Any) -> bool:
    if a == b or _canonical(a) == _canonical(b) or (a is None and b in ({}, "")):
        return True
    return isinstance(a, str) and isinstance(b, dict) and list(b.values()) == [a]  # free text under a name


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False) if not isinstance(value, str) else value


def _key(reply: Reply) -> str:
    """What makes a reply the same one in both: its words and its calls, by name and number."""
    return f"{_normal(reply.text)[:300]} | {[(c.name, _canonical(c.arguments)[:80]) for c in reply.calls]}"


def _summary(replies: Sequence[Reply]) -> str:
    shown = [f"{_normal(r.text)[:40]} {[c.name for c in r.calls]}" for r in replies[:4]]
    return f"{len(replies)}: {shown}"


def _normal(text: str) -> str:
    return " ".join(text.replace("\x00", "\ufffd").split())


def _apart(a: str, b: str) -> tuple[str, str]:
    """Both texts from a little before the place where they begin to differ."""
    same = next((n for n, (x, y) in enumerate(zip_longest(a, b)) if x != y), 0)
    start = max(0, same - 20)
    return a[start : start + WIDTH], b[start : start + WIDTH]

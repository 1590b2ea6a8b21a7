"""An imported session as ``replay:`` plays it: replies and results, with the time that each took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sessions import events as ev
from sessions.events import Outcome
from sessions.events.messages import CallPart, Part, Usage
from sessions.importers.base import ImportedSession


@dataclass(frozen=True, slots=True)
class RecordedResult:
    """What one call returned then. ``duration_ms`` is recorded time; a replay divides it by its speed."""

    output: str
    outcome: Outcome = "ok"
    duration_ms: int = 0
    shown: str | None = None
    """What the model saw of it, where that differs; ``hidden_chars``: so much of it it did not see."""
    hidden_chars: int = 0


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """One reply and its results, one per call, in order. ``duration_ms``: how long the reply took."""

    parts: tuple[Part, ...]
    results: tuple[RecordedResult, ...] = ()
    duration_ms: int = 0
    usage: Usage | None = None
    model: str = ""


class Recording(Protocol):
    """What ``sessions.importers.load_recording(path)`` gives for any format that can be imported."""

    @property
    def steps(self) -> Sequence[RecordedStep]:
        """All steps of the trajectory, in order."""
        ...


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """A trajectory to play again, and the task that it was about."""

    title: str
    task: str
    steps: Sequence[RecordedStep]


def recording_of(imported: ImportedSession) -> RecordedSession:
    """The steps of the session, in order. A call without a result gets one that says so."""
    texts = {blob.hash: blob.data for blob in imported.blobs}
    results: dict[tuple[int, int], RecordedResult] = {}
    replies: dict[int, tuple[ev.ModelReplied, int]] = {}
    asked = started = 0
    for event in imported.events:
        place = (event.step or 0, event.call or 0)
        match event.body:
            case ev.ModelRequested():
                asked = event.at or 0
            case ev.ModelReplied() as reply if event.step is not None:
                replies[event.step] = (reply, reply.duration_ms or max(0, (event.at or 0) - asked))
            case ev.ActionStarted():
                started = event.at or 0
            case ev.ActionResult() as result:
                took = result.duration_ms or max(0, (event.at or 0) - started)
                shown = None if result.shown is None else _text(result.shown, texts)
                results[place] = RecordedResult(
                    _text(result.output, texts), result.outcome, took, shown, result.hidden_chars
                )
            case ev.ActionRefused() as refused:
                results[place] = RecordedResult(refused.shown, "error")
            case _:
                continue
    steps = [_step(number, *replies[number], results) for number in sorted(replies)]
    return RecordedSession(imported.created.title, imported.created.task, steps)


def _step(
    number: int, reply: ev.ModelReplied, took: int, results: dict[tuple[int, int], RecordedResult]
) -> RecordedStep:
    calls = sum(isinstance(part, CallPart) for part in reply.parts)
    missing = RecordedResult("The recording has no result of this call.", "unknown")
    answers = tuple(results.get((number, call), missing) for call in range(1, calls + 1))
    return RecordedStep(reply.parts, answers, took, reply.usage, reply.model)


def _text(text: ev.LongText, blobs: dict[str, bytes]) -> str:
    data = blobs.get(text.blob) if text.blob else None
    return text.text if data is None else data.decode(errors="replace")

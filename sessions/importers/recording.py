"""An imported session as ``replay:`` plays it: replies and results, with the time that each took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sessions.importers.base import ImportedSession
from sessions.log import events as ev
from sessions.log.parts import CallPart
from sessions.recorded import RecordedResult, RecordedStep


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
                results[place] = RecordedResult(_text(result.output, texts), result.outcome, took)
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

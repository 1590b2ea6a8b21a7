"""What the product makes of a file: imported by its own command into a fresh log, and read through its folds."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from sessions import events as ev
from sessions.events.messages import CallPart
from sessions.fold.trajectory import CallRecord, StepRecord, steps
from sessions.log.reader import LogReader

from .transcript import Call, Reply, Transcript, Turn, Usage, parsed

FAILURES: Final = frozenset({"error", "timeout", "interrupted"})


@dataclass(slots=True)
class Imported:
    """The sessions of one file as the log has them, or why there are none."""

    sessions: list[Transcript] = field(default_factory=list)
    refused: str = ""


class ProductLog:
    """A fresh log in ``folder``, which must be empty; the host that writes it is stopped at the end."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log.sqlite"
        self.env = {**os.environ, "APOLLO_CONFIG": str(folder / "config.toml"), "APOLLO_LOG": str(self.log)}
        self.known: set[str] = set()

    def __enter__(self) -> ProductLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._apollo("host", "stop", "--now", "--quiet")

    def import_file(self, file: Path) -> Imported:
        """``apollo import FILE``: the sessions that are new in the log."""
        done = self._apollo("import", str(file))
        if done.returncode != 0:
            return Imported(refused=done.stderr.strip() or done.stdout.strip())
        with LogReader(self.log) as reader:
            new = [summary.session for summary in reader.summaries() if summary.session not in self.known]
            self.known.update(new)
            return Imported([_transcript(reader, session) for session in new])

    def _apollo(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "apollo_tui", *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=600)


def _transcript(reader: LogReader, session: str) -> Transcript:
    events = list(reader.stream(session))
    created = next(event.body for event in events if isinstance(event.body, ev.SessionCreated))
    found = Transcript(created.task, role=created.begins.kind if created.begins else "main", name=session)
    places: dict[int, Reply] = {}
    for step in steps(events):
        if step.reply is not None:
            places[step.reply.seq] = _reply(reader, step, created.model.name)
    last: Reply | None = None
    for event in events:
        last = places.get(event.seq, last)
        found.summaries += isinstance(event.body, ev.SummaryWritten)
        turn = _turn(event)
        if turn is not None and last is not None:
            last.turns.append(turn)
        elif turn is not None and turn.person:  # more of the request, before the model said anything
            found.say(turn.text)
    found.replies = list(places.values())
    return found


def _turn(event: ev.Event) -> Turn | None:
    match event.body:
        case ev.AdviceQueued(text=text):  # the words alone: the turn may hold what an editor said as well
            return Turn(text)
        case ev.NudgeSent(text=text) | ev.HarnessTurn(text=text):
            return Turn(text, person=False)
        case _:
            return None


def _reply(reader: LogReader, step: StepRecord, model: str) -> Reply:
    body = step.reply_body
    assert body is not None
    reply = Reply(step.text, bool(step.reasoning.strip()), model=body.model or model)
    reply.calls = [_call(reader, call) for call in step.calls if call.part is not None]
    if body.usage is not None:
        reply.usage = Usage(body.usage.input_tokens, body.usage.output_tokens)
    return reply


def _call(reader: LogReader, record: CallRecord) -> Call:
    part = record.part
    assert isinstance(part, CallPart)
    call = Call(part.name, parsed(part.arguments), part.id)
    if record.refusal is not None:
        call.result, call.failed = record.refusal.shown, True
    elif record.result is not None and record.result.outcome != "unknown":
        call.result = reader.text(record.result.shown or record.result.output)
        call.failed = record.result.outcome in FAILURES
    return call

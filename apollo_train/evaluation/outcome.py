"""What the log says of one cell: how it ended, its scores, what it took. A pure function of the events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from apollo_train.evaluation.apollo_cli import ACTOR
from apollo_train.evaluation.plan import Cell
from sessions.events import EvalScored, Event, ModelReplied, StateChanged
from sessions.events.states import ACTIVE, ENDED
from sessions.fold.summary import Summary
from sessions.log.reader import LogReader

TRANSIENT: Final = ("needs_you (provider)", "needs_you (key)")
"""What ``--retry`` lets go on: the session met no model, and its prompt is as it was."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session came to rest: ``finished``, ``limit``, ``timeout``, ``needs_you (provider)``, …, and its reason."""

    how: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One cell's figures. Scores are None without one; ``cost`` (US dollars) is None where no price is known."""

    task: str
    model: str
    repeat: int
    session: str
    number: int
    how: str
    reason: str
    better: str
    best: float | None
    last: float | None
    evaluations: int
    steps: int
    actions: int
    malformed: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    active_seconds: float
    served_model: str
    replied: bool = True
    """Whether the model ever gave a reply."""

    @property
    def played(self) -> bool:
        """False where server, key or model was not there from the start: that says nothing of the model."""
        return self.replied or not (self.how in TRANSIENT or self.how.startswith("failed"))

    @property
    def finished(self) -> bool:
        """Whether the agent itself said that it was done."""
        return self.how == "finished"

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def is_waiting(summary: Summary) -> bool:
    """Whether a session will still go on by itself. A question does: its time-out answers it."""
    if summary.state == "needs_you":
        return summary.need == "question" and summary.question_until is not None
    return summary.state == "created" or summary.state in ACTIVE


def is_held(summary: Summary) -> bool:
    """Whether a session was paused by a host that was stopped, and by nothing else."""
    return summary.state == "paused" and not summary.need and summary.state_by == "host"


def find_ending(events: Sequence[Event]) -> Ending:
    """How a session ended, from its ``session.state`` events. That we then stopped it is not how it ended."""
    states = _without_archive([(event.actor, event.body) for event in events if isinstance(event.body, StateChanged)])
    stopped_by_us = bool(states) and states[-1][0] == ACTOR and states[-1][1].state == "stopped"
    if stopped_by_us:
        states.pop()
    if not states or states[-1][1].state in ACTIVE or states[-1][1].state == "created":
        return Ending("timeout", "it was still at work")
    actor, body = states[-1]
    if body.state == "finished":
        return Ending("finished", body.reason)
    if body.state == "paused" and body.need == "limit":
        return Ending("limit", body.reason.partition(";")[0])  # the rest tells how to raise it, too late here
    if body.state == "needs_you":
        return Ending(f"needs_you ({body.need or 'other'})", body.reason)
    by = f" by {actor}" if body.state in ENDED | {"paused"} and body.state != "failed" else ""
    return Ending(f"{body.state}{by}", body.reason)


def _without_archive(states: Sequence[tuple[str, StateChanged]]) -> list[tuple[str, StateChanged]]:
    """The states without the times in the archive, from which an ended session comes back as it was."""
    kept: list[tuple[str, StateChanged]] = []
    away = False
    for actor, body in states:
        if body.state != "archived" and not (away and kept and kept[-1][1].state == body.state in ENDED):
            kept.append((actor, body))
        away = body.state == "archived"
    return kept


def read_result(reader: LogReader, cell: Cell, session: str) -> Result:
    """The figures of a cell whose session is at rest."""
    summary = reader.summary(session)
    assert summary is not None
    end = find_ending(reader.events(session, kinds={"session.state"}))
    scored = [e.body for e in reader.events(session, kinds={"eval.scored"}) if isinstance(e.body, EvalScored)]
    scores = [body.score for body in scored if body.score is not None]
    better = scored[-1].better if scored else cell.task.better
    replies = reader.events(session, kinds={"model.reply"}, newest_first=True, limit=1)
    reply = replies[0].body if replies and isinstance(replies[0].body, ModelReplied) else None
    return Result(
        task=cell.task.id,
        model=cell.contender.label,
        repeat=cell.repeat,
        session=session,
        number=summary.number,
        how=end.how,
        reason=end.reason,
        better=better,
        best=(max(scores) if better == "higher" else min(scores)) if scores else None,
        last=scores[-1] if scores else None,
        evaluations=len(scores),
        steps=summary.step,
        actions=summary.actions,
        malformed=summary.malformed,
        errors=summary.errors,
        input_tokens=summary.input_tokens,
        output_tokens=summary.output_tokens,
        cost=summary.cost if reply and reply.cost is not None else None,
        active_seconds=round(summary.active_ms / 1000, 3),
        served_model=reply.model if reply else "",
        replied=reply is not None,
    )

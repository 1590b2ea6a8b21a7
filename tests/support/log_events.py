"""Events for tests: a session with a few steps in a handful of lines."""

from __future__ import annotations

import hashlib
from typing import Any

from sessions import events as ev
from sessions.events.messages import CallPart, Part, ReasoningPart, TextPart, Usage
from sessions.events.text import Blob, canonical_json, long_text

SESSION = "01JZZZZZZZZZZZZZZZZZZZZZZZ"
OTHER = "01K00000000000000000000000"


def session_created(session: str = SESSION, number: int = 1, **more: Any) -> ev.NewEvent:
    """The first event of a session."""
    body = ev.SessionCreated(
        number=number, title="tune the rate", task="make it learn", model=ev.ModelSpec("demo", "scripted"), **more
    )
    return ev.NewEvent(session, body)


def state(to: str, session: str = SESSION, **more: Any) -> ev.NewEvent:
    """A change of state."""
    return ev.NewEvent(session, ev.StateChanged(state=to, **more))  # type: ignore[arg-type]  # any state, also bad ones


def message(role: str, content: str) -> tuple[ev.MessageRef, Blob]:
    """A message on the wire, as reference and blob."""
    blob = Blob.of(canonical_json({"role": role, "content": content}))
    return ev.MessageRef(blob.hash, role), blob


def request(
    step: int | None, *, parent: int | None = None, messages: tuple[tuple[str, str], ...] = (), **more: Any
) -> tuple[ev.NewEvent, list[Blob]]:
    """A request whose SHA-256 is not meant to be checked, with its blobs."""
    made = [message(*pair) for pair in messages]
    body = ev.ModelRequested(
        adapter="test",
        adapter_version=1,
        envelope={"model": "m"},
        parent=parent,
        append=tuple(ref for ref, _ in made),
        sha256=more.pop("sha256", hashlib.sha256(b"").hexdigest()),
        **more,
    )
    return ev.NewEvent(SESSION, body, step=step), [blob for _, blob in made]


def reply(step: int, request_seq: int, *calls: tuple[str, str], text: str = "", reasoning: str = "") -> ev.NewEvent:
    """A reply with calls as ``(name, arguments)``."""
    parts: list[Part] = []
    if reasoning:
        parts.append(ReasoningPart(reasoning))
    if text:
        parts.append(TextPart(text))
    parts += [CallPart(f"c{step}.{i}", name, arguments) for i, (name, arguments) in enumerate(calls, start=1)]
    body = ev.ModelReplied(
        request=request_seq, parts=tuple(parts), finish="calls" if calls else "stop", usage=Usage(100, 10)
    )
    return ev.NewEvent(SESSION, body, step=step, actor="agent")


def action_started(step: int, call: int, name: str) -> ev.NewEvent:
    """An action that begins."""
    body = ev.ActionStarted(call_id=f"c{step}.{call}", name=name)
    return ev.NewEvent(SESSION, body, step=step, call=call)


def result(step: int, call: int, output: str = "done", outcome: ev.Outcome = "ok") -> ev.NewEvent:
    """An observation, short enough to need no blob."""
    body = ev.ActionResult(call_id=f"c{step}.{call}", outcome=outcome, output=long_text(output)[0])
    return ev.NewEvent(SESSION, body, step=step, call=call)


def action_refused(step: int, call: int, name: str, why: str = "malformed") -> ev.NewEvent:
    """A call that was never run."""
    body = ev.ActionRefused(call_id=f"c{step}.{call}", name=name, why=why, shown="that was no call")  # type: ignore[arg-type]
    return ev.NewEvent(SESSION, body, step=step, call=call)


def number_events(*events: ev.NewEvent, at: int = 1_000) -> list[ev.Event]:
    """The events as a log would number them, 10 ms apart, for folds that need no log."""
    seqs: dict[str, int] = {}
    made: list[ev.Event] = []
    for id, new in enumerate(events, start=1):
        seq = seqs[new.session] = seqs.get(new.session, 0) + 1
        when = at + 10 * id if new.at is None else new.at
        body = new.body
        made.append(
            ev.Event(id, new.session, seq, new.step, new.call, body.kind, body.v, when, new.actor, new.request, body)
        )
    return made

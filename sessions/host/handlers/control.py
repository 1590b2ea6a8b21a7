"""Start, pause, resume, stop, interrupt, archive, reopen, one step: what a person may do to a session, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sessions.fold.summary import Summary
from sessions.host.fleet import Runner
from sessions.host.handlers.desk import Desk, only_people, refused, waits_for
from sessions.host.protocol import Control, Done
from sessions.log.events import Body, ControlRequested, StateChanged
from sessions.log.states import ACTIVE, ENDED


@dataclass(frozen=True, slots=True)
class Plan:
    """What a verb does: what is committed besides the request, what the runner is told, a line for people."""

    tell: Callable[[Runner], None] | None = None
    more: tuple[Body, ...] = ()
    note: str = ""


async def control(desk: Desk, call: Control, actor: str) -> Done:
    """Check, commit, then tell the session's runner."""
    only_people(actor, f"{call.verb} a session")
    async with desk.turn(call.session):
        summary = desk.summary(call.session)
        plan = PLANS[call.verb](summary)
        desk.keys.remember(call.session, call.key)
        body = ControlRequested(verb=call.verb)
        answer = await desk.commit(call.session, actor, call.request, body, *plan.more, note=plan.note)
    if plan.tell is not None:
        plan.tell(desk.fleet.runner(call.session))
    return answer


def _pause(s: Summary) -> Plan:
    if s.state in ACTIVE and s.pending:
        raise refused(f"session {s.number} is about to {s.pending} already{waits_for(s)}")
    if s.state in ACTIVE:
        return Plan(lambda runner: runner.request_pause(), note=f"pauses at the boundary{waits_for(s)}")
    if s.state == "needs_you":
        return Plan(lambda runner: runner.request_pause(), note="pauses now; it was waiting for you")
    if s.state == "paused":
        raise refused(f"session {s.number} is paused already; `apollo resume {s.number}` lets it go on")
    raise refused(f"session {s.number} is {_named(s)}: there is nothing to pause")


def _resume(s: Summary) -> Plan:
    _own(s)
    if s.state == "created":
        return Plan(lambda runner: runner.start())
    if s.state in ACTIVE and s.pending == "pause":
        return Plan(lambda runner: runner.resume(), note="it goes on; the pause is taken back")
    if s.state in ACTIVE:
        raise refused(f"session {s.number} is {_named(s)} already")
    if s.state == "needs_you" and s.open_question:
        raise refused(f"session {s.number} waits for an answer: `apollo answer {s.number} TEXT`")
    if s.state == "archived":
        raise refused(f"session {s.number} is archived: `apollo unarchive {s.number}` brings it back first")
    note = f"{s.reason}; if that still holds it will stop there again" if s.need == "limit" else ""
    return Plan(lambda runner: runner.resume(), note=note)


def _reopen(s: Summary) -> Plan:
    _own(s)
    if s.state == "archived":
        return _unarchive(s)
    if s.state not in ENDED:
        raise refused(f"session {s.number} is {_named(s)}: only an ended session can be reopened")
    return Plan(lambda runner: runner.resume())


def _stop(s: Summary) -> Plan:
    if s.state in ENDED:
        raise refused(f"session {s.number} is {_named(s)} already")
    jobs = f"; it ends {len(s.open_jobs)} job{'s' * (len(s.open_jobs) > 1)}" if s.open_jobs else ""
    note = f"stops at the boundary{waits_for(s)}{jobs}" if s.state in ACTIVE else f"stops now{jobs}"
    return Plan(lambda runner: runner.stop(), note=note)


def _interrupt(s: Summary) -> Plan:
    if s.state not in ACTIVE:
        raise refused(f"session {s.number} is {_named(s)}: there is nothing to interrupt")
    return Plan(lambda runner: runner.interrupt())


def _next(s: Summary) -> Plan:
    _own(s)
    if s.state not in ("created", "paused"):
        raise refused(f"session {s.number} is {_named(s)}: pause it first to let it go on step by step")
    return Plan(lambda runner: runner.next_boundary(), note="goes on for one step")


def _archive(s: Summary) -> Plan:
    if s.state == "archived":
        raise refused(f"session {s.number} is archived already")
    if s.state in ACTIVE or s.open_jobs:
        raise refused(f"session {s.number} is {_named(s)}: `apollo stop {s.number}` ends it first")
    return Plan(more=(StateChanged(state="archived"),))


def _unarchive(s: Summary) -> Plan:
    if s.state != "archived":
        raise refused(f"session {s.number} is {_named(s)}, not archived")
    return Plan(more=(StateChanged(state="paused", reason="brought back from the archive"),))


def _start(s: Summary) -> Plan:
    _own(s)
    if s.state != "created":
        raise refused(f"session {s.number} is {_named(s)}: `apollo resume {s.number}` lets it go on")
    return Plan(lambda runner: runner.start())


def _own(s: Summary) -> None:
    if s.origin == "import":
        raise refused(f"session {s.number} was imported: it can be read, judged and exported, but not run")


def _named(s: Summary) -> str:
    return {"on_job": "on a job", "needs_you": "waiting for you"}.get(s.state, s.state)


PLANS: Final[dict[str, Callable[[Summary], Plan]]] = {
    "start": _start,
    "pause": _pause,
    "resume": _resume,
    "stop": _stop,
    "interrupt": _interrupt,
    "archive": _archive,
    "unarchive": _unarchive,
    "reopen": _reopen,
    "next": _next,
}
"""Verb to plan; a plan raises RpcError where the state does not allow the verb, and says what to do."""

"""Start, pause, resume, stop, interrupt, archive, reopen, one step: what a person may do to a session, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from sessions.agent.resume_point import read_droppable_reply
from sessions.events import Body, ControlRequested, ReplySuperseded, StateChanged
from sessions.events.states import ACTIVE, ENDED
from sessions.fold.budget import reason_to_stay_paused
from sessions.fold.remedies import remedies_at_limit, remedies_to_go_on
from sessions.fold.summary import Summary
from sessions.hints import Remedy, go_on
from sessions.host.api_keys import key_variable
from sessions.host.handlers.context import HandlerContext, refusal, require_person, waits_for
from sessions.host.handlers.targets import check_undoes
from sessions.host.protocol import Control, Done
from sessions.log.reader import LogReader

GOES: Final = frozenset({"start", "resume", "reopen", "next", "drop", "shorten", "retry", "hold"})
"""Verbs after which an agent works."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a verb does: what is committed besides the request, a line for people, whether the runner is to look."""

    more: tuple[Body, ...] = ()
    note: str = ""
    runs: bool = True
    remedies: tuple[Remedy, ...] = ()


async def control_session(context: HandlerContext, call: Control, actor: str) -> Done:
    """Check, commit, then tell the session's runner."""
    require_person(actor, f"{call.verb} a session")
    # Looked up first: between the checks and the commit nothing is waited for, so that what they find still holds.
    variable = await asyncio.to_thread(key_variable, context.reader, call.session) if call.key is not None else None
    async with context.turn(call.session) as summary:
        if call.verb in GOES and summary.state != "archived":
            context.check_runs_here(summary)
        effect = EFFECTS[call.verb](summary)
        if summary.state == "archived":
            effect = replace(
                effect, more=await asyncio.to_thread(_as_it_ended, context.reader, call.session, effect.more)
            )
        left_out: tuple[Body, ...] = ()
        step = None
        if call.verb == "drop":
            reply = await asyncio.to_thread(read_droppable_reply, context.reader, call.session, summary.step)
            if reply is None:
                raise refusal(f"session {summary.address} has no reply in its context that could be left out")
            left_out, step = (ReplySuperseded(old=reply.seq),), reply.step
        context.keys.remember(call.session, call.key, variable)
        check_undoes(summary, call.undoes)
        asked = ControlRequested(verb=call.verb, undoes=call.undoes, bulk=call.bulk)
        bodies = (asked, *effect.more, *left_out)
        note = effect.note + (f"; step {step} is left out" if step else "")
        answer = await context.commit(
            call.session, actor, call.request, *bodies, note=note, remedies=effect.remedies, step=step
        )
    if effect.runs:
        context.manager.runner(call.session).start()
    return answer


def _pause(s: Summary) -> Effect:
    if s.pending in ("pause", "stop"):
        raise refusal(f"session {s.address} is about to {s.pending} already{waits_for(s)}")
    if s.state in ACTIVE:
        return Effect(note=f"pauses at the boundary{waits_for(s)}")
    if s.state == "needs_you" and s.open_question:
        return Effect(note="pauses now; its question stays open")
    if s.state == "needs_you":
        raise refusal(f"session {s.address} waits for you and does nothing", go_on(s.address))
    if s.state == "paused":
        raise refusal(f"session {s.address} is paused already", go_on(s.address))
    raise refusal(f"session {s.address} is {_state_words(s)}: there is nothing to pause")


def _resume(s: Summary) -> Effect:
    if s.state == "created":
        return Effect()
    if s.state in ACTIVE and s.pending == "pause":
        return Effect(note="it goes on; the pause is taken back")
    if s.state in ACTIVE and s.pending == "hold":
        return Effect(note="its next reply is not held")
    if s.state in ACTIVE:
        raise refusal(f"session {s.address} is {_state_words(s)} already")
    if s.state == "needs_you" and s.open_question:
        raise refusal(f"session {s.address} waits for an answer", Remedy("answer", "gives it", s.address, "TEXT"))
    if s.state == "archived":
        return _unarchive(s)
    _check_budget(s)
    if s.need == "gate" and s.state == "needs_you":
        return Effect(note="the reply that was held is let go")
    if s.need == "refused" and s.state == "needs_you":
        # To send the same again would be to no avail: that is what `retry` is for.
        return Effect(note="goes on without its earlier reasoning, or else without its last reply")
    return Effect()


def _check_own_agent(s: Summary) -> None:
    if s.harness:
        raise refusal(f"session {s.address} is {s.harness}'s: a harness keeps its history itself")


def _drop(s: Summary) -> Effect:
    _check_own_agent(s)
    _check_rests(s, "leave a reply out")
    return Effect(note="goes on" if s.state == "needs_you" else "stays paused", remedies=_to_resume(s))


def _shorten(s: Summary) -> Effect:
    _check_own_agent(s)
    if s.state in ACTIVE:
        return Effect(note=f"summarises at the boundary{waits_for(s)}")
    _check_rests(s, "shorten what was said")
    return Effect(note="summarises" if s.state == "needs_you" else "summarises when it goes on", remedies=_to_resume(s))


def _retry(s: Summary) -> Effect:
    _check_own_agent(s)
    if s.need != "refused" or s.state != "needs_you":
        raise refusal(f"session {s.address} has no refused request", *remedies_to_go_on(s))
    return Effect(note="sends the same request once more")


def _check_rests(s: Summary, what: str) -> None:
    """Raise RpcError unless the session stands still at a boundary and can go on from there."""
    if s.open_question:
        raise refusal(f"session {s.address} waits for an answer", Remedy("answer", "gives it", s.address, "TEXT"))
    if s.state not in ("paused", "needs_you"):
        raise refusal(f"session {s.address} is {_state_words(s)}: pause it first to {what}", *remedies_to_go_on(s))


def _to_resume(s: Summary) -> tuple[Remedy, ...]:
    return (go_on(s.address),) if s.state == "paused" else ()


def _check_budget(s: Summary) -> None:
    """A session whose budget is used up would be paused at once: it has to be raised first."""
    if s.state == "paused" and (spent := reason_to_stay_paused(s)):
        raise refusal(f"session {s.address} would be paused again at once ({spent})", *remedies_at_limit(s))


def _reopen(s: Summary) -> Effect:
    if s.state == "archived":
        return _unarchive(s)
    if s.state not in ENDED:
        raise refusal(f"session {s.address} is {_state_words(s)}: only an ended session can be reopened")
    return Effect()


def _stop(s: Summary) -> Effect:
    if s.state in ENDED:
        raise refusal(f"session {s.address} is {_state_words(s)} already")
    if s.pending == "stop":
        raise refusal(f"session {s.address} is about to stop already")
    ends = ["the reply under way" if s.doing == "model" else f"`{s.doing}`"] if s.doing else []
    ends += [f"{len(s.open_jobs)} job{'s' * (len(s.open_jobs) > 1)}"] if s.open_jobs else []
    return Effect(note=f"stops now{' and ends ' + ' and '.join(ends) if ends else ''}")


def _interrupt(s: Summary) -> Effect:
    if s.state not in ACTIVE and not s.open_question:
        raise refusal(f"session {s.address} is {_state_words(s)}: there is nothing to interrupt")
    if s.passes_replies:
        return Effect(note="interrupted at the boundary at the latest: what its harness has of a reply stays")
    return Effect()


def _next(s: Summary) -> Effect:
    if s.state not in ("created", "paused"):
        raise refusal(f"session {s.address} is {_state_words(s)}: pause it first to let it go on step by step")
    _check_budget(s)
    return Effect(note="goes on for one step")


def _hold(s: Summary) -> Effect:
    if s.passes_replies:
        raise refusal(f"session {s.address} hands replies over as they come (stream = pass): nothing can be held")
    if s.need == "gate" and s.state == "needs_you":
        raise refusal(f"session {s.address} holds a reply already", *remedies_to_go_on(s))
    if s.state not in ACTIVE and s.state not in ("created", "paused"):
        raise refusal(f"session {s.address} is {_state_words(s)}: there is no reply to hold", *remedies_to_go_on(s))
    if s.pending:
        raise refusal(f"session {s.address} is about to {s.pending} already{waits_for(s)}")
    _check_budget(s)
    return Effect(note="its next reply is held" if s.state in ACTIVE else "goes on, and its next reply is held")


def _archive(s: Summary) -> Effect:
    if s.state == "archived":
        raise refusal(f"session {s.address} is archived already")
    if s.state in ACTIVE or s.open_jobs:
        raise refusal(f"session {s.address} is {_state_words(s)}", Remedy("stop", "ends it first", s.address))
    return Effect((StateChanged(state="archived"),), runs=False)


def _unarchive(s: Summary) -> Effect:
    if s.state != "archived":
        raise refusal(f"session {s.address} is {_state_words(s)}, not archived")
    state = s.archived_from if s.archived_from in ENDED else "paused"
    back = StateChanged(state=state, reason="brought back from the archive")
    return Effect((back,), note=f"brought back from the archive, {state}", runs=False)


def _as_it_ended(reader: LogReader, session: str, more: tuple[Body, ...]) -> tuple[Body, ...]:
    """What brings an ended session back, with the reason for which it had ended: that it was away changes nothing."""
    states = reader.events(session, kinds={"session.state"}, newest_first=True)
    bodies = (event.body for event in states if isinstance(event.body, StateChanged))
    ending = next((body for body in bodies if body.state != "archived"), None)
    return tuple(
        msgspec.structs.replace(body, reason=ending.reason)
        if isinstance(body, StateChanged) and ending is not None and body.state == ending.state
        else body
        for body in more
    )


def _start(s: Summary) -> Effect:
    if s.state != "created":
        raise refusal(f"session {s.address} is {_state_words(s)}", *remedies_to_go_on(s))
    return Effect()


def _state_words(s: Summary) -> str:
    return {"on_job": "on a job", "needs_you": "waiting for you"}.get(s.state, s.state)


EFFECTS: Final[dict[str, Callable[[Summary], Effect]]] = {
    "start": _start,
    "pause": _pause,
    "resume": _resume,
    "stop": _stop,
    "interrupt": _interrupt,
    "archive": _archive,
    "unarchive": _unarchive,
    "reopen": _reopen,
    "next": _next,
    "hold": _hold,
    "drop": _drop,
    "shorten": _shorten,
    "retry": _retry,
}
"""What each verb does to a session; raises RpcError where the state does not allow the verb, and says what to do."""

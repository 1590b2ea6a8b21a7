"""Whether what a verdict or a piece of advice is about exists."""

from __future__ import annotations

from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.fold.released_reply import REPLY_KINDS, released_reply
from sessions.fold.summary import Summary
from sessions.host.handlers.context import HandlerContext, refusal


async def check_target(context: HandlerContext, s: Summary, target: ev.Target) -> None:
    """Raise RpcError unless the session has what ``target`` names."""
    if target.part == "summary":
        if not 1 <= target.step <= s.summaries:
            raise refusal(f"session {s.address} has no summary S{target.step}; it has {s.summaries}")
        return
    _check_step(s, target.step)
    if target.part == "span":
        if target.to_step is None or target.to_step < target.step:
            raise refusal(f"a span goes from a step to a later one, not from {target.step} to {target.to_step}")
        _check_step(s, target.to_step)
        return
    reply = await reply_of(context, s.session, target.step)
    if reply is None:
        raise refusal(f"step {target.step} of session {s.address} has no reply yet")
    kinds: dict[str, type] = {"reasoning": ReasoningPart, "text": TextPart}
    if target.part in kinds and not any(isinstance(part, kinds[target.part]) for part in reply.parts):
        raise refusal(f"the reply of step {target.step} of session {s.address} has no {target.part}")
    if target.part == "call":
        calls = sum(isinstance(part, CallPart) for part in reply.parts)
        if target.call is None or not 1 <= target.call <= calls:
            raise refusal(f"step {target.step} of session {s.address} has no call {target.call}; it has {calls}")


async def reply_of(context: HandlerContext, session: str, step: int) -> ev.ModelReplied | None:
    """The reply of a step, None while it has none."""
    return released_reply(await context.events(session, REPLY_KINDS, (step, step)), step, dropped=True)


def _check_step(s: Summary, step: int) -> None:
    if not 1 <= step <= s.step:
        raise refusal(f"session {s.address} has no step {step}; it is at step {s.step}")


def check_undoes(s: Summary, seq: int | None) -> None:
    """Raise RpcError unless the session has the event that an act says it takes back."""
    if seq is not None and not 1 <= seq <= s.last_seq:
        raise refusal(f"session {s.address} has {s.last_seq} events; event {seq} cannot be undone")

"""What a person says of a harness's conversations: this one is its work, that one a sub-agent's."""

from __future__ import annotations

import asyncio

from sessions import events as ev
from sessions.fold.released_reply import REPLY_KINDS, Replies
from sessions.fold.summary import Summary
from sessions.gateway.main_line import Conversation, find_conversation, read_conversations, say_steps
from sessions.host.handlers.context import HandlerContext, change_answer, refusal, require_person
from sessions.host.protocol import AssignThread, Done


async def assign_thread(context: HandlerContext, call: AssignThread, actor: str) -> Done:
    """Say that a conversation is the main line, or that the one of a step is a sub-agent's."""
    require_person(actor, "say what the main line is")
    async with context.turn(call.session) as s:
        if not s.harness or (s.begins is not None and s.begins.kind == "child"):
            raise refusal(f"session {s.number} has one conversation, its own")
        context.check_runs_here(s)
        known = await asyncio.to_thread(read_conversations, context.reader, s.session)
        if call.step is not None:
            said, note = await _part_from(context, s, known, call.step)
        else:
            said, note = _make_main(s, known, call.thread)
        first = ev.NewEvent(s.session, said[0][0], actor=actor, request=call.request)
        more = [ev.NewEvent(s.session, body, step, actor=actor) for body, step in said[1:]]
        return change_answer(await context.writer.append(first, *more), note, ())


def _make_main(s: Summary, known: list[Conversation], thread: str) -> tuple[list[tuple[ev.Body, int | None]], str]:
    found = next((each for each in known if each.kind != "main" and each.thread == thread), None)
    if found is None:
        raise refusal(f"session {s.number} has no conversation {thread!r} beside its main line")
    body = ev.ThreadAssigned(line="main", thread=thread, requests=() if found.session else found.requests)
    return [(body, None)], f"from its next request on {found.name} is the main line of session {s.number}"


async def _part_from(
    context: HandlerContext, s: Summary, known: list[Conversation], step: int
) -> tuple[list[tuple[ev.Body, int | None]], str]:
    found = find_conversation(known, step)
    if found is None:
        raise refusal(f"step {step} of session {s.number} is in no conversation of its main line")
    if s.doing == "model" and s.last_request in found.requests:
        raise refusal(f"a reply to this conversation of session {s.number} is under way: hold it, or wait for its end")
    events = await context.events(s.session, REPLY_KINDS)
    replies = Replies(events)
    said: list[tuple[ev.Body, int | None]] = [(ev.ThreadAssigned(line="child", requests=found.requests), None)]
    for number in found.steps:
        if (reply := replies.of(number)) is not None:
            said.append((ev.ReplySuperseded(old=reply.seq), number))
    return said, f"{say_steps(found.steps)} left out; its next request goes to a session of its own"

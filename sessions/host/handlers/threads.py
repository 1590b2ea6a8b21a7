"""What a person says of a harness's conversations: this one is its work, that one a sub-agent's."""

from __future__ import annotations

import asyncio
from typing import Final

from sessions import events as ev
from sessions.fold.released_reply import REPLY_KINDS, Replies
from sessions.fold.summary import Summary
from sessions.gateway.main_line import Conversation, find_conversation, read_conversations, say_steps
from sessions.host.handlers.context import HandlerContext, change_answer, refusal, require_person
from sessions.host.protocol import AssignThread, Done

TRIES: Final = 5
"""So often what was read is read again where the log has grown meanwhile."""

Said = tuple[list[tuple[ev.Body, int | None]], str]
"""Events with their steps, and what people are told."""


async def assign_thread(context: HandlerContext, call: AssignThread, actor: str) -> Done:
    """Say that a conversation is the main line, or that the one of a step is a sub-agent's."""
    require_person(actor, "say what the main line is")
    async with context.turn(call.session) as s:
        if not s.harness or (s.begins is not None and s.begins.kind == "child"):
            raise refusal(f"session {s.address} has one conversation, its own")
        context.check_runs_here(s)
        for _ in range(TRIES):
            known, replies = await asyncio.to_thread(_read, context, s.session)
            await context.writer.wait_for_writes()
            now = context.summary(s.session)
            if now.last_seq == s.last_seq:
                break
            s = now
        else:
            raise refusal(f"session {s.address} is too quick for this: pause it first")
        # From here to the append nothing is waited for: no request can come between.
        said, note = _make_main(s, known, call.thread) if call.step is None else _part(s, known, replies, call.step)
        first = ev.NewEvent(s.session, said[0][0], actor=actor, request=call.request)
        more = [ev.NewEvent(s.session, body, step, actor=actor) for body, step in said[1:]]
        return change_answer(await context.writer.append(first, *more), note, ())


def _read(context: HandlerContext, session: str) -> tuple[list[Conversation], Replies]:
    replies = Replies(context.reader.events(session, kinds=REPLY_KINDS))
    return read_conversations(context.reader, session), replies


def _make_main(s: Summary, known: list[Conversation], thread: str) -> Said:
    found = next((each for each in known if each.kind != "main" and thread and each.thread == thread), None)
    if found is None:
        raise refusal(f"session {s.address} has no conversation {thread!r} beside its main line")
    body = ev.ThreadAssigned(line="main", thread=thread, requests=() if found.session else found.requests)
    return [(body, None)], f"from its next request on {found.name} is the main line of session {s.address}"


def _part(s: Summary, known: list[Conversation], replies: Replies, step: int) -> Said:
    found = find_conversation(known, step)
    if found is None:
        raise refusal(f"step {step} of session {s.address} is in no conversation of its main line")
    if s.last_request in found.requests and (s.doing == "model" or s.need == "gate"):
        what = "under way: wait for its end" if s.doing == "model" else "held: let it go first"
        raise refusal(f"a reply to this conversation of session {s.address} is {what}")
    said: list[tuple[ev.Body, int | None]] = [(ev.ThreadAssigned(line="child", requests=found.requests), None)]
    for number in found.steps:
        if (reply := replies.of(number)) is not None:
            said.append((ev.ReplySuperseded(old=reply.seq), number))
    return said, f"{say_steps(found.steps)} left out; its next request goes to a session of its own"

"""Advice and answers: queued on disk before anybody is told "queued"."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from sessions import events as ev
from sessions.agent.advice import describe_target
from sessions.events.states import ACTIVE, ENDED
from sessions.fold.budget import limit_it_stands_at
from sessions.fold.remedies import remedies_at_limit, remedies_to_go_on
from sessions.fold.summary import OpenAdvice, Summary
from sessions.hints import Remedy
from sessions.host.handlers.context import HandlerContext, refusal, require_person, text_of, waits_for
from sessions.host.handlers.targets import check_target, check_undoes
from sessions.host.protocol import Answer, Done, EditAdvice, QueueAdvice, WithdrawAdvice

MAX_HOLD_MS: Final = 60_000


async def queue_advice(context: HandlerContext, call: QueueAdvice, actor: str) -> Done:
    """Queue advice for the next boundary."""
    require_person(actor, "advise")
    text = text_of(call.text, "the advice")
    # Looked up first: between the checks and the commit nothing is waited for, so that what they find still holds.
    what = await _describe_about(context, call)
    async with context.turn(call.session) as s:
        context.check_runs_here(s)
        reopens = _must_reopen(s, call.reopen)
        hold = 0 if call.now else min(max(0, call.hold_ms), MAX_HOLD_MS)
        queued = ev.AdviceQueued(
            advice=s.advice + 1,
            text=text,
            advice_kind=call.kind,
            about=call.about,
            about_text=what,
            now=call.now,
            not_before=context.clock() + hold if hold else 0,
            drafted_at=call.drafted_at,
            seen=call.seen,
            reach=call.reach,
            bulk=call.bulk,
        )
        more = (ev.ControlRequested(verb="reopen" if s.state in ENDED else "resume"),) if reopens else ()
        note = _delivery_note(s, call.now, reopens)
        remedies = () if reopens else _remedies_for(s)
        answer = await context.commit(s.session, actor, call.request, queued, *more, note=note, remedies=remedies)
    if reopens:
        context.manager.runner(s.session).start()
    elif s.state in ACTIVE or s.state == "needs_you":
        _wake_runner(context, s.session)
    return answer


async def edit_advice(context: HandlerContext, call: EditAdvice, actor: str) -> Done:
    """Give waiting advice a new text."""
    require_person(actor, "edit advice")
    text = text_of(call.text, "the advice")
    async with context.turn(call.session) as s:
        _check_waits(s, call.advice)
        check_undoes(s, call.undoes)
        body = ev.AdviceEdited(advice=call.advice, text=text, now=call.now, undoes=call.undoes)
        answer = await context.commit(s.session, actor, call.request, body)
    _wake_runner(context, s.session)
    return answer


async def withdraw_advice(context: HandlerContext, call: WithdrawAdvice, actor: str) -> Done:
    """Take waiting advice back."""
    require_person(actor, "withdraw advice")
    async with context.turn(call.session) as s:
        _check_waits(s, call.advice)
        check_undoes(s, call.undoes)
        body = ev.AdviceWithdrawn(advice=call.advice, to_draft=call.to_draft, undoes=call.undoes)
        answer = await context.commit(s.session, actor, call.request, body)
    _wake_runner(context, s.session)
    return answer


async def answer_question(context: HandlerContext, call: Answer, actor: str) -> Done:
    """Answer the open question."""
    require_person(actor, "answer a question")
    text = text_of(call.text, "the answer")
    # Looked up first: between the checks and the commit nothing is waited for.
    asked = await context.events(call.session, {"question.asked"})
    async with context.turn(call.session) as s:
        if not s.open_question:
            raise refusal(f"session {s.address} asks nothing", Remedy("advise", "reaches it", s.address, "TEXT"))
        if call.question is not None and call.question != s.question:
            raise refusal(f"question {call.question} of session {s.address} is over; it now asks question {s.question}")
        body = ev.QuestionAnswered(question=s.question, text=text, seen=call.seen)
        bodies = (event.body for event in reversed(asked))
        found = next((one for one in bodies if isinstance(one, ev.QuestionAsked) and one.question == s.question), None)
        if found is not None and found.options:
            option = _choose(s, found.options, text)
            body = msgspec.structs.replace(body, text=option.name, option=option.id)
        committed = await context.commit(s.session, actor, call.request, body)
    context.manager.runner(s.session).start()
    return committed


def _choose(s: Summary, options: Sequence[ev.QuestionOption], text: str) -> ev.QuestionOption:
    """The option that an answer names, by its number or its name. Raises RpcError if it names none, or several."""
    said = " ".join(text.split()).casefold().rstrip(".")
    numbered = {str(number): option for number, option in enumerate(options, 1)}
    if said in numbered:
        return numbered[said]
    alike = [option for option in options if option.name.casefold() == said or option.id.casefold() == said]
    alike = alike or [option for option in options if option.name.casefold().startswith(said)]
    if len(alike) == 1:
        return alike[0]
    listed = ", ".join(f"{number} {option.name}" for number, option in numbered.items())
    raise refusal(f"question {s.question} of session {s.address} takes one of its options, by number or name: {listed}")


async def _describe_about(context: HandlerContext, call: QueueAdvice) -> str:
    """What the model is told that the advice is about. Raises RpcError if there is no such thing."""
    if call.about is None:
        return ""
    await check_target(context, context.summary(call.session), call.about)
    return await asyncio.to_thread(describe_target, context.reader, call.session, call.about)


def _must_reopen(s: Summary, reopen: bool) -> bool:
    """Whether the session has to be reopened for advice. Raises RpcError if it has to and was not asked for."""
    if s.state == "archived":
        raise refusal(f"session {s.address} is archived", *remedies_to_go_on(s))
    at_limit = s.need == "limit" and s.state not in ACTIVE
    if s.state not in ENDED:
        # Where the limit was not raised, it would be paused again at once.
        return reopen and at_limit and limit_it_stands_at(s) is None
    if reopen:
        return True
    raise refusal(f"session {s.address} is {s.state}", *remedies_to_go_on(s), _reopen_remedy(s))


def _reopen_remedy(s: Summary) -> Remedy:
    return Remedy("advise_reopening", "does so by itself", s.address, "TEXT")


def _check_waits(s: Summary, number: int) -> OpenAdvice:
    for advice in s.open_advice:
        if advice.advice == number:
            return advice
    if 1 <= number <= s.advice:
        raise refusal(f"advice {number} of session {s.address} no longer waits: it was delivered or withdrawn")
    raise refusal(f"session {s.address} has no advice {number}")


def _remedies_for(s: Summary) -> tuple[Remedy, ...]:
    """What the delivery waits for, where that is a person."""
    if limit_it_stands_at(s) is not None:
        return remedies_at_limit(s)
    if s.open_question:
        return (Remedy("answer", "answers its question", s.address, "TEXT"),)
    return (Remedy("resume", "resumes it", s.address),) if s.state in ("paused", "needs_you") else ()


def _delivery_note(s: Summary, now: bool, reopens: bool) -> str:
    if reopens:
        return "delivered when the session goes on"
    if s.state == "created":
        return "delivered when the session starts"
    if (spent := limit_it_stands_at(s)) is not None:
        return f"waits, as the session stands at its limit of {spent.allowed}"
    if s.state in ("paused", "needs_you"):
        return "delivered when the session is resumed"
    # What a harness that is handed replies as they come has of one cannot be thrown away for advice.
    return "delivered now" if now and not s.passes_replies else f"delivered at the boundary{waits_for(s)}"


def _wake_runner(context: HandlerContext, session: str) -> None:
    summary = context.writer.summary(session)
    if summary is not None and (summary.state in ACTIVE or summary.state == "needs_you"):
        context.manager.runner(session).look_for_advice()

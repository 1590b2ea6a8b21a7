"""A question to a person: open in the log until it is answered there, whichever host process is waiting."""

from __future__ import annotations

from typing import Final

from sessions import events as ev
from sessions.agent.session import Session
from sessions.agent.wakeup import wait_for_any
from sessions.events.states import ACTIVE
from sessions.tools.ask_human import USE_YOUR_JUDGEMENT

REASON_CHARS: Final = 200
"""Most characters of a question in the reason of its state."""


async def ask_person(session: Session, step: int, call: int, question: str, timeout: float) -> tuple[str, bool]:
    """Ask, or go on waiting for what this very call asked before a restart. Returns (answer, timed out)."""
    asked, at = _find_question(session, step, call) or await _open_question(session, step, call, question, timeout)
    while True:
        woken = session.wakeup.listen()
        answer = find_answer(session, asked.question, at)
        if answer is not None:
            return answer.text, answer.timed_out
        left = (asked.until or 0) - session.now()
        if left <= 0:
            # Whoever answered in this very moment is in the log first, and is heard.
            await close_question(session, step, call, USE_YOUR_JUDGEMENT)
        elif not await follow_state(session, asked):
            await wait_for_any(woken.wait(), session.services.sleep(left / 1000))


async def follow_state(session: Session, asked: ev.QuestionAsked) -> bool:
    """Pause and resume work while the question stays open. True if the session's state has changed."""
    summary = session.summary
    if summary.pending == "pause":
        await session.commit(ev.StateChanged(state="paused"), actor=session.last_actor("pause"))
    elif summary.state in ACTIVE or (summary.state == "paused" and session.newest_request()[0] in ("resume", "next")):
        await session.commit(_needs_answer(asked), actor="agent")
    else:
        return False
    return True


async def close_question(session: Session, step: int | None, call: int | None, text: str) -> None:
    """Close the open question without a person's answer."""
    number = session.summary.question
    await session.commit(ev.QuestionAnswered(question=number, text=text, timed_out=True), step=step, call=call)


async def _open_question(
    session: Session, step: int, call: int, question: str, timeout: float
) -> tuple[ev.QuestionAsked, int]:
    asked = ev.QuestionAsked(
        question=session.summary.question + 1, text=question, until=session.now() + round(timeout * 1000)
    )
    return asked, await open_question(session, step, call, asked)


async def open_question(session: Session, step: int | None, call: int | None, asked: ev.QuestionAsked) -> int:
    """Ask; returns the seq of the question."""
    events = await session.commit(asked, _needs_answer(asked), step=step, call=call, actor="agent")
    return events[0].seq


def _needs_answer(asked: ev.QuestionAsked) -> ev.StateChanged:
    reason = " ".join(asked.text.split())[:REASON_CHARS]
    return ev.StateChanged(state="needs_you", need="question", reason=reason, until=asked.until)


def _find_question(session: Session, step: int, call: int) -> tuple[ev.QuestionAsked, int] | None:
    for event in session.services.reader.events(session.id, kinds={"question.asked"}, steps=(step, step)):
        if event.call == call and isinstance(event.body, ev.QuestionAsked):
            return event.body, event.seq
    return None


def find_answer(session: Session, number: int, after: int) -> ev.QuestionAnswered | None:
    """The first answer to the question; there may be a second one, from the same moment."""
    for event in session.services.reader.events(session.id, after=after, kinds={"question.answered"}):
        if isinstance(event.body, ev.QuestionAnswered) and event.body.question == number:
            return event.body
    return None

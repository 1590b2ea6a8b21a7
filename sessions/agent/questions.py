"""A question to a person: open in the log until it is answered there, whichever host process is waiting."""

from __future__ import annotations

from typing import Final

from sessions import events as ev
from sessions.agent.session import Scope
from sessions.agent.wakeup import first_of
from sessions.events.states import ACTIVE
from sessions.tools.ask_human import USE_YOUR_JUDGEMENT

REASON_CHARS: Final = 200
"""Most characters of a question in the reason of its state."""


async def ask(scope: Scope, step: int, call: int, question: str, timeout: float) -> tuple[str, bool]:
    """Ask, or go on waiting for what this very call asked before a restart. Returns (answer, timed out)."""
    asked, at = _asked(scope, step, call) or await _open(scope, step, call, question, timeout)
    while True:
        rung = scope.bell.listen()
        answer = _answer(scope, asked.question, at)
        if answer is not None:
            return answer.text, answer.timed_out
        left = asked.until - scope.now()
        if left <= 0:
            # Whoever answered in this very moment is in the log first, and is heard.
            await close(scope, step, call, USE_YOUR_JUDGEMENT)
        elif not await _moved(scope, asked):
            await first_of(rung.wait(), scope.services.sleep(left / 1000))


async def _moved(scope: Scope, asked: ev.QuestionAsked) -> bool:
    """Pause and resume work while the question stays open. True if the session's state has changed."""
    summary = scope.summary
    if summary.pending == "pause":
        await scope.commit(ev.StateChanged(state="paused"), actor=scope.last_actor("pause"))
    elif summary.state in ACTIVE or (summary.state == "paused" and scope.asked_for()[0] in ("resume", "next")):
        await scope.commit(_needs_answer(asked), actor="agent")
    else:
        return False
    return True


async def close(scope: Scope, step: int, call: int, text: str) -> None:
    """Close the open question without a person's answer."""
    number = scope.summary.question
    await scope.commit(ev.QuestionAnswered(question=number, text=text, timed_out=True), step=step, call=call)


async def _open(scope: Scope, step: int, call: int, question: str, timeout: float) -> tuple[ev.QuestionAsked, int]:
    asked = ev.QuestionAsked(
        question=scope.summary.question + 1, text=question, until=scope.now() + round(timeout * 1000)
    )
    events = await scope.commit(asked, _needs_answer(asked), step=step, call=call, actor="agent")
    return asked, events[0].seq


def _needs_answer(asked: ev.QuestionAsked) -> ev.StateChanged:
    reason = " ".join(asked.text.split())[:REASON_CHARS]
    return ev.StateChanged(state="needs_you", need="question", reason=reason, until=asked.until)


def _asked(scope: Scope, step: int, call: int) -> tuple[ev.QuestionAsked, int] | None:
    for event in scope.services.reader.events(scope.session, kinds={"question.asked"}, steps=(step, step)):
        if event.call == call and isinstance(event.body, ev.QuestionAsked):
            return event.body, event.seq
    return None


def _answer(scope: Scope, number: int, after: int) -> ev.QuestionAnswered | None:
    """The first answer to the question; there may be a second one, from the same moment."""
    for event in scope.services.reader.events(scope.session, after=after, kinds={"question.answered"}):
        if isinstance(event.body, ev.QuestionAnswered) and event.body.question == number:
            return event.body
    return None

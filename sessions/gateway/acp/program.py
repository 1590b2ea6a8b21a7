"""The program of a session that is talked to: what it is told, what it asks, how it is cancelled, each in the log.

What comes next is read from the log, so that another host goes on with the same talk. The turn of the program on one
prompt may have any number of steps; they come through its model endpoint, as those of every harness do.

When it has ended its turn and no advice waits, the program is ended and its session is ``finished``, as where a command
ended well: nothing runs for days that nobody may come back to, and a person's later advice (``--reopen``) starts it
again, in the same conversation where it can load that. Advice that is there by then is its next prompt, in the same
process.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal

from sessions import events as ev
from sessions.agent.advice import read_queued, ready_advice, seconds_to_delivery, user_turn
from sessions.agent.questions import close_question, find_answer, follow_state, open_question
from sessions.agent.resume_point import ResumePoint
from sessions.agent.session import Session
from sessions.agent.wakeup import wait_for_any
from sessions.events.harness import GO_ON
from sessions.gateway.acp.job_transport import JobTransport
from sessions.jobs.job import Job
from sessions.jobs.manager import JobError

if TYPE_CHECKING:
    from sessions.gateway.acp.talk import Permission, Talk

CANCEL_SECONDS: Final = 5.0
"""For a program to end its turn when it is asked to."""
EXIT_SECONDS: Final = 2.0
"""For a program to end by itself once nobody talks to it any more; some never do."""
SETTLE_SECONDS: Final = 5.0
"""For what a program left behind to be taken in."""
OPENING_REQUESTS: Final = 3
"""Requests by which a conversation begins, at most: who it is, load, new."""
WITHDRAWN: Final = "The question was withdrawn: "

Progress = Literal["waits", "moved", "over"]


class AcpProgram:
    """``note_prompt`` hears what the program is told: by these words its conversation is known."""

    def __init__(self, session: Session, note_prompt: Callable[[str], None]) -> None:
        self._session = session
        self._note_prompt = note_prompt
        self._talk: Talk | None = None

    async def turn(self, point: ResumePoint, woken: asyncio.Event) -> Progress:
        """Do what comes next in the talk; ``woken`` was listened to before. ``over``: the program has ended its turn,
        or begins no conversation, and nothing else is to be said to it."""
        session = self._session
        talk = await self._keep_talk()
        if talk is None:
            return "moved" if await self._withdraw("its program has ended") else "waits"
        if talk.is_broken:
            await self._withdraw("the host lost its connection to its program")
            await self._note_rest(talk)
            return "over"
        if await self._ask(talk, point, woken):
            return "moved"
        if await self._note_opening(talk) or await self._note_rest(talk):
            return "moved"
        told, rest = read_prompts(session, talk.job), read_rest(session, talk.job)
        if talk.opening is None:
            # The turns of an earlier host say nothing: this one is about to hear how the conversation began.
            failed = talk.rest is not None or (rest is not None and rest.prompt == 0)
            return "over" if failed else "waits"
        if len(told) > talk.prompts:  # also what an earlier host has said: it is not said twice
            number = talk.prompts + 1
            self._note_prompt(told[number - 1].text)
            talk.prompt(number, told[number - 1].text)
            return "moved"
        if told and (rest is None or rest.prompt < len(told)):
            return "waits"
        if session.summary.pending in ("pause", "interrupt"):
            verb = session.summary.pending
            reason = "interrupted" if verb == "interrupt" else ""
            await session.commit(ev.StateChanged(state="paused", reason=reason), actor=session.last_actor(verb))
            return "moved"
        return await self._say(talk, told, point, woken)

    async def cancel(self, why: str) -> None:
        """Ask it to end its turn, as the session is to end or to stand still; what it asks is answered by none."""
        talk = self._talk
        if talk is None:
            return
        await talk.cancel_turn(CANCEL_SECONDS)
        await self._withdraw(why)
        await self._note_rest(talk)

    async def hang_up(self) -> None:
        """Say nothing more to it: such programs end by themselves."""
        job = self._open_job()
        if job is not None:
            jobs = self._session.services.jobs_for(self._session.id)
            try:
                await jobs.send(job, "", eof=True)
            except JobError:
                pass  # it has ended by itself meanwhile
            else:
                await jobs.wait(job, EXIT_SECONDS)
        if self._talk is not None:
            await self._talk.end(SETTLE_SECONDS)
            self._talk = None

    async def close(self) -> None:
        """The host ends: listen no more. The program runs on, and the next host goes on with the talk."""
        if self._talk is not None:
            await self._talk.close()
            self._talk = None

    @property
    def can_go_on(self) -> bool:
        """Whether a later program can go on with its conversation."""
        opened = read_openings(self._session)
        return bool(opened) and opened[-1].can_load

    @property
    def ended_well(self) -> bool:
        """Whether the newest program said itself that it was done with all that it was told."""
        job = self._session.summary.jobs
        rest, told = read_rest(self._session, job), read_prompts(self._session, job)
        return rest is not None and rest.why == "end_turn" and rest.prompt == len(told)

    @property
    def trouble(self) -> str:
        """How the newest program ended its turn, where that is not well; "" where it did not end it."""
        rest = read_rest(self._session, self._session.summary.jobs)
        if rest is None or rest.why == "end_turn":
            return ""
        return rest.message if rest.why == "error" else f"it ended its turn by itself ({rest.why.replace('_', ' ')})"

    # --- the talk ---

    def _open_job(self) -> Job | None:
        summary = self._session.summary
        if not summary.open_jobs:
            return None
        return self._session.services.jobs_for(self._session.id).find(summary.open_jobs[-1].job)

    async def _keep_talk(self) -> Talk | None:
        """The talk with the program that runs, begun now if there is none; None: no program runs."""
        job = self._open_job()
        if self._talk is not None and (job is None or job.number != self._talk.job):
            await self._talk.end(SETTLE_SECONDS)
            await self._note_rest(self._talk)
            self._talk = None
        if job is not None and self._talk is None:
            # Loaded only here: the package takes a second, and most hosts never have such a session.
            module = await asyncio.to_thread(importlib.import_module, "sessions.gateway.acp.talk")
            jobs = self._session.services.jobs_for(self._session.id)
            earlier = OPENING_REQUESTS + len(read_prompts(self._session, job.number))
            talk: Talk = module.Talk(JobTransport(jobs, job, earlier), job.number, self._session.wakeup.wake)
            talk.open(jobs.space.place_of(self._session.workspace), self._find_earlier(job.number))
            self._talk = talk
        return self._talk

    def _find_earlier(self, job: int) -> str:
        """The conversation that the program before this one had, "" if there was none."""
        opened = [one for one in read_openings(self._session) if one.job < job]
        return opened[-1].conversation if opened else ""

    async def _note_opening(self, talk: Talk) -> bool:
        """Commit how the conversation began, once. True if that was now."""
        opening = talk.opening
        if opening is None or any(one.job == talk.job for one in read_openings(self._session)):
            return False
        opened = ev.HarnessOpened(
            job=talk.job,
            conversation=opening.conversation,
            loaded=opening.loaded,
            can_load=opening.can_load,
            agent=opening.agent,
            why=opening.why,
        )
        await self._session.commit(opened, actor="agent")
        return True

    async def _note_rest(self, talk: Talk) -> bool:
        """Commit how a turn ended, once. True if that was now."""
        rest, known = talk.rest, read_rest(self._session, talk.job)
        if rest is None:
            return False
        # Where this host finds no conversation, the turn is over that an earlier one began.
        number = rest.prompt or len(read_prompts(self._session, talk.job))
        if known is not None and known.prompt >= number:
            return False
        rested = ev.HarnessRested(job=talk.job, prompt=number, why=rest.why, message=rest.message)
        await self._session.commit(rested, actor="agent")
        return True

    # --- what it asks ---

    async def _ask(self, talk: Talk, point: ResumePoint, woken: asyncio.Event) -> bool:
        """Have a person answer what the program asks, one question after the other. True if there is one, or was."""
        session = self._session
        if not talk.permissions:
            asking = session.summary.state == "needs_you" and session.summary.need == "question"
            if asking and not session.summary.open_question:  # it was withdrawn
                await session.commit(ev.StateChanged(state="running"))
                return True
            return False
        permission = talk.permissions[0]
        found = self._find_question(permission.request)
        if found is None:
            await self._open_question(permission, point)
            return True
        asked, at = found
        answer = find_answer(session, asked.question, at)
        if answer is not None:
            if session.summary.state == "needs_you":
                await session.commit(ev.StateChanged(state="running"))
            permission.decide(answer.option)
            await asyncio.sleep(0)  # it is out of the list then
        elif session.summary.pending == "interrupt":
            # Nobody has said yes or no. The word for that ends the turn of some programs; advice is their next prompt.
            await self._withdraw("a person interrupted")
        elif not await follow_state(session, asked):
            await woken.wait()
        return True

    async def _open_question(self, permission: Permission, point: ResumePoint) -> None:
        session = self._session
        listed = "\n".join(f"{number} {option.name}" for number, option in enumerate(permission.options, 1))
        asked = ev.QuestionAsked(
            question=session.summary.question + 1,
            text=f"{permission.text}\n{listed}",
            until=None,
            options=permission.options,
            request=permission.request,
        )
        calls = (call for call in point.calls if permission.call in (call.part.id, call.part.server_id))
        call = next(calls, None)
        await open_question(session, point.reply_step or None, call.number if call is not None else None, asked)

    def _find_question(self, request: str) -> tuple[ev.QuestionAsked, int] | None:
        session = self._session
        for event in session.services.reader.events(session.id, kinds={"question.asked"}, newest_first=True):
            if isinstance(event.body, ev.QuestionAsked) and event.body.request == request:
                return event.body, event.seq
        return None

    async def _withdraw(self, why: str) -> bool:
        """Close the question that is open. True if there was one."""
        if not self._session.summary.open_question:
            return False
        await close_question(self._session, None, None, f"{WITHDRAWN}{why}.")
        return True

    # --- what it is told ---

    async def _say(
        self, talk: Talk, told: Sequence[ev.HarnessPrompted], point: ResumePoint, woken: asyncio.Event
    ) -> Progress:
        """Commit the next prompt: the task, or what a person has said since; there may be none any more."""
        session = self._session
        assert talk.opening is not None, "it has a conversation"
        begins = not told and not talk.opening.loaded and not read_prompts(session)
        wait = None if begins else seconds_to_delivery(session.summary, session.now())
        if wait:
            await wait_for_any(woken.wait(), session.services.sleep(wait))
            return "moved"
        number = len(told) + 1
        if wait is not None:
            # A person may be taking it back or changing it in this very moment, and is told so: their word comes first.
            await session.services.writer.wait_for_writes()
            await self._deliver(talk.job, number, point)
        elif not told or self._was_let_go_on(talk.job):
            text = GO_ON if told or talk.opening.loaded else session.created.task
            await session.commit(ev.HarnessPrompted(job=talk.job, prompt=number, text=text))
        else:
            return "over"
        return "moved"

    def _was_let_go_on(self, job: int) -> bool:
        """Whether its turn was cancelled because a person stepped in, who has let it go on since."""
        reader, session = self._session.services.reader, self._session.id
        rests = reader.events(session, kinds={"harness.rested"}, newest_first=True, limit=1)
        rest = rests[0].body if rests else None
        cancelled = isinstance(rest, ev.HarnessRested) and rest.job == job and rest.why == "cancelled"
        return cancelled and bool(reader.events(session, kinds={"session.state"}, after=rests[0].seq, limit=1))

    async def _deliver(self, job: int, number: int, point: ResumePoint) -> None:
        """Commit that the advice that is ready is the next prompt."""
        session, reader = self._session, self._session.services.reader
        ready = [advice.advice for advice in ready_advice(session.summary, session.now())]
        if not ready:
            return
        pieces = read_queued(reader, session.id, ready)
        form = session.created.harness.advice if session.created.harness is not None else ""
        delivered = ev.AdviceDelivered(
            advice=tuple(piece.advice for piece in pieces),
            at_step=point.step + 1,
            text=user_turn(session.created.nonce, pieces, form),
            as_prompt=True,
        )
        prompted = ev.HarnessPrompted(job=job, prompt=number, text=delivered.text)
        await session.commit(delivered, prompted, step=point.step + 1)


def read_openings(session: Session) -> list[ev.HarnessOpened]:
    """The conversations that the programs of a session have had, in order."""
    events = session.services.reader.events(session.id, kinds={"harness.opened"})
    return [event.body for event in events if isinstance(event.body, ev.HarnessOpened)]


def read_prompts(session: Session, job: int | None = None) -> list[ev.HarnessPrompted]:
    """What the program of a job was told, in order; None: all of them."""
    events = session.services.reader.events(session.id, kinds={"harness.prompted"})
    told = [event.body for event in events if isinstance(event.body, ev.HarnessPrompted)]
    return [one for one in told if job is None or one.job == job]


def read_rest(session: Session, job: int) -> ev.HarnessRested | None:
    """How the newest turn of the program of a job ended, None if none has."""
    events = session.services.reader.events(session.id, kinds={"harness.rested"}, newest_first=True, limit=1)
    newest = events[0].body if events else None
    return newest if isinstance(newest, ev.HarnessRested) and newest.job == job else None

"""The turns of a session whose agent is a harness: it asks and acts, and at each boundary a person has their say.

It stands where the loop of our own agent stands (sessions/agent/loop.py), under the same runner: what comes next is
read from the log. It waits for the harness's requests, each of which brings what the last reply caused.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from sessions import events as ev
from sessions.agent.attempts import (
    ContextTooLong,
    ReplyCut,
    RequestRefused,
    RestRequest,
    add_estimate,
    receive_reply,
)
from sessions.agent.boundary import Boundary
from sessions.agent.resume_point import ResumePoint
from sessions.agent.session import CutReason, NeedsPerson, Session
from sessions.containment.keeper import SPACE
from sessions.events.harness import GO_ON
from sessions.events.states import ACTIVE, ENDED, REBOOTED, STOPPED
from sessions.events.text import Blob
from sessions.fold.call_ids import CallIds
from sessions.fold.summary import IllegalTransition
from sessions.gateway.access import EndpointAccess
from sessions.gateway.acp.program import AcpProgram
from sessions.gateway.advice_again import requeue_standing
from sessions.gateway.agents import expand
from sessions.gateway.children import Family
from sessions.gateway.conversation import calls_of
from sessions.gateway.exchange import Answer
from sessions.gateway.line import HarnessLine, Turn
from sessions.gateway.observations import Observations, carries
from sessions.gateway.upstream import Received, ServerRefused, WireCall, ask
from sessions.gateway.wire_prompts import WirePrompts
from sessions.jobs.manager import JobError
from sessions.processes import boot_id
from sessions.providers.base import CallContext, ProviderError
from sessions.providers.error_words import turns_must_alternate
from sessions.tools.command_env import command_env
from sessions.untrusted_files import write_below

ORIGIN: Final = "harness"
"""What its job is for: no call started it."""
CLIENT_PATIENCE_S: Final = 15 * 60.0
"""So long a request is kept for a client that is gone and may come back."""


class HarnessLoop:
    """The work of an active session. ``point``: makes its endpoint ready; answers what lets a program in; None for a
    sub-agent, which comes in by its parent's. ``program``: the one that is talked to, where that is so."""

    def __init__(
        self,
        session: Session,
        line: HarnessLine,
        yields: Callable[[], bool],
        point: Callable[[], Awaitable[EndpointAccess]] | None,
        family: Family,
        program: AcpProgram | None = None,
    ) -> None:
        self._session = session
        self._program = program
        self._line = line
        self._yields = yields
        self._point = point
        self._family = family
        self._access: EndpointAccess | None = None
        self._boundary = Boundary(session, nudges=False, count=family.count)
        self._observations = Observations(session)
        self._prompts = WirePrompts(session, line)
        self._taken: Turn | None = None
        self._sources: dict[int, tuple[int, ...]] = {}
        """The events that the new units of the turn under way came from, by their place."""
        self._ids: CallIds | None = None
        self._unanswered = False
        """Whether its last request was left without an answer: it was gone by then."""
        self._knows_calls = False
        """Whether the newest reply of an earlier host is known to have been begun: a kill may have come between."""

    def rest(self) -> None:
        """Hold nothing in memory that the log has."""
        self._taken, self._ids = None, None
        self._prompts.forget()

    async def leave(self) -> None:
        """A reply that never reached the harness is none."""
        await self._dismiss()
        await self._drop_lost_reply(self._session.resume_point())

    async def turn(self) -> None:
        """Do what comes next. Raises NeedsPerson."""
        session = self._session
        await self._start_harness()
        point = await self._begin_calls(session.resume_point())
        turn = self._line.turn
        if self._family.above is not None and await self._stand_by(turn):
            return
        if turn is not None and self._is_abandoned(turn):
            if turn.reply is not None:
                await session.commit(ev.ReplySuperseded(old=turn.reply.seq), step=turn.reply.step)
            self._line.drop_turn(turn)
            self._unanswered = True
            return
        if turn is None:
            await self._wait(point)
            return
        if turn.reply is not None:  # it was held, and a person has let it go
            await self._hand_over(turn)
            return
        if turn.place.step == "again" and self._line.hand_again(turn):
            return
        if self._taken is not turn:
            await self._take_in(turn, point)
            point = session.resume_point()
        if turn.place.step == "compaction" and not session.summary.pending and not session.cut_reason():
            await self._request(turn, point)  # no boundary: what is to be said waits for the next step
            return
        match await self._boundary.decide(point):
            case "request":
                await self._request(turn, point)
            case "stop":
                await self._stop(point)
            case "shorten":
                raise NeedsPerson("other", "a harness keeps its history itself: nothing can be summarised for it")
            case "finish" | "look_again":
                return

    async def _stand_by(self, turn: Turn | None) -> bool:
        """Of a sub-agent: stand still while one above does, and end with it. True if there is nothing else to do now.

        What a person asks of this very session goes before.
        """
        session, family = self._session, self._family
        woken = session.wakeup.listen()
        if family.is_over:
            await session.commit(ev.StateChanged(state="finished", reason="the session that started it has ended"))
            return True
        if family.is_left and turn is None:
            left = f"its conversation is the main line of session {family.root.session.summary.address}"
            await session.commit(ev.StateChanged(state="finished", reason=left))
            return True
        if turn is None or session.summary.pending in ("pause", "interrupt", "stop"):
            return False
        spent = None if family.is_held else family.reason_to_pause()
        if spent is not None:
            above, reason = spent
            with contextlib.suppress(IllegalTransition):  # another one has said so in the same moment
                await above.commit(ev.StateChanged(state="paused", need="limit", reason=reason))
        if spent is None and not family.is_held:
            return False
        await woken.wait()
        return True

    async def _take_in(self, turn: Turn, point: ResumePoint) -> None:
        """Commit what a request tells, once."""
        turn.is_resample = turn.place.step == "again" and self._line.has_answered(turn)
        if await self._observations.release_carried(turn, point) or await self._drop_part(turn, point):
            point = self._session.resume_point()
        parent = self._prompts.parent(turn)
        before = self._prompts.before(turn) if parent is None else None
        told = self._prompts.explain_tag(turn).units
        self._sources = await self._observations.take_in(turn, point, parent, before, told)
        if turn.place.step == "segment":
            point = self._session.resume_point()
            placed = {word.seq for word in self._prompts.find_words(turn, parent, point)}
            placed |= parent.stored_sources if parent is not None else set()
            await requeue_standing(self._session, turn.exchange.request.units, placed)
        self._taken = turn

    async def _drop_part(self, turn: Turn, point: ResumePoint) -> bool:
        """A reply of which the harness had a part, and that it goes on without, is none. True if there was one."""
        reply, passes = point.reply, self._session.summary.passes_replies
        if not passes or turn.is_resample or reply is None or not isinstance(reply.body, ev.ModelReplied):
            return False
        return not carries(turn, reply) and not await self._drop_lost_reply(point)

    async def _begin_calls(self, point: ResumePoint) -> ResumePoint:
        """Begin the calls of a reply that an earlier host had committed when it was killed."""
        if self._knows_calls:
            return point
        self._knows_calls = True
        reply = point.reply
        if reply is None or not point.calls or any(call.started or call.ended for call in point.calls):
            return point
        await self._observations.begin_calls(reply)
        return self._session.resume_point()

    async def _hand_over(self, turn: Turn) -> None:
        """Give the harness its reply."""
        assert turn.reply is not None and turn.answer is not None, "it was asked for"
        assert isinstance(turn.reply.body, ev.ModelReplied), "it is a reply"
        calls = [call.server_id or call.id for call in calls_of(turn.reply.body)]
        self._line.answer(turn, turn.answer, calls)
        self._taken = None
        await self._observations.begin_calls(turn.reply)  # if this is cut short, the next host does it

    # --- the harness itself ---

    def _is_abandoned(self, turn: Turn) -> bool:
        """Whether nobody will ever take the reply to a request."""
        gone = turn.exchange.gone_for
        harness = self._session.created.harness
        over = harness is not None and bool(harness.command) and not self._session.summary.open_jobs
        return gone is not None and (over or gone > CLIENT_PATIENCE_S)

    async def _start_harness(self) -> None:
        """Start the harness, once."""
        session = self._session
        harness = session.created.harness
        assert harness is not None, "a session without a harness has another loop"
        if self._access is None and self._point is not None:
            self._access = await self._point()
        if harness.command and not session.summary.jobs:
            await self._start(harness, harness.command, session.created.task)

    async def _start(self, harness: ev.Harness, command: Sequence[str], task: str) -> None:
        """Start it as a job. ``task`` is what it is told."""
        session, access = self._session, self._access
        assert access is not None, "its endpoint is ready before it starts"
        jobs = session.services.jobs_for(session.id)
        contained = session.created.contained is not None and session.created.contained.inside != "none"
        env = command_env(session.services.env_for(session.id), session.workspace)
        if not contained and harness.files:  # inside a prefix it has one already
            env["HOME"] = str(session.folder / SPACE / "home")
        env = dict(jobs.space.environment(env))
        values = {"task": task, "model": session.model.name, "home": env["HOME"], **access.places}
        settings = {**harness.env, **(harness.contained_env if contained else {})}
        env |= access.variables | {name: expand(value, values) for name, value in settings.items()}
        own = [expand(word, {} if harness.verbatim else values) for word in command]
        argv = [*own, *(expand(word, values) for word in (harness.contained if contained else ()))]
        try:
            if not session.summary.jobs:  # later on it is the agent who says what is there
                await asyncio.to_thread(self._write_files, harness, values)
            job = await jobs.start(
                jobs.next_number(), shlex.join(argv), session.workspace, env,
                origin=ORIGIN, input=harness.acp, errors=harness.acp,
            )  # fmt: skip
        except (JobError, OSError) as error:
            raise NeedsPerson("other", f"{harness.name} could not be started: {error}; then resume") from error
        await session.commit(job.start_event())
        jobs.release(job)

    def _write_files(self, harness: ev.Harness, values: Mapping[str, str]) -> None:
        """Put the files of its preset into its home."""
        home = self._session.folder / SPACE / "home"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in harness.files.items():
            # Its commands may have run before the log knew of it: no link in its home is followed.
            write_below(home, name, expand(text, values).encode())

    async def _wait(self, point: ResumePoint) -> None:
        """Wait until the harness asks for something, or ends, or a person wants something."""
        session = self._session
        woken = session.wakeup.listen()
        if self._line.turn is not None:
            return
        if session.summary.pending == "stop":
            await self._stop(point)
            return
        if self._program is not None and (progress := await self._program.turn(point, woken)) != "waits":
            if progress == "over":
                await self._program.hang_up()
                await self._end(session.resume_point())
            return
        summary = session.summary
        if summary.pending in ("pause", "interrupt") and self._family.has_waiting_child:
            # It waits for a sub-agent, which waits for it: this is as much of a boundary as there will be.
            await session.commit(ev.StateChanged(state="paused"), actor=session.last_actor(summary.pending))
        elif self._yields() and summary.pending != "pause":
            await session.commit(ev.StateChanged(state="paused", reason="at the next boundary"))
        elif session.created.harness is not None and session.created.harness.command and not summary.open_jobs:
            if not await self._start_again(session.created.harness):
                await self._end(point)
        else:
            await woken.wait()

    async def _start_again(self, harness: ev.Harness) -> bool:
        """Start a harness again that had ended when a person let its session go on, or that ended with its host. False
        if it is over."""
        command = harness.command if harness.acp else harness.resume
        # It had ended its turn, and advice came before its session had ended, too.
        advised = self._program is not None and self._program.ended_well and bool(self._session.summary.open_advice)
        if not advised and not self._was_reopened() and not (command and self._ended_with_host()):
            return False
        if not command:
            raise NeedsPerson("other", f"{harness.name} cannot go on once it has ended; start another session, or stop")
        self._unanswered = False
        if self._point is not None:  # its space may have ended with it
            self._access = await self._point()
        await self._start(harness, command, GO_ON)
        return True

    def _was_reopened(self) -> bool:
        reader, session = self._session.services.reader, self._session.id
        ended = reader.events(session, kinds={"job.ended"}, newest_first=True, limit=1)
        since = reader.events(session, kinds={"session.state"}, after=ended[0].seq if ended else 0)
        return any(isinstance(event.body, ev.StateChanged) and event.body.state in ENDED for event in since)

    def _ended_with_host(self) -> bool:
        """Whether it was ended while its session stood still, by a host that was stopped, or with the machine."""
        reader, session = self._session.services.reader, self._session.id
        ended = reader.events(session, kinds={"job.ended"}, newest_first=True, limit=1)
        body = ended[0].body if ended else None
        if not isinstance(body, ev.JobEnded) or body.how == "exited":
            return False
        started = reader.events(session, kinds={"job.started"}, newest_first=True, limit=1)[0]
        with_machine = isinstance(started.body, ev.JobStarted) and started.body.boot_id != boot_id()
        if body.how == "lost" and with_machine:
            return True
        states = reader.events(session, kinds={"session.state"}, after=started.seq)
        if body.how == "killed_by_host":  # which may be in the log only after it was let go on
            at_end = [event.body for event in states if event.at <= started.at + body.duration_ms]
            return bool(at_end) and isinstance(at_end[-1], ev.StateChanged) and at_end[-1].state not in ACTIVE
        return any(isinstance(e.body, ev.StateChanged) and e.body.reason in (STOPPED, REBOOTED) for e in states)

    async def _stop(self, point: ResumePoint) -> None:
        """A person has stopped the session."""
        await self._dismiss()
        await self._drop_lost_reply(point)
        await self._session.end("stopped", self._session.last_actor("stop"))

    async def _dismiss(self) -> None:
        """Let a program end in order that is talked to."""
        if self._program is not None:
            await self._program.cancel("the session was stopped")
            await self._program.hang_up()

    async def _end(self, point: ResumePoint) -> None:
        """The harness has ended: finished where it says so itself and had every reply that it asked for, else early.

        Calls of its last reply may be open: the one that ended it brings no result.
        """
        session = self._session
        ended = session.services.reader.events(session.id, kinds={"job.ended"}, newest_first=True, limit=1)
        code = ended[0].body.exit_code if ended and isinstance(ended[0].body, ev.JobEnded) else None
        arrived = await self._drop_lost_reply(point)
        whole = arrived and not self._unanswered and point.reply is not None and point.open_request is None
        # A part of a later reply was the last that it had.
        whole = whole and not any(isinstance(e.body, ev.ReplyInterrupted) and e.body.delivered for e in point.tail)
        well = self._program.ended_well if self._program is not None else code == 0
        await self._observations.end_calls(session.resume_point(), well=whole and well)
        if whole and well:
            await session.end("finished", "agent", whatever_waits=self._program is None)
            return
        left = "and it had its last reply" if whole else "without a last reply"
        how = f"exit code {code}" if code is not None else "it is gone"
        if self._program is not None:
            how = self._program.trouble or how
        await session.end("stopped", "agent", f"ended early: {how}, {left}")

    async def _drop_lost_reply(self, point: ResumePoint) -> bool:
        """Leave a reply out that never reached the harness, which is over: nothing came of it. False if that is so."""
        reply = point.reply
        lost = self._line.take_lost_reply()
        if reply is None or lost != reply.seq:
            return True
        await self._session.commit(ev.ReplySuperseded(old=lost), step=reply.step)
        return False

    # --- the request ---

    async def _request(self, turn: Turn, point: ResumePoint) -> None:
        session = self._session
        again = turn.is_resample
        step: int | None = point.step if again and point.step else point.step + 1
        if turn.place.step == "compaction":
            step = None
        prepared = await self._prompts.prepare(turn, point, self._sources)
        if not self._line.has(turn):
            return
        event, failed = point.open_request, point.attempts
        body = event.body if event is not None else None
        if event is None or not isinstance(body, ev.ModelRequested) or body.sha256 != prepared.request.sha256:
            event = (await session.commit(prepared.request, step=step, blobs=prepared.blobs))[0]
            failed = 0
        self._line.note_request(turn, event.seq)
        self._prompts.remember(event.seq, prepared)
        asked = _Asked(session, turn, prepared.body)
        try:
            received = await receive_reply(
                session, event.seq, asked, step=step, failed=failed, yields=self._yields, stream=asked.stream,
                gives_back=asked.gives_back, cut=asked.cut_reason,
            )  # fmt: skip
        except ReplyCut as cut:
            why, delivered = cut.why or "host", asked.delivered
            interrupted = ev.ReplyInterrupted(request=event.seq, parts=cut.partial, why=why, delivered=delivered)
            await session.commit(interrupted, step=step)
            if delivered:  # it cannot be asked for again in secret: the harness hears that it broke off
                self._line.refuse_turn(turn, asked.refusal())
                self._taken = None
            return
        except RestRequest:
            return
        except (ContextTooLong, RequestRefused, GivenBack):
            if asked.wants_turns_in_turn and await self._prompts.join_words(turn, point, asked.said):
                return  # asked again with our words in another turn
            # The harness hears of it as the server said it, and does what it does then.
            self._line.refuse_history(turn, asked.refusal())
            self._taken = None
            return
        replied = await add_estimate(
            session, received.event(event.seq, session.model), prepared.request.estimate_tokens
        )
        self._ids = self._ids or session.read_call_ids()
        unique = self._ids.make_unique(replied.parts)
        raw = Blob.of(asked.answer.body)
        replied = msgspec.structs.replace(replied, parts=unique, wire=ev.WireAnswer(raw.hash, asked.answer.media))
        before = point.reply if again else None
        reply = (await session.commit(replied, step=step, actor="agent", blobs=[raw]))[0]
        if step is None:
            await self._observations.write_summary(event.seq, replied, point)
            self._line.answer(turn, asked.answer)
            self._taken = None
            return
        if before is not None and before.step == step:
            await session.commit(ev.ReplySuperseded(old=before.seq, new=reply.seq, why="replaced"), step=step)
        turn.reply = reply
        turn.answer = asked.answer
        session.check_hold(replied, step)
        await self._hand_over(turn)


class GivenBack(Exception):
    """The server's error is the harness's affair: its status line is still open, so that it hears it as it was said."""


class _Asked:
    """One request on its way upstream, and what came back."""

    def __init__(self, session: Session, turn: Turn, body: bytes) -> None:
        self._session = session
        self._turn = turn
        self._body = body
        self.answer = Answer(502, b"")
        self._refused: ProviderError | None = None

    async def stream(self, spec: ev.ModelSpec, body: Any, call: CallContext) -> Any:
        """As an adapter streams a reply."""
        exchange = self._turn.exchange
        wire = WireCall(exchange.dialect, exchange.path, exchange.query, exchange.onward_headers(), self._body)
        exchange.passage.clear()
        passes = self._session.summary.passes_replies and exchange.stream
        async for item in ask(spec, wire, call, self._hand_on if passes else None):
            if isinstance(item, Received):
                self.answer = item.answer
                yield item.reply
            else:
                yield item

    def _hand_on(self, head: Answer, piece: bytes) -> None:
        self._turn.exchange.passage.add(head, piece)  # of a turn whose client came back it is another one

    @property
    def delivered(self) -> ev.Delivered:
        """How much of a reply that broke off the harness has."""
        return "partial" if self._turn.exchange.has_part else ""

    def cut_reason(self) -> CutReason:
        """Why the reply must end now. What has begun to go over is not taken back: it ends with the session, or with
        its client."""
        asked = self._session.cut_reason()
        if not self._turn.exchange.has_part or asked == "stop":
            return asked
        return "client" if self._turn.exchange.is_gone else ""

    def gives_back(self, error: ProviderError) -> GivenBack | None:
        """What a failed attempt comes to where the harness can still hear of it as the server said it."""
        self._refused = error
        if self._turn.exchange.has_part:  # another attempt would be another reply behind the part of this one
            error.handed_over = True
            return GivenBack()
        if self.wants_turns_in_turn:
            return GivenBack()  # it would be refused as often as it is sent
        if not isinstance(error, ServerRefused) or error.need_key:
            return None
        return GivenBack() if not self._turn.exchange.begun or not error.retryable else None

    @property
    def said(self) -> str:
        """What the failure of the newest attempt says."""
        return str(self._refused or "")

    @property
    def wants_turns_in_turn(self) -> bool:
        """Whether the server has refused the request because two turns of one side follow each other in it."""
        return not self._turn.exchange.has_part and turns_must_alternate(self.said)

    def refusal(self) -> Answer:
        """What the harness is told."""
        error = self._refused
        if isinstance(error, ServerRefused):
            return error.answer
        dialect = self._turn.exchange.dialect
        return Answer(error.status or 502 if error else 502, dialect.error(502, str(error)))

"""The turns of a session whose agent is a harness: it asks and acts, and at each boundary a person has their say.

It stands where the loop of our own agent stands (sessions/agent/loop.py), under the same runner: what comes next is
read from the log. It waits for the harness's requests, each of which brings what the last reply caused.
"""

from __future__ import annotations

import asyncio
import hashlib
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
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
from sessions.agent.resume_point import CallState, ResumePoint
from sessions.agent.session import NeedsPerson, Session
from sessions.events.messages import CallPart, TextPart
from sessions.events.text import Blob
from sessions.fold.call_ids import CallIds
from sessions.gateway.conversation import (
    Insertion,
    NewestCall,
    NewTurns,
    Sent,
    extend_sent,
    find_new_turns,
    make_frame,
    make_refs,
    place_words,
    text_of,
    with_sources,
)
from sessions.gateway.exchange import Answer
from sessions.gateway.line import HarnessLine, Turn
from sessions.gateway.units import WireRequest
from sessions.gateway.upstream import Received, ServerRefused, WireCall, ask
from sessions.importers.reply_parts import arguments_of
from sessions.jobs.manager import JobError
from sessions.log.rebuild import request_chain
from sessions.providers.base import CallContext, ProviderError
from sessions.tools.command_env import command_env

ORIGIN: Final = "harness"
"""What its job is for: no call started it."""
NO_RESULT: Final = "The harness brought no result of this call."


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request, ready to be committed and sent."""

    request: ev.ModelRequested
    body: bytes
    blobs: list[Blob]
    refs: list[ev.MessageRef]
    units: int


class HarnessLoop:
    """The work of an active session. ``point``: makes its endpoint ready; answers the variables that name it."""

    def __init__(
        self,
        session: Session,
        line: HarnessLine,
        yields: Callable[[], bool],
        point: Callable[[], Awaitable[Mapping[str, str]]],
    ) -> None:
        self._session = session
        self._line = line
        self._yields = yields
        self._point = point
        self._variables: Mapping[str, str] | None = None
        self._boundary = Boundary(session, nudges=False)
        self._sent: Sent | None = None
        self._taken: Turn | None = None
        self._sources: dict[int, tuple[int, ...]] = {}
        """The events that the new units of the turn under way came from, by their place."""
        self._ids: CallIds | None = None

    def rest(self) -> None:
        """Hold nothing in memory that the log has."""
        self._sent, self._taken, self._ids = None, None, None

    async def turn(self) -> None:
        """Do what comes next. Raises NeedsPerson."""
        session = self._session
        await self._start_harness()
        point = session.resume_point()
        turn = self._line.turn
        if turn is None:
            await self._wait(point)
            return
        if self._taken is not turn:
            turn.is_resample = turn.place.step == "again" and self._line.has_answered(turn)
            await self._take_in(turn, point)
            self._taken = turn
            point = session.resume_point()
        if turn.place.step == "compaction" and not session.summary.pending and not session.cut_reason():
            await self._request(turn, point)  # no boundary: what is to be said waits for the next step
            return
        match await self._boundary.decide(point):
            case "request":
                await self._request(turn, point)
            case "stop":
                await session.end("stopped", session.last_actor("stop"))
            case "shorten":
                raise NeedsPerson("other", "a harness keeps its history itself: nothing can be summarised for it")
            case "finish" | "look_again":
                return

    # --- the harness itself ---

    async def _start_harness(self) -> None:
        """Start the harness, once."""
        session = self._session
        harness = session.created.harness
        assert harness is not None, "a session without a harness has another loop"
        jobs = session.services.jobs_for(session.id)
        if self._variables is None:
            self._variables = await self._point()
        if not harness.command or session.summary.jobs:
            return
        env = {**command_env(session.services.env_for(session.id), session.workspace), **self._variables}
        try:
            number = jobs.next_number()
            job = await jobs.start(number, shlex.join(harness.command), session.workspace, env, origin=ORIGIN)
        except JobError as error:
            raise NeedsPerson("other", f"{harness.name} could not be started: {error}; then resume") from error
        await session.commit(job.start_event())
        jobs.release(job)

    async def _wait(self, point: ResumePoint) -> None:
        """Wait until the harness asks for something, or ends, or a person wants something."""
        session = self._session
        woken = session.wakeup.listen()
        if self._line.turn is not None:
            return
        summary = session.summary
        if summary.pending == "stop":
            await session.end("stopped", session.last_actor("stop"))
        elif self._yields() and summary.pending != "pause":
            await session.commit(ev.StateChanged(state="paused", reason="at the next boundary"))
        elif session.created.harness is not None and session.created.harness.command and not summary.open_jobs:
            await self._end(point)
        else:
            await woken.wait()

    async def _end(self, point: ResumePoint) -> None:
        """The harness has ended: finished where it says so itself and had every reply that it asked for, else early.

        Calls of its last reply may be open: the one that ended it brings no result.
        """
        session = self._session
        ended = session.services.reader.events(session.id, kinds={"job.ended"}, newest_first=True, limit=1)
        code = ended[0].body.exit_code if ended and isinstance(ended[0].body, ev.JobEnded) else None
        whole = point.reply is not None and point.open_request is None
        if whole and code == 0:
            await session.end("finished", "agent", whatever_waits=True)
            return
        left = "and it had its last reply" if whole else "without a last reply"
        how = f"exit code {code}" if code is not None else "it is gone"
        await session.end("stopped", "agent", f"ended early: {how}, {left}")

    # --- what a request brings ---

    async def _take_in(self, turn: Turn, point: ResumePoint) -> None:
        """Commit the results and turns that are new in a request; what an earlier host committed of them stays."""
        session, units = self._session, turn.exchange.request.units
        parent = self._parent(turn)
        known = parent.units if parent is not None else 0
        if turn.place.step == "segment" or (parent is None and point.reply is not None):
            await self._note_segment(turn, point)
        calls = {
            call.part.server_id or call.part.id: NewestCall(
                point.reply_step,
                call.number,
                call.ended.seq if call.ended is not None else 0,
                call.started.at if call.started is not None else None,
            )
            for call in point.calls
        }
        new = find_new_turns(
            units, known, session.created.task, calls, begins=point.reply is None and known == 0, at=turn.at
        )
        self._sources = await self._commit_new(new, point)
        if not turn.is_resample:  # else its calls are those of a reply that is none any more
            await self._commit_lost_results(point)
        reply = point.reply
        echo = next((place for place in range(known, len(units)) if units[place].role == "assistant"), None)
        if echo is not None and reply is not None and echo not in self._sources:
            self._sources[echo] = (reply.seq,)
        if known == 0:
            prompt = next((p for p in range(len(units)) if p not in self._sources and units[p].role == "user"), None)
            if prompt is not None:
                self._sources[prompt] = (1,)

    async def _commit_new(self, new: NewTurns, point: ResumePoint) -> dict[int, tuple[int, ...]]:
        session = self._session
        told = [event for event in point.tail if isinstance(event.body, ev.HarnessTurn)]
        sources: dict[int, tuple[int, ...]] = {place: (seq,) for place, seq in new.known.items()}
        for place, (body, step, call) in zip(new.places, new.bodies, strict=True):
            known = next((e for e in told if e.body == body), None) if isinstance(body, ev.HarnessTurn) else None
            if known is not None:
                told.remove(known)
                sources[place] = (known.seq,)
                continue
            actor = "agent" if isinstance(body, ev.ActionResult) else "host"
            event = (await session.commit(body, step=step, call=call, actor=actor, blobs=new.blobs))[0]
            sources[place] = (event.seq,)
        return sources

    async def _commit_lost_results(self, point: ResumePoint) -> None:
        """The request says nothing of a call of the last reply: nobody knows whether it ran."""
        for call in self._session.resume_point().open_calls:
            await self._commit_lost(point.reply_step, call)

    async def _commit_lost(self, step: int, call: CallState) -> None:
        lost = ev.ActionResult(
            call_id=call.part.id, outcome="unknown", output=ev.LongText(NO_RESULT, chars=len(NO_RESULT))
        )
        await self._session.commit(lost, step=step, call=call.number, actor="agent")

    async def _note_segment(self, turn: Turn, point: ResumePoint) -> None:
        """The harness has replaced its conversation by a shorter one, or by another one."""
        session, units = self._session, turn.exchange.request.units
        written = session.services.reader.events(session.id, kinds={"summary.written"}, newest_first=True, limit=1)
        newest = written[0].body if written else None
        if isinstance(newest, ev.SummaryWritten) and newest.to_step >= point.step:
            return
        covered = newest.to_step if isinstance(newest, ev.SummaryWritten) else 0
        words = "\n\n".join(text_of(unit.value) for unit in units if unit.kind == "text" and unit.role == "user")
        text, blobs = session.text(words)
        summary = ev.SummaryWritten(
            number=session.summary.summaries + 1, from_step=covered + 1, to_step=point.step, text=text
        )
        await session.commit(summary, actor="agent", blobs=blobs)

    async def _commit_summary(self, request: int, replied: ev.ModelReplied, point: ResumePoint) -> None:
        """The reply to a compaction is the summary that the harness goes on from."""
        session = self._session
        written = session.services.reader.events(session.id, kinds={"summary.written"}, newest_first=True, limit=1)
        newest = written[0].body if written else None
        covered = newest.to_step if isinstance(newest, ev.SummaryWritten) else 0
        text, blobs = session.text("\n\n".join(part.text for part in replied.parts if isinstance(part, TextPart)))
        summary = ev.SummaryWritten(
            number=session.summary.summaries + 1,
            from_step=covered + 1,
            to_step=point.step,
            text=text,
            request=request,
        )
        await session.commit(summary, actor="agent", blobs=blobs)

    # --- the request ---

    async def _request(self, turn: Turn, point: ResumePoint) -> None:
        session = self._session
        again = turn.is_resample
        step: int | None = point.step if again and point.step else point.step + 1
        if turn.place.step == "compaction":
            step = None
        prepared = await self._prepare(turn, point)
        event, failed = point.open_request, point.attempts
        body = event.body if event is not None else None
        if event is None or not isinstance(body, ev.ModelRequested) or body.sha256 != prepared.request.sha256:
            event = (await session.commit(prepared.request, step=step, blobs=prepared.blobs))[0]
            failed = 0
        self._line.note_request(turn, event.seq)
        self._sent = Sent(event.seq, prepared.refs, prepared.units)
        asked = _Asked(turn, prepared.body)
        try:
            received = await receive_reply(
                session, event.seq, asked, step=step, failed=failed, yields=self._yields, stream=asked.stream,
                gives_back=asked.gives_back,
            )  # fmt: skip
        except ReplyCut as cut:
            interrupted = ev.ReplyInterrupted(request=event.seq, parts=cut.partial, why=cut.why or "host")
            await session.commit(interrupted, step=step)
            return
        except RestRequest:
            return
        except (ContextTooLong, RequestRefused, GivenBack):
            # The harness hears of it as the server said it, and does what it does then.
            self._line.refuse_turn(turn, asked.refusal())
            self._taken = None
            return
        replied = await add_estimate(
            session, received.event(event.seq, session.model), prepared.request.estimate_tokens
        )
        unique = self._call_ids().make_unique(replied.parts)
        raw = Blob.of(asked.answer.body)
        replied = msgspec.structs.replace(replied, parts=unique, wire=ev.WireAnswer(raw.hash, asked.answer.media))
        before = point.reply if again else None
        reply = (await session.commit(replied, step=step, actor="agent", blobs=[raw]))[0]
        if step is None:
            await self._commit_summary(event.seq, replied, point)
            self._line.answer(turn, asked.answer)
            self._taken = None
            return
        if before is not None and before.step == step:
            await session.commit(ev.ReplySuperseded(old=before.seq, new=reply.seq, why="replaced"), step=step)
        for number, part in enumerate((part for part in unique if isinstance(part, CallPart)), 1):
            arguments = arguments_of(part.arguments)
            if arguments is not None:
                started = ev.ActionStarted(call_id=part.id, name=part.name, arguments=arguments)
                await session.commit(started, step=step, call=number, actor="agent")
        self._line.answer(
            turn, asked.answer, [part.server_id or part.id for part in unique if isinstance(part, CallPart)]
        )
        self._taken = None

    async def _prepare(self, turn: Turn, point: ResumePoint) -> Prepared:
        exchange, parent = turn.exchange, self._parent(turn)
        words = self._words(turn, parent, point)
        request, seqs = place_words(exchange.dialect, exchange.request, words)
        sources = self._sources_of(request, seqs)
        refs = with_sources(make_refs(request.units, sources), parent)
        frame, blobs, named = make_frame(exchange.dialect, request, turn.chain, turn.place.thread)
        have = {ref.hash for ref in parent.refs} if parent is not None else set()
        new = [unit for unit, ref in zip(request.units, refs, strict=True) if ref.hash not in have]
        blobs += [Blob.of(unit.text.encode()) for unit in new]
        body = request.body()
        tokens = await self._count(parent, [unit.text for unit in new], request)
        made = ev.ModelRequested(
            purpose="summary" if turn.place.step == "compaction" else "step",
            adapter="gateway",
            adapter_version=1,
            sha256=hashlib.sha256(body).hexdigest(),
            wire=frame,
            estimate_tokens=tokens,
            estimate_method="units",
            **named,
            **extend_sent(parent, refs),
        )
        return Prepared(made, body, blobs, refs, len(exchange.request.units))

    async def _count(self, parent: Sent | None, texts: Sequence[str], request: WireRequest) -> int:
        """Our own count of the prompt: that of the one before, and what is new."""
        session = self._session
        before = session.summary.context_tokens if parent is not None else 0
        if parent is None:
            texts = [*texts, *request.before, *request.after]
        counter = await asyncio.to_thread(session.services.counter_for, session.model.name)
        return before + await asyncio.to_thread(lambda: sum(map(counter.count, texts)))

    def _words(self, turn: Turn, parent: Sent | None, point: ResumePoint) -> list[Insertion]:
        """Advice in this conversation: what the request before had, and what was delivered since, at the end."""
        reader, session = self._session.services.reader, self._session.id
        delivered = {
            event.seq: event.body
            for event in reader.events(session, kinds={"advice.delivered"})
            if isinstance(event.body, ev.AdviceDelivered) and event.body.channel == "user"
        }
        found: list[Insertion] = []
        own = 0
        for ref in parent.refs if parent is not None else ():
            if ref.sources and ref.sources[0] in delivered:
                found.append(Insertion(own, ref.sources[0], delivered[ref.sources[0]].text))
            else:
                own += 1
        placed = {word.seq for word in found}
        since = max([event.seq for event in point.tail[:1]], default=0)
        for seq, body in delivered.items():
            if seq not in placed and seq > since:
                found.append(Insertion(len(turn.exchange.request.units), seq, body.text))
        return found

    def _sources_of(self, request: WireRequest, seqs: Sequence[int]) -> list[tuple[int, ...]]:
        own = -1
        sources: list[tuple[int, ...]] = []
        for seq in seqs:
            if seq:
                sources.append((seq,))
                continue
            own += 1
            sources.append(self._sources.get(own, ()))
        return sources

    def _parent(self, turn: Turn) -> Sent | None:
        """The request that this one goes on from, as it was sent."""
        seq = self._line.request_of(turn.place)
        if seq is None or turn.place.step == "segment":
            return None
        if self._sent is not None and self._sent.seq == seq:
            return self._sent
        reader, session = self._session.services.reader, self._session.id
        refs = request_chain(reader, session, seq)
        said = {event.seq for event in reader.events(session, kinds={"advice.delivered"})}
        units = sum(not (ref.sources and ref.sources[0] in said) for ref in refs)
        return Sent(seq, refs, units)

    def _call_ids(self) -> CallIds:
        if self._ids is None:
            self._ids = CallIds()
            for event in self._session.services.reader.events(self._session.id, kinds={"model.reply"}):
                if isinstance(event.body, ev.ModelReplied):
                    self._ids.make_unique(event.body.parts)
        return self._ids


class GivenBack(Exception):
    """The server's error is the harness's affair: its status line is still open, so that it hears it as it was said."""


class _Asked:
    """One request on its way upstream, and what came back."""

    def __init__(self, turn: Turn, body: bytes) -> None:
        self._turn = turn
        self._body = body
        self.answer = Answer(502, b"")
        self._refused: ProviderError | None = None

    async def stream(self, spec: ev.ModelSpec, body: Any, call: CallContext) -> Any:
        """As an adapter streams a reply."""
        exchange = self._turn.exchange
        wire = WireCall(exchange.dialect, exchange.path, exchange.query, exchange.onward_headers(), self._body)
        async for item in ask(spec, wire, call):
            if isinstance(item, Received):
                self.answer = item.answer
                yield item.reply
            else:
                yield item

    def gives_back(self, error: ProviderError) -> GivenBack | None:
        """What a failed attempt comes to where the harness can still hear of it as the server said it."""
        self._refused = error
        if not isinstance(error, ServerRefused) or error.need_key:
            return None
        return GivenBack() if not self._turn.exchange.begun or not error.retryable else None

    def refusal(self) -> Answer:
        """What the harness is told."""
        error = self._refused
        if isinstance(error, ServerRefused):
            return error.answer
        dialect = self._turn.exchange.dialect
        return Answer(error.status or 502 if error else 502, dialect.error(502, str(error)))

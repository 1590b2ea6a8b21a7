"""What a request of the main line tells: results, turns of the harness, the reply it goes on with, a new beginning."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

from sessions import events as ev
from sessions.agent.resume_point import CallState, ResumePoint
from sessions.agent.session import Session
from sessions.events.messages import CallPart, TextPart
from sessions.events.text import Blob
from sessions.gateway.advice_again import find_undelivered
from sessions.gateway.conversation import NewestCall, NewTurns, Sent, calls_of, find_new_turns
from sessions.gateway.line import Turn
from sessions.gateway.units import Unit, text_of
from sessions.importers.reply_parts import arguments_of

NO_RESULT: Final = "The harness brought no result of this call."
ENDED_WITH_IT: Final = "The harness ended with this call."
FROM_SUMMARY: Final = "the harness's next conversation begins with its reply"
LINE: Final = 20
"""A shorter line says nothing of where it comes from."""


class Observations:
    """Commits what the requests of one session tell. What an earlier host committed of it stays as it is."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def take_in(
        self, turn: Turn, point: ResumePoint, parent: Sent | None, before: Sent | None, told: Sequence[Unit]
    ) -> dict[int, tuple[int, ...]]:
        """Commit what is new in a request; the events that its units came from, by their place.

        ``parent``: the request that it goes on from; ``before``: the newest one, of which a conversation that begins
        anew may have kept something. ``told``: its units as they are sent.
        """
        units = turn.exchange.request.units
        known = self._find_kept(told, before) if parent is None else {place: () for place in range(parent.units)}
        apart = turn.place.step == "compaction" and parent is None
        """It asks for a summary of a part, with a prompt of its own: what it leaves out comes later."""
        if turn.place.step == "segment":
            point = await self._begin_segment(turn, known, point)
        elif turn.place.step == "next" and turn.place.parent is None and point.reply is not None:
            # What looked like the beginning was a title, or a probe: this is it.
            await self._session.commit(ev.ReplySuperseded(old=point.reply.seq), step=point.reply_step)
            point = self._session.resume_point()
        calls = {
            call.part.server_id or call.part.id: NewestCall(
                point.reply_step,
                call.number,
                call.ended.seq if call.ended is not None else 0,
                call.started.at if call.started is not None else None,
            )
            for call in point.calls
        }
        begins = point.reply is None and not known
        new = find_new_turns(
            units, known, self._session.created.task, calls, begins=begins, at=turn.at, prompts=_prompts_in(point)
        )
        sources = known | await self._commit_new(new, point)
        if not turn.is_resample and not apart:  # else its calls are those of a reply that is none any more
            for call in self._session.resume_point().open_calls:
                await self._commit_lost(point.reply_step, call)
        reply = point.reply
        if reply is not None and isinstance(reply.body, ev.ModelReplied) and not (parent and parent.stored):
            echo = find_echo(units, reply.body, known, anywhere=parent is None)
            if echo is not None and echo not in sources:
                sources[echo] = (reply.seq,)
        if parent is None and not apart:
            prompt = next((p for p in range(len(units)) if p not in sources and units[p].role == "user"), None)
            if prompt is not None:
                sources[prompt] = (1,)
        return sources

    async def begin_calls(self, reply: ev.Event) -> None:
        """The calls of a reply that is handed over begin: what they do is the harness's affair."""
        assert isinstance(reply.body, ev.ModelReplied)
        for number, part in enumerate(calls_of(reply.body), 1):
            arguments = arguments_of(part.arguments)
            if arguments is not None:
                started = ev.ActionStarted(call_id=part.id, name=part.name, arguments=arguments)
                await self._session.commit(started, step=reply.step, call=number, actor="agent")

    async def release_carried(self, turn: Turn, point: ResumePoint) -> bool:
        """Of several samples of a step the one that the harness goes on with is its reply. True if that changed."""
        session, released = self._session, point.reply
        if released is None or turn.is_resample or not isinstance(released.body, ev.ModelReplied):
            return False
        step = point.reply_step
        samples = session.services.reader.events(session.id, kinds={"model.reply"}, steps=(step, step))
        if len(samples) < 2 or carries(turn, released):
            return False
        for sample in reversed(samples):
            if carries(turn, sample):
                await session.commit(ev.ReplySuperseded(old=released.seq, new=sample.seq, why="replaced"), step=step)
                await self.begin_calls(sample)
                return True
        return False

    async def write_summary(self, request: int, replied: ev.ModelReplied, point: ResumePoint) -> None:
        """The reply to a compaction is the summary that the harness goes on from."""
        summary, blobs = self._make_summary(_words_of(replied), point.step, request)
        await self._session.commit(summary, actor="agent", blobs=blobs)

    async def _begin_segment(self, turn: Turn, known: Container[int], point: ResumePoint) -> ResumePoint:
        """The harness has replaced its conversation by a shorter one, or by another one."""
        units = turn.exchange.request.units
        told = [text_of(u.value) for place, u in enumerate(units) if place not in known and u.role == "user"]
        if point.reply is not None and begins_with(told, point.reply):
            return await self._take_for_summary(point.reply, point, units)
        if self._covered() < point.reply_step:
            words = (text_of(unit.value) for unit in units if unit.kind == "text" and unit.role == "user")
            summary, blobs = self._make_summary("\n\n".join(words), point.step, None)
            await self._session.commit(summary, actor="agent", blobs=blobs)
        return point

    async def _take_for_summary(self, reply: ev.Event, point: ResumePoint, units: Sequence[Unit]) -> ResumePoint:
        """Only now it shows that the last reply was the summary which the harness goes on from: it was no step.

        All of it is one write set: a kill in between would leave a summary that nothing says is one.
        """
        session, step, body = self._session, point.reply_step, reply.body
        assert isinstance(body, ev.ModelReplied), "it is a reply"
        summary, blobs = self._make_summary(_words_of(body), step - 1, body.request)
        assigned = ev.ThreadAssigned(line="summary", requests=(body.request,), why=FROM_SUMMARY)
        events = [
            *(ev.NewEvent(session.id, again) for again in find_undelivered(session, step, units)),
            ev.NewEvent(session.id, assigned, step=step),
            ev.NewEvent(session.id, ev.ReplySuperseded(old=reply.seq, why="summary"), step=step),
            ev.NewEvent(session.id, summary, actor="agent"),
        ]
        await session.commit_events(events, blobs)
        return session.resume_point()

    def _make_summary(self, words: str, to_step: int, request: int | None) -> tuple[ev.SummaryWritten, list[Blob]]:
        text, blobs = self._session.text(words)
        number, first = self._session.summary.summaries + 1, self._covered() + 1
        return ev.SummaryWritten(number=number, from_step=first, to_step=to_step, text=text, request=request), blobs

    def _covered(self) -> int:
        """The last step that a summary stands for."""
        reader, session = self._session.services.reader, self._session.id
        written = reader.events(session, kinds={"summary.written"}, newest_first=True, limit=1)
        newest = written[0].body if written else None
        return newest.to_step if isinstance(newest, ev.SummaryWritten) else 0

    def _find_kept(self, units: Sequence[Unit], before: Sent | None) -> dict[int, tuple[int, ...]]:
        """The units that stood in the conversation before word for word, and the events that they came from."""
        had = {ref.own or ref.hash: self._own_sources(ref) for ref in before.refs} if before is not None else {}
        hashes = ((place, Blob.of(unit.text.encode()).hash) for place, unit in enumerate(units))
        return {place: had[name] for place, name in hashes if name in had}

    def _own_sources(self, ref: ev.MessageRef) -> tuple[int, ...]:
        """The events that a message came from, but for words of a person that were joined to it."""
        if not ref.own:
            return ref.sources
        reader, session = self._session.services.reader, self._session.id
        events = ((seq, reader.event(session, seq)) for seq in ref.sources)
        return tuple(seq for seq, event in events if event is None or not isinstance(event.body, ev.AdviceDelivered))

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

    async def end_calls(self, point: ResumePoint, *, well: bool) -> None:
        """The harness has ended: with the first call that is open, ``well`` where it says so itself. Of others that it
        was handed nobody hears any more."""
        for number, call in enumerate(call for call in point.open_calls if call.started is not None):
            last = well and number == 0
            words = ENDED_WITH_IT if number == 0 else NO_RESULT
            await self._commit_end(point.reply_step, call, "ok" if last else "unknown", words)

    async def _commit_lost(self, step: int, call: CallState) -> None:
        """The request says nothing of a call of the last reply: nobody knows whether it ran."""
        await self._commit_end(step, call, "unknown", NO_RESULT)

    async def _commit_end(self, step: int, call: CallState, outcome: ev.Outcome, words: str) -> None:
        end = ev.ActionResult(call_id=call.part.id, outcome=outcome, output=ev.LongText(words, chars=len(words)))
        await self._session.commit(end, step=step, call=call.number, actor="agent")


def begins_with(told: Sequence[str], reply: ev.Event) -> bool:
    """Whether a new conversation begins with a reply of the one before: most lines of it are in what it is ``told``.

    Harnesses write words around a summary, and leave some of it out.
    """
    if not isinstance(reply.body, ev.ModelReplied) or calls_of(reply.body):
        return False
    lines = {line.strip() for line in _words_of(reply.body).splitlines() if len(line.strip()) >= LINE}
    here = "\n".join(told)
    found = sum(len(line) for line in lines if line in here)
    return 2 * found > sum(map(len, lines))


def _words_of(reply: ev.ModelReplied) -> str:
    return "\n\n".join(part.text for part in reply.parts if isinstance(part, TextPart))


def _prompts_in(point: ResumePoint) -> dict[int, str]:
    """What persons said that the harness was told as its prompt since its last reply, by seq."""
    bodies = ((event.seq, event.body) for event in point.tail)
    return {seq: body.text for seq, body in bodies if isinstance(body, ev.AdviceDelivered) and body.as_prompt}


def carries(turn: Turn, reply: ev.Event) -> bool:
    """Whether a request goes on from this very reply: it names it, or has it in its conversation."""
    assert isinstance(reply.body, ev.ModelReplied), "it is a reply"
    if turn.history.identity:
        return turn.history.reply is not None and turn.history.reply.reply == reply.seq
    return find_echo(turn.exchange.request.units, reply.body, (), anywhere=True) is not None


def find_echo(units: Sequence[Unit], reply: ev.ModelReplied, known: Container[int], *, anywhere: bool) -> int | None:
    """The first unit of the turn that is the model's ``reply``, among those that are not ``known``.

    ``anywhere``: only where its calls or its words are found; else it is the first turn of the model's.
    """
    own = [place for place, unit in enumerate(units) if unit.role == "assistant" and place not in known]
    if not anywhere:
        return own[0] if own else None
    ids = {part.server_id or part.id for part in reply.parts if isinstance(part, CallPart)}
    words = "".join(part.text for part in reply.parts if isinstance(part, TextPart)).strip()
    for place in reversed(own):
        unit = units[place]
        if not (ids & set(unit.calls) if ids else words and text_of(unit.value).strip() == words):
            continue
        while place - 1 in own and units[place - 1].kind != "reply":  # its reasoning and words stand before its calls
            place -= 1
        return place
    return None

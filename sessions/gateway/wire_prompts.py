"""Requests of the main line on their way upstream: what the harness wrote, our words in it, how the log keeps it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from sessions import events as ev
from sessions.agent.resume_point import ResumePoint
from sessions.agent.session import Session
from sessions.events.text import Blob
from sessions.gateway.advice_again import read_turns
from sessions.gateway.conversation import (
    Insertion,
    Sent,
    extend_sent,
    find_anchors,
    is_ours,
    make_frame,
    make_refs,
    place_words,
    tag_note,
    with_sources,
)
from sessions.gateway.dialects import Dialect
from sessions.gateway.joined_words import find_turn
from sessions.gateway.line import HarnessLine, Turn
from sessions.gateway.stored_history import StoredReply, make_reply_refs
from sessions.gateway.units import Unit, WireRequest, is_block
from sessions.log.rebuild import count_stored, request_at, request_chain

Sources = Mapping[int, tuple[int, ...]]
"""The events that the units of a request came from, by their place."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request, ready to be committed and sent."""

    request: ev.ModelRequested
    body: bytes
    blobs: list[Blob]
    sent: Sent
    """As it is remembered once it is in the log; its ``seq`` is not known yet."""


class WirePrompts:
    """Makes the requests of one session, each from the one that it goes on from."""

    def __init__(self, session: Session, line: HarnessLine) -> None:
        self._session = session
        self._line = line
        self._newest: Sent | None = None
        self._joins: bool | None = None

    def forget(self) -> None:
        """Hold nothing in memory that the log has."""
        self._newest = None

    def remember(self, seq: int, prepared: Prepared) -> None:
        """The request is in the log, at ``seq``."""
        self._newest = replace(prepared.sent, seq=seq)

    def parent(self, turn: Turn) -> Sent | None:
        """The request that this one goes on from, as it was sent; None for the first of a conversation. Where the
        server has the conversation, that with its reply, none of which is sent again."""
        if (named := self._named(turn)) is not None:
            asked = self._read(named.request)
            refs = [*asked.refs, *(ref for ref, _ in make_reply_refs(self._event(named.reply)))]
            return Sent(asked.seq, refs, 0, len(refs))
        seq = self._line.request_of(turn.place)
        return None if seq is None or turn.place.step == "segment" else self._read(seq)

    def _logged(self, turn: Turn, parent: Sent | None) -> Sent | None:
        """What a request is the extension of in the log."""
        if parent is None or self._named(turn) is None:
            return parent
        return None if turn.place.step == "segment" else self._read(parent.seq)

    def _named(self, turn: Turn) -> StoredReply | None:
        """The reply that a request goes on from and does not bring; None where it is one that the log has, again."""
        again = turn.place.step == "again" and self._line.request_of(turn.place) is not None
        return None if again else turn.history.reply

    def before(self, turn: Turn) -> Sent | None:
        """What came before a conversation that begins anew: the newest request of a step, and the one that it goes back
        to; None before the first."""
        newest, seq = self._find_newest(), self._line.request_of(turn.place)
        if newest is None or seq is None or seq == newest.seq:
            return newest
        gone_back_to = self._read(seq)
        return Sent(newest.seq, [*gone_back_to.refs, *newest.refs], gone_back_to.units + newest.units)

    def _find_newest(self) -> Sent | None:
        if self._newest is not None:
            return self._newest
        reader, session = self._session.services.reader, self._session.id
        found = reader.events(session, kinds={"model.request"}, newest_first=True)
        steps = (e.seq for e in found if isinstance(e.body, ev.ModelRequested) and e.body.purpose == "step")
        seq = next(steps, None)
        return self._read(seq) if seq is not None else None

    async def prepare(self, turn: Turn, point: ResumePoint, sources: Sources) -> Prepared:
        """The request of a turn, with the advice that belongs into it."""
        exchange, parent = turn.exchange, self.parent(turn)
        stored = parent.refs[: parent.stored] if parent is not None else []
        words = self.find_words(turn, parent, point)
        told = self.explain_tag(turn)
        request, seqs = place_words(exchange.dialect, told, words)
        own = with_sources(
            make_refs(request.units, _spread(sources, request.units, seqs)), parent.sent if parent is not None else []
        )
        refs = [*stored, *own]
        frame, blobs, named = make_frame(exchange.dialect, request, turn.chain, turn.place.thread)
        frame = msgspec.structs.replace(frame, stored=len(stored), unread=turn.history.is_unread)
        have = {ref.hash for ref in parent.refs} if parent is not None else set()
        new = [unit for unit, ref in zip(request.units, own, strict=True) if ref.hash not in have]
        if (before := self._named(turn)) is not None:
            blobs += [blob for _, blob in make_reply_refs(self._event(before.reply))]
        blobs += [Blob.of(unit.text.encode()) for unit in new]
        body = request.body()
        made = ev.ModelRequested(
            purpose="summary" if turn.place.step == "compaction" else "step",
            adapter="gateway",
            adapter_version=1,
            sha256=hashlib.sha256(body).hexdigest(),
            wire=frame,
            estimate_tokens=await self._count(parent, [unit.text for unit in new], request),
            estimate_method="units",
            **named,
            **extend_sent(self._logged(turn, parent), refs),
        )
        return Prepared(made, body, blobs, Sent(0, refs, len(exchange.request.units), len(stored)))

    def explain_tag(self, turn: Turn) -> WireRequest:
        """The request with a system prompt that says what the session's tag is; one that only asks for a summary, or
        has no system prompt, as it is."""
        if turn.place.step == "compaction":
            return turn.exchange.request
        request, dialect = turn.exchange.request, turn.exchange.dialect
        note = tag_note(self._session.created)
        return (dialect.with_note(request, note) or request) if note else request

    def _read(self, seq: int) -> Sent:
        if self._newest is not None and self._newest.seq == seq:
            return self._newest
        reader, session = self._session.services.reader, self._session.id
        refs, stored = request_chain(reader, session, seq), count_stored(request_at(reader, session, seq))
        said = read_turns(reader, session, ever=True)
        return Sent(seq, refs, sum(not is_ours(ref, said) for ref in refs[stored:]), stored)

    def _event(self, seq: int) -> ev.Event:
        event = self._session.services.reader.event(self._session.id, seq)
        assert event is not None, "it was committed"
        return event

    def find_words(self, turn: Turn, parent: Sent | None, point: ResumePoint) -> list[Insertion]:
        """Advice in this conversation: what the one before had, as far as its place is still there, and what was
        delivered since, at the end."""
        delivered = read_turns(self._session.services.reader, self._session.id)
        units = turn.exchange.request.units
        if parent is not None:
            found = _places_of(parent.sent, delivered)
        else:
            before = self.before(turn) if turn.place.step == "segment" else None
            found = find_anchors(before, units, delivered, self._call_of) if before is not None else []
        placed = {word.seq for word in found} | (parent.stored_sources if parent is not None else set())
        since = max([event.seq for event in point.tail[:1]], default=0)
        new = ((seq, text) for seq, text in delivered.items() if seq not in placed and seq > since)
        return [*found, *(self._place_new(turn.exchange.dialect, units, seq, text) for seq, text in new)]

    def _place_new(self, dialect: Dialect, units: Sequence[Unit], seq: int, text: str) -> Insertion:
        """Words that are new: at the end; where no turn of their own may follow, joined to the user's newest."""
        own = not is_block(dialect.user_unit(text, units[-1] if units else None))
        turn = find_turn(units) if own and self.joins else None
        return Insertion(len(units), seq, text) if turn is None else Insertion(turn + 1, seq, text, joined=True)

    @property
    def joins(self) -> bool:
        """Whether a person's words are joined to a turn that is there already."""
        if self._joins is None:
            session, harness = self._session, self._session.created.harness
            joined = session.services.reader.events(session.id, kinds={"advice.joined"}, limit=1)
            self._joins = bool(joined) or (harness is not None and harness.advice_turn == "joined")
        return self._joins

    async def join_words(self, turn: Turn, point: ResumePoint, said: str) -> bool:
        """The server has refused a request because its turns do not alternate, as it ``said``. True where words of ours
        may be why: from now on such words are joined to a turn that is there already."""
        if self.joins:
            return False
        parent = self.parent(turn)
        apart = self.find_words(turn, parent, point)
        self._joins = True
        if self.find_words(turn, parent, point) == apart:
            self._joins = False
            return False
        await self._session.commit(ev.AdviceJoined(why=said))
        return True

    def _call_of(self, seq: int) -> str:
        """The id of the call whose result the event is, "" if it is none."""
        event = self._session.services.reader.event(self._session.id, seq)
        return event.body.call_id if event is not None and isinstance(event.body, ev.ActionResult) else ""

    async def _count(self, parent: Sent | None, texts: Sequence[str], request: WireRequest) -> int:
        """Our own count of the prompt: that of the one before, and what is new."""
        session = self._session
        before = session.summary.context_tokens if parent is not None else 0
        if parent is None:
            texts = [*texts, *request.before, *request.after]
        counter = await asyncio.to_thread(session.services.counter_for, session.model.name)
        return before + await asyncio.to_thread(lambda: sum(map(counter.count, texts)))


def _places_of(sent: Sequence[ev.MessageRef], delivered: Mapping[int, str]) -> list[Insertion]:
    """Our words in a request, each after so many units of the harness's own."""
    found: list[Insertion] = []
    own = 0
    for ref in sent:
        own += not is_ours(ref, delivered)
        said = (source for source in ref.sources if source in delivered)
        found += (Insertion(own, source, delivered[source], bool(ref.own)) for source in said)
    return found


def _spread(sources: Sources, units: Sequence[Unit], seqs: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The events of each unit that is sent; ``seqs``: those of our words in it."""
    own = -1
    spread: list[tuple[int, ...]] = []
    for unit, said in zip(units, seqs, strict=True):
        ours = bool(said) and not unit.own
        own += not ours
        spread.append(said if ours else (*sources.get(own, ()), *said))
    return spread

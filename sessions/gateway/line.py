"""One session's requests as they come: the main line in order, and beside it what asks for nothing but a reply."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sessions import events as ev
from sessions.agent.session import Session
from sessions.events.messages import CallPart
from sessions.events.states import ENDED
from sessions.gateway.advice_again import read_turns
from sessions.gateway.children import Children, Family
from sessions.gateway.conversation import find_prompts, is_ours, tag_note
from sessions.gateway.dialects import DIALECTS, EMBEDDINGS
from sessions.gateway.dialects.system_text import as_written
from sessions.gateway.exchange import Answer, Exchange
from sessions.gateway.joined_words import without_words
from sessions.gateway.request_hints import (
    frame_of,
    is_marked_compaction,
    is_of_reviewer,
    is_of_sub_agent,
    names_of_tools,
    thread_of,
)
from sessions.gateway.side_calls import SideCalls
from sessions.gateway.stored_history import ALL_SENT, History, StoredReplies, StoredReply
from sessions.gateway.threads import MAIN, Line, Place, Shape, Threads, hash_chain
from sessions.log.errors import LogError
from sessions.log.rebuild import rebuild_request, request_at, request_chain

KEPT_ANSWERS: Final = 8
"""Answers that are kept for clients that lose them."""
SETTLE_S: Final = 1.0
"""So long an equal request waits for the other one's line to be known as gone."""
_HOLDING: Final = frozenset({"session.state", "control.requested", "limit.changed"})
"""Kinds of events of a session that may hold those below it, or let them go."""
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Turn:
    """A request of the main line that waits for its reply. Its client may go, and come back with an equal one."""

    exchange: Exchange
    place: Place
    chain: str
    at: int
    """When it came, in Unix ms."""
    reply: ev.Event | None = None
    answer: Answer | None = None
    """The reply that was asked for, and what is handed over of it, while a person holds it."""
    is_resample: bool = False
    """The harness has had a whole reply to this very conversation, and wants another."""
    history: History = ALL_SENT
    """What the server has of its conversation."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """The newest answer to a chain. ``delivered``: whether its client has had all of it, once that is known; None:
    another host served that client."""

    answer: Answer
    delivered: asyncio.Future[bool] | None
    reply: int = 0
    """The seq of the step's reply that it is, 0: of none."""

    @property
    def is_delivered(self) -> bool:
        """Whether all of it is known to have gone over the line."""
        return self.delivered is not None and self.delivered.done() and self.delivered.result()

    @property
    def is_lost(self) -> bool:
        """Whether the line broke before all of it had gone over."""
        return self.delivered is not None and self.delivered.done() and not self.delivered.result()

    @property
    def is_on_its_way(self) -> bool:
        """Whether its client still listens."""
        return self.delivered is not None and not self.delivered.done()


class HarnessLine:
    """What the endpoint hands to a session, in the order in which the session takes it."""

    def __init__(self, session: Session, family: Family, children: Children) -> None:
        self._session = session
        self._family = family
        self._children = children
        self._side_calls = SideCalls(session, family)
        family.line = self
        self._threads = Threads()
        self._turns: deque[Turn] = deque()
        self._answers: dict[str, _Answered] = {}
        """The newest answer, by chain: a client that lost it asks again."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._chains: list[str] = []
        """The chain of each request, by its number."""
        self._requests: dict[int, int] = {}
        """Seq of the request in the log, by its number among those of the harness."""
        self._stored = StoredReplies(chain_of)
        self._told: set[str] = set()
        """What the host has told the harness, where it talks to it."""
        self._restore()
        session.services.writer.subscribe(self._look)

    # --- what the endpoint calls ---

    def submit(self, exchange: Exchange) -> None:
        """Take a request in; its answer comes in its own time."""
        if self._session.summary.state in ENDED:
            exchange.settle(self._goodbye(exchange))
            return
        exchange = self._without_secrets(exchange)
        if self._session.summary.passes_replies:  # a part of a reply whose client hangs up is all there will be of it
            exchange.delivered.add_done_callback(lambda _: self._session.wakeup.wake())
        units = exchange.request.units
        if exchange.dialect is EMBEDDINGS:  # no conversation, so of none
            chain = chain_of([unit.identity for unit in units])
            self._begin(self._side_calls.answer(exchange, "", chain, lambda _: None))
            return
        task = self._session.created.task
        own = [unit.identity for unit in units]
        history = self._stored.find(exchange, own, self._is_handed)
        shape = Shape(
            units=[*history.lead, *own],
            prompts=find_prompts(units, task, self._told),
            tools=len(names_of_tools(exchange)),
            thread=thread_of(exchange),
            child=self._family.above is None and is_of_sub_agent(exchange),
            frame=frame_of(exchange),
            calls=frozenset(id for unit in units for id in unit.calls),
            compacts=self._asks_for_summary(exchange),
            acts=self._can_act(exchange),
            stored=bool(history.identity),
            follows=history.reply.number if history.reply is not None else None,
        )
        place = self._threads.take(shape)
        # Where only what a harness rewrites is another, it is the same conversation.
        again = place.step == "again" and place.parent is not None
        chain = self._chains[place.parent] if again and place.parent is not None else chain_of(shape.units)
        self._chains.append(chain)
        if self._is_child(exchange, place):
            self._begin(self._hand_down(exchange, place))
            return
        if place.line != "main":
            note = partial(self._note_stored, exchange, place, history, chain)
            self._begin(self._side_calls.answer(exchange, place.thread, chain, note))
            return
        turn = Turn(exchange, place, chain, self._session.now(), history=history)
        if place.step == "again":
            self._begin(self._take_again(turn))
        else:
            self._queue(turn)

    async def forward(self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """What the server says to a request that asks for no reply."""
        if self._session.summary.state in ENDED:
            return Answer(403, b"the session has ended", "text/plain")
        return await self._side_calls.forward(method, path, query, headers, body)

    def refuse(self, what: str) -> None:
        """Say in the host's log what was asked for and refused."""
        _log.warning("%s: refused to its harness: %s", self._session.name, what[:200])

    def _is_child(self, exchange: Exchange, place: Place) -> bool:
        """Whether a request is a sub-agent's: its harness says so, or it goes on where a title or a probe would not."""
        if self._family.above is not None:
            return False  # whose sub-agent it is nothing tells: all are those of the first
        if place.line == "child" or self._children.has(place.thread):
            return True
        goes_on = place.line == "side" and place.step == "next" and place.parent is not None
        # What the server has of its conversation is in this session's log, and would be in none of its own.
        stored = exchange.dialect.history_of(exchange.request.fields) is not None
        return goes_on and not stored and not is_of_reviewer(exchange)

    async def _hand_down(self, exchange: Exchange, place: Place) -> None:
        try:
            await self._children.submit(place.thread, exchange)
        except LogError as error:
            exchange.settle(Answer(503, exchange.dialect.error(503, str(error))))
        except Exception as error:  # noqa: BLE001 - whatever it is, its client is not to wait for ever
            _log.exception("a sub-agent of %s cannot be let in", self._session.name)
            exchange.settle(Answer(502, exchange.dialect.error(502, f"the host cannot let it in: {error}")))
        self._session.wakeup.wake()

    def _can_act(self, exchange: Exchange) -> bool:
        harness = self._session.created.harness
        known = set(harness.tools) if harness is not None and self._family.above is None else set()
        return not known or bool(known & set(names_of_tools(exchange)))

    def _asks_for_summary(self, exchange: Exchange) -> bool:
        """Whether a request says that it is a compaction: Codex in a header, others by the tools that it declares."""
        harness = self._session.created.harness
        names = names_of_tools(exchange)
        by_tools = bool(names) and harness is not None and set(names) <= set(harness.summary_tools)
        return by_tools or is_marked_compaction(exchange)

    # --- what the loop calls ---

    @property
    def turn(self) -> Turn | None:
        """The request of the main line that is next."""
        return self._turns[0] if self._turns else None

    def has(self, turn: Turn) -> bool:
        """Whether a request is still this session's to ask: a person may have said that it is a sub-agent's."""
        return turn in self._turns

    @property
    def is_waiting(self) -> bool:
        """Whether a request waits for its boundary, or is under way."""
        return bool(self._turns)

    def request_of(self, place: Place) -> int | None:
        """The seq of the request that one at this place goes on from, None if there is none."""
        return self._requests.get(place.parent) if place.parent is not None else None

    def has_answered(self, turn: Turn) -> bool:
        """Whether the newest step is the answer to this very conversation."""
        root = self._root(turn.place)
        return turn.chain in self._answers and root == self._threads.head

    def note_prompt(self, text: str) -> None:
        """The harness is told this: by these words its conversation is known."""
        self._told.add(text)

    def note_request(self, turn: Turn, seq: int) -> None:
        """The request is in the log, at ``seq``. What goes on from an equal one goes on from the newest."""
        self._requests[turn.place.number] = self._requests[self._root(turn.place)] = seq

    @staticmethod
    def _root(place: Place) -> int:
        """The first request with this conversation."""
        return place.parent if place.step == "again" and place.parent is not None else place.number

    def answer(self, turn: Turn, answer: Answer, calls: Collection[str] = ()) -> None:
        """Hand the reply over, with the ids of its calls; it is kept for a client that loses it."""
        self._threads.note_reply(turn.place.number, calls)
        if turn.reply is not None:
            self._note_stored(turn.exchange, turn.place, turn.history, turn.chain, turn.reply)
        self._answers.pop(turn.chain, None)  # so that the newest is the last
        reply = turn.reply.seq if turn.reply is not None else 0
        self._answers[turn.chain] = _Answered(answer, turn.exchange.delivered, reply)
        while len(self._answers) > KEPT_ANSWERS:
            del self._answers[next(iter(self._answers))]
        self.refuse_turn(turn, answer)

    def _note_stored(self, exchange: Exchange, place: Place, history: History, chain: str, reply: ev.Event) -> None:
        """A later request may name this reply instead of bringing the conversation again."""
        assert isinstance(reply.body, ev.ModelReplied), "it is a reply"
        stored = StoredReply(self._root(place), reply.body.request, reply.seq)
        self._stored.note(
            exchange.dialect, exchange.request.fields, history, chain, reply.body.response_id, stored
        )  # fmt: skip

    def _is_handed(self, chain: str) -> bool:
        """Whether the newest reply to a chain is known to have reached its client."""
        known = self._answers.get(chain)
        return known is None or known.is_delivered

    def hand_again(self, turn: Turn) -> bool:
        """Answer an equal request with the reply that its client, or an earlier host, did not get to hand over."""
        if not self._attach(turn.exchange, turn.chain):
            return False
        self._turns.remove(turn)
        return True

    def refuse_turn(self, turn: Turn, answer: Answer) -> None:
        """Answer with what is no reply: an equal request after it is the same one, not another sample."""
        if turn in self._turns:
            self._turns.remove(turn)
        turn.exchange.settle(answer)

    def refuse_history(self, turn: Turn, answer: Answer) -> None:
        """Answer with the server's error; where it would not go on from what the request named, the harness goes on
        from what came before."""
        if turn.history.identity:
            self._threads.take_back(turn.place.number)
        self.refuse_turn(turn, answer)

    def drop_turn(self, turn: Turn) -> None:
        """Nobody is there any more whom a reply could reach."""
        said = "the client was gone when its request was to be sent"
        self._take_back(turn)
        self.refuse_turn(turn, Answer(408, turn.exchange.dialect.error(408, said)))

    def take_lost_reply(self) -> int:
        """The seq of the newest reply, where it is known not to have reached its client; nobody is given it any more.
        0: there is none."""
        chain, newest = next(reversed(self._answers.items()), ("", None))
        if newest is None or not newest.is_lost or not newest.reply:
            return 0
        del self._answers[chain]
        return newest.reply

    def _look(self, events: list[ev.Event]) -> None:
        """Once the session has ended, nobody waits for a reply any more. A child goes by what becomes of its parent."""
        for event in events:
            if event.session == self._session.id and isinstance(event.body, ev.ThreadAssigned):
                self._assign(event.body)
        above = self._family.sessions_above
        if above and any(event.session in above and event.kind in _HOLDING for event in events):
            self._session.wakeup.wake()
        states = [e.body.state for e in events if e.session == self._session.id and isinstance(e.body, ev.StateChanged)]
        if "running" in states:
            self._children.resume_held()
        if ENDED.isdisjoint(states):
            return
        self._begin(self._children.end_resting())
        for turn in self._turns:
            self._take_back(turn)
            turn.exchange.settle(self._goodbye(turn.exchange))
        self._turns.clear()

    def _assign(self, said: ev.ThreadAssigned) -> None:
        """A person, or what came later, says that a conversation is another than it was taken for."""
        if said.line == "summary":
            return  # what goes on from it was found already
        if said.line == "main":
            self._threads.adopt(said.thread)
            self._children.leave(said.thread)
            return
        numbers = {number for number, seq in self._requests.items() if seq in said.requests}
        self._threads.part(numbers, f"request {min(said.requests)}", self._requests)
        for turn in [turn for turn in self._turns if self._threads.place_of(turn.place.number).line != MAIN]:
            # It has not been sent: whose it is now asks for it.
            if turn.place.number not in self._requests:
                self._turns.remove(turn)
                self._begin(self._hand_down(turn.exchange, self._threads.place_of(turn.place.number)))

    def turn_away(self, why: str) -> None:
        """Answer all who wait that nobody will."""
        for turn in self._turns:
            self._take_back(turn)
            turn.exchange.settle(Answer(503, turn.exchange.dialect.error(503, why)))
        self._turns.clear()

    def _take_back(self, turn: Turn) -> None:
        """A request that nothing of is in the log was never there."""
        if turn.place.number not in self._requests:
            self._threads.take_back(turn.place.number)

    def _goodbye(self, exchange: Exchange) -> Answer:
        summary = self._session.summary
        return Answer(403, exchange.dialect.error(403, f"session {summary.address} has ended ({summary.state})"))

    async def close(self) -> None:
        """Hang up on all who wait."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- the rest ---

    def _queue(self, turn: Turn) -> None:
        if self._session.summary.state in ENDED:
            turn.exchange.settle(self._goodbye(turn.exchange))
            return
        self._turns.append(turn)
        self._session.wakeup.wake()

    async def _take_again(self, asked: Turn) -> None:
        """An equal request: of a client that lost its line, which a moment may have to show, else another sample."""
        exchange, chain = asked.exchange, asked.chain
        if self._attach(exchange, chain):
            return
        others = [turn.exchange.delivered for turn in self._turns if turn.chain == chain]
        if (answered := self._answers.get(chain)) is not None and answered.is_on_its_way:
            assert answered.delivered is not None
            others.append(answered.delivered)
        if others:
            await asyncio.wait(others, timeout=SETTLE_S, return_when=asyncio.FIRST_COMPLETED)
            if self._attach(exchange, chain):
                return
        self._queue(asked)

    def _attach(self, exchange: Exchange, chain: str) -> bool:
        """Whether an equal request is there already whose answer this client can have."""
        if self._session.summary.need == "gate":
            return False  # a person holds it
        for turn in self._turns:
            same = turn.exchange.stream == exchange.stream and turn.exchange.dialect is exchange.dialect
            same = same and turn.exchange is not exchange
            # One that had a part of its reply has ended with it.
            if turn.chain == chain and turn.exchange.is_gone and same and not turn.exchange.has_part:
                exchange.passage.take_over(turn.exchange.passage)
                turn.exchange = exchange
                return True
        known = self._answers.get(chain)
        if known is None or known.is_delivered or known.is_on_its_way or known.answer.stream != exchange.stream:
            return False
        self._answers[chain] = _Answered(known.answer, exchange.delivered, known.reply)
        exchange.settle(known.answer)
        return True

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _without_secrets(self, exchange: Exchange) -> Exchange:
        """The exchange, whose request has no known secret in it: neither log nor server are to have it."""
        text = exchange.body.decode()
        clean = self._session.clean(text)
        if clean != text:
            exchange.request = exchange.dialect.read_request(clean.encode())
        return exchange

    def _restore(self) -> None:
        """Know again what earlier hosts were asked."""
        session, reader = self._session, self._session.services.reader
        prompts = reader.events(session.id, kinds={"harness.prompted"})
        self._told.update(event.body.text for event in prompts if isinstance(event.body, ev.HarnessPrompted))
        events = reader.events(session.id, kinds={"model.request", "model.reply", "thread.assigned"})
        numbers: dict[int, int] = {}
        asked: dict[int, tuple[ev.ModelRequested, History]] = {}
        """Requests of a dialect whose server keeps replies, by seq, until they are answered."""
        replied: dict[int, ev.ModelReplied] = {}
        for event in events:
            match event.body:
                case ev.ModelRequested(wire=frame) as body if frame is not None and frame.dialect in DIALECTS:
                    line: Line = "side" if body.purpose == "side" else "main"
                    number = self._threads.restore(bytes.fromhex(frame.chain), line, frame.thread, body.purpose)
                    root = self._root(self._threads.place_of(number))
                    if line == "main":
                        self._requests[number] = self._requests[root] = event.seq
                    numbers[event.seq] = root
                    self._chains.append(frame.chain)
                    if (dialect := DIALECTS[frame.dialect]).keeps_replies:
                        asked[event.seq] = body, self._stored.restore(dialect, body.envelope)
                case ev.ModelReplied() as body if body.request in numbers:
                    replied[numbers[body.request]] = body
                    if body.request in asked:
                        self._restore_stored(event, numbers[body.request], *asked.pop(body.request))
                case _:
                    continue
        for child in self._children.sessions():
            self._restore_child(child)
        for event in events:
            if isinstance(event.body, ev.ThreadAssigned):
                self._assign(event.body)
        head = self._threads.head
        if head is None:
            return
        reply = replied.get(head)
        if reply is not None and reply.wire is not None:
            # It may not have been handed over.
            answer = Answer(200, reader.blob(reply.wire.blob), reply.wire.media)
            self._answers[self._chains[head]] = _Answered(answer, None)
        calls = [part.server_id or part.id for part in reply.parts if isinstance(part, CallPart)] if reply else []
        self._threads.remember(head, self._read_units(self._requests[head]), calls)

    def _restore_stored(self, reply: ev.Event, number: int, asked: ev.ModelRequested, history: History) -> None:
        assert isinstance(reply.body, ev.ModelReplied) and asked.wire is not None, "both are of a harness"
        stored = StoredReply(number, reply.body.request, reply.seq)
        dialect, chain = DIALECTS[asked.wire.dialect], asked.wire.chain
        self._stored.note(dialect, asked.envelope, history, chain, reply.body.response_id, stored)

    def _restore_child(self, child: str) -> None:
        """Know what a sub-agent has asked: what goes on from there is its."""
        thread = self._children.thread_of(child)
        for event in self._session.services.reader.events(child, kinds={"model.request"}):
            body = event.body
            if isinstance(body, ev.ModelRequested) and body.wire is not None and body.purpose != "side":
                self._threads.restore(bytes.fromhex(body.wire.chain), "child", thread, body.purpose)
                self._chains.append(body.wire.chain)

    def _read_units(self, seq: int) -> list[str]:
        """The identities of the harness's own units in a request of the log; of one whose conversation the server has,
        none."""
        reader, session = self._session.services.reader, self._session.id
        body = request_at(reader, session, seq)
        assert body.wire is not None, "a request of a harness says how it was written"
        if body.wire.stored or body.wire.unread:
            return []
        sent = rebuild_request(reader, session, seq)
        if note := tag_note(self._session.created):
            sent = sent.replace(as_written(note).encode(), b"")
        said = read_turns(reader, session, ever=True)
        refs = request_chain(reader, session, seq)
        for source in (source for ref in refs if ref.own for source in ref.sources if source in said):
            sent = without_words(sent, said[source])
        request = DIALECTS[body.wire.dialect].read_request(sent)
        return [unit.identity for unit, ref in zip(request.units, refs, strict=True) if not is_ours(ref, said)]


def chain_of(units: Sequence[str]) -> str:
    """The hash of a conversation of these units, in hex."""
    chain = hash_chain(units)
    return chain[-1].hex() if chain else ""

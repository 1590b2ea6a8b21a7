"""What a harness asks beside its work: titles, probes, reviewers, embeddings, lists of models. Passed on, and counted
as cost."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from sessions import events as ev
from sessions.agent.attempts import TimedReply
from sessions.agent.session import Session
from sessions.agent.wakeup import Wakeup, wait_for_any
from sessions.events.states import ACTIVE, ENDED
from sessions.events.text import Blob
from sessions.fold import budget
from sessions.fold.summary import IllegalTransition
from sessions.gateway.children import Family
from sessions.gateway.conversation import make_frame, make_refs
from sessions.gateway.dialects import EMBEDDINGS
from sessions.gateway.dialects.embeddings import read_embeddings
from sessions.gateway.exchange import Answer, Exchange
from sessions.gateway.upstream import Received, ServerRefused, WireCall, ask, pass_on
from sessions.log.errors import LogError
from sessions.providers.base import ProviderError, Reply

SPENT: Final = ("tokens", "money")
"""The limits that such a call counts towards. Steps and hours it uses none of."""
_FREES: Final = frozenset({"limit.changed", "session.state"})
"""Kinds of events that may let a call go which a limit holds."""
_STANDS: Final = frozenset({"stop", "interrupt"})
"""What waits for the boundary and brings the session to rest there; a pause by anybody else would take it back."""


class SideCalls:
    """Those of one session: no steps, no part of its context, never trained.

    They do not wait while it is paused. They cost money, so that a limit of that holds them as it holds its steps.
    """

    def __init__(self, session: Session, family: Family) -> None:
        self._session = session
        self._family = family
        self._freed = Wakeup()
        session.services.writer.subscribe(self._look)

    async def forward(self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """What the server says to a request that asks for no reply."""
        clean = self._session.clean(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        try:
            return await pass_on(
                self._session.model, method, path, query, headers, clean, self._session.call_context(0)
            )
        except ProviderError as error:
            return Answer(502, str(error).encode(), "text/plain")

    async def answer(self, exchange: Exchange, thread: str, chain: str, note: Callable[[ev.Event], None]) -> None:
        """Pass it on once there is money for it, and record it; ``chain``: that of its conversation; ``note`` is told
        of its reply before the harness is."""
        session = self._session
        refs = make_refs(exchange.request.units, [()] * len(exchange.request.units))
        frame, blobs, named = make_frame(exchange.dialect, exchange.request, chain, thread)
        blobs += [Blob.of(unit.text.encode()) for unit in exchange.request.units]
        request = ev.ModelRequested(
            purpose="side",
            adapter="gateway",
            adapter_version=1,
            append=tuple(refs),
            sha256=hashlib.sha256(exchange.request.body()).hexdigest(),
            wire=frame,
            **named,
        )
        answer = Answer(502, exchange.dialect.error(502, "the host could not pass it on"))
        try:
            refusal = await self._wait_for_budget(exchange)
            if refusal is not None:
                answer = refusal
                return
            seq = (await session.commit(request, blobs=blobs))[0].seq
            answer, replied = await self._ask_once(exchange, seq)
            if replied is not None:
                note((await session.commit(replied, actor="agent"))[0])
        except LogError as error:
            answer = Answer(503, exchange.dialect.error(503, str(error)))
        finally:
            # Nobody waits for ever, whatever it was.
            exchange.settle(answer)

    async def _wait_for_budget(self, exchange: Exchange) -> Answer | None:
        """Wait while all that its family used is at a limit of tokens or money. What to answer where it is not to be
        asked any more, else None."""
        root, gone = self._family.root, exchange.delivered
        while True:
            freed = self._freed.listen()
            # What a person asks for in this very moment comes first.
            await self._session.services.writer.wait_for_writes()
            summary = self._session.summary
            if summary.state in ENDED:
                words = f"session {summary.address} has ended ({summary.state})"
                return Answer(403, exchange.dialect.error(403, words))
            if gone.done():
                return Answer(408, exchange.dialect.error(408, "the client was gone when its request was to be sent"))
            reason = self._find_spent_budget()
            if not reason:
                return None
            if root.session.summary.state in ACTIVE and root.session.summary.pending not in _STANDS:
                try:
                    await root.session.commit(ev.StateChanged(state="paused", need="limit", reason=reason))
                except IllegalTransition:
                    continue  # another one has said so in the same moment, or it has ended
            else:
                await wait_for_any(freed.wait(), asyncio.shield(gone))

    def _find_spent_budget(self) -> str:
        """Why nothing more is to be spent; "" if something is."""
        root = self._family.root
        summary = root.count()
        for each in budget.budgets(summary, root.session.now(), step=summary.step):
            if each.name in SPENT and each.used >= each.limit:
                return budget.limit_reason(each)
        return ""

    def _look(self, events: Sequence[ev.Event]) -> None:
        own = (self._session.id, self._family.root.session.id)
        if any(event.kind in _FREES and event.session in own for event in events):
            self._freed.wake()

    async def _ask_once(self, exchange: Exchange, seq: int) -> tuple[Answer, ev.ModelReplied | None]:
        session = self._session
        body, headers = exchange.request.body(), exchange.onward_headers()
        began = session.now()
        try:
            if exchange.dialect is EMBEDDINGS:
                answer = await pass_on(
                    session.model, "POST", exchange.path, exchange.query, headers, body, session.call_context(0)
                )
                reply = read_embeddings(answer.body) if answer.status < 400 else None
                return answer, None if reply is None else self._say(reply, seq, began)
            wire = WireCall(exchange.dialect, exchange.path, exchange.query, headers, body)
            passes = session.summary.passes_replies and exchange.stream
            async for item in ask(
                session.model, wire, session.call_context(0), exchange.passage.add if passes else None
            ):
                if isinstance(item, Received):
                    return item.answer, self._say(item.reply, seq, began)
        except ServerRefused as error:
            return error.answer, None
        except ProviderError as error:
            return Answer(502, exchange.dialect.error(502, str(error))), None
        return Answer(502, exchange.dialect.error(502, "the reply broke off")), None

    def _say(self, reply: Reply, seq: int, began: int) -> ev.ModelReplied:
        session = self._session
        timed = TimedReply(reply, attempt=1, first_token_ms=None, duration_ms=session.now() - began)
        return timed.event(seq, session.model)

"""What a harness asks beside its work: titles, probes, reviewers, lists of models. Passed on, and counted as cost."""

from __future__ import annotations

import hashlib

from sessions import events as ev
from sessions.agent.attempts import TimedReply
from sessions.agent.session import Session
from sessions.events.text import Blob
from sessions.gateway.conversation import make_frame, make_refs
from sessions.gateway.exchange import Answer, Exchange
from sessions.gateway.upstream import Received, ServerRefused, WireCall, ask, pass_on
from sessions.log.errors import LogError
from sessions.providers.base import ProviderError


class SideCalls:
    """Those of one session: no steps, no part of its context, never trained."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def forward(self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """What the server says to a request that asks for no reply."""
        clean = self._session.clean(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        try:
            return await pass_on(
                self._session.model, method, path, query, headers, clean, self._session.call_context(0)
            )
        except ProviderError as error:
            return Answer(502, str(error).encode(), "text/plain")

    async def answer(self, exchange: Exchange, thread: str, chain: str) -> None:
        """Pass it on at once, and record it; ``chain``: that of its conversation."""
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
            seq = (await session.commit(request, blobs=blobs))[0].seq
            answer, replied = await self._ask_once(exchange, seq)
            if replied is not None:
                await session.commit(replied, actor="agent")
        except LogError as error:
            answer = Answer(503, exchange.dialect.error(503, str(error)))
        finally:
            # Nobody waits for ever, whatever it was.
            exchange.settle(answer)

    async def _ask_once(self, exchange: Exchange, seq: int) -> tuple[Answer, ev.ModelReplied | None]:
        session = self._session
        wire = WireCall(
            exchange.dialect, exchange.path, exchange.query, exchange.onward_headers(), exchange.request.body()
        )
        began = session.now()
        try:
            async for item in ask(session.model, wire, self._session.call_context(0)):
                if isinstance(item, Received):
                    timed = TimedReply(item.reply, attempt=1, first_token_ms=None, duration_ms=session.now() - began)
                    return item.answer, timed.event(seq, session.model)
        except ServerRefused as error:
            return error.answer, None
        except ProviderError as error:
            return Answer(502, exchange.dialect.error(502, str(error))), None
        return Answer(502, exchange.dialect.error(502, "the reply broke off")), None

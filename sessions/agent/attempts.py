"""One reply, in as many attempts as it takes: each failed one is committed, and the waits between them can be ended."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sessions import events as ev
from sessions.agent.session import CutReason, NeedsPerson, RetryPolicy, Session
from sessions.agent.wakeup import cancel, wait_while
from sessions.events.messages import CallPart, Part, ReasoningPart, TextPart, Usage
from sessions.providers.base import CallContext, Delta, ProviderError, Refused, Reply
from sessions.providers.pricing import cost
from sessions.redaction import Redactor, StreamRedactor

if TYPE_CHECKING:
    from sessions.events import ModelReplied

AT_LIMIT: Final = 0.95
"""A reply of this share of the tokens that it may have, which nobody ended, ended for its length."""
SHOWN_ERROR: Final = 400
"""Most characters of a provider's error in a reason for a person."""


class ContextTooLong(Exception):
    """The server says that the prompt is too long. ``str()`` are its words."""


class RequestRefused(Exception):
    """The server refuses the request as it stands: its conversation, or earlier reasoning in it. ``str()`` says why."""

    def __init__(self, refused: Refused, words: str) -> None:
        super().__init__(words)
        self.refused: Refused = refused


class ReplyCut(Exception):
    """The reply under way was ended for ``why``; ``partial`` is what had arrived."""

    def __init__(self, why: CutReason, partial: tuple[Part, ...]) -> None:
        super().__init__(why)
        self.why = why
        self.partial = partial


class RestRequest(Exception):
    """Between two attempts the session was asked to come to rest; the request stays open."""


@dataclass(frozen=True, slots=True)
class TimedReply:
    """A whole reply and how it came."""

    reply: Reply
    attempt: int
    first_token_ms: int | None
    duration_ms: int

    def event(self, request: int, model: ev.ModelSpec) -> ev.ModelReplied:
        """The event that says so; ``request`` is the seq of what it answers."""
        reply = self.reply
        return ev.ModelReplied(
            request=request,
            parts=reply.parts,
            finish=reply.finish,
            finish_raw=reply.finish_raw,
            model=reply.model,
            response_id=reply.response_id,
            usage=reply.usage,
            cost=cost(model, reply.usage),
            attempt=self.attempt,
            first_token_ms=self.first_token_ms,
            duration_ms=self.duration_ms,
            stop_token=reply.stop_token,
            token_ids=reply.token_ids,
            logprobs=reply.logprobs,
            raw_text=reply.raw_text,
        )


class PartialReply:
    """What has arrived of a reply, without secrets, part by part."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._parts: dict[int, tuple[str, str, list[str]]] = {}
        self._streams: dict[int, StreamRedactor] = {}

    def add(self, delta: Delta) -> Delta:
        """Take a delta in; returns it as it may be shown."""
        stream = self._streams.setdefault(delta.index, self._redactor.open_stream())
        text = stream.feed(delta.text)
        channel, name, pieces = self._parts.get(delta.index, (delta.channel, delta.name, []))
        pieces.append(text)
        self._parts[delta.index] = (channel, delta.name or name, pieces)
        return Delta(delta.channel, text, delta.index, delta.name)

    def parts(self) -> tuple[Part, ...]:
        """The parts so far, in order."""
        made: list[Part] = []
        for index, (channel, name, pieces) in sorted(self._parts.items()):
            text = "".join(pieces) + self._streams[index].flush()
            if channel == "call":
                made.append(CallPart("", name, text))
            else:
                made.append(ReasoningPart(text) if channel == "reasoning" else TextPart(text))
        return tuple(made)


Stream = Callable[[ev.ModelSpec, Any, CallContext], AsyncGenerator[Delta | Reply, None]]
"""``stream(model, body, call)`` makes one attempt, as ``Adapter.stream`` does."""


async def receive_reply(
    session: Session,
    request: int,
    body: object,
    *,
    step: int | None,
    failed: int = 0,
    yields: Callable[[], bool],
    stream: Stream | None = None,
    gives_back: Callable[[ProviderError], Exception | None] = lambda _: None,
    cut: Callable[[], CutReason] | None = None,
) -> TimedReply:
    """The reply to the request at seq ``request``, of which ``failed`` attempts are in the log.

    ``stream``: how an attempt is made, where not by the session's adapter. ``gives_back``: what is raised after a
    failed attempt that is for somebody else to repeat. ``cut``: why a reply that has begun must end now, where that is
    not for the session alone to say.

    ``step`` None: a summary, whose pieces nobody is shown. Raises ReplyCut, RestRequest, ContextTooLong, RequestRefused
    or NeedsPerson.
    """
    policy = session.services.retry
    for tried in range(1, policy.attempts + 1):
        attempt = failed + tried
        partial = PartialReply(session.services.redactor_for(session.id))
        try:
            timed = await _attempt(
                session, body, step, attempt, partial, stream or session.adapter.stream, cut or session.cut_reason
            )
            return dataclasses.replace(timed, reply=await _with_reason(session, timed.reply))
        except ProviderError as error:
            if error.unfinished is not None and await _is_at_limit(session, error.unfinished):
                return TimedReply(_ended_at_limit(error.unfinished), attempt, None, 0)
            given_back = gives_back(error)
            last = given_back is not None or tried == policy.attempts or not error.retryable
            wait = None if last else backoff_seconds(policy, tried, error.retry_after, session.services.random.random())
            await session.commit(_failure_event(request, attempt, error, wait, partial.parts()), step=step)
            if given_back is not None:
                raise given_back from error
            if error.reason == "context":
                raise ContextTooLong(str(error)[:SHOWN_ERROR]) from error
            if error.refused:
                raise RequestRefused(error.refused, str(error)[:SHOWN_ERROR]) from error
            if wait is None:
                raise NeedsPerson("key" if error.need_key else "provider", _reason(session, error, tried)) from error
            await _wait_between(session, wait, yields)
    raise AssertionError("the last attempt either returns or raises")


def backoff_seconds(policy: RetryPolicy, tried: int, retry_after: float | None, chance: float) -> float:
    """Seconds before the next attempt, after ``tried`` failed ones; ``chance`` is a random number below 1."""
    backed_off = min(policy.cap, policy.first * 2.0 ** (tried - 1)) * (1.0 - chance / 2)
    return max(backed_off, min(retry_after or 0.0, policy.retry_after_cap))


async def _attempt(
    session: Session,
    body: object,
    step: int | None,
    attempt: int,
    partial: PartialReply,
    make: Stream,
    cut: Callable[[], CutReason],
) -> TimedReply:
    """One attempt, which ends at once when a person asks for it."""
    began = session.now()
    first: list[int] = []

    async def stream() -> Reply:
        call = session.call_context(step or 0, attempt=attempt, view=session.services.reader)
        # Closing the generator closes the connection.
        async with aclosing(make(session.model, body, call)) as items:
            async for item in items:
                if isinstance(item, Reply):
                    return item
                if not first:
                    first.append(session.now() - began)
                shown = partial.add(item)
                if step is not None:
                    session.services.deltas(session.id, step, attempt, shown)
        raise ProviderError("cut", "the stream ended before the reply did")

    task = asyncio.create_task(stream())
    if not await wait_while(task, session.wakeup, lambda: -1.0 if cut() else None, session.services.sleep):
        why = cut()
        await cancel(task)
        raise ReplyCut(why, partial.parts())
    return TimedReply(task.result(), attempt, first[0] if first else None, session.now() - began)


async def _wait_between(session: Session, seconds: float, yields: Callable[[], bool]) -> None:
    """Wait between attempts; ended by whatever would end a reply, and by a request to come to rest."""

    async def pause() -> None:
        await session.services.sleep(seconds)

    task = asyncio.create_task(pause())
    if not await wait_while(
        task, session.wakeup, lambda: -1.0 if session.cut_reason() or yields() else None, session.services.sleep
    ):
        await cancel(task)
        if why := session.cut_reason():
            raise ReplyCut(why, ())
        raise RestRequest


def _failure_event(
    request: int, attempt: int, error: ProviderError, wait: float | None, arrived: Sequence[Part]
) -> ev.ModelAttemptFailed:
    return ev.ModelAttemptFailed(
        request=request,
        attempt=attempt,
        reason=error.reason,
        status=error.status,
        message=str(error),
        retry_ms=None if wait is None else round(wait * 1000),
        partial=tuple(error.partial) or tuple(arrived),
        refused=error.refused,
        delivered="partial" if error.handed_over else "",
    )


async def _with_reason(session: Session, reply: Reply) -> Reply:
    """``reply``, which ended at its length where its server ended it there and says nothing of a reason."""
    silent = reply.finish == "other" and not reply.finish_raw and session.playback is None
    return _ended_at_limit(reply) if silent and await _is_at_limit(session, reply) else reply


async def _is_at_limit(session: Session, reply: Reply) -> bool:
    """Whether a reply that nobody gives a reason for is as long as it may be: a gateway that ends it there, or closes
    the line or leaves it open, would do so in every other attempt, too."""
    limit = AT_LIMIT * session.model.max_output_tokens
    if reply.usage is not None and reply.usage.output_tokens >= limit:
        return True
    return await asyncio.to_thread(_count, session, [_text(part) for part in reply.parts]) >= limit


def _ended_at_limit(reply: Reply) -> Reply:
    return dataclasses.replace(reply, finish="length", finish_raw="")


def _reason(session: Session, error: ProviderError, tried: int) -> str:
    model = session.model.id
    if error.need_key:
        return f"{model} has no key that works: set {error.need_key}, then resume ({str(error)[:SHOWN_ERROR]})"
    if error.retryable:
        return f"{model} gave no reply in {tried} attempts: {str(error)[:SHOWN_ERROR]}; resume to try again"
    return f"{model} refused the request: {str(error)[:SHOWN_ERROR]}; put it right, then resume"


async def add_estimate(session: Session, replied: ModelReplied, prompt_tokens: int) -> ModelReplied:
    """``replied`` with our own estimate of what the server did not count; ``prompt_tokens`` is that of its request.

    Tokens are counted as for prompts: without what a chat template adds, and with a vocabulary that may stand in for
    the model's own (docs/providers.md). Nothing is taken to have come from a cache.
    """
    usage = replied.usage or Usage()
    if session.playback is not None or (usage.input_tokens and usage.output_tokens):
        return replied
    written = 0
    if not usage.output_tokens:
        written = await asyncio.to_thread(_count, session, [_text(part) for part in replied.parts])
    estimate = Usage(input_tokens=0 if usage.input_tokens else prompt_tokens, output_tokens=written)
    if estimate == Usage():
        return replied
    return msgspec.structs.replace(replied, estimate=estimate, estimated_cost=cost(session.model, estimate))


def _count(session: Session, texts: list[str]) -> int:
    counter = session.services.counter_for(session.model.name)
    return sum(counter.count(text) for text in texts)


def _text(part: Part) -> str:
    return f"{part.name}{part.arguments}" if isinstance(part, CallPart) else part.text

"""The model's server, asked for a harness: bytes there and bytes back, with what they say read on the way.

No SDK takes part: a harness's body goes on as it was written, unknown fields and the order of keys included.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sessions.events import ModelSpec
from sessions.gateway.exchange import DROPPED, Answer
from sessions.providers.addresses import VARIABLES, address, key_header, shown_url
from sessions.providers.assembler import Assembler
from sessions.providers.attempt import NO_KEY, http_client, key_for, read_deltas
from sessions.providers.base import CallContext, Delta, ProviderError, Reply
from sessions.providers.failures import REDACTED, from_status, one_line
from sessions.providers.registry import scripted_wire

if TYPE_CHECKING:
    import httpx2

    from sessions.gateway.dialects import Dialect

_PASSED_BACK: Final = ("retry-after", "retry-after-ms", "x-should-retry", "request-id", "x-request-id")
_PREFIXES_BACK: Final = ("x-ratelimit-", "anthropic-ratelimit-", "openai-")


@dataclass(frozen=True, slots=True)
class Received:
    """A whole reply: what it says, and the bytes that said it."""

    reply: Reply
    answer: Answer


class ServerRefused(ProviderError):
    """The server answered with an error; ``answer`` is what it said, to be passed on."""

    def __init__(self, error: ProviderError, answer: Answer) -> None:
        super().__init__(
            error.reason, str(error), status=error.status, retry_after=error.retry_after, need_key=error.need_key,
            refused=error.refused,
        )  # fmt: skip
        self.answer = answer


@dataclass(frozen=True, slots=True)
class WireCall:
    """A request as it goes upstream. ``path``: that of the API."""

    dialect: Dialect
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes


HandOn = Callable[[Answer, bytes], None]
"""``hand_on(head, bytes)``: the next bytes of a reply, and what its server said of it before them."""


async def ask(
    spec: ModelSpec, wire: WireCall, call: CallContext, hand_on: HandOn | None = None
) -> AsyncGenerator[Delta | Received, None]:
    """One attempt: pieces as they come, and last the whole reply. Raises ProviderError; closing it hangs up.

    ``hand_on`` gets the bytes as they come, but for those from the end of the reply on: they are to wait until the
    reply is in the log, so that no request that goes on from it can come before.
    """
    assembler = wire.dialect.assembler(spec, call.key)
    failure: ProviderError | None = None
    raw = _Recorder(assembler, hand_on)
    try:
        async with _open(spec, "POST", wire.path, wire.query, wire.headers, wire.body, call) as response:
            if response.status_code >= 400:
                body = await response.aread()
                error = from_status(spec, response.status_code, response.headers, body, key=call.key)
                raise ServerRefused(error, _refusal(response, body, call.key))
            raw.response = response
            async with aclosing(read_deltas(spec, raw, call, assembler)) as deltas:  # type: ignore[arg-type]  # what is read of a response it has
                async for delta in deltas:
                    yield delta
            answer = _answer(response, b"".join(raw.chunks))
    except Exception as error:  # noqa: BLE001  an attempt ends as a reply or as a ProviderError, nothing else
        failure = error if isinstance(error, ProviderError) else _failure(spec, call, error)
        answer = _answer(raw.response, b"".join(raw.chunks)) if raw.response is not None else Answer(502, b"")
    if assembler.is_whole:
        yield Received(assembler.reply(), answer)
        return
    if raw.handed:  # what the server said last may be why: it is handed on, too
        raw.hand_over()
    failure = failure or ProviderError("cut", f"{spec.id}: the reply broke off before its end")
    failure.partial = failure.partial or assembler.parts()
    raise failure


async def pass_on(
    spec: ModelSpec, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes, call: CallContext
) -> Answer:
    """What the server says to a request that asks for no reply. Raises ProviderError."""
    try:
        async with _open(spec, method, path, query, headers, body, call) as response:
            body_back = await response.aread()
            return (
                _refusal(response, body_back, call.key) if response.status_code >= 400 else _answer(response, body_back)
            )
    except Exception as error:
        raise (error if isinstance(error, ProviderError) else _failure(spec, call, error)) from error


@dataclass(slots=True)
class _Recorder:
    """A response whose bytes are kept as they are read, and handed on."""

    assembler: Assembler
    hand_on: HandOn | None = None
    response: httpx2.Response | None = None
    chunks: list[bytes] = field(default_factory=list)
    handed: int = 0
    """How many of them were handed on."""

    @property
    def headers(self) -> Any:
        assert self.response is not None
        return self.response.headers

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        assert self.response is not None
        async for chunk in self.response.aiter_bytes():
            self.chunks.append(chunk)
            yield chunk
            self.hand_over()  # who asks for the next one has read what this one says

    def hand_over(self) -> None:
        """Hand on what came, unless the reply ends in it."""
        if self.hand_on is None or self.assembler.is_whole or self.response is None:
            return
        head = _answer(self.response, b"")
        for chunk in self.chunks[self.handed :]:
            self.hand_on(head, chunk)
        self.handed = len(self.chunks)


@asynccontextmanager
async def _open(
    spec: ModelSpec, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes, call: CallContext
) -> AsyncIterator[httpx2.Response]:
    key = key_for(spec, call, VARIABLES.get(spec.provider, ""))
    own = [(name, value) for name, value in headers if name not in DROPPED]
    own.append(("accept-encoding", "identity"))
    if key != NO_KEY:
        own.append(key_header(spec, key))
    url = address(spec, path) + (f"?{query}" if query else "")
    async with http_client(spec.base_url, call, redirects=False, transport=_transport(spec)) as http:
        request = http.build_request(method, url, headers=own, content=body or None)
        response = await http.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()


def _transport(spec: ModelSpec) -> httpx2.AsyncBaseTransport | None:
    """What stands for the network where a model has no server; None: it has one."""
    speak = scripted_wire(spec)
    if speak is None:
        return None
    from sessions.gateway.scripted_line import ScriptedLine

    return ScriptedLine(spec, speak)


def _answer(response: httpx2.Response, body: bytes) -> Answer:
    kept = tuple(
        (name, value)
        for name, value in response.headers.items()
        if name in _PASSED_BACK or name.startswith(_PREFIXES_BACK)
    )
    return Answer(response.status_code, body, response.headers.get("content-type", "application/json"), kept)


def _refusal(response: httpx2.Response, body: bytes, key: str | None) -> Answer:
    """An error of the server for the harness, which is not to see the key where the server repeats it."""
    return _answer(response, body.replace(key.encode(), REDACTED.encode()) if key else body)


def _failure(spec: ModelSpec, call: CallContext, error: Exception) -> ProviderError:
    import httpx2

    where, said = shown_url(spec.base_url or spec.id), str(error) or "the connection was lost"
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
        return ProviderError("connection", one_line(f"cannot reach {where}: {said}", call.key))
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return ProviderError("timeout", f"{spec.id}: no answer within {call.timeout:g} s")
    if isinstance(error, httpx2.HTTPError):
        return ProviderError("cut", one_line(f"{spec.id}: the reply broke off: {said}", call.key))
    return ProviderError("server", one_line(f"{spec.id}: the attempt failed: {said}", call.key))

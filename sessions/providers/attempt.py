"""One streamed attempt over HTTP, the same for every API: time limits, and every failure as a ProviderError."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sessions.events import ModelSpec
from sessions.events.text import canonical_json
from sessions.providers.addresses import shown_url
from sessions.providers.assembler import Assembler
from sessions.providers.base import CallContext, Delta, ProviderError, Reply, RequestBody
from sessions.providers.error_objects import ERROR_EVENTS, find_error
from sessions.providers.event_stream import AFTER_FINISH, AFTER_USAGE, Patience, read_events
from sessions.providers.failures import from_error_object, from_status, from_words, missing_key, one_line
from sessions.providers.sse import SseEvent

if TYPE_CHECKING:
    import ssl

    import httpx2

CONNECT_SECONDS: Final = 20.0
NO_KEY: Final = "no-key"
"""Sent where a server wants none: the SDKs refuse to go without."""
LOST: Final = "the connection was lost"
"""What is said of an error of the line that says nothing itself."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Api:
    """One HTTP API: what an attempt needs to know of it besides the body of the request."""

    sdk: str
    """The module that opens the connection and adds the headers, imported when the first attempt is made."""
    resources: str
    """The part of it that it imports when it is first used."""
    base_url: str
    """The provider's own address, where a profile names none."""
    path: str
    key_variable: str
    """Where the key for ``base_url`` is by convention."""
    client: Callable[[ModelSpec, str, httpx2.AsyncClient], Any]
    """``client(spec, key, http)`` makes the SDK's client."""
    assembler: Callable[[ModelSpec, str | None], Assembler]
    """``assembler(spec, key)`` puts one reply together; the key is only kept out of errors."""

    def is_own(self, spec: ModelSpec) -> bool:
        """Whether requests for ``spec`` go to the provider itself, not to somebody else who speaks its API."""
        return spec.base_url is None or urlsplit(spec.base_url).hostname == urlsplit(self.base_url).hostname

    def preload(self) -> None:
        """Import the SDK and what it stands on."""
        import_module(self.resources)
        preload_http()


def is_local(base_url: str | None) -> bool:
    """Whether the address is on this machine or in a private network: no key is expected there."""
    host = urlsplit(base_url or "").hostname or ""
    if not host:
        return False
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".local", ".localhost", ".internal", ".lan"))


def key_for(spec: ModelSpec, call: CallContext, default_variable: str) -> str:
    """The key to send. Raises ProviderError (``need_key``) if there is none and the server surely wants one."""
    key = (call.key or "").strip()
    variable = spec.key_env or (default_variable if spec.base_url is None else "")
    if key:
        if not (key.isascii() and key.isprintable()):
            raise ProviderError(
                "fatal", f"{spec.id}: the key in {variable or 'use'} has characters that no key has", need_key=variable
            )
        return key
    if variable and not is_local(spec.base_url):
        raise missing_key(spec, variable)
    return NO_KEY


async def attempt(
    api: Api, spec: ModelSpec, body: RequestBody, call: CallContext
) -> AsyncGenerator[Delta | Reply, None]:
    """Send the canonical JSON of ``body.whole()``, byte for byte, then yield deltas and last the reply.

    Whatever goes wrong is a ProviderError with the parts so far.
    """
    sdk = import_module(api.sdk)
    assembler = api.assembler(spec, call.key)
    failure: ProviderError | None = None
    try:
        async with http_client(spec.base_url, call) as http:
            client = api.client(spec, key_for(spec, call, api.key_variable), http)
            async with asyncio.timeout(call.timeout):
                stream = await client.post(
                    api.path,
                    cast_to=object,
                    content=canonical_json(body.whole()),
                    options={"headers": {"Content-Type": "application/json", "Accept": "text/event-stream"}},
                    stream=True,
                    stream_cls=sdk.AsyncStream[object],
                )
            async with contextlib.aclosing(read_deltas(spec, stream.response, call, assembler)) as deltas:
                async for delta in deltas:
                    yield delta
    except Exception as error:  # noqa: BLE001  an attempt must end as a reply or as a ProviderError, nothing else
        failure = _failure(sdk, spec, call, error)
    if assembler.is_whole:
        # Whole, even if the line broke before the farewell.
        yield assembler.reply()
        return
    failure = failure or ProviderError("cut", f"{spec.id}: the reply broke off before its end")
    failure.partial = assembler.parts()
    if failure.reason in ("cut", "timeout") and failure.partial:
        failure.unfinished = assembler.reply()
    raise failure


async def read_deltas(
    spec: ModelSpec, response: httpx2.Response, call: CallContext, assembler: Assembler
) -> AsyncGenerator[Delta, None]:
    """The pieces of a reply as they come, until ``assembler`` has all of it. Raises ProviderError."""
    patience = Patience(call)
    async with contextlib.aclosing(read_events(spec, response, call, patience)) as events:
        async for event in events:
            moves = assembler.moves
            for delta in feed_one(spec, assembler, event, call.key):
                if delta.text or delta.name:
                    yield delta
            if assembler.ended and (assembler.is_counted or not assembler.is_whole):
                break
            if assembler.moves != moves:
                patience.renew()
            if assembler.is_whole:
                over = assembler.is_counted or assembler.ended
                patience.end_after(AFTER_USAGE if over else AFTER_FINISH)


def json_value(spec: ModelSpec, event: SseEvent, key: str | None = None) -> Any:
    """The JSON of an event. An error that it reports, in whatever dress, is raised."""
    try:
        data = json.loads(event.data)
    except (ValueError, RecursionError):
        if event.name in ERROR_EVENTS:
            raise from_error_object(spec, event.data, key=key) from None
        raise from_words(spec, "sent an event that is no JSON", event.data[:200], key=key) from None
    error = find_error(data, event.name)
    if error is not None:
        raise from_error_object(spec, error, key=key)
    return data


def feed_one(spec: ModelSpec, assembler: Assembler, event: SseEvent, key: str | None) -> list[Delta]:
    """What one event adds. Raises ProviderError, also for what nobody can read."""
    try:
        return assembler.feed(event)
    except ProviderError:
        raise
    except Exception:  # noqa: BLE001  a defect of ours is told in words, and in the host's log
        _log.exception("%s sent an event that cannot be read: %s", spec.id, one_line(event.data, key))
        said = one_line(f"{spec.id} sent an event that cannot be read: {event.data[:200]}", key)
        raise ProviderError("server", said) from None


def preload_http() -> None:
    """Import what the HTTP stack otherwise imports when the first connection is opened."""
    import h11  # noqa: F401
    import httpcore2
    import httpx2

    import_module("anyio._backends._asyncio")
    httpx2.AsyncClient(verify=_ssl_context(), trust_env=False)
    httpcore2.AsyncConnectionPool()


@asynccontextmanager
async def http_client(
    base_url: str | None,
    call: CallContext,
    *,
    redirects: bool = True,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of its own for each attempt: requests are a minute apart, and cancelling one closes all it opened."""
    import httpx2

    home = ""

    async def keep_key(request: httpx2.Request) -> None:
        # httpx takes `authorization` alone off a request that is led to another host.
        nonlocal home
        home = home or request.url.host
        if request.url.host != home:
            request.headers.pop("x-api-key", None)

    timeout = httpx2.Timeout(max(call.timeout, call.stall), connect=CONNECT_SECONDS)
    async with httpx2.AsyncClient(
        verify=_ssl_context(),
        timeout=timeout,
        follow_redirects=redirects,
        trust_env=not is_local(base_url),
        transport=transport,
        event_hooks={"request": [keep_key]},
    ) as client:
        yield client


@cache
def _ssl_context() -> ssl.SSLContext:
    """Made once: reading the machine's certificates takes longer than all the rest of a client."""
    import httpx2

    return httpx2.create_ssl_context()


def _failure(sdk: ModuleType, spec: ModelSpec, call: CallContext, error: Exception) -> ProviderError:
    import httpx2

    if isinstance(error, ProviderError):
        return error
    if isinstance(error, sdk.APIStatusError):
        response: httpx2.Response = error.response
        return from_status(spec, response.status_code, response.headers, response.content, key=call.key)
    cause = error.__cause__ if isinstance(error, sdk.APIConnectionError) and error.__cause__ else error
    where, said = shown_url(spec.base_url or spec.id), str(cause) or LOST
    if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
        return ProviderError("connection", one_line(f"cannot reach {where}: {said}", call.key))
    if isinstance(cause, TimeoutError | httpx2.TimeoutException):
        return ProviderError("timeout", f"{spec.id}: no answer within {call.timeout:g} s")
    if isinstance(error, sdk.APIConnectionError):
        return ProviderError("connection", one_line(f"{where} closed the line: {said}", call.key))
    if isinstance(cause, httpx2.HTTPError):
        return ProviderError("cut", one_line(f"{spec.id}: the reply broke off: {said}", call.key))
    _log.error("an attempt at %s failed in an unknown way", spec.id, exc_info=error)
    return ProviderError("server", one_line(f"{spec.id}: the attempt failed: {said}", call.key))

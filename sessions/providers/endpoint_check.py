"""Whether a model answers, asked before a session is made of it: its server's list of models, then one token.

No SDK takes part: what is wrong is read from the answer itself, and the app has none loaded.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from sessions.events import ModelSpec
from sessions.events.messages import Message, TextPart
from sessions.events.text import canonical_json
from sessions.providers.addresses import BASES, VARIABLES, address, is_asked, key_header, place_of
from sessions.providers.attempt import NO_KEY, http_client, key_for, preload_http
from sessions.providers.base import CallContext, ProviderError
from sessions.providers.endpoint_faults import (
    EndpointFault,
    check_address,
    explain_answer,
    explain_connection,
)
from sessions.providers.error_objects import codes_of, find_error
from sessions.providers.sse import SseDecoder

if TYPE_CHECKING:
    import httpx2

Dialect = Literal["chat", "responses", "messages"]
"""What the agent of the session will speak."""

ASK_S: Final = 20.0
"""So long an endpoint may take for all of it."""
LIST_S: Final = 5.0
"""So long it may take for its list, which is good to have and nothing more."""
TLS_S: Final = 3.0
BYTES_MOST: Final = 1 << 20
"""So much of an answer is read."""
PATHS: Final[dict[Dialect, str]] = {"chat": "chat/completions", "responses": "responses", "messages": "messages"}
LEAST_OUTPUT: Final = 16
"""Tokens of the shortest reply that may be asked for in Responses."""
_OWN: Final[dict[str, Dialect]] = {"openai": "chat", "anthropic": "messages"}
_PROMPT: Final = "Say ok."
_CODES: Final = {
    401: {"authentication_error", "invalid_api_key"},
    403: {"permission_error"},
    404: {"not_found_error", "model_not_found"},
    429: {"rate_limit_error", "rate_limit_exceeded"},
    504: {"timeout_error"},
}
"""Statuses, and how an error in a stream calls itself that would have had them."""


@dataclass(frozen=True, slots=True)
class Served:
    """What an endpoint that answers has. ``models``: its list, empty where it has none to show."""

    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    page: bool
    """It is a web page."""
    body: bytes
    url: str


async def ask_endpoint(
    spec: ModelSpec, key: str | None, dialect: Dialect | None = None, *, seconds: float = ASK_S
) -> Served:
    """Ask the server of ``spec`` for its models and for one token. ``dialect``: what the agent speaks (None: what ours
    does). Raises EndpointFault, at the latest after ``seconds``."""
    if not is_asked(spec):
        return Served()
    check_address(spec)
    try:
        sent = key_for(spec, CallContext("", 0, key=key), VARIABLES[spec.provider])
    except ProviderError as problem:
        raise EndpointFault("key", str(problem)) from problem
    known = None if sent == NO_KEY else sent
    await asyncio.to_thread(preload_http)
    try:
        async with asyncio.timeout(seconds):
            # The gateway hands a redirect back to its agent program; our own agent goes where it leads.
            return await _ask(spec, known, dialect or _OWN[spec.provider], seconds, redirects=dialect is None)
    except TimeoutError:
        raise EndpointFault("slow", f"{place_of(spec)} has not answered within {seconds:g} s") from None


async def _ask(spec: ModelSpec, key: str | None, dialect: Dialect, seconds: float, *, redirects: bool) -> Served:
    import httpx2

    call = CallContext("", 0, key=key, timeout=seconds, stall=seconds)
    try:
        async with http_client(spec.base_url, call, redirects=redirects) as http:
            models = await _list_models(http, spec, key)
            async with _send(http, spec, key, "POST", PATHS[dialect], _body(spec, dialect)) as response:
                answer = await _read(response)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        if await _speaks_tls(spec, error):
            raise EndpointFault("tls", f"{place_of(spec)} speaks TLS there: write https://") from error
        raise explain_connection(spec, error) from error
    if answer.page and answer.status < 400:
        path = urlsplit(answer.url).path
        raise EndpointFault("url", f"{place_of(spec)}{path} answers with a web page, not as a model: check the path")
    said, status = _error_in(answer)
    if said is None:
        return Served(models)
    variable = spec.key_env or VARIABLES[spec.provider]
    fault = explain_answer(spec, status, said, answer.url, key, variable, models)
    if fault is not None:
        raise fault
    return Served(models)


async def _list_models(http: httpx2.AsyncClient, spec: ModelSpec, key: str | None) -> tuple[str, ...]:
    """The names of the server's list; none where it has no list, or takes long. What it says of the key is said again
    when a token is asked for."""
    import httpx2

    try:
        async with asyncio.timeout(LIST_S), _send(http, spec, key, "GET", "models") as response:
            answer = await _read(response)
    except (TimeoutError, httpx2.HTTPError):
        return ()  # what is wrong with more than the list is wrong with the token, too
    if answer.status != 200 or answer.page:
        return ()
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ()
    listed = next((v for v in found.values() if isinstance(v, list)), []) if isinstance(found, dict) else found
    names = ((row.get("id") or row.get("name")) if isinstance(row, dict) else row for row in listed)
    return tuple(name for name in names if isinstance(name, str)) if isinstance(listed, list) else ()


@asynccontextmanager
async def _send(
    http: httpx2.AsyncClient, spec: ModelSpec, key: str | None, method: str, path: str, body: bytes | None = None
) -> AsyncIterator[httpx2.Response]:
    headers = {"accept-encoding": "identity"}
    if body is not None:
        headers["content-type"] = "application/json"
    if spec.provider == "anthropic" or path == "messages":
        headers["anthropic-version"] = "2023-06-01"
    if key is not None:
        headers |= dict([key_header(spec, key)])
    # A long list comes whole from one provider if it is asked so; others ignore what they do not know.
    query = "?limit=1000" if path == "models" and spec.provider == "anthropic" else ""
    request = http.build_request(method, address(spec, path) + query, headers=headers, content=body)
    response = await http.send(request, stream=True)
    try:
        yield response
    finally:
        await response.aclose()


async def _read(response: httpx2.Response) -> _Answer:
    """The beginning of an answer: all of what is no stream, or a stream until it says something."""
    kind = response.headers.get("content-type", "")
    decoder, body = SseDecoder(), b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > BYTES_MOST or ("event-stream" in kind and decoder.feed(chunk)):
            break
    page = "html" in kind or body.lstrip()[:1] == b"<"
    return _Answer(response.status_code, page, body, str(response.url))


def _error_in(answer: _Answer) -> tuple[object, int]:
    """What the answer reports as an error, and its status; None if it is a reply."""
    if answer.status >= 300:
        return answer.body, answer.status
    decoder = SseDecoder()
    events = [*decoder.feed(answer.body), *decoder.flush()]
    texts = [(event.data, event.name) for event in events] or [(answer.body.decode(errors="replace"), "")]
    for text, name in texts:
        if text.strip() == "[DONE]":
            continue
        try:
            found = find_error(json.loads(text), name)
        except (ValueError, RecursionError):
            return f"it answers what is no JSON: {text[:100]}", 502
        if found is not None:
            codes = [int(code) for code in codes_of(found) if code.isdigit() and 400 <= int(code) < 600]
            return found, codes[0] if codes else _status_of(codes_of(found))
    return None, answer.status


def _status_of(codes: frozenset[str]) -> int:
    """The status that an error in a stream would have had."""
    for status, known in _CODES.items():
        if codes & known:
            return status
    return 502 if codes & {"api_error", "server_error", "overloaded_error", "internal_error"} else 400


def _body(spec: ModelSpec, dialect: Dialect) -> bytes:
    """The shortest request: as our own agent would send it where it speaks so, else the plainest of the dialect."""
    if _OWN.get(spec.provider) == dialect:
        from sessions.providers.registry import adapter_for

        quirks = {name: value for name, value in spec.quirks.items() if name not in ("thinking", "thinking_budget")}
        short = msgspec.structs.replace(spec, max_output_tokens=1, quirks=quirks)
        adapter = adapter_for(short)
        wire = [one.json for one in adapter.wire(short, (Message("user", (TextPart(_PROMPT),), sources=(1,)),))]
        return canonical_json(adapter.body(short, "", (), wire, purpose="step").whole())
    turns: list[dict[str, Any]] = [{"role": "user", "content": _PROMPT}]
    said = {"input": turns, "max_output_tokens": LEAST_OUTPUT, "store": False}
    if dialect != "responses":
        said = {"messages": turns, "max_tokens": 1}
    return canonical_json({"model": spec.name, "stream": True, **said})


async def _speaks_tls(spec: ModelSpec, error: Exception) -> bool:
    """Whether a server that broke off a plain request wanted TLS."""
    import httpx2

    parts = urlsplit(spec.base_url or BASES[spec.provider])
    if parts.scheme != "http" or not isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
        return False
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(TLS_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True

"""What is wrong with a model's endpoint, in one line: its key, its URL, TLS, the model's name, or the server itself."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Final, Literal
from urllib.parse import urlsplit

from sessions.errors import ApolloError
from sessions.events import ModelSpec
from sessions.providers.addresses import BASES, place_of
from sessions.providers.error_objects import words_of
from sessions.providers.error_words import wants_payment
from sessions.providers.failures import one_line

FaultKind = Literal["key", "url", "tls", "model", "request", "busy", "server", "slow"]
"""What has to be put right; ``busy``, ``server`` and ``slow`` may pass by themselves."""

NAMED: Final = 3
"""Models that are named of a server's list."""
_MODEL: Final = re.compile(
    r"\bmodel\b.{0,120}(?:not|n't|unknown|invalid|unsupported|available|deprecated)|(?:unknown|invalid|no such) model"
    r"|\bmodel:|模型",
    re.IGNORECASE | re.DOTALL,
)
_LENGTH: Final = re.compile(r"max_(?:completion_|output_)?tokens|output limit|token limit", re.IGNORECASE)
_PLAIN_HTTP: Final = re.compile(r"http request.{0,40}https", re.IGNORECASE | re.DOTALL)


class EndpointFault(ApolloError):
    """A model would not answer; one line without the key. ``kind`` says what of it has to be put right."""

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind


def check_address(spec: ModelSpec) -> None:
    """Raise EndpointFault where the base URL is none."""
    url = spec.base_url or BASES.get(spec.provider, "")
    try:
        parts = urlsplit(url)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or (parts.port or 1) < 1
    except ValueError:
        wrong = True
    if wrong:
        shown = one_line(url.rpartition("@")[2])
        raise EndpointFault("url", f"{shown!r} is no base URL: write one such as http://127.0.0.1:8000/v1")


# --- no answer --------------------------------------------------------------------------------------------------------


def explain_connection(spec: ModelSpec, error: Exception) -> EndpointFault:
    """What kept a request from its server."""
    import httpx2

    place, host = place_of(spec), urlsplit(spec.base_url or BASES[spec.provider]).hostname or ""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message or "it cannot be checked"
            return EndpointFault(
                "tls", f"the certificate of {place} is not trusted ({why}): name your authority's file in SSL_CERT_FILE"
            )
        if isinstance(cause, ssl.SSLError):
            return EndpointFault("tls", f"{place} does not speak TLS as the URL says (is it http:// there?)")
    if isinstance(error, httpx2.ProxyError):
        return EndpointFault("url", one_line(f"the proxy does not lead to {place}: {error}"))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return EndpointFault("url", f"there is no host {host}")
        if isinstance(cause, ConnectionRefusedError):
            return EndpointFault("url", f"nobody listens at {place} (is the server started, and the port right?)")
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return EndpointFault("url", one_line(f"the base URL cannot be used: {error}"))
    if isinstance(error, httpx2.TimeoutException):
        return EndpointFault("slow", f"{place} does not answer")
    if isinstance(error, httpx2.ConnectError):
        return EndpointFault("url", one_line(f"{place} cannot be reached: {error or 'no reason given'}"))
    if isinstance(error, httpx2.TooManyRedirects):
        return EndpointFault("url", f"{place} sends requests round in a circle")
    return EndpointFault("server", one_line(f"{place} closed the line without an answer: {error or 'it said nothing'}"))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that led to it."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__ or error.__context__


# --- an answer that is none -------------------------------------------------------------------------------------------


def explain_answer(
    spec: ModelSpec, status: int, said: object, url: str, key: str | None, variable: str, models: Sequence[str]
) -> EndpointFault | None:
    """What an error of the server stands for; None where the model is there all the same. ``models``: its list."""
    place = place_of(spec)
    words = one_line(words_of(said), key)
    told = f": {words}" if words else ""
    if _PLAIN_HTTP.search(words):
        return EndpointFault("tls", f"{place} speaks TLS there: write https://")
    if status == 402 or wants_payment(words):
        return EndpointFault("key", f"{place} wants to be paid first{told}")
    if status == 401:
        return EndpointFault("key", _refused_key(place, 401, key, variable))
    if status == 403:
        return EndpointFault("key", _refused_key(place, 403, key, variable) + told)
    if status == 429:
        return EndpointFault("busy", f"{place} has enough to do (429){told}")
    if status >= 500:
        return EndpointFault("server", f"{place} fails ({status}){told}")
    unknown = bool(models) and spec.name not in models
    if status in (400, 404, 405, 410, 422) and (unknown or _MODEL.search(words) or spec.name in words.split()):
        return EndpointFault("model", f"{place} has no model {spec.name}{_say_near(spec.name, models)}")
    if status in (404, 405, 410):
        hint = "" if urlsplit(url).path.count("/v1/") else " (most servers have it below /v1)"
        return EndpointFault("url", f"there is no such API at {place}{urlsplit(url).path} ({status}){hint}")
    if 300 <= status < 400:
        return EndpointFault("url", f"{place} leads elsewhere ({status}): give the address that it leads to")
    if _LENGTH.search(words):
        return None
    return EndpointFault("request", f"{place} refuses the request ({status}){told}")


def _refused_key(place: str, status: int, key: str | None, variable: str) -> str:
    if not key:
        return f"{place} wants a key ({status}), and none is given"
    return f"{place} refuses the key in {variable or 'use'} ({status})"


def _say_near(name: str, models: Sequence[str]) -> str:
    """The names of the server's list that are most like this one."""
    if not models:
        return ""
    near = get_close_matches(name, models, n=NAMED, cutoff=0.4)
    if near:
        return one_line(f"; near it: {', '.join(near)}")
    rest = len(models) - NAMED
    return one_line(f"; it has {', '.join(models[:NAMED])}{f' and {rest} more' if rest > 0 else ''}")

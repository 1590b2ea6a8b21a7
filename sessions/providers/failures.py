"""What went wrong with an attempt, from what servers say, as a ProviderError of one line."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from sessions.events import ModelSpec
from sessions.events.text import valid_unicode
from sessions.providers.addresses import shown_url
from sessions.providers.base import ProviderError, Reason, Refused
from sessions.providers.error_objects import codes_of, words_of, words_of_page
from sessions.providers.error_words import (
    denies_access,
    is_too_long,
    limits_rate,
    refuses_reasoning,
    says_that_it_passes,
    wants_payment,
)

MESSAGE_CHARS: Final = 300
REDACTED: Final = "[redacted]"
LEAST_KEY: Final = 8
LEAST_PIECE: Final = 4
"""Characters of a key, and of a piece of one, that are worth hiding: servers repeat keys in part."""

_TOO_LONG_CODES: Final = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "request_too_large", "1261", "contextwindowexceedederror"}
)
_NOT_ABOUT_LENGTH: Final = frozenset({401, 402, 403, 404, 408, 409, 429})
"""Statuses under which no words mean that the prompt does not fit."""
_OF_THE_REQUEST: Final = frozenset({400, 422})
"""Statuses that refuse the request as it stands."""
_PAYMENT_CODES: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated", "billing_error",
     "insufficient_balance", "insufficient_user_quota", "arrearage"}
)  # fmt: skip
_KEY_CODES: Final = frozenset({"invalid_api_key", "authentication_error", "401", "403", "permission_error"})

_BY_CODE: Final[dict[str, Reason]] = {
    "overloaded_error": "overloaded",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "timeout_error": "timeout",
    "api_error": "server",
    "server_error": "server",
    "internal_error": "server",
    "invalid_request_error": "fatal",
    "badrequesterror": "fatal",
    "not_found_error": "fatal",
    "authentication_error": "fatal",
    "permission_error": "fatal",
    "invalid_api_key": "fatal",
}
"""Errors that arrive inside a stream name a type and no status."""
_REFUSALS: Final = frozenset({"invalid_request_error", "badrequesterror", "400", "422"})


def from_status(
    spec: ModelSpec, status: int, headers: Mapping[str, str], body: object, *, key: str | None = None
) -> ProviderError:
    """The failure that an HTTP status of 400 or more stands for."""
    words, codes = words_of(body), codes_of(body)
    wait = retry_after(headers)
    reason = _reason_of_status(status)
    if status not in _NOT_ABOUT_LENGTH and (status == 413 or codes & _TOO_LONG_CODES or is_too_long(words)):
        reason = "context"
    elif wait is None and _lasts(words, codes):
        reason = "fatal"
    hint = need_key = ""
    if status in (401, 403):
        need_key = spec.key_env or ""
        hint = f": check the key in {need_key}" if need_key else ": set key_env in the model's profile"
    elif status == 404:
        hint = f": check the model's name and the base URL ({shown_url(spec.base_url or 'the default')})"
    return ProviderError(
        reason,
        one_line(f"{spec.id} answered {status}{': ' if words else ''}{words}", key) + hint,
        status=status,
        retry_after=wait,
        need_key=need_key,
        refused=_find_refused(words, codes) if reason == "fatal" and status in _OF_THE_REQUEST else "",
    )


def from_error_object(spec: ModelSpec, error: object, *, key: str | None = None) -> ProviderError:
    """The failure that a server reports under status 200, as the whole answer or in the middle of a stream."""
    words, codes = words_of(error), codes_of(error)
    reason: Reason = "server"
    for code in codes:
        if code.isdigit() and 400 <= int(code) < 600:
            reason = _reason_of_status(int(code))
    for code in codes:
        reason = _BY_CODE.get(code, reason)
    if codes & _TOO_LONG_CODES or (reason != "rate_limit" and is_too_long(words)):
        reason = "context"
    elif _lasts(words, codes) or (reason == "server" and denies_access(words)):
        reason = "fatal"
    elif reason == "server" and limits_rate(words):
        reason = "rate_limit"
    return ProviderError(
        reason,
        one_line(f"{spec.id} answered with an error: {words or ', '.join(sorted(codes)) or 'no reason given'}", key),
        need_key=(spec.key_env or "") if reason == "fatal" and codes & _KEY_CODES else "",
        refused=_find_refused(words, codes) if reason == "fatal" and codes & _REFUSALS else "",
    )


def from_words(spec: ModelSpec, what: str, words: str, *, key: str | None = None) -> ProviderError:
    """The failure that an answer in plain words, or a page, stands for; ``what`` says what came."""
    plain = words_of_page(words)
    said = from_error_object(spec, plain, key=key)
    # A page has many words; none of them is about the length of a prompt.
    lasting = ("context", "fatal") if plain == words else ("fatal",)
    reason: Reason = said.reason if said.reason in lasting else "server"
    return ProviderError(reason, one_line(f"{spec.id} {what}: {plain}", key), need_key=said.need_key)


def missing_key(spec: ModelSpec, variable: str) -> ProviderError:
    """There is no key for a server that surely wants one."""
    return ProviderError("fatal", f"{spec.id} needs a key: set {variable}", need_key=variable)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the server asks for: ``retry-after-ms``, or ``retry-after`` in seconds or as an HTTP date."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, date.timestamp() - time.time())


def one_line(text: str, key: str | None = None) -> str:
    """``text`` on one line, of bearable length, without the key that some servers repeat."""
    text = " ".join(hide_key(word, key) if key else word for word in valid_unicode(text).split())
    return text if len(text) <= MESSAGE_CHARS else text[: MESSAGE_CHARS - 1] + "…"


def hide_key(word: str, key: str) -> str:
    """``word``, or ``[redacted]`` in its place if it holds the key, is its beginning or end, or shows it in part.

    >>> [hide_key(word, "sk-12345678") for word in ("sk-12345678,", "sk-12****78.", "sk-1234", "(5678)", "task")]
    ['[redacted],', '[redacted]', '[redacted]', '[redacted]', 'task']
    """
    if key in word:
        return word.replace(key, REDACTED)
    bare = word.strip(".,:;!?'\"()[]{}<>")
    if len(key) < LEAST_KEY or len(bare) < LEAST_PIECE:
        return word
    if any(mark in bare for mark in ("*", "…", "...")):
        shown = bare.startswith(key[:2]) or bare.endswith(key[-2:])
    else:
        shown = key.startswith(bare) or key.endswith(bare)
    return REDACTED if shown else word


def _lasts(words: str, codes: frozenset[str]) -> bool:
    """Whether somebody has to pay before another attempt can help."""
    return bool(codes & _PAYMENT_CODES) or (wants_payment(words) and not says_that_it_passes(words))


def _find_refused(words: str, codes: frozenset[str]) -> Refused:
    """What of the conversation a refused request may have been refused for."""
    if codes & (_PAYMENT_CODES | _KEY_CODES) or wants_payment(words) or denies_access(words):
        return ""
    return "reasoning" if refuses_reasoning(words) else "conversation"


def _reason_of_status(status: int) -> Reason:
    if status == 429:
        return "rate_limit"
    if status in (503, 529):
        return "overloaded"
    if status in (408, 504):
        return "timeout"
    return "server" if status >= 500 or status == 409 else "fatal"

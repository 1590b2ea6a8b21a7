"""What went wrong with an attempt, from what servers say, as a ProviderError of one line."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from sessions.events import ModelSpec
from sessions.events.text import valid_unicode
from sessions.providers.base import ProviderError, Reason

MESSAGE_CHARS: Final = 300

_TOO_LONG: Final = re.compile(
    r"context[_ ]length[_ ]exceeded|model_context_window_exceeded|exceed_context_size"
    r"|maximum (?:context|prompt|model|allowed input) length"
    r"|(?:exceeds?|exceeded|exceeding|longer than|greater than|overflows?|larger than)\b.{0,60}"
    r"\bcontext(?: (?:length|window|size|limit))?\b"
    r"|context (?:length|window|size|limit).{0,40}\b(?:exceed|overflow|reached|is only)"
    r"|(?:prompt|input|request) is too (?:long|large)|prompt too long|prompt exceeds"
    r"|exceeded model token limit|token limit exceeded|too many tokens"
    r"|input token count.{0,40}exceeds|input tokens exceed|range of input length should be"
    r"|reduce the length of the messages|too large for model with"
    r"|prompt 超长|超过最大长度|上下文长度",
    re.IGNORECASE | re.DOTALL,
)
"""What OpenAI, Anthropic, vLLM, SGLang, llama.cpp, LM Studio, Ollama, TGI, GLM, Kimi, DeepSeek, Qwen, Gemini, Grok,
Mistral, Groq and LiteLLM say when a prompt does not fit. Statuses differ (400, 413, 422, 500), so the words decide."""

_TOO_LONG_CODES: Final = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "request_too_large", "1261"}
)
_TOO_LONG_STATUSES: Final = frozenset({400, 413, 422, 500})

_BY_TYPE: Final[dict[str, Reason]] = {
    "overloaded_error": "overloaded",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "timeout_error": "timeout",
    "api_error": "server",
    "server_error": "server",
    "internal_error": "server",
    "invalid_request_error": "fatal",
    "not_found_error": "fatal",
    "authentication_error": "fatal",
    "permission_error": "fatal",
    "billing_error": "fatal",
}
"""Errors that arrive inside a stream name a type and no status."""


def from_status(
    spec: ModelSpec, status: int, headers: Mapping[str, str], body: object, *, key: str | None = None
) -> ProviderError:
    """The failure that an HTTP status of 400 or more stands for."""
    message, codes = _message_and_codes(body)
    reason = _reason_of_status(status)
    if status in _TOO_LONG_STATUSES and (status == 413 or codes & _TOO_LONG_CODES or _TOO_LONG.search(message)):
        reason = "context"
    hint = need_key = ""
    if status in (401, 403):
        need_key = spec.key_env or ""
        hint = f": check the key in {need_key}" if need_key else ": set key_env in the model's profile"
    elif status == 404:
        hint = f": check the model's name and the base URL ({spec.base_url or 'the default'})"
    return ProviderError(
        reason,
        one_line(f"{spec.id} answered {status}{': ' if message else ''}{message}", key) + hint,
        status=status,
        retry_after=retry_after(headers),
        need_key=need_key,
    )


def from_error_object(spec: ModelSpec, error: object, *, key: str | None = None) -> ProviderError:
    """The failure that a server reports inside a stream that began well."""
    message, codes = _message_and_codes({"error": error})
    reason: Reason = "server"
    for code in codes:
        if code.isdigit() and 400 <= int(code) < 600:
            reason = _reason_of_status(int(code))
    for code in codes:
        reason = _BY_TYPE.get(code, reason)
    if codes & _TOO_LONG_CODES or _TOO_LONG.search(message):
        reason = "context"
    return ProviderError(reason, one_line(f"{spec.id} broke off: {message or 'no reason given'}", key))


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
    if key:
        text = text.replace(key, "[redacted]")
    text = " ".join(valid_unicode(text).split())
    return text if len(text) <= MESSAGE_CHARS else text[: MESSAGE_CHARS - 1] + "…"


def _reason_of_status(status: int) -> Reason:
    if status == 429:
        return "rate_limit"
    if status in (503, 529):
        return "overloaded"
    if status in (408, 504):
        return "timeout"
    return "server" if status >= 500 or status == 409 else "fatal"


def _message_and_codes(body: object) -> tuple[str, set[str]]:
    """The message in an error's body, whichever shape it has, and its type and code as texts."""
    if isinstance(body, bytes | str):
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        try:
            body = json.loads(text)
        except ValueError:
            return text, set()
    error: Any = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return "" if error is None else str(error), set()
    message = error.get("message") or error.get("msg") or error.get("detail") or error.get("error") or ""
    codes = {str(error[name]) for name in ("type", "code") if error.get(name) is not None}
    return message if isinstance(message, str) else json.dumps(message, ensure_ascii=False), codes

"""Errors in every dress: where in a JSON value a server reports one, what it says, and by which codes."""

from __future__ import annotations

import html
import json
import re
from typing import Any, Final

ERROR_EVENTS: Final = frozenset({"error", "exception"})
"""Names of events whose data is an error, whatever it looks like."""
_WORDS: Final = (
    "message", "msg", "detail", "details", "error_msg", "error_message", "errorMessage", "err_msg", "status_msg",
    "Message", "error_description", "description", "reason", "title",
)  # fmt: skip
_PLAIN_WORDS: Final = _WORDS[:10]
"""Under these a text is an error even where nothing else says so."""
_CODES: Final = ("type", "code", "status", "status_code", "statusCode", "error_code", "errorCode", "Code", "err_code")
_ERROR_KIND: Final = re.compile(r"error|exception|fail", re.IGNORECASE)
_PAGE: Final = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml|error)\b", re.IGNORECASE)
_HIDDEN: Final = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<[^>]*(?:>|\Z)")
_FINE: Final = frozenset({0, 200, "0", "200", "ok", "success", "succeeded"})
"""Codes under which a message is none of an error."""
_DEPTH: Final = 5
_PARTS: Final = 3
"""So many of a list of errors are told."""


def find_error(data: Any, event: str = "") -> Any:
    """The error that ``data``, the JSON of an event or of a whole answer, reports; None if it reports none.

    ``event`` is the name of the event.
    """
    if isinstance(data, list):
        return next((found for item in data if (found := find_error(item, event)) is not None), None)
    if not isinstance(data, dict):
        return data if event in ERROR_EVENTS else None
    if data.get("error"):
        # What stands beside a bare word is said with it: {"error": "Bad Request", "message": "…"}.
        return data["error"] if isinstance(data["error"], dict | list) or not _has_words(data) else data
    if isinstance(errors := data.get("errors"), list | dict | str) and errors:
        return errors
    for name in ("base_resp", "BaseResp"):
        if isinstance(inner := data.get(name), dict) and inner.get("status_code"):
            return inner
    if isinstance(inner := data.get("Response"), dict) and inner.get("Error"):
        return inner["Error"]
    if event in ERROR_EVENTS:
        return data
    return _find_in_reply(data) if data.get("choices") else data if _is_error(data) else None


def _find_in_reply(data: dict[str, Any]) -> Any:
    choices = data["choices"] if isinstance(data["choices"], list) else [data["choices"]]
    places = [place for one in choices if isinstance(one, dict) for place in (one, one.get("delta"))]
    return next((place["error"] for place in places if isinstance(place, dict) and place.get("error")), None)


def _is_error(data: dict[str, Any]) -> bool:
    """Whether an object without ``error`` and without choices is one all the same."""
    kind, status = data.get("type"), data.get("status")
    if data.get("object") == "error" or data.get("success") is False:
        return True
    if any(_is_fine(data.get(name)) for name in ("code", "error_code", "status")):
        return False
    if isinstance(kind, str) and kind:
        return _ERROR_KIND.search(kind) is not None
    if isinstance(status, str) and _ERROR_KIND.search(status):
        return True
    if str(data.get("object") or "").startswith("chat.completion"):
        return False
    return _has_words(data)


def _is_fine(code: object) -> bool:
    return (code.lower() if isinstance(code, str) else code) in _FINE if isinstance(code, str | int) else False


def _has_words(data: dict[str, Any]) -> bool:
    return any(isinstance(value := data.get(name), str | list) and value for name in _PLAIN_WORDS)


def words_of(error: object) -> str:
    """What an error says, whichever shape it has; the words of a provider behind a gateway with it."""
    return words_of_page(_words(error, _DEPTH))


def words_of_page(text: str) -> str:
    """``text`` without the marks of a page, each of its texts once; what is no page stays as it is."""
    if not _PAGE.match(text):
        return text
    parts = (" ".join(part.split()) for part in _TAG.split(_HIDDEN.sub(" ", text)))
    return html.unescape(" · ".join(dict.fromkeys(part for part in parts if part)))


def _words(error: object, depth: int) -> str:
    if isinstance(error, bytes):
        error = error.decode(errors="replace")
    if isinstance(error, str):
        inner = _parse(error)
        return (_words(inner, depth - 1) if inner is not None and depth else "") or error
    if isinstance(error, list):
        parts = [_words(item, depth - 1) for item in error[:_PARTS]] if depth else []
        return "; ".join(part for part in parts if part)
    if not isinstance(error, dict) or not depth:
        return "" if error is None or isinstance(error, dict) else str(error)
    inner = error.get("error")
    said = _words(inner, depth - 1) if inner and inner is not True else ""
    more = next((text for name in _WORDS if (text := _words(error.get(name), depth - 1))), "")
    where = error.get("loc")
    if isinstance(where, list) and more:
        more = f"{'.'.join(map(str, where))}: {more}"
    metadata = error.get("metadata")
    behind = _words(metadata.get("raw"), depth - 1) if isinstance(metadata, dict) else ""
    told: list[str] = []
    for part in (said, more, behind):
        if part and not any(part in other for other in told):
            told.append(part)
    return ": ".join(told)


def codes_of(error: object) -> frozenset[str]:
    """The types and codes of an error, in small letters, and of those inside it."""
    return frozenset(_codes(error, _DEPTH))


def _codes(error: object, depth: int) -> set[str]:
    if isinstance(error, bytes):
        error = error.decode(errors="replace")
    if isinstance(error, str):
        error = _parse(error)
    if not depth:
        return set()
    if isinstance(error, list):
        return {code for item in error[:_PARTS] for code in _codes(item, depth - 1)}
    if not isinstance(error, dict):
        return set()
    found = {str(error[name]).lower() for name in _CODES if isinstance(error.get(name), str | int)}
    inside = [error.get("error"), error.get("detail"), error.get("message")]
    metadata = error.get("metadata")
    if isinstance(metadata, dict):
        inside.append(metadata.get("raw"))
    return found.union(*(_codes(one, depth - 1) for one in inside))


def _parse(text: str) -> dict[str, Any] | list[Any] | None:
    """The JSON object or list that ``text`` is, None if it is none."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None

"""Whether a call failed, as files of many tools say it: by an exit code, a flag, an error."""

from __future__ import annotations

import re
from typing import Any, Final

from sessions import events as ev
from sessions.importers.documents import loads, table

_CODES: Final = ("exit_code", "exitCode", "returncode", "return_code")
_WRONG: Final = ("is_error", "isError")
_OUTPUTS: Final = frozenset({"output", "stdout", "stderr", "content", "result"})
_TAGGED: Final = re.compile(r"\s*<returncode>\s*(-?\d+)\s*</returncode>")


def outcome_of(fields: dict[str, Any]) -> ev.Outcome:
    """How a call ended, by the fields that stand beside its result; what says nothing counts as "ok"."""
    late = fields.get("timed_out", fields.get("timeout_hit")) is True
    if late or "timeout" in str(fields.get("exception_type") or "").lower():
        return "timeout"
    codes = [fields.get(name) for name in _CODES]
    failed = any(isinstance(code, int | float) and not isinstance(code, bool) and code != 0 for code in codes)
    failed = failed or any(fields.get(name) is True for name in _WRONG) or fields.get("success") is False
    failed = failed or bool(fields.get("exception_info")) or fields.get("status") in ("error", "failed")
    failed = failed or (isinstance(fields.get("error"), str | dict) and bool(fields["error"]))
    return "error" if failed else "ok"


def outcome_of_text(text: str) -> ev.Outcome:
    """How a call ended whose result says it in its text alone: ``{"exit_code": 1, "output": "…"}``, ``<returncode>1…``.

    JSON without an output beside its code is somebody's data, and says nothing of the call.
    """
    if found := _TAGGED.match(text):
        return "error" if int(found[1]) else "ok"
    if not text.startswith("{") or not any(f'"{name}"' in text for name in _CODES):
        return "ok"
    try:
        told = table(loads(text))
    except ValueError:
        return "ok"
    return outcome_of(told) if _OUTPUTS & told.keys() and any(name in told for name in _CODES) else "ok"

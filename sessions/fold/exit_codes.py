"""With what code a command ended, as its result says it: in a field beside it, or in the words of its harness. Pure.

Harnesses hand a command that failed to the model as any other text, so that the log counts it as "ok".
"""

from __future__ import annotations

import re
from typing import Final

from sessions import events as ev

LOOKED_AT: Final = 400
"""Characters at the beginning and at the end of an output that may say how it ended."""

_FIRST: Final = re.compile(
    r"(?:^|\n)\s*(?:<returncode>\s*|(?:exit code:?|(?:process|command) exited with code)\s+)(-?\d{1,4})\b",
    re.IGNORECASE,
)
_LAST: Final = re.compile(
    r"\s*[\[(<]?\s*(?:(?:process|command) )?exit(?:ed)?(?: with)?(?: code| status)?:? (-?\d{1,4})"
    r"(?: after [^\])]{1,40})?\s*[\])>]?\.?",
    re.IGNORECASE,
)


def exit_code(result: ev.ActionResult) -> int | None:
    """The exit code that the result of a command tells, None if it tells none."""
    told = result.data.get("exit_code", result.data.get("exitCode"))
    if isinstance(told, int) and not isinstance(told, bool):
        return told
    text = result.output.text
    if found := _FIRST.match(text[:LOOKED_AT]):
        return int(found[1])
    if result.output.blob is not None:  # only its beginning is here
        return None
    last = text[-LOOKED_AT:].rstrip().rpartition("\n")[2]
    found = _LAST.fullmatch(last)
    return int(found[1]) if found else None

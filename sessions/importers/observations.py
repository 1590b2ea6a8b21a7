"""What InnovatorBench's observations say: their text for people, whether they succeeded, and when they were made."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

QUARTER_MS: Final = 15 * 60 * 1000
"""Time zones differ by quarters of an hour."""
STEP_MS: Final = 1000
"""What an action takes that says nothing about it."""
INLINE_CHARS: Final = 500
"""Texts of an observation up to this length stay in its data; longer ones are part of the readable output."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One observation. ``readable`` is for people; ``data`` the small fields; ``fields`` all of them."""

    fields: dict[str, Any]
    readable: str
    data: dict[str, Any]
    success: bool


def observed(content: str) -> Observation:
    """What a tool message says. Content that is no JSON object is its own text."""
    try:
        fields = json.loads(content)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return Observation({}, content, {}, True)
    texts = [str(fields[key]) for key in ("message", "output") if fields.get(key)]
    data: dict[str, Any] = {}
    for key, value in fields.items():
        if key in ("message", "output", "success"):
            continue
        if isinstance(value, str) and len(value) > INLINE_CHARS:
            texts.append(f"{key}:\n{value}")
        else:
            data[key] = value
    return Observation(fields, "\n\n".join(texts), data, fields.get("success") is not False)


def zone_offset_ms(contents: Sequence[str]) -> int:
    """How far the naive times of a run are ahead of UTC: some observations state the same moment both ways."""
    offsets: Counter[int] = Counter()
    before: int | None = None
    for content in contents:
        fields = observed(content).fields
        if (local := _naive_ms(fields.get("timestamp"))) is not None:
            before = local
        elif before is not None and isinstance(active := fields.get("last_activity"), int | float):
            apart = before - int(active * 1000)
            nearest = round(apart / QUARTER_MS) * QUARTER_MS
            offsets[nearest] += abs(apart - nearest) < STEP_MS
    return offsets.most_common(1)[0][0] if offsets else 0


class Clock:
    """The time of each event in Unix ms: stated where an observation states it, in between from what calls ask for."""

    def __init__(self, offset_ms: int, last: str = "", contents: Sequence[str] = ()) -> None:
        self._offset = offset_ms
        stated = [_naive_ms(observed(content).fields.get("timestamp")) for content in contents]
        self._stated = [time - offset_ms for time in stated if time is not None]
        end = _naive_ms(last)
        if end is not None:
            self._stated.append(end - offset_ms)
        self._stated.sort()
        self.now = self._stated[0] - STEP_MS if self._stated else 0

    def passed(self, name: str, arguments: Any, fields: dict[str, Any]) -> int:
        """Let an action pass that returned ``fields``; how long it took, in ms. Time never goes back."""
        before = self.now
        took = _took_ms(name, arguments, fields)
        stated = _naive_ms(fields.get("timestamp"))
        if stated is not None:
            self.now = max(before, stated - self._offset)
            return min(took, self.now - before) if took else self.now - before
        at = bisect_left(self._stated, before + 1)
        latest = self._stated[at] if at < len(self._stated) else before + (took or STEP_MS)
        self.now = max(before, min(before + (took or STEP_MS), latest))
        return self.now - before


def _took_ms(name: str, arguments: Any, fields: dict[str, Any]) -> int:
    """How long an action says that it takes, 0 if it does not say."""
    seconds = fields.get("execution_time")
    if name == "sleep" and isinstance(arguments, dict):
        seconds = arguments.get("sleep_time")
    return int(seconds * 1000) if isinstance(seconds, int | float) and seconds > 0 else 0


def _naive_ms(text: object) -> int | None:
    """A time without a zone, as if it were UTC; with one, as it says."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)

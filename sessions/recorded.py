"""A recorded trajectory as ``replay:`` plays it; importers make it, the provider reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sessions.log.events import Outcome
from sessions.log.parts import Part, Usage


@dataclass(frozen=True, slots=True)
class RecordedResult:
    """What one call returned then. ``duration_ms`` is recorded time; a replay divides it by its speed."""

    output: str
    outcome: Outcome = "ok"
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """One reply and its results, one per call, in order. ``duration_ms``: how long the reply took."""

    parts: tuple[Part, ...]
    results: tuple[RecordedResult, ...] = ()
    duration_ms: int = 0
    usage: Usage | None = None
    model: str = ""


class Recording(Protocol):
    """What ``sessions.importers.load_recording(path)`` gives for any format that can be imported."""

    @property
    def steps(self) -> Sequence[RecordedStep]:
        """All steps of the trajectory, in order."""
        ...

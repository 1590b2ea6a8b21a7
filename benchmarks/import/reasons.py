"""Why a difference stays: a table of reasons, each for one kind of difference in one format."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .compare import Difference
from .recordings import Recording

TABLE: Final = Path(__file__).with_name("reasons.toml")


@dataclass(frozen=True, slots=True)
class Reason:
    """``recording``, ``expected`` and ``actual`` are patterns that must be found, where they are given."""

    format: str
    kind: str
    why: str
    recording: str = ""
    expected: str = ""
    actual: str = ""

    def fits(self, recording: Recording, difference: Difference) -> bool:
        """Whether this is the reason of ``difference``."""
        return (
            self.format in {recording.format, "every"}
            and self.kind == difference.kind
            and self.recording in str(recording)
            and bool(re.search(self.expected, difference.expected))
            and bool(re.search(self.actual, difference.actual))
        )


def reasons(file: Path = TABLE) -> list[Reason]:
    """The table, in its order."""
    return [Reason(**entry) for entry in tomllib.loads(file.read_text("utf-8")).get("reason", [])]


def reason_of(known: Iterable[Reason], recording: Recording, difference: Difference) -> Reason | None:
    """The first reason that fits."""
    return next((reason for reason in known if reason.fits(recording, difference)), None)


def unused(known: Sequence[Reason], used: Iterable[Reason]) -> list[Reason]:
    """Reasons that explained nothing: what they speak of is mended, or gone."""
    seen = set(used)
    return [reason for reason in known if reason not in seen]

"""What a format is: how a session becomes lines, and what it counts on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from apollo_train.samples import Excluded, Source, StepSample
from apollo_train.tokens import count

Unit = Literal["step", "segment", "event"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file, without its end; what it trains, and what it had to give up."""

    data: bytes
    trained: int = 0
    """Replies that this line trains."""
    trained_tokens: int = 0
    processed_tokens: int = 0
    unseen_tokens: int = 0
    """Trained tokens of replies that no human saw."""
    exact_tokens: bool = True
    """Whether all token counts are the server's own."""
    calls_lost: int = 0
    unchecked: bool = False
    """A segment whose prompts are no prefixes of it."""
    counterfactual: bool = False
    rows: int = 1


class Format(Protocol):
    """A file format."""

    @property
    def name(self) -> str:
        """What ``--format`` takes."""
        ...

    @property
    def version(self) -> int:
        """Raised when the shape of its lines changes."""
        ...

    @property
    def unit(self) -> Unit:
        """What a line is."""
        ...

    @property
    def about(self) -> str:
        """One line for a menu."""
        ...

    def lines(self, source: Source) -> Iterator[Line | Excluded]:
        """The lines of one session, in constant memory."""
        ...


@runtime_checkable
class Configured(Protocol):
    """A format whose bytes depend on more than the log and the policy."""

    @property
    def settings(self) -> dict[str, Any]:
        """All that they depend on, for the manifest."""
        ...


def line_of(data: bytes, sample: StepSample) -> Line:
    """The line of a step sample, with what it counts."""
    tokens = count(sample.mask)
    return Line(
        data,
        trained=1,
        trained_tokens=tokens.reply,
        processed_tokens=tokens.prompt + tokens.reply,
        unseen_tokens=0 if sample.mask.seen else tokens.reply,
        exact_tokens=tokens.exact,
        counterfactual=sample.meta["prompt"] == "counterfactual",
    )

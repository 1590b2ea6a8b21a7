"""What a format is: how a session becomes lines, and what it counts on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from apollo_train.output_files import Data
from apollo_train.policy import FilterPolicy
from apollo_train.samples.segments import Segment
from apollo_train.samples.steps import Excluded, Source, StepSample
from apollo_train.samples.token_counts import count
from apollo_train.templates.message_form import Form

Unit = Literal["step", "segment", "event", "verdict"]


class Line(msgspec.Struct, frozen=True):
    """One line of the file, without its end; what it trains, and what it had to give up."""

    data: Data
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
    helped: bool = False
    """A row with advice in its context."""
    id: str = ""
    actions: int = 0
    """Calls that this line trains."""
    weight: float = 1.0
    """What the row counts."""
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


@runtime_checkable
class Reporting(Protocol):
    """A format that gathers a report of its own while its lines are made."""

    def take_report(self) -> Any:
        """What it gathered since this was asked last, as JSON can say it."""
        ...

    def add_report(self, told: Any) -> None:
        """Add what ``take_report`` told, here or in another process, to the report of the whole."""
        ...


@runtime_checkable
class Explaining(Protocol):
    """A format that learns on the way why replies cannot be written, beyond the one word of the reason."""

    def explanation(self) -> str:
        """What was in the way first, where, and what helps; "" where nothing was."""
        ...


@runtime_checkable
class Weighing(Protocol):
    """A format that writes nothing twice for a weight: a row holds its weight, or the format has none to hold."""

    weighs: bool


@runtime_checkable
class Shaped(Protocol):
    """A format of messages, which a chat template renders: it can say them in another form."""

    @property
    def name(self) -> str:
        """The format's."""
        ...

    @property
    def form(self) -> Form:
        """How it says them."""
        ...

    def shaped(self, form: Form) -> Format:
        """The same format, its messages in this form."""
        ...


@runtime_checkable
class Choosy(Protocol):
    """A format that cannot express every policy."""

    def refusal(self, policy: FilterPolicy) -> str:
        """Why not this one, and which format to take; "" if it can."""
        ...


def whole_replies_only(name: str, policy: FilterPolicy) -> str:
    """The refusal of formats that train a reply whole or not at all."""
    if policy.flags.scope in ("format", "message"):
        return ""
    return (
        f"{name} trains a reply whole or not at all, and the policy says flags.scope = {policy.flags.scope!r}: "
        "take `apollo-train tokens`, or say scope = 'message'"
    )


def line_of(data: Data, sample: StepSample) -> Line:
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
        helped=bool(sample.meta["advice"]),
        id=sample.id,
        actions=sample.mask.calls,
        weight=sample.meta["weight"],
    )


def line_of_segment(data: Data, segment: Segment) -> Line:
    """The line of a segment, with what it counts."""
    counts = [count(mask) for mask in segment.masks]
    return Line(
        data,
        trained=len(counts),
        trained_tokens=sum(c.reply for c in counts),
        processed_tokens=max((c.prompt + c.reply for c in counts), default=0),
        unseen_tokens=sum(c.reply for c, mask in zip(counts, segment.masks, strict=True) if not mask.seen),
        exact_tokens=all(c.exact for c in counts),
        calls_lost=segment.calls_lost,
        unchecked=not segment.meta["prefix_checked"],
        counterfactual=segment.meta["prompt"] == "counterfactual",
        helped=bool(segment.meta["advice"]),
        id=segment.id,
        actions=sum(mask.calls for mask in segment.masks),
        weight=segment.meta["weight"],
    )

"""What a format is: how a session becomes lines, and what it counts on the way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, Literal, Self

import msgspec

from apollo_train.masks.reply_masks import ReplyMask
from apollo_train.output_files import Data
from apollo_train.policy import FilterPolicy
from apollo_train.runtime import CannotExpress
from apollo_train.samples.scrub import ScrubRules
from apollo_train.samples.segments import Segment
from apollo_train.samples.step_samples import Exclusion, Source, StepSample
from apollo_train.samples.token_counts import count
from apollo_train.templates.template_trial import TemplateTrial
from sessions.log.reader import LogReader

Unit = Literal["step", "segment", "event", "verdict"]


class TrainedReply(msgspec.Struct, frozen=True):
    """One reply that a line trains."""

    seq: int
    tokens: int
    unseen_tokens: int
    actions: int


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
    models: tuple[str, ...] = ()
    """The model of each reply that it trains."""
    replies: tuple[TrainedReply, ...] = ()
    """Each of those that it trains, where a twin may train them too."""


class Format(ABC):
    """A file format. A new one says its ``name``, ``version``, ``about`` and ``lines``; all else has a default.

    Formats whose rows hold chat messages begin with ``rows.StepRows`` or ``rows.SegmentRows`` instead.
    """

    name: str
    """What ``--format`` takes."""
    version: int
    """Raised when the shape of its lines changes."""
    about: str
    """One line for a menu."""
    unit: Unit = "step"
    """What a line is."""
    has_meta: bool = True
    """Whether each row says in ``meta`` where it comes from, so that ``datasets`` can load and split the file."""
    weighs: bool = False
    """Whether nothing is written twice for a weight: a row holds its weight, or the format has none to hold."""
    own_report: bool = False
    """Whether it gathers a report of its own while its lines are made, and has a page of its own."""
    paged: bool = True
    """Whether a page beside the file shows what is trained; not where nothing is trained or masked reply by reply."""
    labels: bool = False
    """Whether each row says in ``meta`` which flags stand on its replies (``with_labels``)."""
    tells_all: bool = False
    """Whether it tells what happened, so that no advice can be taken out of it."""
    trainer: str = ""
    """The trainer that renders its messages by a chat template, as docs/conformance.md names it; "" if none was run."""
    template: str = ""
    """The family of the chat template that its rows are for; "" for any."""
    scrubs: bool = False
    """Whether what may not leave the log can be replaced in its rows (``with_scrub``)."""
    scrub: ScrubRules | None = None

    @abstractmethod
    def lines(self, source: Source) -> Iterator[Line | Exclusion]:
        """The lines of one session, in constant memory."""

    @property
    def takes_policy(self) -> bool:
        """Whether a policy says what is in it: events are written as they are."""
        return self.unit != "event"

    @property
    def settings(self) -> dict[str, Any]:
        """All that its bytes depend on besides the log and the policy, for the manifest."""
        scrub = {"scrub_sha256": self.scrub.digest} if self.scrub is not None else {}
        return {**({"labels": True} if self.labels else {}), **scrub}

    def with_scrub(self, rules: ScrubRules) -> Self:
        """The same format, what the rules find replaced in its rows. Raises CannotExpress where that cannot be."""
        if not self.scrubs:
            raise CannotExpress(f"{self.name} cannot be scrubbed: take `steps`, a format of messages, or tokens")
        scrubbed = copy(self)
        scrubbed.scrub = rules
        return scrubbed

    def with_ancestors(self, reader: LogReader, sessions: Sequence[str]) -> tuple[Self, list[str]]:
        """The format and the sessions that it writes where these are wanted: some need others to be whole."""
        return self, [*sessions]

    def with_labels(self) -> Self:
        """The same format, its rows with the labels of flags. Raises CannotExpress where rows have no ``meta``."""
        if not self.has_meta:
            raise CannotExpress(
                f"rows of {self.name} have no `meta` for labels: take `steps` or a format of messages; `raw` and "
                "`atif` hold every flag as it is"
            )
        labelled = copy(self)
        labelled.labels = True
        return labelled

    def refusal(self, policy: FilterPolicy) -> str:
        """Why it cannot express this policy, and which format to take; "" if it can."""
        return ""

    def trial_for(self, policy: FilterPolicy) -> TemplateTrial | None:
        """What tries its rows with the template that was named; None where nothing does."""
        return None

    def explanation(self) -> str:
        """Why replies could not be written, beyond the one word of the reason: what was first, where, what helps."""
        return ""

    def take_report(self) -> Any:
        """What it gathered since this was asked last, as JSON can say it; None without a report of its own."""
        return None

    def add_report(self, report: Any) -> None:  # noqa: B027 - without a report there is nothing to add
        """Add what ``take_report`` gave, here or in another process, to the report of the whole."""

    def adapt_to_template(self, family: str, *, exact: bool = True, trial: TemplateTrial | None = None) -> Format:
        """The format for templates of this family, in the form that it needs; itself where it holds no messages.

        ``exact``: the template is the very one of its family that was tried. ``trial`` renders each row with it once.
        """
        return self


def whole_replies_only(name: str, policy: FilterPolicy) -> str:
    """The refusal of formats that train a reply whole or not at all."""
    if policy.flags.scope in ("format", "message"):
        return ""
    return (
        f"{name} trains a reply whole or not at all, and the policy says flags.scope = {policy.flags.scope!r}: "
        "take `apollo-train tokens`, or say scope = 'message'"
    )


def is_twin(id: str) -> bool:
    """Whether the row of this id has a twin: the same replies with advice, or without it."""
    return id.endswith(("+advice", "-advice"))


def trained_reply(mask: ReplyMask, tokens: int) -> TrainedReply:
    """The reply, of so many trained tokens."""
    return TrainedReply(mask.seq, tokens, 0 if mask.seen else tokens, mask.calls)


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
        models=(sample.mask.model,),
        replies=(trained_reply(sample.mask, tokens.reply),),
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
        unchecked=not segment.meta["prefix_checked"],
        counterfactual=segment.meta["prompt"] == "counterfactual",
        helped=bool(segment.meta["advice"]),
        id=segment.id,
        actions=sum(mask.calls for mask in segment.masks),
        weight=segment.meta["weight"],
        models=tuple([mask.model for mask in segment.masks]),
        replies=tuple(trained_reply(mask, c.reply) for c, mask in zip(counts, segment.masks, strict=True)),
    )

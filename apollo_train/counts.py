"""What an export counts: trained, masked and why, what nobody saw, and what a format had to give up."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from apollo_train.formats.base import Line
from apollo_train.masks import ReplyMask
from apollo_train.samples import Excluded
from apollo_train.tokens import count


class Counts(msgspec.Struct):
    """Counts of a session or of a whole export. ``steps`` are replies, ``masked`` those that are no target."""

    sessions: int = 0
    rows: int = 0
    steps: int = 0
    trained: int = 0
    masked: int = 0
    masked_by: dict[str, int] = {}
    """Masked replies by their one reason."""
    left_out: dict[str, int] = {}
    """Sessions that the policy leaves out, by reason."""
    actions: int = 0
    """Calls that are trained."""
    actions_masked: dict[str, int] = {}
    """Calls that are not, by the reason of their reply."""
    tokens_masked: dict[str, int] = {}
    """Tokens of masked replies, by reason."""
    helped: int = 0
    """Rows with advice in their context."""
    resampled: int = 0
    """Rows that are written more or less than once, so that each is seen as often as it weighs."""
    advice: int = 0
    """Pieces of advice that the agents of these sessions were given."""
    flags: int = 0
    """Flags of humans that stand."""
    effort_ms: int = 0
    """Active time that annotators spent on these sessions."""
    calls_lost: int = 0
    """Good calls that are not trained because their reply is masked for another cell."""
    trained_tokens: int = 0
    unseen_tokens: int = 0
    processed_tokens: int = 0
    exact_tokens: bool = True
    """False: some token counts are estimates (no server counted)."""
    unchecked: int = 0
    """Segments in which a trained reply's prompt is no prefix of the messages."""
    counterfactual: int = 0
    """Rows from whose prompt advice was taken."""
    unresolved: int = 0
    """Flags that should reach until a recovery which nobody marked."""
    lost_flags: int = 0
    """Flags on steps that do not exist."""

    def take(self, item: Line | Excluded) -> None:
        """Count one line or one reply that is left out."""
        self.calls_lost += item.calls_lost
        if isinstance(item, Excluded):
            self.mask(item.reason, item.mask)
            return
        self.actions += item.actions
        self.helped += item.helped * item.rows
        self.rows += item.rows
        self.trained += item.trained
        self.steps += item.trained
        self.trained_tokens += item.trained_tokens
        self.unseen_tokens += item.unseen_tokens
        self.processed_tokens += item.processed_tokens
        self.exact_tokens = self.exact_tokens and item.exact_tokens
        self.unchecked += item.unchecked
        self.counterfactual += item.counterfactual

    def mask(self, reason: str, mask: ReplyMask | None = None) -> None:
        """Count one masked reply."""
        self.steps += 1
        self.masked += 1
        self.masked_by[reason] = self.masked_by.get(reason, 0) + 1
        if mask is None or mask.event.kind != "model.reply":
            return
        self.tokens_masked[reason] = self.tokens_masked.get(reason, 0) + count(mask).reply
        if mask.calls:
            self.actions_masked[reason] = self.actions_masked.get(reason, 0) + mask.calls

    def add(self, other: Counts) -> None:
        """Add the counts of another session."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, dict):
                for key, number in theirs.items():
                    mine[key] = mine.get(key, 0) + number
            elif isinstance(mine, bool):
                setattr(self, name, mine and theirs)
            else:
                setattr(self, name, mine + theirs)

    @property
    def unseen_share(self) -> float:
        """The share of trained tokens that no human saw, 0 to 1."""
        return self.unseen_tokens / self.trained_tokens if self.trained_tokens else 0.0

    def lines(self) -> Iterator[str]:
        """The counts for a person, a line each."""
        about = "" if self.exact_tokens else " (estimated where no server counted)"
        rows = f", {self.rows:,} rows" if self.rows else ""
        count = f"{self.sessions} session{'s' * (self.sessions != 1)}"
        yield f"{count}{rows}: {self.trained:,} replies trained, {self.masked:,} masked"
        if self.trained_tokens:
            ratio = self.processed_tokens / self.trained_tokens
            yield f"{self.trained_tokens:,} tokens trained{about}" + (f", {ratio:.1f} processed for each" * bool(ratio))
            yield f"{self.unseen_share:.1%} of the trained tokens were seen by no human"
        if self.actions or self.actions_masked:
            yield f"{self.actions:,} calls trained, {sum(self.actions_masked.values()):,} masked"
        for reason, number in sorted(self.masked_by.items()):
            tokens = self.tokens_masked.get(reason)
            yield f"masked: {number:,} {reason}" + (f" ({tokens:,} tokens)" if tokens else "")
        yield from (f"left out: {number:,} {reason}" for reason, number in sorted(self.left_out.items()))
        told = {
            "good calls are not trained, because another call of their reply is masked": self.calls_lost,
            "rows have advice taken out of their prompt": self.counterfactual,
            "rows have advice in their context": self.helped,
            "rows are written more or less than once, for their weight": self.resampled,
            "pieces of advice were given to these agents": self.advice,
            "flags of humans stand on these sessions": self.flags,
            "minutes of annotators' time went into these sessions": round(self.effort_ms / 60_000),
            "segments are not prefix-checked: take `steps` for a template that drops reasoning": self.unchecked,
            "flags wait for a recovery that nobody marked; only what they flag is masked": self.unresolved,
            "flags are on steps that do not exist": self.lost_flags,
        }
        yield from (f"{number:,} {what}" for what, number in told.items() if number)

"""What an export counts: trained, masked and why, what nobody saw, and what a format had to give up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from apollo_train.formats.base import Line
from apollo_train.masks.reply_masks import ReplyMask
from apollo_train.samples.step_samples import Exclusion
from apollo_train.samples.token_counts import count
from sessions.terminal_text import say_count

IF_ANY: Final = ("contained", "scrubbed")
"""Counts that manifests have only where there is something to count."""
SINCE_2: Final = ("still_open", "trained_by_model", "advice_by_reach", "answers", "lone_twins", "refusals")
"""Counts that manifests of a policy of version 1 do not have."""
REFUSES: Final = "the template refuses"
"""How the lines begin that say what a chat template refuses."""
_REACHES: Final = (("general", "general"), ("here", "here only"), ("unknown", "reach unknown (counts as here)"))


class Counts(msgspec.Struct):
    """Counts of a session or of a whole export. ``steps`` are replies, ``masked`` those that are no target."""

    sessions: int = 0
    rows: int = 0
    """Rows of the file, copies counted."""
    steps: int = 0
    trained: int = 0
    masked: int = 0
    masked_by: dict[str, int] = {}
    """Masked replies by their one reason."""
    masked_by_label: dict[str, int] = {}
    """Of those that flags mask, how many have which label; one that several flags mask counts for each."""
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
    lone_twins: dict[str, int] = {}
    """Replies that only one of two twins trains, by the reason why there is no other."""
    unresolved: int = 0
    """Flags that should reach until a recovery which nobody marked."""
    lost_flags: int = 0
    """Flags on steps, calls or summaries that do not exist."""
    still_open: int = 0
    """Flags whose recovery nobody marked and whose loop runs still; a rule says how far they reach."""
    trained_by_model: dict[str, int] = {}
    """Trained replies by the model that wrote them."""
    advice_by_reach: dict[str, int] = {}
    """Pieces of advice by how far they reach: ``general``, ``here``, or ``unknown``, which counts as here."""
    answers: int = 0
    """What people answered to the agents' questions."""
    refusals: dict[str, int] = {}
    """Replies that the chat template refuses, with or for what is before them, by its own words."""
    contained: dict[str, int] = {}
    """Sessions by what contained their commands; those from before there were prefixes are not named."""
    scrubbed: dict[str, int] = {}
    """By rule of scrubbing, in how many places of messages it replaced something, and how many different values."""

    def take(self, item: Line | Exclusion, copies: int = 1) -> None:
        """Count one line, written so many times, or one reply that is left out. What is trained counts once."""
        if isinstance(item, Exclusion):
            self.calls_lost += item.calls_lost
            if item.says:
                self.refuse(item.says)
            self.mask(item.reason, item.mask, item.labels)
            return
        self.resampled += copies != 1
        if not copies:
            self._skip(item)
            return
        self.actions += item.actions
        self.helped += item.helped * item.rows * copies
        self.rows += item.rows * copies
        self.trained += item.trained
        for model in item.models:
            self.trained_by_model[model] = self.trained_by_model.get(model, 0) + 1
        self.steps += item.trained
        self.trained_tokens += item.trained_tokens
        self.unseen_tokens += item.unseen_tokens
        self.processed_tokens += item.processed_tokens
        self.exact_tokens = self.exact_tokens and item.exact_tokens
        self.unchecked += item.unchecked
        self.counterfactual += item.counterfactual * copies

    def _skip(self, item: Line) -> None:
        """Count the replies of a row that weighs so little that it is not in the file."""
        self.steps += item.trained
        self.masked += item.trained
        for counts, number in (
            (self.masked_by, item.trained),
            (self.tokens_masked, item.trained_tokens),
            (self.actions_masked, item.actions),
        ):
            if number:
                counts["resampled"] = counts.get("resampled", 0) + number

    def refuse(self, said: str) -> None:
        """Count one reply of which the chat template says this."""
        self.refusals[said] = self.refusals.get(said, 0) + 1

    def leave_out(self, reason: str) -> None:
        """Count one session that takes no part."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1

    def mask(self, reason: str, mask: ReplyMask | None = None, labels: Iterable[str] = ()) -> None:
        """Count one masked reply."""
        self.steps += 1
        self.masked += 1
        self.masked_by[reason] = self.masked_by.get(reason, 0) + 1
        for label in labels:
            self.masked_by_label[label] = self.masked_by_label.get(label, 0) + 1
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
        rows = f", {say_count(self.rows, 'row')}" if self.rows else ""
        trained = f": {say_count(self.trained, 'reply', 'replies')} trained, {self.masked:,} masked"
        # Events have rows and no replies: nothing of them is trained or masked.
        yield f"{say_count(self.sessions, 'session')}{rows}{trained if self.steps or not self.rows else ''}"
        if self.trained_tokens:
            ratio = self.processed_tokens / self.trained_tokens
            processed = f", {ratio:.1f} tokens processed per trained token" if ratio else ""
            yield f"{say_count(self.trained_tokens, 'token')} trained{about}{processed}"
            yield f"{self.unseen_share:.1%} of the trained tokens were seen by no human"
        if self.actions or self.actions_masked:
            yield f"{say_count(self.actions, 'call')} trained, {sum(self.actions_masked.values()):,} masked"
        for reason, number in sorted(self.masked_by.items()):
            tokens = self.tokens_masked.get(reason)
            yield f"masked: {number:,} {reason}" + (f" ({say_count(tokens, 'token')})" if tokens else "")
        yield from (f"masked by label: {number:,} {label}" for label, number in sorted(self.masked_by_label.items()))
        for said, number in sorted(self.refusals.items(), key=lambda one: (-one[1], one[0])):
            yield f"{REFUSES} {say_count(number, 'reply', 'replies')}, or what is before: {said}"
        yield from (f"left out: {number:,} {reason}" for reason, number in sorted(self.left_out.items()))
        yield from (f"without its twin: {number:,} {reason}" for reason, number in sorted(self.lone_twins.items()))
        notes = (
            (self.calls_lost, "good call", "not trained, because another call of the reply is masked"),
            (self.counterfactual, "row", "with advice taken out of the prompt, which no model ever saw"),
            (self.helped, "row", "with advice in the context"),
            (self.resampled, "row", "written more or less than once, for the weight"),
            (self.flags, "flag", "of humans on these sessions"),
            (round(self.effort_ms / 60_000), "minute", "of annotators' time in these sessions"),
            (self.unchecked, "segment", "not prefix-checked: take `steps` for a template that drops reasoning"),
            (self.unresolved, "flag", "waiting for a recovery that nobody marked: only what is flagged is masked"),
            (self.still_open, "flag", "open: the loop that it is about runs still, and is masked as far as it goes"),
            (self.lost_flags, "flag", "on a step, a call or a summary that does not exist"),
        )
        if self.advice:
            by_reach = self.advice_by_reach
            reach = [f"{by_reach[name]:,} {words}" for name, words in _REACHES if name in by_reach]
            said = f": {', '.join(reach)}" if reach else ""
            yield f"{say_count(self.advice, 'piece', 'pieces')} of advice given to these agents{said}"
        for rule in sorted(name for name in self.scrubbed if " " not in name):
            values = self.scrubbed.get(f"{rule} values", 0)
            yield f"scrubbed: {say_count(values, 'value')} of {rule} in {say_count(self.scrubbed[rule], 'place')}"
        if self.answers:
            yield f"{say_count(self.answers, 'answer')} of people to questions of these agents"
        yield from (f"{say_count(number, noun)} {what}" for number, noun, what in notes if number)

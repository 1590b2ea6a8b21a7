"""What an export would hold, counted without reading a prompt; and whether its format can say what its policy asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apollo_train.export.counts import Counts
from apollo_train.export.near_prompts import NearPrompts, read_near_prompts
from apollo_train.export.policy_notes import policy_notes
from apollo_train.export.session_writer import counts_before
from apollo_train.export.twins import TwinCounter
from apollo_train.formats import find_format
from apollo_train.formats.base import Format, Line
from apollo_train.formats.conformance import note_of
from apollo_train.formats.readers import say_readers
from apollo_train.masks.annotations import Annotations
from apollo_train.masks.reply_masks import mask_replies
from apollo_train.masks.unused_names import find_unused_names
from apollo_train.policy import FilterPolicy
from apollo_train.runtime import CannotExpress
from apollo_train.samples import token_counts as tokens
from apollo_train.samples.session_selection import SessionExclusion, position_of, select
from apollo_train.samples.step_samples import Source
from apollo_train.samples.weights import Weigher
from apollo_train.templates.template_trial import REFUSED, RefusalsInContext
from sessions.log.reader import LogReader


@dataclass(slots=True)
class Plan:
    """What an export would be. Exact, except that only writing finds replies that refer to dropped advice, and what a
    template refuses for the turns of people, and only writing repeats rows, or leaves them out, for their weight."""

    format: str
    policy: FilterPolicy
    position: int
    counts: Counts
    per_session: dict[str, Counts]
    left_out: dict[str, str]
    """Sessions that take no part, and why."""
    note: str = ""
    """With which chat templates the trainer of this format was tried."""
    unused: tuple[str, ...] = ()
    """Names in the policy that nothing here has, a line each."""
    near_prompts: NearPrompts | None = None
    """Prompts that are nearly equal on two sides of the split; None where nothing is parted."""

    def lines(self) -> list[str]:
        """The plan for a person."""
        notes = policy_notes(self.policy, self.counts)
        near = self.near_prompts.lines() if self.near_prompts is not None else []
        return [*self.counts.lines(), *notes, *near, *self.unused, *filter(None, [say_readers(self.format), self.note])]


def plan_export(
    reader: LogReader,
    sessions: Sequence[str] | None,
    policy: FilterPolicy,
    format: str | Format = "steps",
    *,
    position: int | None = None,
) -> Plan:
    """Count what an export of these sessions (None: all) would hold, without reading a single prompt.

    Raises UnknownFormat, or CannotExpress where the format cannot say what the policy asks for.
    """
    format = require_expressible(find_format(format), policy)
    at = position_of(reader, position)
    plan = Plan(format.name, policy, at, Counts(), {}, {}, note_of(format.name, format.template))
    for selected in select(reader, sessions, policy if format.takes_policy else None, at):
        if isinstance(selected, SessionExclusion):
            plan.left_out[selected.session] = selected.reason
            plan.counts.leave_out(selected.reason)
            continue
        counts = plan.per_session[selected.session] = _count_session(reader, selected, policy, format)
        plan.counts.add(counts)
    if format.takes_policy:
        trained = [session for session, counts in plan.per_session.items() if counts.trained]
        plan.near_prompts = read_near_prompts(reader, trained, policy, at)
        plan.unused = find_unused_names(reader, plan.per_session, policy, at, plan.counts.trained_by_model)
    return plan


def require_expressible(format: Format, policy: FilterPolicy) -> Format:
    """The format, if it can express the policy. Raises CannotExpress, naming one that can."""
    refusal = format.refusal(policy)
    if not refusal and policy.weights.apply == "refuse" and weights_differ(policy) and not format.weighs:
        refusal = (
            f"rows of {format.name} weigh differently by this policy, and its trainers ignore weights: say "
            "weights.apply = 'resample' to write rows as often as they weigh, or take llamafactory-v1"
        )
    if refusal:
        raise CannotExpress(refusal)
    return format


def weights_differ(policy: FilterPolicy) -> bool:
    """Whether rows can have other weights than 1."""
    return Weigher(policy).needs_counts or "both" in policy.advice.modes


def _count_session(reader: LogReader, judged: Annotations, policy: FilterPolicy, format: Format) -> Counts:
    """The counts of one session from its masks alone."""
    source = Source(reader, judged, policy, Weigher(policy), check=False)
    counts = counts_before(source, format)
    if not format.takes_policy:
        counts.rows = reader.count(judged.session, up_to=judged.position)
        return counts
    if format.unit == "verdict":  # few rows: making them is the way to count them
        counter = TwinCounter(counts, policy)
        for item in format.lines(source):
            counter.take(item)
        counter.finish()
        format.take_report()  # the report is of what is written
        return counts
    refusals = RefusalsInContext(format.trial_for(policy))
    for mask in mask_replies(reader, judged, policy):
        counts.calls_lost += mask.calls_lost
        said = refusals.take(mask)
        if not mask.trained:
            counts.mask(mask.reason, mask, mask.labels)
            continue
        if said:
            counts.refuse(said)
            counts.mask(REFUSED, mask)
            continue
        number = tokens.count(mask)
        line = Line(
            b"",
            trained=1,
            trained_tokens=number.reply,
            processed_tokens=number.prompt + number.reply if format.unit == "step" else 0,
            unseen_tokens=0 if mask.seen else number.reply,
            exact_tokens=number.exact,
            actions=mask.calls,
            models=(mask.model,),
            rows=1 if format.unit == "step" else 0,
        )
        counts.take(line)
    return counts

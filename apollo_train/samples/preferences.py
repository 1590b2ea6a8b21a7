"""Preference data: pairs for DPO, only where both actions answer the same question, and single verdicts for KTO.

A redo after advice was made in another situation than the flagged action, unless that action never ran. So it makes a
pair, at the prompt before the advice, only then, or where an annotator marked the redo good with the label
``right-there-too``: it would have been right at the flagged step already. All else is KTO data.

A correction that an annotator wrote is of the very same situation: where it says calls, it makes a pair with what the
agent did, before any redo is looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from apollo_train.masks.flag_verdicts import FlagVerdicts, source_of
from apollo_train.masks.reply_masks import ReplyMask, mask_replies
from apollo_train.masks.rules import REASONS, is_object
from apollo_train.masks.session_events import read_events
from apollo_train.policy import FilterPolicy
from apollo_train.samples.advice_references import SaidAdvice, quotes, refers, speaks_of_advice
from apollo_train.samples.advice_removal import text_of_prompt
from apollo_train.samples.chat import chat_of_reply
from apollo_train.samples.corrections import Corrections, is_replaceable
from apollo_train.samples.step_samples import Exclusion, Source, StepSample, make_step_samples, reply_of, target_text
from sessions import events as ev
from sessions.labels import RIGHT_THERE_TOO

CONFIRMED: Final = RIGHT_THERE_TOO

_OWN: Final = {
    "correction_words": "a correction in words, not in calls, of what nobody flagged",
    "correction_tool": "a correction with a call to a tool that the agent did not have",
    "disputed": "annotators disagree, and the policy leaves such replies out",
    "no_redo": "no advice followed it, or no step that is trained followed the advice",
    "ran": "the flagged action ran, and nobody marked the redo `right-there-too`",
    "other_context": "a summary came between",
    "redo_refers": "the redo speaks of the advice, which its prompt would not hold",
    "same": "the redo is the same as what was flagged",
    "reasoning": "one of the two has reasoning and the other none, for which the template has another prompt (a "
    "correction may begin with <think>its reasoning</think>)",
    "tokens": "the template renders the two after different prompts, or not at all",
    "too_long": "longer than the limit",
}
REFUSALS: Final = {**REASONS, **_OWN}
"""Why a flagged reply makes no pair, or no row of its own."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A reply at its own prompt, and what was, or should have been, done instead. Both hold the same prompt."""

    rejected: StepSample
    chosen: StepSample
    confirmed: bool
    corrected: bool = False
    """An annotator wrote what is chosen."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A flagged reply that makes no pair; ``reason`` is a key of REFUSALS."""

    id: str
    reason: str
    mask: ReplyMask | None
    """The reply; None where nobody knows it any more."""
    labels: tuple[str, ...] = ()
    """Of the flags on the reply."""

    def exclude(self, session: str) -> Exclusion:
        """Its line of the twin file."""
        name, seq = (self.mask.name, self.mask.seq) if self.mask is not None else (self.id.partition(":")[2], 0)
        return Exclusion(self.id, session, name, self.reason, seq, mask=self.mask, labels=self.labels)


@dataclass(frozen=True, slots=True)
class UnpairedReply:
    """A reply that a human judged: wanted or not."""

    sample: StepSample
    good: bool


def find_unpaired_replies(source: Source) -> Iterator[UnpairedReply | Refusal]:
    """The replies that humans flagged bad or marked good, and that could be targets at all; and why others are none."""
    verdicts = FlagVerdicts(source.judged, source.policy)

    def is_rated(mask: ReplyMask) -> bool:
        if mask.summary:
            return False
        if mask.trained:
            return verdicts.is_approved(mask.step, mask.calls)
        return mask.reason == "flagged" and verdicts.is_blamed(mask.step)

    for sample in make_step_samples(source, is_rated):
        if not isinstance(sample, Exclusion):
            yield UnpairedReply(sample, sample.mask.trained)
        elif _is_awaited(sample, is_rated, verdicts):
            yield Refusal(sample.id, sample.reason, sample.mask, sample.labels)


def find_pairs(source: Source) -> Iterator[Pair | Refusal]:
    """The pairs of a session, and of each other reply that a human flagged why it makes none."""
    # What was done after advice is set at the prompt before it, so that it does not matter what becomes of the advice.
    masks = mask_replies(source.reader, source.judged, source.policy)
    redos = {mask.step: mask for mask in masks if mask.trained or mask.reason == "after_here_advice"}
    roots = _find_roots(source)
    ran = _find_run_steps(source)
    turns = sorted(source.judged.delivered.values(), key=lambda turn: turn.at_step)
    corrections = Corrections(source.judged.corrections)
    verdicts = FlagVerdicts(source.judged, source.policy)

    def is_wanted(mask: ReplyMask) -> bool:
        if mask.summary or mask.reason == "disputed":
            return False
        corrected = mask.step in corrections and is_replaceable(mask)
        return corrected or (mask.reason == "flagged" and verdicts.is_blamed(mask.step))

    for flagged in make_step_samples(source, is_wanted):
        if isinstance(flagged, Exclusion):
            if _is_awaited(flagged, is_wanted, verdicts):
                yield Refusal(flagged.id, flagged.reason, flagged.mask, flagged.labels)
            continue
        step = flagged.mask.step
        written = corrections.instead_of(flagged.mask)
        if written is not None:
            chosen = _replace_reply(flagged, written, True)
            if _actions_of(written) == _actions_of(flagged.mask):
                yield Refusal(flagged.id, "same", flagged.mask, flagged.mask.labels)
            elif not _has_its_tools(chosen):
                yield Refusal(flagged.id, "correction_tool", flagged.mask, flagged.mask.labels)
            else:
                yield Pair(flagged, chosen, True, True)
            continue
        if not verdicts.is_blamed(step):
            yield Refusal(flagged.id, "correction_words", flagged.mask, flagged.mask.labels)
            continue
        advice = next((turn for turn in turns if turn.at_step > step), None)
        redo = redos.get(advice.at_step) if advice is not None else None
        if advice is None or redo is None:
            yield Refusal(flagged.id, "no_redo", flagged.mask, flagged.mask.labels)
            continue
        confirmed = _is_confirmed(source, redo.step)
        reason = ""
        if not confirmed and (step in ran or redo.step != step + 1):
            reason = "ran"
        elif roots.get(redo.request) != roots.get(flagged.mask.request):
            reason = "other_context"
        elif _refers_to_advice(
            source.policy,
            flagged,
            redo,
            [turn.text for turn in turns if turn.at_step <= redo.step and not _holds_advice(flagged, turn)],
        ):
            reason = "redo_refers"
        elif _actions_of(redo) == _actions_of(flagged.mask):
            reason = "same"
        if reason:
            yield Refusal(flagged.id, reason, flagged.mask, flagged.mask.labels)
        else:
            yield Pair(flagged, _replace_reply(flagged, redo), confirmed)


def _replace_reply(flagged: StepSample, redo: ReplyMask, corrected: bool = False) -> StepSample:
    """The redo, or what an annotator wrote, at the flagged reply's prompt."""
    body = reply_of(redo)
    own = {"finish": body.finish, "stop_token": body.stop_token, "seen": corrected or redo.seen}
    meta = flagged.meta | own | {"redo": "correction" if corrected else redo.name}
    return StepSample(flagged.id, redo, flagged.turns, chat_of_reply(body.parts), flagged.tools, meta, flagged.root)


def _has_its_tools(sample: StepSample) -> bool:
    """Whether the agent had the tools that the reply calls; of some imported sessions nobody knows."""
    had = {tool["function"]["name"] for tool in sample.tools if "function" in tool}
    return not had or all(call["function"]["name"] in had for call in sample.completion.get("tool_calls", ()))


def _actions_of(mask: ReplyMask) -> object:
    """What a reply does: its calls, however they are written; its text, if it calls nothing."""
    chat = chat_of_reply(reply_of(mask).parts)
    calls = [call["function"] for call in chat.get("tool_calls", ())]
    return [(call["name"], _value(call["arguments"])) for call in calls] or chat["content"]


def _value(arguments: str) -> object:
    return msgspec.json.decode(arguments) if is_object(arguments) and arguments.strip() else arguments


def _is_awaited(left: Exclusion, wanted: Callable[[ReplyMask], bool], verdicts: FlagVerdicts) -> bool:
    """Whether somebody waits for this reply: it is disputed, flagged, or wanted and has no prompt to train on."""
    mask = left.mask
    if left.reason == "disputed" or mask is None or mask.summary:
        return left.reason == "disputed"
    return wanted(mask) or verdicts.is_blamed(mask.step)


def _refers_to_advice(policy: FilterPolicy, flagged: StepSample, redo: ReplyMask, advice: Sequence[str]) -> bool:
    """Whether the redo speaks of being advised, or refers to advice that the flagged reply's prompt does not hold."""
    text = target_text(redo)
    if policy.version == 1:
        return speaks_of_advice(text) or quotes(text, advice)
    chat = chat_of_reply(reply_of(redo).parts)
    return refers(
        text,
        [SaidAdvice.of(said) for said in advice],
        lambda: text_of_prompt(flagged.turns, flagged.tools),
        openings=(chat.get("reasoning_content", ""), chat["content"]),
    )


def _holds_advice(sample: StepSample, turn: ev.AdviceDelivered) -> bool:
    """Whether the sample's prompt holds all of this advice."""
    return set(turn.advice) <= set(sample.meta["advice"])


def _is_confirmed(source: Source, step: int) -> bool:
    return any(
        flag.verdict == "good"
        and flag.label == CONFIRMED
        and flag.target.step == step
        and flag.target.part != "summary"
        and source_of(flag) == "human"
        for flag in source.judged.flags.active
    )


def _find_run_steps(source: Source) -> set[int]:
    """Steps of which at least one action was started."""
    judged = source.judged
    started = read_events(source.reader, judged.session, judged.position, frozenset({"action.started"}))
    return {event.step for event in started if event.step is not None}


def _find_roots(source: Source) -> dict[int, int]:
    """For each request the one that began its context."""
    judged = source.judged
    roots: dict[int, int] = {}
    for event in read_events(source.reader, judged.session, judged.position, frozenset({"model.request"})):
        assert isinstance(event.body, ev.ModelRequested)
        roots[event.seq] = event.seq if event.body.parent is None else roots.get(event.body.parent, event.seq)
    return roots

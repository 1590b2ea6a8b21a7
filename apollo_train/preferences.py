"""Preference data: pairs for DPO, only where both actions answer the same question, and single verdicts for KTO.

A redo after advice was made in another situation than the flagged action, unless that action never ran. So it makes a
pair, at the prompt before the advice, only then, or where an annotator marked the redo good with the label
``right-there-too``: it would have been right at the flagged step already. All else is KTO data.

A correction that an annotator wrote is of the very same situation: where it says calls, it makes a pair with what the
agent did, before any redo is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from apollo_train.chat import chat_of_reply
from apollo_train.corrected import Corrections, replaceable
from apollo_train.judgement import pages
from apollo_train.masks import ReplyMask, is_object, masks_of
from apollo_train.samples import Excluded, Source, StepSample, reply_of, steps_of, target_text
from apollo_train.unaided import quotes, speaks_of_advice
from apollo_train.verdicts import Verdicts, source_of
from sessions.log import events as ev

CONFIRMED: Final = "right-there-too"
"""The label of a good flag on a redo that would have been right at the flagged step already."""

REFUSALS: Final = {
    "correction_words": "a correction in words, not in calls, of what nobody flagged",
    "disputed": "annotators disagree, and the policy leaves such replies out",
    "no_redo": "no advice followed it, or no step that is trained followed the advice",
    "ran": "the flagged action ran, and nobody marked the redo `right-there-too`",
    "other_context": "a summary came between",
    "redo_refers": "the redo speaks of the advice, which its prompt would not hold",
    "same": "the redo is the same as what was flagged",
    "tokens": "the template renders the two after different prompts, or not at all",
    "too_long": "longer than the limit",
}
"""Why a flagged reply makes no pair."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A reply at its own prompt, and what was, or should have been, done instead. Both hold the same prompt."""

    rejected: StepSample
    chosen: StepSample
    confirmed: bool
    corrected: bool = False
    """An annotator wrote what is chosen."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A flagged reply that makes no pair; ``reason`` is a key of REFUSALS."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A reply that a human judged: wanted or not."""

    sample: StepSample
    good: bool


def verdicts_of(source: Source) -> Iterator[Verdict | Refused]:
    """The replies that humans flagged bad or marked good, and that could be targets at all; and disputed ones."""
    verdicts = Verdicts(source.judged, source.policy)
    good = {step for step in _marked(source) if verdicts.approved(step)}

    def judged(mask: ReplyMask) -> bool:
        return not mask.summary and (mask.reason == "flagged" or (mask.trained and mask.step in good))

    for sample in steps_of(source, judged):
        if isinstance(sample, Excluded):
            if sample.reason == "disputed":
                yield Refused(sample.id, "disputed")
        elif sample.mask.trained or _by_human(source, sample.mask):
            yield Verdict(sample, sample.mask.trained)


def pairs_of(source: Source) -> Iterator[Pair | Refused]:
    """The pairs of a session, and of each other reply that a human flagged why it makes none."""
    redos = {mask.step: mask for mask in masks_of(source.reader, source.judged, source.policy) if mask.trained}
    roots = _roots(source)
    ran = _ran(source)
    turns = sorted(source.judged.delivered.values(), key=lambda turn: turn.at_step)
    corrections = Corrections(source.judged.corrections)

    def wanted(mask: ReplyMask) -> bool:
        return not mask.summary and (mask.reason == "flagged" or (mask.step in corrections and replaceable(mask)))

    for flagged in steps_of(source, wanted):
        if isinstance(flagged, Excluded):
            if flagged.reason == "disputed":
                yield Refused(flagged.id, "disputed")
            continue
        step = flagged.mask.step
        written = corrections.instead_of(flagged.mask)
        if written is not None:
            same = _done(written) == _done(flagged.mask)
            yield Refused(flagged.id, "same") if same else Pair(flagged, _instead(flagged, written, True), True, True)
            continue
        if not _by_human(source, flagged.mask):
            if step in corrections:
                yield Refused(flagged.id, "correction_words")
            continue
        advice = next((turn for turn in turns if turn.at_step > step), None)
        redo = redos.get(advice.at_step) if advice is not None else None
        if advice is None or redo is None:
            yield Refused(flagged.id, "no_redo")
            continue
        confirmed = _confirmed(source, redo.step)
        reason = ""
        if not confirmed and (step in ran or redo.step != step + 1):
            reason = "ran"
        elif roots.get(redo.request) != roots.get(flagged.mask.request):
            reason = "other_context"
        elif speaks_of_advice(target_text(redo)) or quotes(target_text(redo), [advice.text]):
            reason = "redo_refers"
        elif _done(redo) == _done(flagged.mask):
            reason = "same"
        if reason:
            yield Refused(flagged.id, reason)
        else:
            yield Pair(flagged, _instead(flagged, redo), confirmed)


def _instead(flagged: StepSample, redo: ReplyMask, corrected: bool = False) -> StepSample:
    """The redo, or what an annotator wrote, at the flagged reply's prompt."""
    completion = chat_of_reply(reply_of(redo).parts)
    meta = flagged.meta | {"redo": "correction" if corrected else redo.name}
    return StepSample(flagged.id, redo, flagged.turns, completion, flagged.tools, meta, flagged.root)


def _done(mask: ReplyMask) -> object:
    """What a reply does: its calls, however they are written; its text, if it calls nothing."""
    chat = chat_of_reply(reply_of(mask).parts)
    calls = [call["function"] for call in chat.get("tool_calls", ())]
    return [(call["name"], _value(call["arguments"])) for call in calls] or chat["content"]


def _value(arguments: str) -> object:
    return msgspec.json.decode(arguments) if is_object(arguments) and arguments.strip() else arguments


def _by_human(source: Source, mask: ReplyMask) -> bool:
    """Whether a human, not only a rule or a judge, flagged the reply or a part of it."""
    return any(
        source_of(flag) == "human"
        and flag.verdict == "bad"
        and flag.target.part != "summary"
        and flag.target.step <= mask.step <= (flag.target.to_step or flag.target.step)
        for flag in source.judged.flags.active
    )


def _marked(source: Source) -> set[int]:
    return {flag.target.step for flag in source.judged.flags.active if flag.verdict == "good"}


def _confirmed(source: Source, step: int) -> bool:
    return any(
        flag.verdict == "good" and flag.label == CONFIRMED and flag.target.step == step and source_of(flag) == "human"
        for flag in source.judged.flags.active
    )


def _ran(source: Source) -> set[int]:
    """Steps of which at least one action was started."""
    judged = source.judged
    started = pages(source.reader, judged.session, judged.position, frozenset({"action.started"}))
    return {event.step for event in started if event.step is not None}


def _roots(source: Source) -> dict[int, int]:
    """For each request the one that began its context."""
    judged = source.judged
    roots: dict[int, int] = {}
    for event in pages(source.reader, judged.session, judged.position, frozenset({"model.request"})):
        assert isinstance(event.body, ev.ModelRequested)
        roots[event.seq] = event.seq if event.body.parent is None else roots.get(event.body.parent, event.seq)
    return roots

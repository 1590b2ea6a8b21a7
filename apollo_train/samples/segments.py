"""Whole segments: the steps between two summaries as one conversation, each reply trained or masked.

A segment trains the same as its step samples only if each trained reply's prompt is a prefix of the conversation.
That is checked here, message by message, and every row says the result; a template may still break it by tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from apollo_train.masks.flag_verdicts import FlagVerdicts
from apollo_train.masks.reply_masks import ReplyMask, mask_replies
from apollo_train.samples.advice_removal import AdviceRemover, PromptWithoutAdvice, Variant, text_of_prompt
from apollo_train.samples.chat import Chat, Turn, chat_of_reply
from apollo_train.samples.prompts import Prompt, Prompts, RequestNode
from apollo_train.samples.row_meta import make_meta
from apollo_train.samples.step_samples import Exclusion, Source, prompt_kind, reply_of, scrubbed_columns
from sessions.log.errors import LogReadFailed


@dataclass(frozen=True, slots=True)
class Segment:
    """One conversation. ``trained`` has an entry per message: True or False for replies, None for all others."""

    id: str
    turns: list[Turn]
    trained: list[bool | None]
    tools: list[dict[str, Any]]
    meta: dict[str, Any]
    masks: list[ReplyMask]
    """The trained replies."""

    @property
    def messages(self) -> list[Chat]:
        """The conversation."""
        return [turn.chat for turn in self.turns]

    @property
    def suffix(self) -> str:
        """``+advice`` or ``-advice`` of a twin, else ""."""
        return next((end for end in ("+advice", "-advice") if self.id.endswith(end)), "")


@dataclass(slots=True)
class _OpenSegment:
    """A segment whose end is not reached yet: nothing of its prompts is read before."""

    node: RequestNode
    members: dict[int, tuple[ReplyMask, int]] = field(default_factory=dict)
    """Replies by seq, each with the number of messages of its request."""
    prefixes: bool = True

    def add(self, mask: ReplyMask, node: RequestNode) -> None:
        if self.members:
            before = self.node
            extends = node.request.parent == before.seq or node.refs[: len(before.refs)] == before.refs
            one, other = node.request, before.request
            self.prefixes = self.prefixes and extends and (one.tools, one.system) == (other.tools, other.system)
        self.node = node
        self.members[mask.seq] = (mask, len(node.refs))


def make_segments(source: Source) -> Iterator[Segment | Exclusion]:
    """The segments of a session, and why replies are masked or left out; one context in memory at a time.

    Of three steps, the second flagged bad:

        Exclusion(step="2", reason="flagged")
        Segment(turns=[system, task, reply 1, result 1, reply 2, result 2, reply 3],
                trained=[None, None, True, None, False, None, True])
    """
    prompts = Prompts(source.reader, source.judged)
    remover = AdviceRemover(source.reader, source.judged, source.policy)
    verdicts = FlagVerdicts(source.judged, source.policy)
    growing: _OpenSegment | None = None
    for mask in mask_replies(source.reader, source.judged, source.policy):
        if not mask.trained:
            yield source.exclude(mask, mask.reason)
        if mask.event.kind != "model.reply" or mask.reason in ("summary_unused", "summary", "superseded"):
            continue
        if verdicts.has_reach and verdicts.is_cut_off(mask.event.step or 0):
            continue
        try:
            node = prompts.node(mask.request)
        except LogReadFailed:
            if mask.trained:
                yield source.exclude(mask, "prompt_missing")
            continue
        if mask.for_summary:
            alone = _OpenSegment(node)
            alone.add(mask, node)
            yield from _close_segment(source, prompts, remover, alone)
            continue
        if growing is not None and node.root != growing.node.root:
            yield from _close_segment(source, prompts, remover, growing)
            growing = None
        growing = growing or _OpenSegment(node)
        growing.add(mask, node)
    if growing is not None:
        yield from _close_segment(source, prompts, remover, growing)


def _close_segment(
    source: Source, prompts: Prompts, remover: AdviceRemover, growing: _OpenSegment
) -> Iterator[Segment | Exclusion]:
    trained = [mask for mask, _ in growing.members.values() if mask.trained]
    if not trained:
        return
    try:
        prompt = prompts.of(growing.node.seq)
        problem = "prompt_differs" if source.check and prompt.request.exact and not prompts.exact(prompt) else ""
    except LogReadFailed:
        problem = "prompt_missing"
    if problem:
        yield from (source.exclude(mask, problem) for mask in trained)
        return
    starts = prompts.starts(prompt)
    places = {seq: starts[refs] for seq, (_, refs) in growing.members.items() if refs < len(starts)}
    steps = [mask.step for mask in trained if not mask.summary]
    for variant in remover.variants(prompt, steps):
        yield from _write_segment(source, remover, growing, prompt, places, variant)


def _write_segment(
    source: Source,
    remover: AdviceRemover,
    growing: _OpenSegment,
    prompt: Prompt,
    places: dict[int, int],
    variant: Variant,
) -> Iterator[Segment | Exclusion]:
    members = {seq: mask for seq, (mask, _) in growing.members.items()}
    trained = [mask for mask in members.values() if mask.trained]
    last = list(members.values())[-1]
    removal = remover.remove(prompt, variant.dropped)
    if removal.problem:
        yield from (source.exclude(mask, removal.problem, variant.suffix) for mask in trained)
        return
    refused = _find_refused(remover, trained, variant, removal, prompt)
    yield from (source.exclude(members[seq], why, variant.suffix) for seq, why in refused.items())
    turns = [*removal.turns, Turn(chat_of_reply(reply_of(last).parts), (last.seq,))]
    written: list[Turn] = []
    flags: list[bool | None] = []
    found: dict[int, ReplyMask] = {}
    prefixes = growing.prefixes
    for at, turn in enumerate(turns):
        said = turn.chat["role"] == "assistant"
        mask = next((members[seq] for seq in turn.sources if seq in members), None) if said else None
        if mask is not None and mask.trained and mask.seq not in refused:
            target = chat_of_reply(reply_of(mask).parts)
            # What later prompts say of a reply may differ from it: reasoning that is not sent back, an empty text.
            prefixes = prefixes and (target == turn.chat or at == len(turns) - 1)
            prefixes = prefixes and (removal.changed or places.get(mask.seq) == at)
            turn = turn if target == turn.chat else Turn(target, turn.sources)
            found[mask.seq] = mask
        written.append(turn)
        flags.append((mask is not None and mask.seq in found) if said else None)
    lost = {mask.seq for mask in trained} - found.keys() - refused.keys()
    yield from (source.exclude(members[seq], "not_in_context", variant.suffix) for seq in sorted(lost))
    if found:
        masks = list(members.values())
        yield _make_segment(
            source, remover, prompt, masks, variant, written, flags, list(found.values()), prefixes, removal
        )


def _find_refused(
    remover: AdviceRemover,
    trained: Sequence[ReplyMask],
    variant: Variant,
    removal: PromptWithoutAdvice,
    prompt: Prompt,
) -> dict[int, str]:
    """By seq, why trained replies are none here: advice that is left out led to them, or they refer to it."""
    refused: dict[int, str] = {}
    for mask in trained:
        if remover.is_left_out(mask.step, variant):
            refused[mask.seq] = "after_here_advice"
            continue
        before = remover.advice_before(mask.request) & variant.dropped
        if not before:
            continue
        at = next((n for n, turn in enumerate(removal.turns) if mask.seq in turn.sources), len(removal.turns))
        step = 0 if mask.summary else mask.step
        reply = chat_of_reply(reply_of(mask).parts)
        if remover.refers(reply, step, before, partial(text_of_prompt, removal.turns[:at], prompt.tools)):
            refused[mask.seq] = "target_refers"
    return refused


def _make_segment(
    source: Source,
    remover: AdviceRemover,
    prompt: Prompt,
    masks: list[ReplyMask],
    variant: Variant,
    turns: list[Turn],
    flags: list[bool | None],
    found: list[ReplyMask],
    prefixes: bool,
    removal: PromptWithoutAdvice,
) -> Segment:
    first, last = masks[0].name, masks[-1].name
    name = f"{source.judged.session}:{first if first == last else f'{first}-{last}'}{variant.suffix}"
    meta = make_meta(
        source.judged,
        source.policy,
        prompt.request,
        id=name,
        step=first if first == last else f"{first}-{last}",
        packing="segment",
        advice=sorted(number for number in remover.find_advice(prompt) - variant.dropped if number > 0),
        weight=source.weigher.weight(source.judged, variant.share, len(found), row=True),
        finish=reply_of(found[-1]).finish,
        prompt=prompt_kind(prompt, removal, found[-1]),
        prefix_checked=prefixes,
        seen=all(mask.seen for mask in found),
        **source.without_columns(found[-1], removal),
        **source.label_columns(masks),
    )
    tools = prompt.tools
    if source.scrubber is not None:
        told, tools = turns, source.scrubber.tools(tools)
        turns = source.scrubber.turns(turns)
        changed = tools is not prompt.tools or any(new is not old for new, old in zip(turns, told, strict=True))
        meta |= scrubbed_columns(meta, source.scrubber, changed=changed)
    return Segment(name, turns, flags, tools, meta, found)

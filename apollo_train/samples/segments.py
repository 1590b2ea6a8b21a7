"""Whole segments: the steps between two summaries as one conversation, each reply trained or masked.

A segment trains the same as its step samples only if each trained reply's prompt is a prefix of the conversation.
That is checked here, message by message, and every row says the result; a template may still break it by tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from apollo_train.masks.flag_verdicts import FlagVerdicts
from apollo_train.masks.reply_masks import ReplyMask, mask_replies
from apollo_train.samples.chat import Chat, Turn, chat_of_reply
from apollo_train.samples.prompts import Prompt, Prompts, RequestNode
from apollo_train.samples.rows import meta_of
from apollo_train.samples.steps import Excluded, Source, kind_of, reply_of, target_text
from apollo_train.samples.without_advice import Unaider, Variant
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
    calls_lost: int = 0

    @property
    def messages(self) -> list[Chat]:
        """The conversation."""
        return [turn.chat for turn in self.turns]


@dataclass(slots=True)
class _Growing:
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


def segments_of(source: Source) -> Iterator[Segment | Excluded]:
    """The segments of a session, and why replies are masked or left out; one context in memory at a time."""
    prompts = Prompts(source.reader, source.judged)
    unaider = Unaider(source.reader, source.judged, source.policy.advice)
    verdicts = FlagVerdicts(source.judged, source.policy)
    growing: _Growing | None = None
    for mask in mask_replies(source.reader, source.judged, source.policy):
        if not mask.trained:
            yield source.excluded(mask, mask.reason)
        if mask.event.kind != "model.reply" or mask.reason in ("summary_unused", "summary"):
            continue
        if verdicts.has_reach and verdicts.is_cut_off(mask.event.step or 0):
            continue
        try:
            node = prompts.node(mask.request)
        except LogReadFailed:
            if mask.trained:
                yield source.excluded(mask, "prompt_missing")
            continue
        if node.request.purpose == "summary":
            alone = _Growing(node)
            alone.add(mask, node)
            yield from _closed(source, prompts, unaider, alone)
            continue
        if growing is not None and node.root != growing.node.root:
            yield from _closed(source, prompts, unaider, growing)
            growing = None
        growing = growing or _Growing(node)
        growing.add(mask, node)
    if growing is not None:
        yield from _closed(source, prompts, unaider, growing)


def _closed(source: Source, prompts: Prompts, unaider: Unaider, growing: _Growing) -> Iterator[Segment | Excluded]:
    trained = [mask for mask, _ in growing.members.values() if mask.trained]
    if not trained:
        return
    try:
        prompt = prompts.of(growing.node.seq)
        problem = "prompt_differs" if source.check and prompt.request.exact and not prompts.exact(prompt) else ""
    except LogReadFailed:
        problem = "prompt_missing"
    if problem:
        yield from (source.excluded(mask, problem) for mask in trained)
        return
    starts = prompts.starts(prompt)
    places = {seq: starts[refs] for seq, (_, refs) in growing.members.items() if refs < len(starts)}
    for variant in unaider.variants(prompt):
        yield from _written(source, unaider, growing, prompt, places, variant)


def _written(
    source: Source, unaider: Unaider, growing: _Growing, prompt: Prompt, places: dict[int, int], variant: Variant
) -> Iterator[Segment | Excluded]:
    members = {seq: mask for seq, (mask, _) in growing.members.items()}
    trained = [mask for mask in members.values() if mask.trained]
    last = list(members.values())[-1]
    unaided = unaider.without(prompt, variant.dropped)
    if unaided.problem:
        yield from (source.excluded(mask, unaided.problem, variant.suffix) for mask in trained)
        return
    refused = _referring(unaider, trained, variant)
    yield from (source.excluded(mask, "target_refers", variant.suffix) for mask in refused.values())
    turns = [*unaided.turns, Turn(chat_of_reply(reply_of(last).parts), (last.seq,))]
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
            prefixes = prefixes and (unaided.changed or places.get(mask.seq) == at)
            turn = turn if target == turn.chat else Turn(target, turn.sources)
            found[mask.seq] = mask
        written.append(turn)
        flags.append((mask is not None and mask.seq in found) if said else None)
    lost = {mask.seq for mask in trained} - found.keys() - refused.keys()
    yield from (source.excluded(members[seq], "not_in_context", variant.suffix) for seq in sorted(lost))
    if found:
        masks = list(members.values())
        kind = kind_of(prompt, unaided)
        yield _row(source, unaider, prompt, masks, variant, written, flags, list(found.values()), prefixes, kind)


def _referring(unaider: Unaider, trained: Sequence[ReplyMask], variant: Variant) -> dict[int, ReplyMask]:
    """Trained replies that speak of advice which this variant leaves out of what was before them."""
    refused: dict[int, ReplyMask] = {}
    for mask in trained:
        before = unaider.before(mask.request) & variant.dropped
        if before and unaider.refers(target_text(mask), before):
            refused[mask.seq] = mask
    return refused


def _row(
    source: Source,
    unaider: Unaider,
    prompt: Prompt,
    masks: list[ReplyMask],
    variant: Variant,
    turns: list[Turn],
    flags: list[bool | None],
    found: list[ReplyMask],
    prefixes: bool,
    kind: str,
) -> Segment:
    first, last = masks[0].name, masks[-1].name
    name = f"{source.judged.session}:{first if first == last else f'{first}-{last}'}{variant.suffix}"
    meta = meta_of(
        source.judged,
        source.policy,
        prompt.request,
        id=name,
        step=first if first == last else f"{first}-{last}",
        packing="segment",
        advice=sorted(number for number in unaider.present(prompt) - variant.dropped if number > 0),
        weight=source.weigher.weight(source.judged, variant.share, len(found), row=True),
        finish=reply_of(found[-1]).finish,
        prompt=kind,
        prefix_checked=prefixes,
        seen=all(mask.seen for mask in found),
        **source.label_columns(masks),
    )
    lost = sum(mask.calls_lost for mask in masks)
    return Segment(name, turns, flags, prompt.tools, meta, found, lost)

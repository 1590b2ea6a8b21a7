"""Whole segments: the steps between two summaries as one conversation, each reply trained or masked.

A segment trains the same as its step samples only if each trained reply's prompt is a prefix of the conversation.
That is checked here, message by message, and every row says the result; a template may still break it by tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from apollo_train.chat import Chat, chat_of_reply
from apollo_train.context import Prompt, Prompts, Turn
from apollo_train.masks import ReplyMask, masks_of
from apollo_train.rows import meta_of
from apollo_train.samples import Excluded, Source, kind_of, prompt_of, reply_of, target_text
from apollo_train.unaided import Unaider, Variant


@dataclass(frozen=True, slots=True)
class Segment:
    """One conversation. ``trained`` has an entry per message: True or False for replies, None for all others."""

    id: str
    messages: list[Chat]
    trained: list[bool | None]
    tools: list[dict[str, Any]]
    meta: dict[str, Any]
    masks: list[ReplyMask]
    """The trained replies."""
    calls_lost: int = 0


@dataclass(slots=True)
class _Growing:
    """A segment whose end is not reached yet."""

    prompt: Prompt
    members: dict[int, tuple[ReplyMask, int]] = field(default_factory=dict)
    """Replies by seq, each with the number of messages that were before it."""
    prefixes: bool = True

    def add(self, mask: ReplyMask, prompt: Prompt) -> None:
        refs = self.prompt.refs
        same = prompt.refs[: len(refs)] == refs and prompt.tools == self.prompt.tools
        self.prefixes = self.prefixes and same
        self.prompt = prompt
        self.members[mask.seq] = (mask, len(prompt.turns))


def segments_of(source: Source) -> Iterator[Segment | Excluded]:
    """The segments of a session, and why replies are masked or left out; one context in memory at a time."""
    prompts = Prompts(source.reader, source.judged)
    unaider = Unaider(source.reader, source.judged, source.policy.advice)
    growing: _Growing | None = None
    for mask in masks_of(source.reader, source.judged, source.policy):
        if not mask.trained:
            yield source.excluded(mask, mask.reason)
        if mask.event.kind != "model.reply" or mask.reason in ("summary_unused", "summary", "after_first_error"):
            continue
        prompt = prompt_of(prompts, mask, check=False)
        if isinstance(prompt, str):
            if mask.trained:
                yield source.excluded(mask, prompt)
            continue
        if prompt.request.purpose == "summary":
            alone = _Growing(prompt)
            alone.add(mask, prompt)
            yield from _closed(source, prompts, unaider, alone)
            continue
        if growing is not None and prompt.root != growing.prompt.root:
            yield from _closed(source, prompts, unaider, growing)
            growing = None
        growing = growing or _Growing(prompt)
        growing.add(mask, prompt)
    if growing is not None:
        yield from _closed(source, prompts, unaider, growing)


def _closed(source: Source, prompts: Prompts, unaider: Unaider, growing: _Growing) -> Iterator[Segment | Excluded]:
    trained = [mask for mask, _ in growing.members.values() if mask.trained]
    if not trained:
        return
    if source.check and growing.prompt.request.exact and not prompts.exact(growing.prompt):
        yield from (source.excluded(mask, "prompt_differs") for mask in trained)
        return
    for variant in unaider.variants(growing.prompt):
        yield from _written(source, unaider, growing, trained, variant)


def _written(
    source: Source, unaider: Unaider, growing: _Growing, trained: Sequence[ReplyMask], variant: Variant
) -> Iterator[Segment | Excluded]:
    prompt = growing.prompt
    last, _ = list(growing.members.values())[-1]
    unaided = unaider.without(prompt, variant.dropped)
    if unaided.problem:
        yield from (source.excluded(mask, unaided.problem, variant.suffix) for mask in trained)
        return
    refused = _referring(unaider, trained, variant)
    yield from (source.excluded(mask, "target_refers", variant.suffix) for mask in refused.values())
    turns = [*unaided.turns, Turn(chat_of_reply(reply_of(last).parts), (last.seq,))]
    messages: list[Chat] = []
    flags: list[bool | None] = []
    found: list[ReplyMask] = []
    prefixes = growing.prefixes
    for at, turn in enumerate(turns):
        mask = next((growing.members[seq][0] for seq in turn.sources if seq in growing.members), None)
        chat = turn.chat
        if mask is not None and mask.trained and mask.seq not in refused:
            target = chat_of_reply(reply_of(mask).parts)
            # What later prompts say of a reply may differ from it: reasoning that is not sent back, an empty text.
            prefixes = prefixes and (target == chat or at == len(turns) - 1)
            prefixes = prefixes and (unaided.changed or growing.members[mask.seq][1] == at)
            chat = target
            found.append(mask)
        messages.append(chat)
        flags.append(None if chat["role"] != "assistant" else mask in found)
    lost = {mask.seq for mask in trained} - {mask.seq for mask in found} - refused.keys()
    yield from (source.excluded(growing.members[seq][0], "not_in_context", variant.suffix) for seq in sorted(lost))
    if found:
        yield _row(source, unaider, growing, variant, messages, flags, found, prefixes, kind_of(prompt, unaided))


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
    growing: _Growing,
    variant: Variant,
    messages: list[Chat],
    flags: list[bool | None],
    found: list[ReplyMask],
    prefixes: bool,
    kind: str,
) -> Segment:
    masks = [mask for mask, _ in growing.members.values()]
    first, last = masks[0].name, masks[-1].name
    name = f"{source.judged.session}:{first if first == last else f'{first}-{last}'}{variant.suffix}"
    meta = meta_of(
        source.judged,
        source.policy,
        growing.prompt.request,
        id=name,
        step=first if first == last else f"{first}-{last}",
        packing="segment",
        advice=sorted(number for number in unaider.present(growing.prompt) - variant.dropped if number > 0),
        weight=source.weigher.weight(source.judged, variant.share, len(found), row=True),
        finish=reply_of(found[-1]).finish,
        prompt=kind,
        prefix_checked=prefixes,
        seen=all(mask.seen for mask in found),
    )
    return Segment(name, messages, flags, growing.prompt.tools, meta, found, sum(mask.calls_lost for mask in masks))

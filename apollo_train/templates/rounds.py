"""Segments for templates that drop reasoning before the last user turn: cut where the prompt would change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from apollo_train.masks.reply_masks import ReplyMask
from apollo_train.samples.segments import Segment
from apollo_train.samples.step_samples import reply_of


def drop_bare_replies(segment: Segment) -> tuple[Segment, list[ReplyMask]]:
    """The segment with loss on replies with reasoning only, and the other ones that it would have trained."""
    masks, flags = iter(segment.masks), list(segment.trained)
    kept: list[ReplyMask] = []
    bare: list[ReplyMask] = []
    for at, turn in enumerate(segment.turns):
        if flags[at]:
            flags[at] = bool(turn.chat.get("reasoning_content"))
            (kept if flags[at] else bare).append(next(masks))
    return replace(segment, trained=flags, masks=kept), bare


def split_rounds(segment: Segment, *, shared: bool = False) -> Iterator[Segment]:
    """The segment up to each user turn that follows reasoning, and the whole of it; each reply is trained in one.

    ``shared``: the weight of the segment is that of all its replies, so that each round has its part of it.
    """
    starts = [at for at, turn in enumerate(segment.turns) if turn.chat["role"] == "user"]
    thought = [at for at, turn in enumerate(segment.turns) if turn.chat.get("reasoning_content")]
    pairs = pairwise(starts)
    cuts = [high for low, high in pairs if any(low < at < high for at in thought)]
    if not cuts:
        if segment.masks:
            yield segment
        return
    masks, done = list(segment.masks), 0
    for number, end in enumerate((*cuts, len(segment.turns)), 1):
        flags = [None if flag is None else flag and at >= done for at, flag in enumerate(segment.trained[:end])]
        here, masks = masks[: flags.count(True)], masks[flags.count(True) :]
        done = end
        if here:
            last = max(at for at, flag in enumerate(flags) if flag is not None) + 1
            weight = segment.meta["weight"] * (len(here) / len(segment.masks) if shared else 1)
            own = {"id": f"{segment.id}/{number}", "packing": "round", "weight": round(weight, 9)}
            meta = segment.meta | own | {"finish": reply_of(here[-1]).finish, "seen": all(mask.seen for mask in here)}
            yield Segment(own["id"], segment.turns[:last], flags[:last], segment.tools, meta, here)

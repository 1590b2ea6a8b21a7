"""Flags through the socket, after the sessions have ended: what the annotator takes for wrong, and the control."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence
from typing import Final

from benchmarks.supervision.annotator import Expert, Reviewer
from benchmarks.supervision.chain import World
from benchmarks.supervision.knobs import Annotator
from benchmarks.supervision.rollouts import Desk, Played
from sessions.host import protocol

AT_ONCE: Final = 16
SPACE: Final = uuid.UUID("5b0f6d2e-51d8-4a44-9a2b-3f1a8c0f6a11")
"""What the ids of requests are made in."""


async def flag_what_is_wrong(
    at: Desk, world: World, rollouts: Sequence[Played], label: str, annotator: Annotator
) -> int:
    """Flag every step that the annotator takes for wrong; how many it flagged. Doing it again changes nothing."""
    targets = []
    for each in rollouts:
        # The same luck for every setting of the annotator: a sweep then moves one thing only.
        seed = f"review {world.seed} {each.episode}"
        reviewer = Reviewer(Expert(world, each.key), annotator.recall, annotator.false_positives, seed)
        targets += [(each.session, step) for step in reviewer.review(each.steps)]
    await _flag(at, targets, label)
    return len(targets)


async def flag_at_random(at: Desk, rollouts: Sequence[Played], label: str, number: int, seed: int) -> None:
    """Flag as many steps, drawn from all of them."""
    every = [(each.session, seen.step) for each in rollouts for seen in each.steps]
    draw = random.Random(f"control {seed}")
    chosen = sorted(draw.sample(range(len(every)), number))
    await _flag(at, [every[place] for place in chosen], label)


async def _flag(at: Desk, targets: Sequence[tuple[str, int]], label: str) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(session: str, step: int) -> None:
        # The host does a request once, however often it comes: a review that was cut off can be gone on with.
        request = uuid.uuid5(SPACE, f"{session} {label} {step}").hex
        body = {"flag": f"{label} {step}", "target": {"step": step}, "label": label}
        async with room:
            await at.client.call(protocol.Annotate(request=request, session=session, kind="flag.set", body=body))

    await asyncio.gather(*(one(session, step) for session, step in targets))

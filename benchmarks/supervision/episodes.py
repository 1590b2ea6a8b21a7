"""Test episodes, without any advice. Outside the host they are played by the same rules from the same seeds.

That a session in the host does exactly the same is not assumed: ``unit`` plays some of them there and compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from benchmarks.supervision.chain import OVER, Chain, Clues, World, observation, task_text
from benchmarks.supervision.serve import Chances, pick
from benchmarks.supervision.vocabulary import END, Words, call_word

FIRST: Final = 1_000_000
"""The first test episode; training episodes count from 0."""


class Score(msgspec.Struct, frozen=True):
    """How a model did. ``progress`` is the mean share of stages done, ``right`` the share of right actions."""

    success: float
    progress: float
    right: float
    known: float
    """The share of stages of which the first action is right, where training episodes show the clue with this key."""
    held_out: float | None = None
    """The same where none does; None if there was no such stage."""


def actions_of(chances: Chances, world: World, episode: int, temperature: float, clues: Clues = "known") -> list[str]:
    """The actions of one test episode."""
    words, chain = Words(world.shape), Chain(world, episode, clues)
    state = chain.start()
    ids = words.ids_of(task_text(chain))
    actions = []
    while state.phase not in OVER:
        action = pick(chances(ids), words.calls, ids, temperature=temperature, seed=episode)
        actions.append(action)
        state = chain.act(state, action)
        ids = [*ids, words.ids[call_word(action)], words.ids[END], *words.ids_of(observation(chain, state))]
    return actions


def judge(world: World, episodes: Sequence[int], played: Sequence[Sequence[str]], clues: Clues = "known") -> Score:
    """How these episodes went."""
    success = progress = 0.0
    right: list[bool] = []
    first: dict[bool, list[bool]] = {True: [], False: []}
    for episode, actions in zip(episodes, played, strict=True):
        chain = Chain(world, episode, clues)
        state = chain.start()
        tried = -1
        for action in actions:
            right.append(action == chain.right(state))
            if state.stage > tried and state.phase == "clue":
                tried = state.stage
                first[state.at == world.held_out(state.key)].append(right[-1])
            state = chain.act(state, action)
        success += state.phase == "success"
        progress += state.stage / world.shape.stages
    known, held_out = _share(first[False]), _share(first[True])
    return Score(success / len(episodes), progress / len(episodes), sum(right) / len(right), known or 0.0, held_out)


def _share(found: Sequence[bool]) -> float | None:
    return sum(found) / len(found) if found else None

"""The stage chain: a long-horizon environment that is small enough for a tiny model. Pure: no I/O, no clock.

An episode has a key and S stages. Each stage shows a clue; the right action for (key, clue) is a fact that cannot be
worked out, only learned. A wrong action leads into an error that needs its own repair. A right one sometimes starts a
job, which must be waited for: acting instead loses it. SUBMIT at the end is success; the budget of steps, or a SUBMIT
too early, is failure. Everything that happens is a function of (world, episode seed, actions).

One clue of each key is held out: no training episode shows it, so that a test can ask what was learned beyond them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final, Literal

WAIT: Final = "WAIT"
SUBMIT: Final = "SUBMIT"
Phase = Literal["clue", "error", "busy", "ready", "success", "failure"]
Clues = Literal["known", "all", "one held out"]
"""Which clues an episode shows: those that training has; all; or training's, but at one stage the held-out one."""
OVER: Final = frozenset({"success", "failure"})


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the environment is. ``budget`` in steps; of the ``clues`` of each key one is held out."""

    stages: int
    budget: int
    keys: int
    clues: int
    choices: int
    errors: int
    job_share: float

    @property
    def acts(self) -> tuple[str, ...]:
        """Every action there is."""
        choices = tuple(f"A{n}" for n in range(self.choices))
        return (*choices, *(f"FIX{n}" for n in range(self.errors)), WAIT, SUBMIT)


@dataclass(frozen=True, slots=True)
class World:
    """The hidden facts of one seed: the right action of each (key, clue)."""

    shape: Shape
    seed: int

    def right(self, key: int, clue: int) -> str:
        """The right action."""
        draw = random.Random(f"table {self.seed} {key} {clue}")
        return f"A{draw.randrange(self.shape.choices)}"

    def held_out(self, key: int) -> int:
        """The clue of this key that no training episode shows; other keys show it, as far as there are clues."""
        first = random.Random(f"held out {self.seed}").randrange(self.shape.clues)
        return (first + key) % self.shape.clues


@dataclass(frozen=True, slots=True)
class State:
    """Where an episode stands. ``at`` is the clue, or the error; ``waits`` how often one must still wait."""

    key: int
    stage: int = 0
    step: int = 0
    phase: Phase = "clue"
    at: int = 0
    waits: int = 0

    @property
    def sight(self) -> str:
        """The one word of the observation that matters."""
        return {"clue": f"C{self.at}", "error": f"E{self.at}"}.get(self.phase, self.phase.upper())


@dataclass(frozen=True, slots=True)
class Chain:
    """One episode's rules."""

    world: World
    episode: int
    clues: Clues = "known"

    def start(self) -> State:
        """The first state."""
        key = self._draw("key").randrange(self.world.shape.keys)
        return self._show(State(key))

    def right(self, state: State) -> str:
        """The action that somebody who knows everything would take."""
        match state.phase:
            case "clue":
                return self.world.right(state.key, state.at)
            case "error":
                return f"FIX{state.at}"
            case "busy":
                return WAIT
            case _:
                return SUBMIT

    def act(self, state: State, action: str) -> State:
        """What follows from an action. A state that is over stays as it is."""
        if state.phase in OVER:
            return state
        after = self._after(state, action)
        after = State(after.key, after.stage, state.step + 1, after.phase, after.at, after.waits)
        if after.phase not in OVER and after.step >= self.world.shape.budget:
            return State(after.key, after.stage, after.step, "failure")
        return after

    def _after(self, state: State, action: str) -> State:
        if action == SUBMIT:
            return State(state.key, state.stage, phase="success" if state.phase == "ready" else "failure")
        good = action == self.right(state)
        draw = self._draw(f"step {state.step}")
        match state.phase:
            case "clue" if good and draw.random() < self.world.shape.job_share:
                return State(state.key, state.stage, phase="busy", waits=draw.randrange(1, 3))
            case "clue" if good:
                return self._show(State(state.key, state.stage + 1))
            case "clue":
                return State(state.key, state.stage, phase="error", at=draw.randrange(self.world.shape.errors))
            case "error" | "ready":
                return self._show(State(state.key, state.stage)) if good else state
            case "busy" if good and state.waits > 1:
                return State(state.key, state.stage, phase="busy", waits=state.waits - 1)
            case _:
                # The job is done, or lost by impatience: then the stage is to be done again.
                return self._show(State(state.key, state.stage + good))

    def _show(self, state: State) -> State:
        """The state at the beginning of its stage."""
        if state.stage >= self.world.shape.stages:
            return State(state.key, state.stage, state.step, "ready")
        return State(state.key, state.stage, state.step, "clue", self._clue(state))

    def _clue(self, state: State) -> int:
        held, draw = self.world.held_out(state.key), self._draw(f"stage {state.stage}")
        if self.clues == "all":
            return draw.randrange(self.world.shape.clues)
        if self.clues == "one held out" and state.stage == self._draw("held out").randrange(self.world.shape.stages):
            return held
        return draw.choice([clue for clue in range(self.world.shape.clues) if clue != held])

    def _draw(self, what: str) -> random.Random:
        return random.Random(f"{what} {self.world.seed} {self.episode}")


def observation(chain: Chain, state: State) -> str:
    """What the agent, and anybody who watches, is shown."""
    if state.phase in OVER:
        return f"The episode is over: {state.sight}."
    return f"Stage {min(state.stage + 1, chain.world.shape.stages)} of {chain.world.shape.stages}: {state.sight}."


def task_text(chain: Chain) -> str:
    """The instruction, with the first observation."""
    start = chain.start()
    return f"Work on key K{start.key} with the tool `act` until the episode is over.\n{observation(chain, start)}"


def plain(shape: Shape) -> dict[str, Any]:
    """The shape as plain values."""
    return {name: getattr(shape, name) for name in Shape.__slots__}

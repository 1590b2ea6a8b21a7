"""What a unit is asked to do, and what it found: plain records that go to files and come back."""

from __future__ import annotations

import msgspec

from benchmarks.supervision.chain import Shape
from benchmarks.supervision.episodes import Score
from benchmarks.supervision.knobs import Annotator, Base, Size, Train
from benchmarks.supervision.training import TrainedOn


class Spec(msgspec.Struct, frozen=True):
    """What to do. ``sweep``: also the sweeps of the annotator; ``share``: a point of the sweep of systematic errors."""

    folder: str
    seed: int
    size: Size
    shape: Shape
    base: Base
    annotator: Annotator
    train: Train
    sweep: bool = False
    share: float | None = None


class Cost(msgspec.Struct, frozen=True):
    """What the annotator did for an arm's training set."""

    advice: int = 0
    flags: int = 0


class ArmResult(msgspec.Struct, frozen=True):
    """One arm of one seed; ``sampled`` at temperature 1, ``held_out`` the same with held-out clues among the others."""

    arm: str
    sampled: Score
    greedy: Score
    held_out: Score
    cost: Cost = Cost()
    trained_on: TrainedOn | None = None
    in_host: int = 0
    """Test episodes that were also played in the host, with the same actions."""


class Point(msgspec.Struct, frozen=True):
    """A point of a sweep: one knob at one value."""

    knob: str
    value: str
    result: ArmResult


class Rollout(msgspec.Struct, frozen=True):
    """What the training sessions of one kind were like."""

    episodes: int
    steps: int
    right: float
    success: float
    advice: int
    flags: int = 0


class Result(msgspec.Struct, frozen=True):
    """All of a unit."""

    seed: int
    share: float
    arms: list[ArmResult]
    rollouts: dict[str, Rollout]
    points: list[Point] = []

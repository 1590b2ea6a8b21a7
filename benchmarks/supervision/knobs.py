"""The knobs: ``knobs.toml`` as typed values."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final, Literal

import msgspec

from benchmarks.supervision.chain import Shape

FILE: Final = Path(__file__).with_name("knobs.toml")


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Base(_Table, frozen=True):
    """The base model and the behaviour that it learnt from."""

    width: int
    layers: int
    heads: int
    episodes: int
    steps: int
    batch: int
    learning_rate: float
    systematic_share: float
    right_where_wrong: float
    stubborn: float
    right: float
    repairs: float
    waits: float
    submits: float
    advised: float
    obeys: float


class Annotator(_Table, frozen=True):
    """How good the scripted annotator is. ``delay`` in steps, from and to."""

    look_rate: float
    delay: tuple[int, int]
    stale: float
    wrong_advice: float
    recall: float
    false_positives: float


class Train(_Table, frozen=True):
    """One training run, the same for all arms."""

    max_steps: int
    batch: int
    learning_rate: float
    schedule: str


class Sweeps(_Table, frozen=True):
    """The other values of one knob at a time."""

    recall: tuple[float, ...]
    false_positives: tuple[float, ...]
    delay: tuple[tuple[int, int], ...]
    look_rate: tuple[float, ...]
    systematic_share: tuple[float, ...]


class Size(_Table, frozen=True):
    """How much is played. Each test episode is sampled and greedy; ``tests_in_host`` of each kind also in the host."""

    seeds: tuple[int, ...]
    episodes: int
    tests: int
    tests_held_out: int
    tests_in_host: int
    sweep_seeds: tuple[int, ...]
    sweeps: Sweeps


class Knobs(_Table, frozen=True):
    """All of them."""

    shape: Shape
    base: Base
    annotator: Annotator
    train: Train
    quick: Size
    full: Size

    def size(self, which: Literal["quick", "full"]) -> Size:
        """How much is played in the quick or the full version."""
        return self.quick if which == "quick" else self.full


def load_knobs(path: Path = FILE) -> Knobs:
    """The knobs in the file."""
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Knobs)

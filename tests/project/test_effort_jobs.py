"""The jobs of ``python -m benchmarks.effort``: those promised; they count keys, and the guide tells of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from benchmarks.budgets.pty_program import Gone
from benchmarks.effort import jobs
from benchmarks.effort.player import Player
from benchmarks.effort.scene import Scene

ROOT = Path(__file__).parents[2]
PROMISED = {
    "flag the newest action": 1,
    "flag it with a label": 2,
    "a loop of 60 equal failures": 3,
    "a span of 8 steps": 5,
    "advise": 3,
    "see what runs print": 1,
    "to the first that needs me": 1,
    "what changed in the workspace since I left": 2,
    "review 50 items": 60,
    "export 8 sessions": 8,
    "compare two runs": 3,
}


class Screen:
    """Stands in for an app behind a pty: after each key it shows what it is told to."""

    def __init__(self, shown: dict[str, str]) -> None:
        self.shown, self.now = shown, ""
        self.keys = self.typed = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.keys += 1
            self.now = self.shown.get(key, self.now)

    def type(self, text: str) -> None:
        self.typed += len(text)
        self.now = text

    def wait(self, shown: str | Callable[[str], object], seconds: float = 0) -> str:
        if not (shown in self.now if isinstance(shown, str) else shown(self.now)):
            raise Gone(f"{shown!r} does not stand in {self.now!r}")
        return self.now


def job(what: str) -> jobs.Job:
    return next(one for one in jobs.JOBS if one.what.startswith(what))


@pytest.mark.parametrize("what", PROMISED)
def test_each_job_is_played_and_may_take_no_more_keys_than_promised(what: str) -> None:
    assert job(what).must <= PROMISED[what]


def measure(play: jobs.Job, shown: dict[str, str]) -> jobs.Cost:
    at_once = jobs.Job(play.what, play.must, play.play, jobs.on_board)
    return jobs.measure(at_once, cast(Scene, None), cast(Player, Screen(shown)))


def test_keys_are_counted_to_the_receipt_and_texts_apart() -> None:
    cost = measure(
        job("a span of 8 steps"),
        {"F": "a letter or enter", "x": "⚑ 4 steady-3 · steps 16 to 23: impatience · u undoes"},
    )
    assert (cost.keys, cost.typed) == (4, 0)
    advice = measure(job("advise"), {"i": "advise 1", "enter": "queued: advice"})
    assert (advice.keys, advice.typed) == (2, len("wait for the job before you judge it"))


def test_a_verdict_on_less_than_was_asked_for_is_no_receipt() -> None:
    with pytest.raises(Gone):
        measure(job("a span of 8 steps"), {"F": "a letter or enter", "x": "⚑ 4 steady-3 · 25.1: impatience · u undoes"})


def test_a_job_whose_receipt_does_not_come_is_missed() -> None:
    with pytest.raises(Gone, match="u undoes"):
        measure(job("flag the newest"), {"f": "nothing here can be flagged"})


def test_the_guide_says_what_each_job_took() -> None:
    told = (ROOT / "docs/annotator.md").read_text()
    missing = [
        one.what for one in jobs.JOBS if not re.search(rf"^\| {re.escape(one.what)} \| {one.must} \|", told, re.M)
    ]
    assert not missing

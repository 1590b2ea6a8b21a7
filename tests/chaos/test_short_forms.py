"""The short forms of `make chaos` and `make soak`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.chaos.__main__ import Chaos
from benchmarks.chaos.victims import KINDS
from benchmarks.soak.__main__ import soak

pytestmark = pytest.mark.kill


def test_thirty_kills_lose_nothing_repeat_nothing_and_leave_nothing_stuck(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    ledger = Chaos(tmp_path, kills=30, seconds=30, sessions=3, seed=seed).run()
    assert ledger.good, ledger.table()
    assert set(ledger.kills.values()) == {30 // len(KINDS)}, "in equal shares"
    assert ledger.told_done and ledger.failed_attempts and ledger.acts, ledger.table()


def test_a_quarter_of_an_hour_of_two_sessions_is_flat(tmp_path: Path) -> None:
    samples, wrong = soak(tmp_path, hours=0.25, sessions=2, seed=1)
    assert wrong == [], samples
    assert samples[-1].steps >= 2 * 10

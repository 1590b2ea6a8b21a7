from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from benchmarks.supervision.arms import ARMS, SWEPT, UNTRAINED
from benchmarks.supervision.episodes import Score
from benchmarks.supervision.knobs import load_knobs
from benchmarks.supervision.questions import answers
from benchmarks.supervision.report import write
from benchmarks.supervision.results import ArmResult, Cost, Point, Result, Rollout
from benchmarks.supervision.stats import _outside, estimate, holm, p_value
from benchmarks.supervision.training import TrainedOn
from benchmarks.supervision.unit import SHARE_ARMS

KNOBS = load_knobs()


def made(name: str, success: float, flags: int = 0) -> ArmResult:
    tested = Score(success, success, success, success, success)
    return ArmResult(name, tested, tested, tested, Cost(0, flags), TrainedOn(60, 900, 300, 60, 0.1))


def result(seed: int, share: float = 0.5, points: bool = False) -> Result:
    names = (UNTRAINED, *(each.name for each in ARMS)) if share == 0.5 else (UNTRAINED, *SHARE_ARMS)
    arms = [made(name, (3 * place + seed % 3) / 40, flags=100 * ("masked" in name)) for place, name in enumerate(names)]
    rollouts = {name: Rollout(60, 800, 0.5, 0.2, 10) for name in ("raw", "advised", "oracle")}
    swept = [Point("recall", value, made(name, 0.5)) for value in ("1.0", "0.5") for name in SWEPT]
    return Result(seed, share, arms, rollouts, swept if points else [])


def test_an_interval_is_that_of_the_textbook() -> None:
    # 1, 2, 3, 4: mean 2.5, standard error 0.6455, t(3) = 3.182.
    found = estimate([1.0, 2.0, 3.0, 4.0])
    assert found.mean == pytest.approx(2.5)
    assert found.high - found.mean == pytest.approx(2.054, abs=1e-3)
    assert str(found) == "2.50 ± 2.05"


def test_two_seeds_give_a_range_and_no_interval() -> None:
    assert str(estimate([0.2, 0.4])) == "0.30 (0.20 to 0.40)"
    assert str(estimate([0.4])) == "0.40"


def test_p_values_are_those_of_the_textbook() -> None:
    # t = 2.776 with 4 degrees of freedom, and 2.571 with 5, are the two-sided 5 % points.
    assert _outside(2.776, 4) == pytest.approx(0.05, abs=1e-4)
    assert _outside(2.571, 5) == pytest.approx(0.05, abs=1e-4)
    assert p_value([1.0, 2.0, 3.0, 4.0]) == pytest.approx(0.0305, abs=1e-4)
    assert p_value([0.0, 0.0]) == 1.0


def test_many_questions_are_held_to_a_level_together() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_answers_go_by_pairs_of_the_same_seed_and_say_where_a_claim_is_not_shown() -> None:
    units = [result(seed) for seed in KNOBS.quick.seeds]
    found = {each.question.claim: each for each in answers(units)}
    assert found["raw training helps"].difference.mean == pytest.approx(3 / 40)
    # Seed by seed the arms of these results lie the same way apart, however much seeds differ.
    assert found["raw training helps"].difference.low == pytest.approx(3 / 40)
    assert found["raw training helps"].verdict == "yes"
    assert found["masks are better than keeping successes only"].verdict == "yes"
    assert found["it is the masks, not training on less"].verdict == "the opposite"
    even = [msgspec.structs.replace(unit, arms=[made(each.arm, 0.5) for each in unit.arms]) for unit in units]
    assert {each.verdict for each in answers(even)} == {"not shown"}


def test_the_report_names_every_arm_and_its_pictures_are_well_formed(tmp_path: Path) -> None:
    units = [result(seed, points=seed in (21, 22)) for seed in KNOBS.quick.seeds]
    shares = [result(seed, share) for seed in KNOBS.quick.sweep_seeds for share in (0.0, 1.0)]
    table = write(tmp_path, "quick", KNOBS, units, shares)
    assert table.count("| all-correct oracle |") == 2  # success, and held-out facts
    assert "| recall | 0.5 | 0.85 | 1.0 |" in table
    assert "| systematic_share | 0 | 0.5 | 1 |" in table
    raw = [(3 * 1 + seed % 3) / 40 for seed in KNOBS.quick.seeds]
    assert f"| raw rollouts | {estimate(raw)} |" in table
    pictures = sorted(tmp_path.glob("*.svg"))
    assert [path.stem for path in pictures] == ["arms", "recall", "systematic_share"]
    for path in pictures:
        assert ET.parse(path).getroot().tag.endswith("svg")


def test_the_worth_of_an_action_of_the_annotator_is_the_gain_over_raw_rollouts(tmp_path: Path) -> None:
    units = [result(seed) for seed in KNOBS.quick.seeds]
    table = write(tmp_path, "quick", KNOBS, units, [])
    # raw + masks is two places after raw: 6 / 40 more, for 100 flags.
    line = next(line for line in table.splitlines() if line.startswith("| raw + masks |"))
    assert line.endswith("| 0 | 100 | 0.15 ± 0.00 |")

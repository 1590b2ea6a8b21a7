from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from supervision_testbed import WORLD

from benchmarks.supervision.annotator import Adviser, Expert, Reviewer, Seen, key_of, sight_of
from benchmarks.supervision.knobs import FILE, load_knobs

EXPERT = Expert(WORLD, 1)
STEPS = [Seen(n, f"C{n % 3}", EXPERT.right(f"C{n % 3}") if n % 2 else "WAIT") for n in range(1, 201)]
WRONG = [seen.step for seen in STEPS if EXPERT.wrong(seen)]
EXACT = msgspec.structs.replace(
    load_knobs().annotator, look_rate=1.0, delay=(0, 0), stale=0.0, wrong_advice=0.0, recall=1.0, false_positives=0.0
)


def review(recall: float, false_positives: float) -> set[int]:
    return set(Reviewer(EXPERT, recall, false_positives, "s").review(STEPS))


def test_a_perfect_reviewer_flags_what_is_wrong_and_nothing_else() -> None:
    assert review(1.0, 0.0) == set(WRONG)
    assert review(0.0, 0.0) == set()


def test_a_better_reviewer_flags_the_same_and_more() -> None:
    assert review(0.3, 0.0) < review(0.7, 0.0) < review(1.0, 0.0)
    assert 0.5 < len(review(0.7, 0.0)) / len(WRONG) < 0.9


def test_false_positives_are_on_right_actions_only() -> None:
    assert review(1.0, 0.2) - set(WRONG)
    assert review(0.0, 1.0) == {seen.step for seen in STEPS} - set(WRONG)


def test_advice_is_about_what_stands_there_when_it_is_sent() -> None:
    late = Adviser(EXPERT, msgspec.structs.replace(EXACT, delay=(2, 2)), random.Random(1))
    wrong = Seen(1, "C0", "WAIT")
    assert late.look(wrong, "E1") == ""
    assert late.look(Seen(2, "E1", "FIX1"), "C0") == ""
    assert late.look(Seen(3, "C0", "WAIT"), "BUSY") == "Use WAIT now."
    stale = Adviser(EXPERT, msgspec.structs.replace(EXACT, delay=(1, 1), stale=1.0), random.Random(1))
    assert stale.look(wrong, "E1") == ""
    assert stale.look(Seen(2, "E1", "FIX1"), "C0") == "Use FIX1 now."


def test_nobody_is_advised_where_nothing_went_wrong_or_nobody_looks() -> None:
    quiet = Adviser(EXPERT, EXACT, random.Random(1))
    assert quiet.look(Seen(1, "C0", EXPERT.right("C0")), "C1") == ""
    away = Adviser(EXPERT, msgspec.structs.replace(EXACT, look_rate=0.0), random.Random(1))
    assert away.look(Seen(1, "C0", "WAIT"), "E1") == ""


def test_the_screen_is_read_as_a_person_reads_it() -> None:
    assert sight_of("Stage 2 of 4: C3.") == "C3"
    assert sight_of("The episode is over: FAILURE.") == "FAILURE"
    assert key_of("Work on key K2 with the tool") == 2
    with pytest.raises(ValueError, match="no key"):
        key_of("Work.")


def test_the_knobs_are_typed_and_a_misspelt_one_is_an_error(tmp_path: Path) -> None:
    assert len(load_knobs().quick.seeds) >= 5
    wrong = tmp_path / "knobs.toml"
    wrong.write_text(FILE.read_text().replace("look_rate = 0.6", "lookrate = 0.6"))
    with pytest.raises(msgspec.ValidationError):
        load_knobs(wrong)

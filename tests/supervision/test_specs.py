from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.supervision.__main__ import specs
from benchmarks.supervision.knobs import load_knobs
from benchmarks.supervision.pool import done
from benchmarks.supervision.unit_steps import Steps


@pytest.mark.parametrize("which", ["quick", "full"])
def test_units_have_folders_of_their_own_and_the_sweep_changes_one_knob(tmp_path: Path, which: str) -> None:
    units, shares = specs(tmp_path, which)  # type: ignore[arg-type]
    knobs = load_knobs()
    assert len({spec.folder for spec in (*units, *shares)}) == len(units) + len(shares)
    assert len(units) >= 5
    assert [spec.seed for spec in units if spec.sweep] == list(units[0].size.sweep_seeds)
    for spec in shares:
        assert spec.share == spec.base.systematic_share
        usual = msgspec.structs.replace(spec.base, systematic_share=knobs.base.systematic_share)
        assert usual == knobs.base
        assert (spec.annotator, spec.train) == (knobs.annotator, knobs.train)


def test_a_unit_is_done_only_with_a_result_of_the_same_knobs(tmp_path: Path) -> None:
    (unit, *_), _ = specs(tmp_path, "quick")
    folder = Path(unit.folder).parent
    folder.mkdir()
    (folder / "spec.json").write_bytes(msgspec.json.encode(unit))
    assert not done(unit)
    (folder / "result.json").write_text("{}")
    assert done(unit)
    other = msgspec.structs.replace(unit, annotator=msgspec.structs.replace(unit.annotator, recall=0.5))
    assert not done(other)


def test_the_full_version_has_seeds_that_the_quick_one_never_showed() -> None:
    knobs = load_knobs()
    assert not set(knobs.quick.seeds) & set(knobs.full.seeds)
    assert len(knobs.full.sweep_seeds) >= 5
    assert set(knobs.full.sweep_seeds) <= set(knobs.full.seeds)


async def test_a_step_is_done_once_and_one_that_broke_off_is_done_again(tmp_path: Path) -> None:
    made: list[int] = []

    async def make() -> int:
        made.append(len(made))
        if len(made) == 1:
            raise RuntimeError("cut off")
        return made[-1]

    with pytest.raises(RuntimeError):
        await Steps(tmp_path).once("arm", int, make)
    assert await Steps(tmp_path).once("arm", int, make) == 1
    assert await Steps(tmp_path).once("arm", int, make) == 1
    assert made == [0, 1]

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.supervision.__main__ import _done, specs
from benchmarks.supervision.knobs import load_knobs


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
    assert not _done(unit)
    (folder / "result.json").write_text("{}")
    assert _done(unit)
    other = msgspec.structs.replace(unit, annotator=msgspec.structs.replace(unit.annotator, recall=0.5))
    assert not _done(other)

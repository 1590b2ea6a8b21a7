"""What the export menu says of a file's size, against the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_log import Teller

from apollo_train.export import file_size
from apollo_train.export.file_size import measure_size, say_bytes
from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS
from apollo_train.policy import PRESETS
from sessions.log.reader import LogReader

POLICY = PRESETS["unaided"]


@pytest.mark.parametrize("format", ["steps", "messages", "openai", "raw"])
async def test_the_size_is_that_of_the_file_and_an_estimate_where_not_every_row_was_made(
    told: Teller, reader: LogReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    for number in range(1, 13):
        await told.act(f"python train.py --seed {number}", "loss 2.1\n" * 9)
    plan = plan_export(reader, None, POLICY, format)
    size = measure_size(reader, plan, FORMATS[format])
    out = tmp_path / "out.jsonl"
    run_export(reader, None, POLICY, format, out)
    assert (size.bytes, size.exact) == (out.stat().st_size, True) and not str(size).startswith("about")

    monkeypatch.setattr(file_size, "ROWS", 4)
    guess = measure_size(reader, plan, FORMATS[format])
    if FORMATS[format].unit == "step":  # a conversation is one row, and events come in pages
        assert not guess.exact and str(guess).startswith("about ")
        assert 0.4 < guess.bytes / size.bytes < 2.5


def test_bytes_for_a_person() -> None:
    assert [say_bytes(n) for n in (0, 999, 1_234, 66_000, 1_400_000, 2.5e9, 3e15)] == [
        "0 B", "999 B", "1.2 kB", "66 kB", "1.4 MB", "2.5 GB", "3000.0 TB",
    ]  # fmt: skip

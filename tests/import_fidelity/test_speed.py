"""Generated recordings of any size, and what an import of them costs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from sessions import events as ev
from sessions.importers.files import import_file

recordings = importlib.import_module("benchmarks.import.generated_recordings")
speed = importlib.import_module("benchmarks.import.speed")


@pytest.mark.parametrize("format", recordings.FORMATS)
def test_a_generated_recording_is_read_as_its_format_without_a_loss(tmp_path: Path, format: str) -> None:
    file = tmp_path / "made.jsonl"
    recordings.write_recording(file, format, 1_000_000)
    assert 1_000_000 <= file.stat().st_size < 1_100_000
    (session,) = import_file(file, format)
    kinds = [type(event.body) for event in session.events]
    replies, results = kinds.count(ev.ModelReplied), kinds.count(ev.ActionResult)
    assert replies > 80
    assert results >= replies - 1
    assert ev.RecordingLoss not in kinds
    assert kinds.count(ev.AdviceQueued) == (replies - 1) // 40
    assert session.created.task == recordings.TASK


def test_the_same_arguments_give_the_same_recording(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for file in (one, other):
        recordings.write_recording(file, "claude-code", 50_000)
    assert one.read_bytes() == other.read_bytes()
    assert all(json.loads(line) for line in one.read_text("utf-8").splitlines())


@pytest.mark.parametrize("format", recordings.FORMATS)
def test_the_time_of_an_import_is_linear_in_the_length_of_the_recording(tmp_path: Path, format: str) -> None:
    small, large = tmp_path / "small.jsonl", tmp_path / "large.jsonl"
    recordings.write_recording(small, format, 500_000)
    recordings.write_recording(large, format, 4_000_000)
    taken = [(speed.import_cpu(small, tmp_path), speed.import_cpu(large, tmp_path)) for _ in range(2)]
    # Eight times as long: quadratic, it would take 64 times as long.
    assert min(large for _, large in taken) < 24 * min(small for small, _ in taken)

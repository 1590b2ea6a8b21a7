from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sample_sessions
from tiny_models import renderer

from apollo_train.export.run import run_export
from apollo_train.formats.tokens import TokensFormat
from apollo_train.output_files import Journal
from apollo_train.policy import PRESETS
from sessions.log.reader import LogReader


class Stop(BaseException):
    """As ctrl+c."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    for seed in range(4):
        asyncio.run(sample_sessions.random_story(tmp_path, seed))
    return tmp_path / "log.sqlite"


def written(log: Path, name: str, **given: Any) -> tuple[list[bytes], Any]:
    out = log.with_name(name)
    made = TokensFormat(renderer("qwen3"), previews=3)
    with LogReader(log) as reader:
        report = run_export(reader, None, PRESETS["everything"].with_advice("kept"), made, out, **given)
    return [path.read_bytes() for path in (report.path, report.excluded, report.manifest)], made.report


def test_several_processes_write_the_same_tokens_and_the_same_report(log: Path) -> None:
    files, report = written(log, "one.jsonl", workers=1)
    assert (files, report) == written(log, "two.jsonl", workers=2) == written(log, "four.jsonl", workers=4)
    assert len(report.shown) == 3 and files[0].count(b"\n") == report.rows


def test_tokens_go_on_after_a_stop_with_the_whole_report(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = Journal.mark

    def stop(self: Journal, *given: Any) -> None:
        mark(self, *given)
        raise Stop

    monkeypatch.setattr(Journal, "mark", stop)
    with pytest.raises(Stop):
        written(log, "stopped.jsonl")
    monkeypatch.undo()
    files, report = written(log, "stopped.jsonl", resume=True)
    assert (files, report) == written(log, "whole.jsonl")
    assert report.rows and len(report.shown) == min(3, report.rows)

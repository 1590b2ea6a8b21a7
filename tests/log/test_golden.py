from __future__ import annotations

import shutil
from pathlib import Path

import golden_log
import msgspec
import pytest

from sessions.events import ActionResult
from sessions.fold.summary import FOLD_VERSION, Summary
from sessions.fold.trajectory import steps
from sessions.log.codec import UnknownEvent
from sessions.log.migrations import prepare_log
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request
from sessions.log.schema import SCHEMA_VERSION
from sessions.log.writer import LogWriter

VERSIONS = range(1, SCHEMA_VERSION + 1)


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "log.sqlite"
    shutil.copy(golden_log.FOLDER / f"v{request.param}.sqlite", path)
    prepare_log(path)
    return path


def test_every_event_of_an_older_log_is_still_understood(golden: Path) -> None:
    with LogReader(golden) as reader:
        events = list(reader.stream())
    assert len(events) > 40
    assert [(e.kind, e.body.problem) for e in events if isinstance(e.body, UnknownEvent)] == []


def test_every_prompt_of_an_older_log_can_still_be_rebuilt(golden: Path) -> None:
    with LogReader(golden) as reader:
        requests = reader.events(golden_log.REAL, kinds=["model.request"])
        rebuilt = [rebuild_request(reader, golden_log.REAL, request.seq) for request in requests]
    assert len(rebuilt) == 3
    assert b'"temperature":0.5' in rebuilt[0]


def test_an_older_log_has_its_steps_and_long_texts(golden: Path) -> None:
    with LogReader(golden) as reader:
        found = list(steps(reader.stream(golden_log.REAL)))
        results = [call.result for step in found for call in step.calls]
        assert all(isinstance(result, ActionResult) for result in results)
        texts = [reader.text(result.output) for result in results if result is not None]
    assert texts == [f"Zeile {step}\n" * 1000 for step in (1, 2, 3)]


async def test_an_older_log_is_opened_for_writing_and_its_summaries_stay_true(golden: Path) -> None:
    async with await LogWriter.open(golden) as writer:
        assert writer.summaries() == golden_log.summaries_of(golden)


def test_a_change_of_the_fold_comes_with_a_new_fold_version(tmp_path: Path) -> None:
    path = shutil.copy(golden_log.LOG, tmp_path / "log.sqlite")
    assert golden_log.SUMMARIES.exists(), "run: python tests/support/golden_log.py"
    expected = msgspec.json.decode(golden_log.SUMMARIES.read_bytes(), type=dict[str, Summary])
    assert golden_log.summaries_of(path) == expected, (
        f"the fold says something else of the golden log than fold version {FOLD_VERSION} did: raise FOLD_VERSION in "
        "sessions/fold/summary.py, so that stored summaries are made anew, and run: python tests/support/golden_log.py"
    )

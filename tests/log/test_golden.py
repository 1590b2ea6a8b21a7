from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import golden_log
import msgspec
import pytest

from sessions import events as ev
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
LATER = (
    golden_log.LATER, golden_log.KEEPING, golden_log.HARNESS, golden_log.TALKED, golden_log.COMPARED, golden_log.JOINED,
    golden_log.SHELL,
    golden_log.NAMED,
)  # fmt: skip
FILES = [*(f"v{version}.sqlite" for version in VERSIONS), *(path.name for path in LATER)]


def copy_of(name: str, folder: Path) -> Path:
    path = folder / "log.sqlite"
    shutil.copy(golden_log.FOLDER / name, path)
    prepare_log(path)
    return path


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return copy_of(f"v{request.param}.sqlite", tmp_path)


@pytest.fixture(params=FILES)
def any_golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return copy_of(request.param, tmp_path)


def test_every_event_of_an_older_log_is_still_understood(any_golden: Path) -> None:
    with LogReader(any_golden) as reader:
        events = list(reader.stream())
    assert len(events) > 3
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


async def test_an_older_log_is_opened_for_writing_and_its_summaries_stay_true(any_golden: Path) -> None:
    async with await LogWriter.open(any_golden) as writer:
        assert writer.summaries() == golden_log.summaries_of(any_golden)


def test_every_kind_is_in_a_golden_log(tmp_path: Path) -> None:
    """Else a change of what the folds make of it is seen by nobody: fold versions 7 and 8 had no golden log at all."""
    found: set[str] = set()
    for name in FILES:
        with LogReader(Path(shutil.copy(golden_log.FOLDER / name, tmp_path))) as reader:
            found |= {event.kind for event in reader.stream()}
    assert set(ev.KINDS) - found == set(), "add them to tests/support/golden_log.py, in a file of their own"


@pytest.mark.parametrize("version", [1, FOLD_VERSION - 1])
async def test_summaries_that_an_older_fold_stored_are_made_anew(any_golden: Path, version: int) -> None:
    async with await LogWriter.open(any_golden):
        pass
    fresh = golden_log.summaries_of(any_golden)
    wrong = (msgspec.structs.replace(one, step=one.step + 99) for one in fresh.values())
    stale = [(msgspec.json.encode(one).decode(), one.session) for one in wrong]
    with closing(sqlite3.connect(any_golden)) as raw:
        raw.executemany(f"UPDATE sessions SET fold = {version}, summary = ? WHERE session = ?", stale)
        raw.commit()
    with LogReader(any_golden) as reader:
        assert {one.session: one for one in reader.summaries()} == fresh
    async with await LogWriter.open(any_golden) as writer:
        assert writer.summaries() == fresh
    with closing(sqlite3.connect(any_golden)) as raw:
        assert {fold for (fold,) in raw.execute("SELECT fold FROM sessions")} == {FOLD_VERSION}


def test_what_the_newest_fold_versions_are_about_is_in_the_golden_summaries() -> None:
    """Version 7 counts what a file says of the whole run, and knows what begins a branch; version 8 waits for the
    summary that somebody asked for."""
    expected = msgspec.json.decode(golden_log.SUMMARIES.read_bytes(), type=dict[str, Summary])
    recorded, shortened = expected[golden_log.RECORDED], expected[golden_log.SHORTENED]
    assert (recorded.input_tokens, recorded.output_tokens, recorded.cached_tokens) == (1100, 60, 7)
    assert (recorded.cost, recorded.unpriced) == (0.25, 0)
    assert recorded.begins is not None and recorded.begins.session == golden_log.NEW_KINDS
    assert (expected[golden_log.ASKED].pending, expected[golden_log.ASKED].need) == ("shorten", "refused")
    assert (shortened.pending, shortened.state, shortened.summaries, shortened.step) == ("", "paused", 1, 1)


def test_a_change_of_the_fold_comes_with_a_new_fold_version(tmp_path: Path) -> None:
    paths = [Path(shutil.copy(path, tmp_path / path.name)) for path in (golden_log.LOG, golden_log.LATER)]
    assert golden_log.SUMMARIES.exists(), "run: python tests/support/golden_log.py"
    expected = msgspec.json.decode(golden_log.SUMMARIES.read_bytes(), type=dict[str, Summary])
    assert golden_log.summaries_of(*paths) == expected, (
        f"the fold says something else of the golden log than fold version {FOLD_VERSION} did: raise FOLD_VERSION in "
        "sessions/fold/summary.py, so that stored summaries are made anew, and run: python tests/support/golden_log.py"
    )

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from host_in_process import paths_in

from sessions.host import exit_codes, lock
from sessions.host.watcher import PAUSES, REFUSED_SECONDS, Watcher


def watcher_of(
    tmp_path: Path,
    ends: list[int],
    monkeypatch: pytest.MonkeyPatch,
    removed: Callable[[], bool] = lambda: False,
) -> tuple[Watcher, list[str], list[float]]:
    """A watcher whose hosts end one after the other as ``ends`` says; with what it says and how long it pauses."""
    said: list[str] = []
    pauses: list[float] = []
    watcher = Watcher(paths_in(tmp_path), (), said.append, removed)
    monkeypatch.setattr(watcher, "_start", lambda: ends.pop(0))
    monkeypatch.setattr("sessions.host.watcher.time.sleep", pauses.append)
    return watcher, said, pauses


def test_a_host_that_keeps_crashing_is_started_again_with_longer_pauses_that_stay_below_five_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [-signal.SIGKILL] * 8 + [exit_codes.STOPPED]
    watcher, said, pauses = watcher_of(tmp_path, ends, monkeypatch)
    assert watcher.run() == exit_codes.STOPPED
    assert pauses == sorted(pauses)
    assert (pauses[0], len(pauses), max(pauses)) == (PAUSES[0], 8, PAUSES[-1])
    assert max(pauses) < 5
    assert "Killed" in said[0]


def test_a_host_that_cannot_start_is_not_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher, _, pauses = watcher_of(tmp_path, [exit_codes.REFUSED], monkeypatch)
    assert (watcher.run(), pauses) == (exit_codes.REFUSED, [])


def test_a_restart_is_at_once_and_forgets_earlier_crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = [1, 1, 1, exit_codes.RESTART, 1, exit_codes.STOPPED]
    watcher, said, pauses = watcher_of(tmp_path, ends, monkeypatch)
    watcher.run()
    assert pauses == [PAUSES[0], PAUSES[1], PAUSES[2], PAUSES[0]]
    assert "crash 1 in a row" in said[-1]


def test_a_host_that_somebody_else_runs_is_watched_and_its_orderly_end_is_ours(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    said: list[str] = []
    others = lock.HostLock.acquire(paths.lock)

    def say(line: str) -> None:
        said.append(line)
        others.note_end("stopped")
        others.release()

    assert Watcher(paths, (), say, lambda: False).run() == exit_codes.STOPPED
    assert "runs already" in said[0]


def test_a_host_that_cannot_be_started_again_after_a_crash_is_tried_until_somebody_has_put_it_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [-signal.SIGKILL, exit_codes.REFUSED, exit_codes.REFUSED, exit_codes.STOPPED]
    watcher, said, pauses = watcher_of(tmp_path, ends, monkeypatch)
    assert watcher.run() == exit_codes.STOPPED
    assert pauses == [PAUSES[0], REFUSED_SECONDS, REFUSED_SECONDS]
    assert [line for line in said if "cannot start" in line] == said[1:]
    assert len(said) == 2


def test_a_watcher_whose_log_was_removed_starts_no_host_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [-signal.SIGKILL, exit_codes.STOPPED]
    watcher, _, _ = watcher_of(tmp_path, ends, monkeypatch, removed=lambda: len(ends) < 2)
    assert watcher.run() == exit_codes.STOPPED
    assert ends == [exit_codes.STOPPED]

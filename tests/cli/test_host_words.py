from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from apollo_tui.cli import host
from apollo_tui.cli.root import apollo
from sessions.host import protocol
from sessions.host.watcher import watch_lock
from sessions.paths import log_paths

STATUS = protocol.HostStatus(pid=7, version="v", log="l", position=3, started_at=0, sessions={})


@pytest.fixture(autouse=True)
def a_host_that_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> protocol.Stopping:
        return protocol.Stopping(pid=STATUS.pid)

    monkeypatch.setattr("sessions.host.client.host_status", lambda paths: STATUS)
    monkeypatch.setattr("sessions.host.client.wait_for_stop", lambda paths, pid: None)
    monkeypatch.setattr(host, "ask_host", stop)


def said(tmp_path: Path, *args: str) -> str:
    return CliRunner().invoke(apollo, ["--log", str(tmp_path / "log.db"), "host", *args]).stdout


def test_a_host_without_sessions_at_work_says_so_instead_of_a_table_without_rows(tmp_path: Path) -> None:
    assert said(tmp_path, "status").splitlines()[1:] == ["no session is at work"]


def test_who_stops_a_host_hears_what_became_of_its_sessions_and_what_lets_one_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(tmp_path, "stop") == "the host has stopped; no session was at work\n"
    at_work = msgspec.structs.replace(STATUS, sessions={"a": "running", "b": "paused", "c": "finished"})
    monkeypatch.setattr("sessions.host.client.host_status", lambda paths: at_work)
    monkeypatch.setattr(host, "_wait_for_end", lambda cli: None)
    back = f"'apollo --log {tmp_path / 'log.db'} resume SESSION' lets one of them go on"
    assert said(tmp_path, "stop") == f"the host has stopped; 2 sessions held, their jobs run on: {back}\n"
    assert said(tmp_path, "stop", "--sessions") == f"the host has stopped; 2 sessions stopped, their jobs too: {back}\n"
    assert said(tmp_path, "stop", "--quiet") == ""


def test_who_stops_a_host_that_has_crashed_also_ends_what_would_start_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.host.client.host_status", lambda paths: None)
    assert said(tmp_path, "stop") == "no host runs for this log\n"
    paths = log_paths(tmp_path / "log.db")
    paths.prepare()
    waits = "import sys; from pathlib import Path; from sessions.host.lock import HostLock; "
    waits += "HostLock.acquire(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    watcher = subprocess.Popen(
        [sys.executable, "-c", waits, str(watch_lock(paths))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "held\n"
    assert "none will be started again" in said(tmp_path, "stop")
    assert watcher.wait(10) == -signal.SIGTERM

from __future__ import annotations

from pathlib import Path

import log_events as make
import pytest
from click.testing import CliRunner

from apollo_tui.cli.root import apollo
from sessions.events.states import State
from sessions.host.lock import HostLock
from sessions.log.writer import LogWriter
from sessions.paths import log_paths


async def log_with(folder: Path, state: State) -> Path:
    path = folder / "log.sqlite"
    async with await LogWriter.open(path) as writer:
        await writer.append(make.session_created(), make.state(state))
    return path


def told(log: Path) -> str:
    return CliRunner().invoke(apollo, ["--log", str(log), "ls"]).stderr


@pytest.mark.parametrize(("state", "says"), [("running", True), ("paused", False)])
async def test_a_list_says_that_no_host_runs_where_sessions_look_as_if_they_were_at_work(
    tmp_path: Path, state: State, says: bool
) -> None:
    log = await log_with(tmp_path, state)
    assert ("'apollo host start' starts one" in told(log)) is says
    host = HostLock.acquire(log_paths(log).lock)
    assert told(log) == ""
    host.release()

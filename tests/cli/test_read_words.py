from __future__ import annotations

import json
from pathlib import Path

import log_events as make
import pytest
from click.testing import CliRunner

from apollo_tui.cli.root import apollo
from sessions import events as ev
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


async def test_sub_agents_are_listed_below_the_session_that_started_them(tmp_path: Path) -> None:
    log = await log_with(tmp_path, "stopped")
    later, child, grandchild = (f"01K0000000000000000000000{at}" for at in "ABC")
    async with await LogWriter.open(log) as writer:
        await writer.append(make.session_created(later, 2), make.state("stopped", later))
        for number, (one, parent) in enumerate(((child, make.SESSION), (grandchild, child)), 3):
            begins = ev.Beginning(parent, 1, "child")
            await writer.append(make.session_created(one, number, begins=begins), make.state("stopped", one))
    run = CliRunner()
    rows = run.invoke(apollo, ["--log", str(log), "ls"]).stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["1", "3", "4", "2"]
    titles = [row.index("tune the rate") for row in rows]
    assert [at - titles[0] for at in titles] == [0, 2, 4, 0]
    listed = json.loads(run.invoke(apollo, ["--log", str(log), "ls", "--json"]).stdout)
    assert [row["parent"] for row in listed] == [None, None, make.SESSION, child]
    async with await LogWriter.open(log) as writer:
        await writer.append(make.state("archived"))
    assert [row.split()[0] for row in run.invoke(apollo, ["--log", str(log), "ls"]).stdout.splitlines()[1:]] == ["2"]

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from host_in_process import HostInProcess, new_session, open_host, until

from sessions import events as ev
from sessions.attention.settings import Thresholds
from sessions.clock import now_ms
from sessions.host import notify_command, protocol
from sessions.host.client import HostClient

TITLE = "tune; touch $(pwned) `pwned` \x1b]0;x\x07"
WRITES = """
import json, os, sys
told = {name: value for name, value in os.environ.items() if name.startswith("APOLLO_")}
with open(sys.argv[1], "a") as file:
    file.write(json.dumps({"said": sys.argv[2:], **told}) + "\\n")
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify_command, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(notify_command, "CHANGED_SECONDS", 0.0)


def command(folder: Path) -> tuple[str, ...]:
    return (sys.executable, "-c", WRITES, str(folder / "told"))


def told(folder: Path) -> list[dict[str, Any]]:
    path = folder / "told"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def session_in_need(running: HostInProcess, reason: str = "the key is missing") -> str:
    client = await running.client()
    made = await client.call(new_session(running.request(), title=TITLE, start=False))
    await need(running, made.session, reason)
    return str(made.session)


async def need(running: HostInProcess, session: str, reason: str) -> None:
    for state in ("running", "needs_you"):
        body = ev.StateChanged(state=state, reason=reason, need="key")  # type: ignore[arg-type]
        await running.append(ev.NewEvent(session, body))


async def test_a_need_is_told_once_with_its_reason_and_no_shell_sees_it(tmp_path: Path) -> None:
    async with open_host(tmp_path, notify=command(tmp_path)) as running:
        session = await session_in_need(running)
        await until("the command", lambda: told(tmp_path))
        (once,) = told(tmp_path)
        assert once["said"] == ["1 tune; touch $(pwned) `pwned` : needs you: the key is missing"]
        assert once["APOLLO_REASON"] == "needs you: the key is missing"
        assert (once["APOLLO_SESSION"], once["APOLLO_NUMBER"], once["APOLLO_COUNT"]) == (session, "1", "1")
        await need(running, session, "the key is wrong")
        await until("the second need", lambda: len(told(tmp_path)) == 2)
        assert told(tmp_path)[1]["APOLLO_REASON"] == "needs you: the key is wrong"
    assert not (tmp_path / "pwned").exists()


async def test_a_restarted_host_does_not_tell_again(tmp_path: Path) -> None:
    async with open_host(tmp_path, notify=command(tmp_path), ends="restart") as running:
        await session_in_need(running)
        await until("the command", lambda: told(tmp_path))
    async with open_host(tmp_path, notify=command(tmp_path)) as running:
        other = await running.client()
        await other.call(new_session(running.request(), start=False))
        await session_in_need(running, "another one")
        await until("the second session's need", lambda: len(told(tmp_path)) >= 2)
        assert [each["APOLLO_REASON"] for each in told(tmp_path)] == [
            "needs you: the key is missing",
            "needs you: another one",
        ]


async def test_nothing_is_told_while_an_annotator_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    look = notify_command.NotifyCommand.look
    monkeypatch.setattr(
        notify_command.NotifyCommand, "look", lambda self, found: (look(self, found), looks.append(len(found)))
    )
    async with open_host(tmp_path, notify=command(tmp_path)) as running:
        app = await HostClient.connect(running.paths, actor="human:ada", client="app")
        await app.call(protocol.Active(idle_ms=0))
        await session_in_need(running)
        looks.clear()
        await until("a few looks at the session", lambda: len(looks) > 3)
        assert told(tmp_path) == []
        monkeypatch.setattr("sessions.attention.notify_when.LOOKS_MS", 0)
        await until("the command, as no key followed", lambda: told(tmp_path))
        await app.close()


async def test_keys_at_a_script_do_not_count_as_looking(tmp_path: Path) -> None:
    async with open_host(tmp_path, notify=command(tmp_path)) as running:
        script = await running.client()
        await script.call(protocol.Active())
        assert running.parts.notifications.active_at() == 0


async def test_a_command_that_hangs_holds_nothing_up_and_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify_command, "COMMAND_SECONDS", 0.3)
    hangs = (sys.executable, "-c", "import os,sys,time;open(sys.argv[1],'a').write(f'{os.getpid()} ');time.sleep(600)")
    async with open_host(tmp_path, notify=(*hangs, str(tmp_path / "pids"))) as running:
        session = await session_in_need(running)
        pids = tmp_path / "pids"
        await until("the command", lambda: pids.exists() and pids.read_text())
        client = await running.client()
        before = now_ms()
        await client.call(protocol.Status())
        assert now_ms() - before < 2000
        await need(running, session, "again")
        await until("the next run", lambda: len(pids.read_text().split()) == 2)
        first = int(pids.read_text().split()[0])
        await until("the end of the first", lambda: not Path(f"/proc/{first}").exists())


async def test_a_command_that_does_not_exist_is_said_in_the_hosts_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_host(tmp_path, notify=("/nowhere/at-all",)) as running:
        await session_in_need(running)
        await until("the complaint", lambda: "/nowhere/at-all cannot be run" in caplog.text)


async def test_a_rule_that_is_off_is_not_told(tmp_path: Path) -> None:
    off = Thresholds(off=("needs_human",))
    async with open_host(tmp_path, notify=command(tmp_path), thresholds=off) as running:
        await session_in_need(running)
        client = await running.client()
        await client.call(new_session(running.request(), start=False))
        running.runners.clear()
        for state in ("running", "failed"):
            session = next(s for s in running.parts.writer.summaries().values() if s.number == 2).session
            body = ev.StateChanged(state=state, reason="no such model")  # type: ignore[arg-type]
            await running.append(ev.NewEvent(session, body))
        await until("the other rule", lambda: told(tmp_path))
        assert [each["APOLLO_RULE"] for each in told(tmp_path)] == ["failed"]


async def test_what_goes_wrong_in_one_look_does_not_end_the_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    look = notify_command.NotifyCommand.look

    def stumbling(self: notify_command.NotifyCommand, sessions: Any) -> None:
        looks.append(1)
        if len(looks) == 1:
            raise ValueError("out of order")
        look(self, sessions)

    monkeypatch.setattr(notify_command.NotifyCommand, "look", stumbling)
    async with open_host(tmp_path, notify=command(tmp_path)):
        await until("another look", lambda: len(looks) > 2)

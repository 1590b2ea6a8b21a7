"""A person's shell in a workspace: two events, what changed between them, and a space that is ready."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from host_in_process import HostInProcess, new_session, open_host, until

from sessions import events as ev
from sessions.containment.workspace_walk import Found, Listing
from sessions.host import protocol
from sessions.host.client import HostClient, RequestRefused
from sessions.host.handlers import shell


async def made(host: HostInProcess, folder: Path, **more: object) -> tuple[HostClient, str, Path]:
    """A session with three files."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    for name in ("kept", "changed", "gone"):
        (source / name).write_text(name)
    client = await host.client()
    answer = await client.call(new_session(host.request(), workspace=str(source), **more))
    return client, answer.session, host.paths.session_folder(answer.session) / "workspace"


async def test_the_log_says_that_a_shell_was_open_and_what_changed_meanwhile(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client, session, workspace = await made(host, tmp_path)
        opened = await client.call(protocol.OpenShell(request=host.request(), session=session))
        assert opened.note == "not contained"
        (workspace / "changed").write_text("other")
        (workspace / "gone").unlink()
        (workspace / "new \udcff").write_text("n")
        (workspace / "link").symlink_to("/etc")
        request = host.request()
        closed = await client.call(protocol.CloseShell(request=request, session=session, opened=opened.seq))
        again = await client.call(protocol.CloseShell(request=request, session=session, opened=opened.seq))
        assert again.seq == closed.seq
        first, last = (host.parts.reader.event(session, seq) for seq in (opened.seq, closed.seq))
    assert first is not None and last is not None
    assert (first.actor, first.body) == ("human:ada", ev.ShellOpened(inside="not contained"))
    assert isinstance(last.body, ev.ShellClosed)
    assert {(file.path, file.change) for file in last.body.files} == {
        ("changed", "changed"), ("gone", "removed"), ("link", "new"), ("new \ufffd", "new"),
    }  # fmt: skip
    assert (last.body.opened, last.body.unknown, last.body.more) == (opened.seq, "", 0)
    assert closed.note.startswith("4 files changed meanwhile: ")


async def test_after_another_host_came_the_times_of_files_tell(tmp_path: Path) -> None:
    async with open_host(tmp_path, ends="restart") as host:
        client, session, workspace = await made(host, tmp_path)
        newest = max(file.stat().st_ctime_ns for file in workspace.iterdir())
        await until("the files older than clocks lag", lambda: time.time_ns() - newest > 2 * shell.SLACK_NS)
        opened = await client.call(protocol.OpenShell(request=host.request(), session=session))
    shell._before.clear()
    (workspace / "changed").write_text("other")
    async with open_host(tmp_path) as host:
        client = await host.client()
        closed = await client.call(protocol.CloseShell(request=host.request(), session=session, opened=opened.seq))
        last = host.parts.reader.event(session, closed.seq)
    assert last is not None and isinstance(last.body, ev.ShellClosed)
    assert [file.path for file in last.body.files] == ["changed"]
    assert "removed files cannot be told" in last.body.unknown


async def test_what_cannot_be_opened_or_closed_is_refused(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client, session, workspace = await made(host, tmp_path)
        for number in (1, 99):
            with pytest.raises(RequestRefused, match="no shell that was opened"):
                await client.call(protocol.CloseShell(request=host.request(), session=session, opened=number))
        opened = await client.call(protocol.OpenShell(request=host.request(), session=session))
        close = {"session": session, "opened": opened.seq}
        await client.call(protocol.CloseShell(request=host.request(), **close))
        with pytest.raises(RequestRefused, match="closed already"):
            await client.call(protocol.CloseShell(request=host.request(), **close))
        judge = await host.client("judge:model")
        with pytest.raises(RequestRefused, match="only a person can open a shell"):
            await judge.call(protocol.OpenShell(request=host.request(), session=session))
        await until("running", lambda: host.state(session) == "running")
        os.rename(workspace, workspace.with_name("elsewhere"))
        with pytest.raises(RequestRefused, match=r"the workspace .* is gone"):
            await client.call(protocol.OpenShell(request=host.request(), session=session))


def test_where_not_all_could_be_looked_at_the_time_of_a_change_tells() -> None:
    second = 1_000_000_000
    after = Listing((Found("a", "file", 1, 0, 5 * second), Found("b", "file", 1, 0, 1 * second)), 2, 9, False, 0)
    assert [file.path for file in shell.touched_files(after, after, 4_000)] == ["a"]

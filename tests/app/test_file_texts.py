"""What is known of a file at the beginning and at the last look, without a screen."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from fake_feed import FakeFeed

from apollo_tui.acts.workspace_files import WorkspaceFiles
from apollo_tui.state.file_looks import Look, Looks
from apollo_tui.state.workspace_table import Question, Row
from sessions.containment.workspace_view import CannotLook
from sessions.tools.edits import _change_result
from widgets.cells import text_of

BEFORE, AFTER = b"one\ntwo\n", b"one\nthree\n"


class Desk:
    """One session's workspace, copied unless it works in place, and who looks at it."""

    def __init__(self, feed: FakeFeed, folder: Path, session: str) -> None:
        self.feed, self.session = feed, session
        self.source, self.workspace = folder / "source", folder / "workspace"
        self.looks = Looks()
        self.left_at = 0

    async def edit(self, path: str, before: bytes | None, after: bytes) -> None:
        (self.workspace / path).write_bytes(after)
        await self.feed.add(self.session, *_change_result(path, before, after, "").events, step=1, call=1)

    async def see(self, path: str, look: Look) -> str:
        files = WorkspaceFiles(self.feed, self.session, self.left_at, self.looks)
        table = await files.read(Question())
        (row,) = (one for one in table.rows if one.path == path)
        found = await files.open(row, look)
        return "\n".join([found.about, *map(text_of, found.lines)])


async def desk(feed: FakeFeed, tmp_path: Path, *, in_place: bool = False) -> Desk:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.txt").write_bytes(BEFORE)
    shutil.copytree(tmp_path / "source", tmp_path / "workspace")
    source = tmp_path / ("workspace" if in_place else "source")
    workspace = str(tmp_path / "workspace")
    session = await feed.session("t", workspace=workspace, source_workspace=str(source), in_place=in_place)
    return Desk(feed, tmp_path, session)


async def test_what_a_command_changed_is_compared_with_the_copy_and_with_what_was_seen(
    feed: FakeFeed, tmp_path: Path
) -> None:
    made = await desk(feed, tmp_path)
    assert await made.see("a.txt", "text") == "2 lines\none\ntwo"
    (made.workspace / "a.txt").write_bytes(AFTER)
    assert "-two\n+three" in await made.see("a.txt", "beginning")
    assert "diff since you looked at it last: +1 −1" in await made.see("a.txt", "last")
    assert await made.see("a.txt", "text") == "2 lines\none\nthree"
    assert "diff since you looked at it last: +1 −1" in await made.see("a.txt", "last")
    (made.workspace / "a.txt").unlink()
    assert "-one\n-two" in await made.see("a.txt", "text")


async def test_in_place_only_edits_of_file_tools_lead_back(feed: FakeFeed, tmp_path: Path) -> None:
    made = await desk(feed, tmp_path, in_place=True)
    await made.edit("a.txt", BEFORE, AFTER)
    assert "-two\n+three" in await made.see("a.txt", "beginning")
    made.left_at = 1
    assert "diff since you left: +1 −1" in await made.see("a.txt", "last")
    (made.workspace / "a.txt").write_bytes(b"a command was here\n")
    for look in ("beginning", "last"):
        with pytest.raises(CannotLook, match=r"something else has changed it since 1\.1"):
            await made.see("a.txt", look)  # type: ignore[arg-type]
    (made.workspace / "b.txt").write_bytes(b"b\n")
    with pytest.raises(CannotLook, match="of which there is no copy"):
        await made.see("b.txt", "beginning")
    with pytest.raises(CannotLook, match="nobody kept what it was"):
        await made.see("b.txt", "last")


async def test_a_source_that_was_changed_since_is_no_beginning(feed: FakeFeed, tmp_path: Path) -> None:
    made = await desk(feed, tmp_path)
    (made.workspace / "a.txt").write_bytes(AFTER)
    (made.source / "a.txt").write_bytes(b"another\n")
    future = os.stat(made.source).st_mtime + 3600
    os.utime(made.source / "a.txt", (future, future))
    with pytest.raises(CannotLook, match="has changed since"):
        await made.see("a.txt", "beginning")
    (made.workspace / "a.txt").write_bytes(BEFORE)
    await made.edit("a.txt", BEFORE, AFTER)
    assert "-two\n+three" in await made.see("a.txt", "beginning")


async def test_what_is_no_text_and_what_is_too_much_is_said(
    feed: FakeFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apollo_tui.acts.workspace_files.MOST_SHOWN", 1_000)
    made = await desk(feed, tmp_path)
    (made.workspace / "bin").write_bytes(b"\x00\x1b[31m" * 10)
    (made.workspace / "long").write_bytes(b"line\n" * 1_000)
    (made.workspace / "link").symlink_to("/etc/passwd")
    assert (await made.see("bin", "text")).startswith("binary, the first 60 bytes\n000000  00 1b")
    assert (await made.see("long", "text")).startswith("the first 1.0 kB of 5.0 kB; v opens")
    assert "links are not followed" in await made.see("link", "text")
    with pytest.raises(CannotLook, match="too large to compare"):
        await made.see("long", "beginning")
    files = WorkspaceFiles(feed, made.session, 0, Looks())
    await files.read(Question())
    gone = Row("gone", "file", 1, 1, True, False, "changed")
    with pytest.raises(CannotLook, match="gone is gone"):
        await files.open(gone, "text")

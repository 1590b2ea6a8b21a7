from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from tool_testbed import Bench

from sessions.containment.file_access import FileTrouble, resolve_inside
from sessions.events import FileChanged
from sessions.tools.edits import unified_diff


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench.at(tmp_path)


# --- staying inside ---


def test_links_and_dots_that_lead_out_of_the_workspace_are_refused(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "secret").write_text("x")
    (tmp_path / "work2").mkdir()
    (work / "link").symlink_to(tmp_path / "secret")
    (work / "folder").symlink_to(tmp_path)
    (work / "dangling").symlink_to(tmp_path / "not-there-yet")
    (work / "loop").symlink_to(work / "loop")
    for path in ("../secret", "link", "folder/secret", "dangling", "/etc/passwd", "a/../../secret", "../work2/x"):
        with pytest.raises(FileTrouble, match="outside the workspace"):
            resolve_inside(work, path)
    for path in ("loop/x", "a\0b"):
        with pytest.raises(FileTrouble):
            resolve_inside(work, path)


def test_links_that_stay_inside_and_absolute_paths_inside_are_fine(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "real").write_text("x")
    (work / "link").symlink_to("real")
    assert resolve_inside(work, "link") == resolve_inside(work, str(work / "real")) == work / "real"


async def test_no_file_tool_reaches_outside(bench: Bench) -> None:
    outside = bench.workspace.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret needle\n")
    (bench.workspace / "way").symlink_to(outside)
    assert "outside" in await bench.failure("read_file", path="way/file")
    assert "outside" in await bench.failure("write_file", path="way/new", content="x")
    assert "outside" in await bench.failure("edit_file", path="way/file", old="secret", new="x")
    assert "outside" in await bench.failure("search", pattern="needle", path="way")
    assert "needle" not in (await bench.do("search", pattern="needle")).output
    assert sorted(path.name for path in outside.iterdir()) == ["file"]


async def test_a_workspace_that_is_itself_reached_by_a_link_works(bench: Bench, tmp_path: Path) -> None:
    link = tmp_path / "alias"
    link.symlink_to(bench.workspace)
    bench.workspace = link
    await bench.do("write_file", path="a/b.txt", content="x\n")
    assert (await bench.do("read_file", path="a/b.txt")).output == "     1\tx"


# --- reading ---


async def test_lines_are_numbered_and_long_files_come_in_parts(bench: Bench) -> None:
    (bench.workspace / "f").write_text("".join(f"line {n}\n" for n in range(1, 1001)))
    result = await bench.do("read_file", path="f", start=10, lines=2)
    assert result.output == "    10\tline 10\n    11\tline 11\n[lines 10 to 11 of 1,000; go on with start=12]"
    assert (await bench.do("read_file", path="f", start=-1)).output == "  1000\tline 1000"
    assert "1,000 lines" in await bench.failure("read_file", path="f", start=1001)


async def test_one_answer_is_never_longer_than_the_model_sees(bench: Bench) -> None:
    (bench.workspace / "f").write_text(("y" * 1000 + "\n") * 500 + "x" * 1_000_000)
    result = await bench.do("read_file", path="f")
    assert len(result.output) < 30_000
    assert "go on with start=28]" in result.output
    last = await bench.do("read_file", path="f", start=-1)
    assert "998,000 more characters in this line" in last.output


async def test_empty_crlf_and_odd_bytes_are_read_as_well_as_can_be(bench: Bench) -> None:
    (bench.workspace / "empty").touch()
    (bench.workspace / "crlf").write_bytes(b"a\r\nb\r\n")
    (bench.workspace / "latin").write_bytes(b"caf\xe9\n")
    assert (await bench.do("read_file", path="empty")).output == "[the file is empty]"
    assert (await bench.do("read_file", path="crlf")).output == "     1\ta\n     2\tb"
    assert "not valid UTF-8" in (await bench.do("read_file", path="latin")).output


async def test_what_is_no_text_file_is_named(bench: Bench) -> None:
    (bench.workspace / "b.png").write_bytes(b"\x89PNG\0\0")
    (bench.workspace / "folder").mkdir()
    (bench.workspace / "folder/inner.py").touch()
    os.mkfifo(bench.workspace / "fifo")
    assert "image/png, 6 bytes" in await bench.failure("read_file", path="b.png")
    assert "is a folder; it holds: inner.py" in await bench.failure("read_file", path="folder")
    assert "not a regular file" in await bench.failure("read_file", path="fifo")
    assert "near names: b.png" in await bench.failure("read_file", path="c.png")


# --- writing ---


async def test_a_new_file_is_written_with_its_folders_and_its_diff(bench: Bench) -> None:
    result = await bench.do("write_file", path="src/a.py", content="one\ntwo\n")
    (event,) = result.events
    assert isinstance(event, FileChanged)
    assert (bench.workspace / "src/a.py").read_text() == "one\ntwo\n"
    assert event.path == "src/a.py"
    assert event.before is None
    assert event.after == hashlib.sha256(b"one\ntwo\n").hexdigest()
    assert (event.added, event.removed) == (2, 0)
    assert result.output == "Created src/a.py: 2 lines added, 0 removed."


async def test_writing_keeps_the_mode_and_writes_through_a_link(bench: Bench) -> None:
    script = bench.workspace / "run.sh"
    script.write_text("old\n")
    script.chmod(0o755)
    (bench.workspace / "link").symlink_to("run.sh")
    await bench.do("write_file", path="link", content="new\n")
    assert script.read_text() == "new\n"
    assert script.stat().st_mode & 0o777 == 0o755
    assert (bench.workspace / "link").is_symlink()
    assert sorted(path.name for path in bench.workspace.iterdir()) == ["link", "run.sh"]


async def test_writing_the_same_content_changes_nothing(bench: Bench) -> None:
    (bench.workspace / "f").write_text("same")
    result = await bench.do("write_file", path="f", content="same")
    assert result.events == ()
    assert "unchanged" in result.output


async def test_a_folder_or_a_file_in_the_way_is_a_failure_in_words(bench: Bench) -> None:
    (bench.workspace / "folder").mkdir()
    (bench.workspace / "file").touch()
    assert "is a folder" in await bench.failure("write_file", path="folder", content="x")
    assert "cannot write" in await bench.failure("write_file", path="file/below", content="x")


async def test_an_edit_replaces_the_one_place_and_logs_the_diff(bench: Bench) -> None:
    (bench.workspace / "f").write_text("a\nb\nc\n")
    result = await bench.do("edit_file", path="f", old="b\n", new="B\nBB\n")
    (event,) = result.events
    assert isinstance(event, FileChanged)
    assert event.diff is not None
    assert (bench.workspace / "f").read_text() == "a\nB\nBB\nc\n"
    assert event.diff.text == "--- f\n+++ f\n@@ -1,3 +1,4 @@\n a\n-b\n+B\n+BB\n c\n"


async def test_an_edit_that_is_not_unique_says_where_it_fits(bench: Bench) -> None:
    (bench.workspace / "f").write_text("x = 1\ny = 2\nx = 1\n")
    said = await bench.failure("edit_file", path="f", old="x = 1", new="x = 3")
    assert "2 times in 'f' (lines 1, 3)" in said
    await bench.do("edit_file", path="f", old="x = 1", new="x = 3", all=True)
    assert (bench.workspace / "f").read_text() == "x = 3\ny = 2\nx = 3\n"


@pytest.mark.parametrize(
    ("old", "says"),
    [
        ("def  solve(a, b):", "the nearest is line 2: def solve(a, b):"),
        ("def solve(a, b):\n  return a", "line 2 has its first line"),
        ("something else entirely", "nothing like it"),
    ],
)
async def test_an_edit_that_fits_nowhere_says_what_is_near(bench: Bench, old: str, says: str) -> None:
    (bench.workspace / "f").write_text("# top\ndef solve(a, b):\n    return a\n")
    assert says in await bench.failure("edit_file", path="f", old=old, new="x")


async def test_an_edit_leaves_line_ends_and_odd_bytes_alone(bench: Bench) -> None:
    (bench.workspace / "f").write_bytes(b"caf\xe9\r\nold\r\nlines\r\n")
    await bench.do("edit_file", path="f", old="old\nlines", new="new\nones")
    assert (bench.workspace / "f").read_bytes() == b"caf\xe9\r\nnew\r\nones\r\n"


def test_a_diff_far_down_a_large_file_is_right_and_quick() -> None:
    before = "".join(f"{n}\n" for n in range(200_000))
    after = before.replace("150000\n", "changed\n")
    diff = unified_diff("f", before, after)
    assert diff.text.startswith("--- f\n+++ f\n@@ -149998,7 +149998,7 @@\n 149997\n")
    assert (diff.added, diff.removed) == (1, 1)


def test_a_whole_new_content_of_a_large_file_is_one_replacement() -> None:
    diff = unified_diff("f", "a\nx\n" * 3000, "b\nx\n" * 3000)
    assert (diff.added, diff.removed) == (5999, 5999)


def test_only_a_line_feed_ends_a_line_of_a_diff() -> None:
    assert unified_diff("f", "a\x0cb\u2028c\n", "a\x0cB\u2028c\n").text.count("\n") == 5


def test_a_missing_end_of_line_is_told() -> None:
    assert unified_diff("f", "a\n", "a").text.count("\\ No newline at end of file") == 1

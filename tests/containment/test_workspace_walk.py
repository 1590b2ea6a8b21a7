"""What an agent may put into its workspace must hold up nobody who looks at it."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from sessions.containment import workspace_walk
from sessions.containment.workspace_walk import Listing, Wish, list_files, read_head, read_link
from sessions.untrusted_files import SpoiltFile


def paths(listing: Listing) -> list[str]:
    return [one.path for one in listing.found]


def test_files_are_listed_with_what_they_are_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("x = 1\n")
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
    found = list_files(tmp_path, Wish())
    assert {one.path: one.kind for one in found.found} == {
        "loop": "link", "out": "link", "pipe": "fifo", "s": "socket", "src/train.py": "file",
    }  # fmt: skip
    assert found.whole and not found.more
    assert {one.size for one in found.found if one.kind == "file"} == {6}
    assert read_link(tmp_path, "out") == "/etc"


@pytest.mark.parametrize("path", ["out/passwd", "out", "pipe", "folder", "../secret", "/etc/passwd", "", "."])
def test_nothing_but_a_regular_file_inside_is_read(tmp_path: Path, path: str) -> None:
    root = tmp_path / "workspace"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (root / "out").symlink_to("/etc")
    os.mkfifo(root / "pipe")
    with pytest.raises(SpoiltFile):
        read_head(root, path, 10)


def test_the_beginning_of_a_file_is_read_and_its_size_told(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * 1000)
    head = read_head(tmp_path, "long", 10)
    assert (head.data, head.size) == (b"x" * 10, 1000)
    with pytest.raises(FileNotFoundError):
        read_head(tmp_path, "gone", 10)


def test_more_files_than_are_kept_are_counted_and_found_by_a_pattern(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"file{number}").touch()
    (tmp_path / "Wanted").touch()
    cut = list_files(tmp_path, Wish(most=10))
    assert (len(cut.found), cut.more) == (10, 21)
    assert paths(list_files(tmp_path, Wish(pattern="wanted", most=10))) == ["Wanted"]
    assert paths(list_files(tmp_path, Wish(pattern="WANTED", most=10))) == []


def test_a_folder_of_many_files_keeps_no_other_folder_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_walk, "SLICE", 10)
    for name in ("a", "z"):
        (tmp_path / name).mkdir()
    for number in range(100):
        (tmp_path / "a" / str(number)).touch()
    (tmp_path / "z" / "there").touch()
    asked = iter([True, True, False])
    found = list_files(tmp_path, Wish(), lambda: next(asked))
    assert "z/there" in paths(found)
    assert not found.whole and found.looked < 100


def test_a_walk_ends_after_its_time(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    found = list_files(tmp_path, Wish(seconds=0.0))
    assert not found.whole and found.found == ()


def test_folders_that_programs_fill_are_entered_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "lib" / "node_modules" / "deep").mkdir(parents=True)
    (tmp_path / "lib" / "node_modules" / "deep" / "x.js").touch()
    found = list_files(tmp_path, Wish())
    assert [(one.path, one.kind) for one in found.found] == [("lib/node_modules", "folder")]
    assert paths(list_files(tmp_path, Wish(inside=("lib/node_modules",)))) == ["lib/node_modules/deep/x.js"]


def test_a_folder_that_cannot_be_read_is_said_to_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "open.py").touch()
    real = workspace_walk.open_folder

    def refuse(name: str, *, at: int | None = None) -> int:
        if name == "closed":
            raise PermissionError(13, "Permission denied", name)
        return real(name, at=at)

    monkeypatch.setattr(workspace_walk, "open_folder", refuse)
    found = list_files(tmp_path, Wish())
    assert paths(found) == ["open.py"] and not found.whole


def test_nested_without_end_and_named_with_escapes(tmp_path: Path) -> None:
    at = tmp_path
    for _ in range(workspace_walk.MOST_DEPTH + 5):
        at = at / "d"
        at.mkdir()
    (at / "deepest").touch()
    (tmp_path / "a\x1b[31m\nred").touch()
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff", os.O_CREAT))
    found = list_files(tmp_path, Wish())
    kinds = {one.path: one.kind for one in found.found}
    assert kinds["a\x1b[31m\nred"] == "file" and kinds["\udcff"] == "file"
    assert [kind for path, kind in kinds.items() if path.startswith("d/")] == ["folder"]


def test_what_changes_while_it_is_walked_does_no_harm(tmp_path: Path) -> None:
    stop = threading.Event()

    def meddle() -> None:
        while not stop.is_set():
            (tmp_path / "d").mkdir(exist_ok=True)
            (tmp_path / "d" / "f").touch()
            (tmp_path / "d" / "f").unlink()
            (tmp_path / "d").rmdir()
            (tmp_path / "d").symlink_to("/etc")
            (tmp_path / "d").unlink()

    meddling = threading.Thread(target=meddle)
    meddling.start()
    try:
        for _ in range(200):
            assert set(paths(list_files(tmp_path, Wish()))) <= {"d", "d/f"}
    finally:
        stop.set()
        meddling.join()


def test_no_handle_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_walk, "SLICE", 2)
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        for number in range(9):
            (tmp_path / folder / str(number)).touch()
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    asked = iter([True] * 4 + [False])
    list_files(tmp_path, Wish(), lambda: next(asked))
    list_files(tmp_path, Wish())
    after = len(os.listdir("/proc/self/fd")) if before else 0
    assert after == before

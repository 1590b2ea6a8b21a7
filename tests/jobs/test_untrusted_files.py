"""What commands put in the place of our files is not followed, not waited for and not read without end."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from sessions.json_files import create_json, read_json, write_json
from sessions.untrusted_files import SpoiltFile, open_folder, open_log, open_regular, read_regular, write_below


def bind_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


IN_PLACE: dict[str, Callable[[Path], None]] = {
    "a link": lambda path: path.symlink_to("/etc/passwd"),
    "a fifo": os.mkfifo,
    "a folder": Path.mkdir,
    "a socket": bind_socket,
}


@pytest.mark.parametrize("what", IN_PLACE)
def test_nothing_but_a_regular_file_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    place = Path("file")
    IN_PLACE[what](place)
    folder = open_folder(tmp_path)
    try:
        for open_it in (open_regular, open_log, lambda name, at: read_regular(name, 10, at=at)):
            with pytest.raises(OSError) as refused:
                open_it("file", at=folder)
            if open_it is not open_log:
                assert isinstance(refused.value, SpoiltFile)
                assert refused.value.strerror == f"is {what} and no file of ours"
        assert read_json("file", at=folder) is None
    finally:
        os.close(folder)


def test_a_file_of_ours_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    with pytest.raises(SpoiltFile, match="larger than 4 bytes"):
        read_regular(tmp_path / "file", 4)
    os.truncate(tmp_path / "file", 2**40)
    with pytest.raises(SpoiltFile, match="larger"):
        read_regular(tmp_path / "file", 4)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 4)


@pytest.mark.parametrize("what", ["a link", "a fifo"])
def test_what_leads_elsewhere_is_no_folder(tmp_path: Path, what: str) -> None:
    IN_PLACE[what](tmp_path / "folder")
    with pytest.raises(SpoiltFile, match=f"is {what} and no folder"):
        open_folder(tmp_path / "folder")


def test_a_file_below_a_folder_is_put_there_and_through_no_link(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    (home / "link").symlink_to(outside)
    (outside / "kept").write_text("mine")
    (home / "also").symlink_to(outside / "kept")
    write_below(home, "a/b/file", b"1")
    write_below(home, "also", b"2")
    assert ((home / "a/b/file").read_bytes(), (home / "also").read_bytes()) == (b"1", b"2")
    with pytest.raises(SpoiltFile):
        write_below(home, "link/file", b"3")
    assert [path.read_text() for path in outside.iterdir()] == ["mine"]


def test_a_link_that_takes_the_place_of_a_file_while_it_is_made_gives_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "folder"
    secret.write_text("{}")
    folder.mkdir()
    link = os.link

    def swapped(source: str, *rest: object, **more: object) -> None:
        (folder / source).unlink()
        (folder / source).symlink_to(secret)
        link(source, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", swapped)
    handle = open_folder(folder)
    create_json("claim.json", {}, at=handle)
    os.close(handle)
    assert secret.stat().st_nlink == 1


def test_an_object_is_written_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_json(tmp_path / "one", {"a": 1})
    write_json(tmp_path / "one", {"a": 2})
    assert create_json(tmp_path / "two", {"b": 1})
    assert not create_json(tmp_path / "two", {"b": 2})
    (tmp_path / "three").mkdir()
    with pytest.raises(OSError) as refused:
        write_json(tmp_path / "three", {})
    assert refused.value.errno == errno.EISDIR
    assert (read_json(tmp_path / "one"), read_json(tmp_path / "two")) == ({"a": 2}, {"b": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "three", "two"]

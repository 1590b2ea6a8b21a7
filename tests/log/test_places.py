"""Clock, ids, paths and filesystems."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sessions.clock import now_ms
from sessions.log.errors import NetworkFilesystem
from sessions.log.filesystem import filesystem_of, refuse_network_fs
from sessions.paths import MAX_SOCKET_BYTES, log_paths, private_folder
from sessions.ulid import ALPHABET, UlidMaker, is_ulid, new_ulid


def test_the_clock_counts_milliseconds() -> None:
    assert abs(now_ms() - time.time() * 1000) < 1000


def test_ids_sort_as_they_were_made_also_when_the_clock_stands_or_steps_back() -> None:
    times = iter([5_000, 5_000, 5_000, 4_000, 4_999, 5_001])
    make = UlidMaker(lambda: next(times))
    made = [make() for _ in range(6)]
    assert made == sorted(set(made))
    assert all(is_ulid(id) for id in made)


def test_an_id_begins_with_its_time() -> None:
    id = UlidMaker(lambda: 1_700_000_000_123)()
    value = 0
    for letter in id[:10]:
        value = value * 32 + ALPHABET.index(letter)
    assert value == 1_700_000_000_123
    assert new_ulid() < new_ulid()
    assert not is_ulid(id.lower()) and not is_ulid(id[:-1]) and not is_ulid("Z" + id[1:])


def test_a_log_s_neighbours_stand_beside_it_and_are_private(tmp_path: Path) -> None:
    paths = log_paths(tmp_path / "a.sqlite")
    paths.prepare()
    assert paths.lock == tmp_path / "a.sqlite.lock"
    assert paths.socket == paths.folder / "socket"
    assert paths.session_folder("01X").parent.parent == paths.folder
    for folder in (paths.folder, paths.drafts, paths.sessions):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not paths.log.exists()


def test_two_names_of_one_log_share_lock_and_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APOLLO_LOG", str(tmp_path / "link" / "a.sqlite"))
    assert log_paths() == log_paths(Path("a.sqlite")) == log_paths(tmp_path / "x" / ".." / "a.sqlite")


def test_the_user_s_own_log_is_where_the_platform_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APOLLO_LOG", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert log_paths().log == tmp_path / "apollo-tui" / "apollo.sqlite"


@pytest.mark.parametrize("deep_state", [False, True])
def test_a_socket_path_is_always_short_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deep_state: bool
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ("s" * 120)) if deep_state else "/tmp/state")
    deep = [log_paths(tmp_path / ("d" * 100) / name) for name in ("a.sqlite", "b.sqlite")]
    assert all(len(os.fsencode(paths.socket)) < MAX_SOCKET_BYTES for paths in deep)
    assert deep[0].socket != deep[1].socket
    assert all(paths.socket.parent not in (paths.folder, Path("/tmp")) for paths in deep)


def test_a_folder_that_was_open_is_closed_and_a_stranger_s_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    private_folder(tmp_path / "open")
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(PermissionError, match="belongs to another user"):
        private_folder(tmp_path / "open")


MOUNTS = """\
/dev/vda / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
host:/x /mnt/my\\040share fuse.sshfs rw 0 0
/dev/vdb /home/local xfs rw 0 0
garbage
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/log.sqlite", "ext4"),
        ("/home/ada/log.sqlite", "nfs4"),
        ("/home/local/log.sqlite", "xfs"),
        ("/homestead/log.sqlite", "ext4"),
        ("/mnt/my share/log.sqlite", "fuse.sshfs"),
    ],
)
def test_network_filesystems_are_known_and_refused_unless_allowed(tmp_path: Path, path: str, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert filesystem_of(Path(path), mounts) == kind
    refuse_network_fs(Path(path), allow=True, mounts=mounts)
    if kind in ("nfs4", "fuse.sshfs"):
        with pytest.raises(NetworkFilesystem, match="--allow-network-fs"):
            refuse_network_fs(Path(path), mounts=mounts)
    else:
        refuse_network_fs(Path(path), mounts=mounts)


def test_a_system_that_says_nothing_about_its_mounts_refuses_nothing(tmp_path: Path) -> None:
    refuse_network_fs(tmp_path, mounts=tmp_path / "none")

"""Control groups: where the system has delegated a tree they limit all commands of a session together."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tool_testbed import Bench

from sessions.containment import control_groups
from sessions.containment.control_groups import ControlGroup, find_delegated
from sessions.containment.session_spaces import session_space
from sessions.events import Containment
from sessions.events.session import SpaceLimits
from sessions.jobs.manager import JobManager

KINDS = ("none", "bwrap", "landlock")


def proc(tmp_path: Path, own: str) -> Path:
    """A /proc/self that says where the tree is, and where we are in it."""
    made = tmp_path / "proc"
    made.mkdir()
    tree = tmp_path / "tree"
    (made / "mountinfo").write_text(
        f"25 1 0:5 / /proc rw - proc proc rw\n31 25 0:27 / {tree} rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
    )
    (made / "cgroup").write_text(f"8:pids:/\n0::{own}\n")
    return made


def folder(place: Path, controllers: str) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    (place / "cgroup.subtree_control").write_text(controllers)
    (place / "cgroup.procs").touch()
    return place


def test_groups_are_made_beside_our_own_where_our_parent_is_ours(tmp_path: Path) -> None:
    place = folder(tmp_path / "tree" / "user.slice" / "app.slice", "cpu pids memory\n")
    assert find_delegated(proc(tmp_path, "/user.slice/app.slice/run-1.scope")) == place


def test_the_root_of_the_tree_has_processes_and_groups_that_of_a_container_has_not(tmp_path: Path) -> None:
    tree = folder(tmp_path / "tree", "pids")
    where = proc(tmp_path, "/")
    assert find_delegated(where) == tree
    (tree / "cgroup.type").touch()
    assert find_delegated(where) is None


def test_without_controllers_without_rights_and_without_a_tree_there_is_none(tmp_path: Path) -> None:
    place = folder(tmp_path / "tree" / "a", "cpu")
    (place / "cgroup.subtree_control").chmod(0o400)
    where = proc(tmp_path, "/a/own")
    if os.geteuid() != 0:
        assert find_delegated(where) is None
    (place / "cgroup.procs").unlink()
    assert find_delegated(where) is None
    (where / "mountinfo").write_text("25 1 0:5 / /proc rw - proc proc rw\n")
    assert find_delegated(where) is None
    assert find_delegated(tmp_path / "nowhere") is None


def test_a_group_limits_what_its_controllers_can_and_counts_what_was_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder(tmp_path / "tree", "pids")
    monkeypatch.setattr(control_groups, "find_delegated", lambda: place)
    assert ControlGroup.plan("apollo-s", {"file_size": 5, "memory": 9}) is None, "no controller for memory here"
    group = ControlGroup.plan("apollo-s", {"processes": 20, "memory": 9, "open_files": 0})
    assert group is not None and group.limits == {"processes": 20}
    group.open()
    group.open()
    assert (place / "apollo-s" / "pids.max").read_text() == "20"
    assert group.hits() == {}
    (place / "apollo-s" / "pids.events").write_text("max 3\n")
    (place / "apollo-s" / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    assert group.hits() == {"processes": 3, "memory": 1}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.skipif(find_delegated() is None, reason="no cgroup v2 is delegated here")
async def test_a_fork_bomb_meets_the_limit_says_so_and_leaves_no_group(kind: str, tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)
    space = session_space(
        Containment(inside=kind, limits=SpaceLimits(processes=20, file_mb=1)), bench.folder, bench.workspace
    )
    bench.jobs = JobManager(bench.folder, space=space)
    result = await bench.do("run", command="for n in $(seq 60); do sleep 5 & done; wait")
    assert "[met the session's limit: 20 processes]" in result.output
    assert result.data["limits"] == ["20 processes"]
    again = await bench.do("run", command="echo fine")
    assert "met" not in again.output
    await bench.jobs.kill_all(grace=0.1)
    await space.close()
    place = find_delegated()
    assert place is not None and not list(place.glob("apollo-*"))


async def test_a_file_that_is_too_large_is_said(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)
    space = session_space(Containment(inside="none", limits=SpaceLimits(file_mb=1)), bench.folder, bench.workspace)
    bench.jobs = JobManager(bench.folder, space=space)
    result = await bench.do("run", command="head -c 2000000 /dev/zero > large")
    assert result.data["exit_code"] != 0
    assert "[met the session's limit: files of at most 1 MB]" in result.output

"""A person's shell inside a space: on a terminal of its own, with its jobs, and told nothing in a command line."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import pexpect
import pytest

from sessions.containment import bubblewrap, landlock, shell_inside, shell_relay
from sessions.containment.remote_command import shell_there
from sessions.containment.session_spaces import session_space
from sessions.containment.spaces import DIRECT, PACKAGE_ROOT
from sessions.events import Containment

PROBLEMS = {"none": "", "bwrap": bubblewrap.problem(), "landlock": landlock.problem()}


def interrupt(child: pexpect.spawn[str]) -> None:
    """Press ctrl+c until the shell prompts: it comes to nothing while the shell is about to begin the command."""
    for _ in range(30):
        child.sendcontrol("c")
        if child.expect_exact(["ready> ", pexpect.TIMEOUT], timeout=2) == 0:
            return
    raise AssertionError(f"ctrl+c ended nothing: {child.before}")


@pytest.mark.parametrize("kind", PROBLEMS)
async def test_a_shell_has_jobs_and_a_size_and_sees_what_its_space_lets_it(kind: str, tmp_path: Path) -> None:
    if PROBLEMS[kind]:
        pytest.skip(PROBLEMS[kind])
    folder, workspace = tmp_path / "session", tmp_path / "session" / "workspace"
    workspace.mkdir(parents=True)
    (tmp_path / "secret").write_text("outside")
    space = session_space(Containment(inside=kind, network="off" if kind == "bwrap" else "all"), folder, workspace)
    await space.open()
    try:
        start = {
            "first": "a shell in here",
            "argv": space.helper(shell_inside.__name__),
            "env": space.helper_env(),
            "wish": {
                "shells": ["/no/such/shell", "/bin/sh"],
                "cwd": space.place_of(workspace),
                "env": space.environment({"PATH": os.defpath, "TERM": "dumb", "PS1": "ready> ", "WORD": "told"}),
            },
        }
        file = tmp_path / "start.json"
        file.write_text(json.dumps(start))
        argv = ["-I", "-S", "-c", DIRECT, PACKAGE_ROOT, shell_relay.__name__, str(file)]
        child = pexpect.spawn(sys.executable, argv, timeout=60, dimensions=(33, 77), encoding="utf-8")
        child.setecho(False)
        child.expect_exact("a shell in here\r\n")
        child.expect_exact("ready> ")
        assert not file.exists(), "how it was started lies around no longer"
        child.sendline('echo "word=$WORD here=$PWD"; touch made; stty size; cat ' + str(tmp_path / "secret"))
        child.expect_exact(f"word=told here={workspace}")
        child.expect_exact("33 77")
        child.expect("outside" if kind == "none" else "No such file|Permission denied")
        child.expect_exact("ready> ")
        child.setwinsize(20, 50)
        child.sendline("cat > /dev/null; stty size")
        interrupt(child)
        child.sendline("stty size; exit 7")
        child.expect_exact("20 50")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 7
        assert (workspace / "made").exists()
    finally:
        await space.close()
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_shell_on_another_side_has_a_terminal_there(ssh: str, tmp_path: Path) -> None:
    folder = tmp_path / f"apollo-test-shell-{os.getpid()}"
    workspace = folder / "workspace"
    workspace.mkdir(parents=True)
    (workspace / "given").touch()
    space = session_space(Containment(inside=ssh), folder, workspace)
    await space.open()
    try:
        argv = shell_there(shlex.split(ssh), space.place_of(workspace))
        file = tmp_path / "start.json"
        file.write_text(json.dumps({"first": "there", "argv": argv, "env": space.helper_env(), "wish": None}))
        relay = ["-I", "-S", "-c", DIRECT, PACKAGE_ROOT, shell_relay.__name__, str(file)]
        child = pexpect.spawn(sys.executable, relay, timeout=60, dimensions=(33, 77), encoding="utf-8")
        child.expect_exact("there\r\n")
        child.sendline("PS1='rea''dy> '; stty size; ls; tty")
        child.expect_exact("33 77")
        child.expect_exact("given")
        child.expect("/dev/")
        child.expect_exact("ready> ")
        child.sendline("sleep 1000")
        interrupt(child)
        child.setwinsize(20, 50)
        child.sendline("sleep 0.1; stty size; exit 7")
        child.expect_exact("20 50")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 7
    finally:
        await space.close()
        shutil.rmtree(Path.home() / ".apollo" / folder.name, ignore_errors=True)
    docker = shell_there(["docker", "exec", "box"], "w")
    assert (docker[:4], docker[-1]) == (["docker", "exec", "-it", "box"], "w")

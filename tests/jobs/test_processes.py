from __future__ import annotations

import os
import signal
import subprocess

import pytest

from sessions import processes
from sessions.processes import Identity, identity


def test_a_recycled_pid_is_a_stranger() -> None:
    me = identity()
    assert me.alive()
    assert not Identity(me.pid, "1", me.boot_id).alive()
    assert not Identity(me.pid, me.start_time, "another boot").alive()


def test_a_signal_never_reaches_a_stranger_with_the_same_pid() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        real = identity(process.pid)
        assert not Identity(real.pid, "1", real.boot_id).send(signal.SIGKILL)
        assert real.alive()
        assert real.send(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        assert not real.send(signal.SIGKILL)


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen(["true"])
    with pytest.raises(ProcessLookupError):
        while True:
            identity(process.pid)
    assert process.wait(10) == 0


def test_descendants_are_found_whatever_session_they_moved_to() -> None:
    with subprocess.Popen(["bash", "-c", "setsid sleep 60 & sleep 60"]) as process:
        try:
            while len(found := processes.descendants(process.pid)) < 2:
                assert process.poll() is None
            assert process.pid not in found
        finally:
            processes.send_all([*processes.descendants(process.pid), process.pid], signal.SIGKILL)
    assert processes.descendants(process.pid) == []


def test_a_process_that_was_read_before_it_was_adopted_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.getpid()
    torn = {1: processes._Row(0, 1), me: processes._Row(1, 1), 812: processes._Row(811, 1)}
    whole = {**torn, 812: processes._Row(me, 1)}
    tables = iter([torn, whole])
    monkeypatch.setattr(processes, "_table", lambda: next(tables))
    monkeypatch.setattr(processes, "_is_running", lambda pid: True)
    assert processes.descendants(me) == [812]


def test_an_ended_child_is_one_until_it_is_reaped() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    assert processes.has_children()
    os.waitpid(child, 0)


def test_a_session_is_known_by_its_members() -> None:
    assert os.getpid() in processes.session_members(os.getsid(0))

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sessions.host.lock import HostLock, LockHeld, holder, wait_until_free
from sessions.host.version import package_root

HOLD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from sessions.host.lock import HostLock
lock = HostLock.acquire(Path(sys.argv[2]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def lock_path(tmp_path: Path) -> Path:
    return tmp_path / "log.lock"


def test_a_second_holder_is_refused_in_one_line_that_names_the_first(lock_path: Path) -> None:
    first = HostLock.acquire(lock_path)
    with pytest.raises(LockHeld, match=f"pid {os.getpid()}") as refused:
        HostLock.acquire(lock_path, seconds=0.05)
    assert "\n" not in str(refused.value)
    first.release()
    HostLock.acquire(lock_path, seconds=0.05).release()


def test_how_the_holder_ended_can_be_read_afterwards_and_a_crash_says_nothing(lock_path: Path) -> None:
    assert wait_until_free(lock_path) is None
    first = HostLock.acquire(lock_path)
    found = holder(lock_path)
    assert found is not None
    assert (found.pid, found.ended) == (os.getpid(), "")
    first.note_end("restart")
    first.release()
    assert holder(lock_path) is None
    left = wait_until_free(lock_path)
    assert left is not None
    assert left.ended == "restart"
    HostLock.acquire(lock_path).release()
    left = wait_until_free(lock_path)
    assert left is not None
    assert left.ended == ""


def test_a_stopped_process_still_holds_the_lock_and_a_killed_one_does_not(lock_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(package_root()), str(lock_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "held\n"
        child.send_signal(signal.SIGSTOP)
        found = holder(lock_path)
        assert found is not None
        assert found.pid == child.pid
        with pytest.raises(LockHeld):
            HostLock.acquire(lock_path, seconds=0.05)
        freed: list[object] = []
        waiting = threading.Thread(target=lambda: freed.append(wait_until_free(lock_path)), daemon=True)
        waiting.start()
        child.kill()
        waiting.join(10)
        assert freed == [found]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_whoever_only_looks_does_not_keep_a_host_from_starting(lock_path: Path) -> None:
    HostLock.acquire(lock_path).release()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            holder(lock_path)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for each in lookers:
        each.start()
    try:
        for _ in range(20):
            HostLock.acquire(lock_path, seconds=5).release()
    finally:
        stop.set()
        for each in lookers:
            each.join()


def test_children_do_not_inherit_the_lock(lock_path: Path) -> None:
    lock = HostLock.acquire(lock_path)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    try:
        lock.release()
        # The kernel closes what is not inherited a moment after it lets the parent go on.
        left = wait_until_free(lock_path)
        assert left is not None
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()

"""The small process that starts a host, starts it again when it crashes, and ends when it stops in order.

It learns how a host ended from the lock file, not from an exit code, so it can also watch over a host that is not its
child: one whose watcher was killed. Only one watcher runs per log; a second one leaves quietly.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sessions.errors import ApolloError
from sessions.gateway.listener import HANDLE, bind_port
from sessions.host import exit_codes, lock
from sessions.host.spawn import command_line, rotate
from sessions.paths import LogPaths, log_paths

PAUSES: Final = (0.2, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before the next start, by the number of crashes in a row: a host is back within five seconds."""

REFUSED_SECONDS: Final = 15.0
"""Seconds before the next try where a host that ran cannot be started again: a broken config, a full disk."""

HEALTHY_SECONDS: Final = 10.0
"""A host that lived this long does not count as crashing in a row."""


def watch_lock(paths: LogPaths) -> Path:
    """The lock that a watcher holds for its life."""
    return paths.folder / "watcher.lock"


def is_watched(paths: LogPaths) -> bool:
    """Whether a watcher runs for this log."""
    return lock.holder(watch_lock(paths)) is not None


def say_what_host_waits_for(paths: LogPaths) -> str:
    """What the host, or the watcher that is to start one, waits for, in one line; "" for nothing. Asks nobody."""
    try:
        found = lock.holder(paths.lock)
        if found is not None:
            return f"the host waits: {found.waits}" if found.waits else ""
        last = lock.last_holder(paths.lock) if is_watched(paths) else None
    except OSError:
        return ""
    if last is None or last.ended or not last.waits:
        return ""
    return f"the host cannot start: {last.waits}; it is tried again every {REFUSED_SECONDS:g} s"


def end_watcher(paths: LogPaths) -> bool:
    """End the watcher of this log, and with it, in order, a host that it has just started; False if there is none."""
    found = lock.holder(watch_lock(paths))
    if found is None or not found.pid:
        return False
    with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(found.pid, signal.SIGTERM)
    return True


class Watcher:
    """Runs hosts one after the other until one ends in order. ``say`` takes one line for the host's log file.

    ``removed`` says whether the log was removed: then no host is started in its place.
    """

    def __init__(
        self, paths: LogPaths, options: Sequence[str], say: Callable[[str], None], removed: Callable[[], bool]
    ) -> None:
        self._paths = paths
        self._command = command_line("sessions.host.main", paths.log, *options)
        self._say = say
        self._removed = removed
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._listener: socket.socket | None = None

    def run(self) -> int:
        """Watch until a host ends in order; returns its exit status."""
        crashes = 0
        ran = told = False
        while not self._stopping and not self._removed():
            began = time.monotonic()
            adopted = lock.holder(self._paths.lock)
            code = self._adopt(adopted) if adopted else self._start()
            if code == exit_codes.REFUSED and lock.holder(self._paths.lock):
                continue  # somebody else's host was faster: watch over that one
            if code == exit_codes.STOPPED or (code == exit_codes.REFUSED and not ran):
                return code
            if code == exit_codes.REFUSED:
                # Its sessions wait for it, and nobody may be there: what is in the way can be put right meanwhile.
                if not told:  # once: who looks for the reason finds the host's own words last
                    self._say(f"the host cannot start; trying again every {REFUSED_SECONDS:g} s")
                told = True
                time.sleep(REFUSED_SECONDS)
                continue
            ran, told = True, False
            if code == exit_codes.RESTART:
                crashes = 0
                continue
            crashes = 1 if time.monotonic() - began >= HEALTHY_SECONDS else crashes + 1
            pause = PAUSES[min(crashes, len(PAUSES)) - 1]
            self._say(f"the host {_how(code)}; starting it again in {pause:g} s (crash {crashes} in a row)")
            time.sleep(pause)
        return exit_codes.STOPPED

    def stop(self) -> None:
        """Ask our own host to stop in order; an adopted one goes on without us."""
        self._stopping = True
        if self._child is None:
            raise SystemExit(exit_codes.STOPPED)
        self._child.terminate()

    def _start(self) -> int:
        try:
            self._child = self._spawn()
        except OSError as error:  # a full disk, no memory, no descriptors: as a host that refuses
            self._say(f"no host can be started: {error}")
            return exit_codes.REFUSED
        if self._stopping:  # a signal came between the fork and the line above
            self._child.terminate()
        code = self._child.wait()
        self._child = None
        return code

    def _spawn(self) -> subprocess.Popen[bytes]:
        try:
            rotate(self._paths.host_log)
            output = os.open(self._paths.host_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:  # a host without a log file is better than none
            output = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self._listen()
        handles: tuple[int, ...] = ()
        env = dict(os.environ)
        if self._listener is not None:
            handles = (self._listener.fileno(),)
            env[HANDLE] = str(handles[0])
        try:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._paths.folder,
                env=env,
                pass_fds=handles,
            )
        finally:
            os.close(output)

    def _listen(self) -> None:
        """Hold the port of the log's endpoints, as soon as it can be had: a host that we adopted may have it."""
        if self._listener is None:
            try:
                self._listener = bind_port(self._paths.folder)
            except ApolloError as problem:
                self._say(str(problem))

    def _adopt(self, found: lock.Holder) -> int | None:
        self._say(f"watching over the host that runs already (pid {found.pid})")
        left = lock.wait_until_free(self._paths.lock)
        return {"stopped": exit_codes.STOPPED, "restart": exit_codes.RESTART}.get(left.ended if left else "")


def _how(code: int | None) -> str:
    if code is None:
        return "is gone"
    return f"was ended by {signal.strsignal(-code) or -code}" if code < 0 else f"crashed (exit {code})"


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # its file lies on the disk that may be full
        sys.stderr.write(f"{exit_codes.PREFIX}{line}\n")
        sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -P -m sessions.host.watcher --log PATH [host options]``."""
    parser = argparse.ArgumentParser(prog="apollo-watcher")
    parser.add_argument("--log", type=Path, required=True)
    parsed, options = parser.parse_known_args(arguments)
    paths = log_paths(parsed.log)
    paths.prepare()
    try:
        # Not long: a watcher that waited for another's end would start again what was just stopped.
        mine = lock.HostLock.acquire(watch_lock(paths), seconds=0.1)
    except lock.LockHeld:
        return exit_codes.STOPPED
    watcher = Watcher(paths, options, _say, lambda: mine.is_removed)
    # Handlers, not SIG_IGN: what is ignored here would be ignored in every command of an agent too.
    signal.signal(signal.SIGHUP, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: watcher.stop())
    try:
        return watcher.run()
    finally:
        mine.release()


if __name__ == "__main__":
    raise SystemExit(main())

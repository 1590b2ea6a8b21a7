"""The small process that owns one command: its pipe or pty, its output, its end. Stdlib only.

It is started detached, in a session of its own, with the environment for the command as JSON on its standard input
(an unlinked file, so that it is never on disk by name). It survives the host, ignores SIGHUP, and adopts every
process that the command leaves behind, so that a kill reaches them all. SIGTERM to it kills the job.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import selectors
import signal
import struct
import sys
import termios
import time
from pathlib import Path
from types import FrameType
from typing import Any, Final

from sessions import processes
from sessions.jobs import files, terminals
from sessions.jobs.ring_buffer import HEAD, RING, RingWriter
from sessions.json_files import create_json, read_json, write_json

CHUNK: Final = 64 * 1024
MAX_PENDING_INPUT: Final = 1024 * 1024
ERROR_BYTES: Final = 256 * 1024
"""Kept of standard error, from its start and from its end, where a job keeps that apart."""
READY: Final = b"ready\n"
"""What the holder writes on its standard output once the command runs."""
GIVE_UP: Final = 5.0
"""Seconds of SIGKILL after which processes that will not go (not ours, or stuck in the kernel) are left."""
WAITS_FOR_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
"""What may pass by itself: a job's end is told when it has. Other trouble is given up after ``GIVE_UP`` seconds."""
PR_SET_PDEATHSIG: Final = 1


class Holder:
    """One job from its claim to the end of its last process."""

    def __init__(self, folder: Path, env: dict[str, str], claim: dict[str, Any]) -> None:
        self.folder = folder
        self.claim = claim
        self.spec: dict[str, Any] = read_json(folder / files.SPEC) or {}
        self.env = env
        self.output = RingWriter(folder, self.spec.get("head", HEAD), self.spec.get("ring", RING))
        self.selector = selectors.DefaultSelector()
        self.child = 0
        self.source: int | None = None
        """Where the command's output comes from."""
        self.errors: tuple[int, RingWriter] | None = None
        """Where its standard error comes from and goes to, where that is kept apart."""
        self.sink: int | None = None
        """Where its input goes."""
        self.pending = bytearray()
        self.had: set[str] = set()
        """The names of the inputs that it has had: one that a killed host may or may not have sent is sent again."""
        self.end_of_input = False
        self.control = b""
        self.status: int | None = None
        self.report: dict[str, Any] | None = None
        """How the job ended, once that is certain."""
        self.written_exit = False
        """Whether the end is told, or there is nobody left to tell it to."""
        self.untold_since: float | None = None
        self.killed_by = ""
        self.kill_at: float | None = None
        self.kill_asked = False
        self.started = 0.0
        self.started_at = 0

    def run(self) -> None:
        """Hold the job until nothing of it is left."""
        wakeup, poked = os.pipe()
        for end in (wakeup, poked):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(poked, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.signal(signal.SIGTERM, self._note_kill)
        self.selector.register(wakeup, selectors.EVENT_READ, "wakeup")
        self._open_control()
        self._start()
        while not self._over():
            for key, _ in self.selector.select(self._patience()):
                match key.data:
                    case "wakeup":
                        _drain(wakeup)
                    case "output":
                        self._read_output()
                    case "errors":
                        self._read_errors()
                    case "control":
                        self._read_control(key.fd)
                    case "input":
                        self._write_input()
            self._reap()
            self._kill_step()

    # --- starting ---

    def _start(self) -> None:
        tty, wants_input = bool(self.spec.get("tty")), bool(self.spec.get("input"))
        gate, opened = os.pipe()
        if tty:
            master, slave = terminals.take()
            _plain_terminal(slave)
            self.source, self.sink, inner = master, os.dup(master), (slave, slave)
        else:
            terminals.refuse()
            read_from, write_end = os.pipe()
            self.source = read_from
            if wants_input:
                read_end, self.sink = os.pipe()
            else:
                read_end = os.open(os.devnull, os.O_RDONLY)
            inner = (read_end, write_end)
        errors_from, errors_to = os.pipe() if self.spec.get("errors") and not tty else (None, inner[1])
        self.started, self.started_at = time.monotonic(), time.time_ns() // 1_000_000
        holder = os.getpid()
        self.child = os.fork()
        if self.child == 0:
            # The gate's other end and the pipe to the host are the holder's alone: their ends tell of its death.
            os.close(opened)
            os.dup2(inner[1], 1)
            self._become_command(gate, (*inner, errors_to), tty, holder)
        for handle in {gate, *inner, errors_to}:
            os.close(handle)
        for outer in (self.source, self.sink, errors_from):
            if outer is not None:
                os.set_blocking(outer, False)
        self.selector.register(self.source, selectors.EVENT_READ, "output")
        if errors_from is not None:
            place = self.folder / files.ERRORS
            place.mkdir(mode=0o700)
            self.errors = errors_from, RingWriter(place, ERROR_BYTES, ERROR_BYTES)
            self.selector.register(errors_from, selectors.EVENT_READ, "errors")
        who = processes.identity(self.child)
        child = {"pid": who.pid, "start_time": who.start_time, "started_at": self.started_at}
        write_json(self.folder / files.CHILD, child)
        # Only now that its name is on disk is the command let loose: a holder that dies before leaves nothing behind.
        os.write(opened, b"g")
        os.close(opened)
        # Who both are, too: a command may remove the folder before anybody has looked there. Hosts of an older version
        # do not ask for it.
        more = json.dumps({"claim": self.claim, "child": child}).encode() if self.spec.get("introduce") else b""
        with contextlib.suppress(OSError):
            os.write(1, READY + more)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)

    def _become_command(self, gate: int, inner: tuple[int, int, int], tty: bool, holder: int) -> None:
        """In the child: wait for the gate, then exec. Never returns."""
        try:
            os.setsid()
            _die_with_parent()
            if os.getppid() != holder or os.read(gate, 1) != b"g":
                os._exit(127)
            if tty:
                fcntl.ioctl(inner[0], termios.TIOCSCTTY, 0)
            for number in (
                signal.SIGHUP,
                signal.SIGINT,
                signal.SIGPIPE,
                signal.SIGXFSZ,
                signal.SIGTERM,
                signal.SIGCHLD,
            ):
                signal.signal(number, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            os.dup2(inner[0], 0)
            os.dup2(inner[1], 1)
            os.dup2(inner[2], 2)
            os.chdir(self.spec["cwd"])
            argv = self.spec["argv"]
            os.execvpe(argv[0], argv, self.env)
        except (OSError, ValueError) as error:
            os.write(2, f"the command could not be started: {error}\n".encode(errors="replace"))
        finally:
            os._exit(127)

    # --- while it runs ---

    def _patience(self) -> float | None:
        """Seconds until something must be looked at though nothing happened."""
        if self.kill_asked:
            return 0.05
        # Without a subreaper there is no signal for the end of processes that the command left behind.
        return 1.0 if self.status is not None or self.report else None

    def _read_output(self) -> bool:
        """Take one chunk; False when there is none now."""
        if self.source is None:
            return False
        try:
            data = os.read(self.source, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            # A pty whose last holder has gone answers EIO.
            data = b""
        if not data:
            self.selector.unregister(self.source)
            os.close(self.source)
            self.source = None
            return False
        self.output.write(data)
        return True

    def _read_errors(self) -> bool:
        """Take one chunk of standard error; False when there is none now."""
        if self.errors is None:
            return False
        source, kept = self.errors
        try:
            data = os.read(source, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.selector.unregister(source)
            os.close(source)
            self.errors = None
            return False
        kept.write(data)
        return True

    def _open_control(self) -> None:
        path = self.folder / files.INPUT
        os.mkfifo(path, 0o600)
        # Opened for both, so that it never reaches its end while nobody writes.
        self.selector.register(os.open(path, os.O_RDWR | os.O_NONBLOCK), selectors.EVENT_READ, "control")

    def _read_control(self, handle: int) -> None:
        if len(self.pending) > MAX_PENDING_INPUT and self.sink is not None:
            self._write_input()
            time.sleep(0.01)
            return
        try:
            self.control += os.read(handle, CHUNK)
        except BlockingIOError:
            return
        *lines, self.control = self.control.split(b"\n")
        for line in lines:
            try:
                asked = json.loads(line) if line else {}
            except (ValueError, RecursionError):
                # Half a line of a host that was killed while it wrote; the next one begins anew.
                continue
            if isinstance(asked, dict):
                if name := asked.get("once"):
                    if name in self.had:
                        continue
                    self.had.add(name)
                self.pending += str(asked.get("text", "")).encode(errors="replace")
                self.end_of_input |= bool(asked.get("eof"))
        self._write_input()

    def _write_input(self) -> None:
        if self.sink is None:
            self.pending.clear()
            return
        try:
            while self.pending:
                del self.pending[: os.write(self.sink, self.pending)]
        except BlockingIOError:
            if self.sink not in self.selector.get_map():
                self.selector.register(self.sink, selectors.EVENT_WRITE, "input")
            return
        except OSError:
            self.pending.clear()
        if self.sink in self.selector.get_map():
            self.selector.unregister(self.sink)
        if self.end_of_input:
            self.end_of_input = False
            if self.spec.get("tty"):
                self.pending += b"\x04"
                self._write_input()
            else:
                os.close(self.sink)
                self.sink = None

    # --- the end ---

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self.child:
                self.status = status
        if (self.status is not None or self.report) and not self.written_exit and not self.kill_asked:
            self._write_exit()

    def _write_exit(self) -> None:
        """Say how it ended. A full disk is tried again with every turn, until there is room: nobody else knows.

        Where the folder is gone or takes no file, nobody can be told, and who waits sees that we have ended.
        """
        self.report = self.report or self._exit_report()
        try:
            write_json(self.folder / files.EXIT, self.report)
        except OSError as error:
            now = time.monotonic()
            self.untold_since = now if self.untold_since is None else self.untold_since
            gone = error.errno in (errno.ENOENT, errno.ENOTDIR)
            late = now - self.untold_since > GIVE_UP and error.errno not in WAITS_FOR_ROOM
            if not gone and not late:
                return
        self.written_exit = True

    def _exit_report(self) -> dict[str, Any]:
        """How it ended, after all output that it left in the pipe."""
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and (self._read_output() or self._read_errors()):
            pass
        code = None if self.status is None else os.waitstatus_to_exitcode(self.status)
        return {
            "code": 128 - code if code is not None and code < 0 else code,
            "how": self.killed_by or "exited",
            "duration_ms": round((time.monotonic() - self.started) * 1000),
            "ended_at": time.time_ns() // 1_000_000,
            "output_bytes": self.output.total,
            "lost_bytes": self.output.lost,
            "left": len(processes.descendants(os.getpid())),
        }

    def _over(self) -> bool:
        if not self.written_exit or self.kill_asked:
            return False
        if processes.has_children() or processes.session_members(self.child):
            return False
        while self._read_output() or self._read_errors():
            pass
        return True

    def _note_kill(self, number: int, frame: FrameType | None) -> None:
        self.kill_asked = True

    def _kill_step(self) -> None:
        """SIGTERM to all that belongs to the job, SIGKILL after the grace, until nothing is left."""
        if not self.kill_asked:
            return
        left = {*processes.descendants(os.getpid()), *processes.session_members(self.child)}
        now = time.monotonic()
        if self.kill_at is None:
            wish = read_json(self.folder / files.KILL) or {}
            grace = wish.get("grace")
            self.kill_at = now + (float(grace) if isinstance(grace, int | float) else 3.0)
            if self.status is None:
                self.killed_by = f"killed_by_{wish.get('by', 'host')}"
            processes.send_all(left, signal.SIGTERM)
            processes.send_all(left, signal.SIGCONT)
        elif now > self.kill_at:
            processes.send_all(left, signal.SIGKILL)
        nobody = not left and not processes.has_children()
        if (nobody and self.status is not None) or now > self.kill_at + GIVE_UP:
            self.kill_asked = False
            self.kill_at = None
            if not self.written_exit:
                self._write_exit()


def _ignore(number: int, frame: FrameType | None) -> None:
    """A handler is needed for the wakeup to be written."""


def _drain(handle: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(handle, 512):
            pass


def _plain_terminal(handle: int) -> None:
    """No echo and no carriage returns of its own: what comes out is what the command wrote."""
    mode = termios.tcgetattr(handle)
    mode[1] &= ~termios.ONLCR
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(handle, termios.TCSANOW, mode)
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))


def _die_with_parent() -> None:
    """Have the kernel kill this process when its holder dies, whatever moment that is."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main(folder: str, who: processes.Identity | None = None) -> None:
    """Claim the job in ``folder`` and hold it; returns at once if somebody has claimed it before.

    ``who`` this process is to those outside its space, where that differs.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(0, "rb", closefd=False) as stream:
        env: dict[str, str] = json.loads(stream.read())
    place = Path(folder)
    me = who or processes.identity()
    claim: dict[str, Any] = {"pid": me.pid, "start_time": me.start_time, "boot_id": me.boot_id}
    if who is not None:
        claim["space"] = processes.pid_space()
    if not create_json(place / files.CLAIM, claim):
        return
    processes.adopt_orphans()
    Holder(place, env, claim).run()

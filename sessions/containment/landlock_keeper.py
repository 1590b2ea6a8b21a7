"""The process that keeps a space of Landlock: it gives up its rights once, and starts every helper of the session, so
that they are in one domain and may signal one another. Stdlib only.

A helper's caller (``entry``) connects to the socket, sends its standard streams and what to run, and reads its exit
code.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from typing import Any, Final

from sessions import processes
from sessions.containment import landlock
from sessions.containment.control_groups import join_group
from sessions.containment.keeper import LOOK_SECONDS, UNATTENDED
from sessions.containment.limits import set_limits
from sessions.containment.privileges import drop_privileges
from sessions.jobs import terminals

SOCKET: Final = "keeper.socket"
STREAMS: Final = 3
TERMINAL: Final = 2
"""Handles of a terminal, master and slave, which a holder is given besides."""
MAX_REQUEST: Final = 64 * 1024
GO: Final = b"go\n"
"""Read from standard input before anything else: who started this knows where to find it."""
READY: Final = b"ready\n"
HOLDER: Final = "sessions.jobs.holder"
MODULES: Final = (
    HOLDER,
    "sessions.containment.file_access",
    "sessions.containment.shell_inside",
    "sessions.tools.searcher",
)
"""What helpers run: loaded before the file system is out of reach."""


class Keeper:
    """Listens, starts helpers, and tells their callers how they ended."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._callers: dict[int, socket.socket] = {}

    def run(self) -> None:
        """Serve until killed, or until unattended and alone."""
        wakeup, poked = os.pipe()
        for end in (wakeup, poked):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(poked, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(wakeup, selectors.EVENT_READ, "child")
        self._selector.register(self._listener, selectors.EVENT_READ, "caller")
        while True:
            for key, _ in self._selector.select(LOOK_SECONDS):
                if key.data == "child":
                    _drain(wakeup)
                else:
                    self._accept()
            self._reap()
            if not processes.has_children() and os.path.exists(UNATTENDED):  # noqa: PTH110 - in the folder that it is in
                return

    def _accept(self) -> None:
        caller, _ = self._listener.accept()
        try:
            caller.settimeout(5.0)
            text, streams, _, _ = socket.recv_fds(caller, MAX_REQUEST, STREAMS + TERMINAL)
            wish: dict[str, Any] = json.loads(text)
        except (OSError, ValueError):
            caller.close()
            return
        child = os.fork()
        if child == 0:
            self._run_helper(wish, streams)
        for handle in streams:
            os.close(handle)
        self._callers[child] = caller

    def _run_helper(self, wish: dict[str, Any], streams: list[int]) -> None:
        """In the child: become the helper. Never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            for number, handle in enumerate(streams[:STREAMS]):
                os.dup2(handle, number)
            terminal = streams[STREAMS:]
            for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers
                if int(entry) >= STREAMS and int(entry) not in terminal:
                    with contextlib.suppress(OSError):
                        os.close(int(entry))
            terminals.accept(terminal)
            set_limits(wish["limits"])
            importlib.import_module(wish["module"]).main(*wish["arguments"])
            sys.stdout.flush()
            code = 0
        except BaseException as error:  # noqa: BLE001 - the last words of a helper go to who called it
            os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
        finally:
            os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            caller = self._callers.pop(pid, None)
            if caller is not None:
                code = os.waitstatus_to_exitcode(status)
                with contextlib.suppress(OSError):  # who called it may have gone
                    caller.sendall(b"%d\n" % (code if code >= 0 else 128 - code))
                caller.close()


def _drain(handle: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(handle, 512):
            pass


def main(folder: str, entry_text: str) -> None:
    """Listen in ``folder``, give up all rights but those of the space, say so on standard output, and serve."""
    if os.read(0, len(GO)) != GO:
        return
    entry = json.loads(entry_text)
    if entry["group"]:
        join_group(entry["group"])
    for module in MODULES:
        importlib.import_module(module)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    processes.adopt_orphans()  # of a helper that was killed: they stay known as the agent's
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.chdir(folder)  # the path of a socket is short, that of a session is not
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET)  # noqa: PTH108 - of a keeper that was killed
    os.umask(0o077)
    listener.bind(SOCKET)
    listener.listen(64)
    drop_privileges()
    landlock.restrict(entry["read"], entry["write"], entry["network"], entry["ports"])
    os.write(1, READY)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(STREAMS):
        os.dup2(nothing, number)
    Keeper(listener).run()

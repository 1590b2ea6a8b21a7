"""The app behind a real pty, as a person has it: keys go in, a terminal in memory shows what came out.

``Terminal(command, env)`` gives ``press(*keys)``, ``type(text)``, ``text()``, ``wait(what, condition)``, ``raw`` (every
byte that reached the terminal), ``kill()``, ``hang_up()`` and ``close()``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pexpect
from emulator import Emulator

KEYS = {
    "enter": "\r", "esc": "\x1b", "tab": "\t", "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "space": " ",
    "ctrl+s": "\x13", "ctrl+g": "\x07", "ctrl+j": "\n", "pageup": "\x1b[5~", "pagedown": "\x1b[6~",
}  # fmt: skip
OTHER_TERMINAL = ("NO_COLOR", "TMUX", "SSH_TTY", "SSH_CONNECTION", "COLUMNS", "LINES")
"""Variables that say something of the terminal that the tests are started from."""


class Terminal:
    """One process on a pty of ``columns`` by ``rows`` cells."""

    def __init__(
        self,
        command: Sequence[str],
        env: dict[str, str],
        cwd: Path,
        *,
        columns: int = 120,
        rows: int = 36,
        deaf: bool = False,
        term: str = "xterm-256color",
    ) -> None:
        """``deaf``: SIGHUP is ignored in the process, as under nohup."""
        self.raw = b""
        self._emulator = Emulator(columns, rows)
        plain = {name: value for name, value in env.items() if name not in OTHER_TERMINAL}
        self.child: Any = pexpect.spawn(
            command[0], list(command[1:]), env=plain | {"TERM": term, "LANG": "C.UTF-8"}, cwd=str(cwd),
            dimensions=(rows, columns), timeout=10, ignore_sighup=deaf,
        )  # fmt: skip
        self.child.delaybeforesend = None

    def press(self, *keys: str) -> None:
        """Keys by name or character, one at a time, as a person presses them."""
        for key in keys:
            self.child.send(KEYS.get(key, key))
            # The app waits a moment after an escape: it may be the beginning of a sequence.
            self.read(0.25 if key == "esc" else 0.06)

    def type(self, text: str) -> None:
        """All of a text in one write: a burst."""
        self.child.send(text)

    def read(self, seconds: float = 0.0) -> None:
        """Take in what the app writes in the next ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF):
                piece = self.child.read_nonblocking(65536, timeout=max(0.0, min(0.05, deadline - time.monotonic())))
                self.raw += piece
                self._emulator.feed(piece)
            if time.monotonic() >= deadline:
                return

    def text(self) -> str:
        """What stands on the screen now, row by row."""
        self.read()
        return self._emulator.text()

    def wait(self, what: str, condition: str | Callable[[], Any], *, seconds: float = 60.0) -> Any:
        """Until a text is on the screen, or a condition holds. AssertionError with the screen after ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            self.read(0.05)
            found = condition in self.text() if isinstance(condition, str) else condition()
            if found:
                return found
            assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}:\n{self.text()}"

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return bool(self.child.isalive())

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._end(signal.SIGKILL)

    def hang_up(self) -> None:
        """Close the terminal under the app: it gets SIGHUP."""
        # Through its owner, who would close the number again when another terminal has it.
        self.child.ptyproc.fileobj.close()
        self.child.ptyproc.closed = self.child.closed = True
        self._reap()

    def close(self) -> None:
        """Leave nothing behind."""
        if self.running:
            self._end(signal.SIGKILL)
        if not self.child.closed:
            self.child.close(force=True)

    def _end(self, sign: signal.Signals) -> None:
        os.kill(self.child.pid, sign)
        self._reap()

    def _reap(self) -> None:
        deadline = time.monotonic() + 60
        while self.child.isalive():
            assert time.monotonic() < deadline, "the app does not end"
            time.sleep(0.02)

"""A program behind a pty of its own, as a terminal sees it: what it writes, when, and what it costs."""

from __future__ import annotations

import os
import select
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks.budgets import machine

ROOT: Final = Path(__file__).parents[2]
COLUMNS, ROWS = 200, 50
SYNC_QUERY: Final = b"\x1b[?2026$p"
SYNC_ANSWER: Final = b"\x1b[?2026;2$y"
"""As modern terminals answer: frames come between marks, which count as bytes too."""


class Gone(Exception):
    """The program ended, or did not show in time what was waited for; with the end of its output."""


class Program:
    """A child process in a terminal of ``COLUMNS`` by ``ROWS`` (or ``size``), 24-bit colours, no mouse over SSH."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, size: tuple[int, int] = (COLUMNS, ROWS)
    ) -> None:
        columns, rows = size
        self.bytes = 0
        self.tail = b""
        self.listener: Callable[[bytes], object] | None = None
        """Hears of all that is written, piece by piece."""
        # Not where rows without a terminal are measured, in the trainers' environment.
        from ptyprocess import PtyProcess  # type: ignore[import-untyped]  # it says nothing of types

        self._child = PtyProcess.spawn(
            list(command), cwd=str(ROOT), env=_environment(env or {}), dimensions=(rows, columns)
        )
        self.pid: int = self._child.pid
        os.set_blocking(self._child.fd, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    # --- reading ------------------------------------------------------------------------------------------------

    def pump(self, seconds: float, stop: Callable[[bytes], bool] | None = None) -> bool:
        """Take what comes for ``seconds``; True as soon as ``stop`` of the newest output (and a bit before) is true."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._child.fd], [], [], left)[0]:
                break
            try:
                data = os.read(self._child.fd, 1 << 16)
            except OSError as ended:
                raise Gone(f"the program ended: {self.tail[-600:]!r}") from ended
            if not data:
                raise Gone(f"the program ended: {self.tail[-600:]!r}")
            self.bytes += len(data)
            if self.listener is not None:
                self.listener(data)
            seen = self.tail[-64:] + data
            self.tail = (self.tail + data)[-20_000:]
            if SYNC_QUERY in seen and SYNC_QUERY not in self.tail[: -len(data)][-64:]:
                self.send(SYNC_ANSWER)
            if stop is not None and stop(seen):
                return True
        return False

    def until(self, text: str, seconds: float = 30.0) -> None:
        """Read until ``text`` was written; raises Gone after ``seconds``."""
        wanted = text.encode()
        if not self.pump(seconds, lambda seen: wanted in seen):
            raise Gone(f"{text!r} was not painted in {seconds:.0f} s; the end: {self.tail[-600:]!r}")

    def settle(self, quiet: float = 0.5, seconds: float = 30.0) -> None:
        """Read until nothing was written for ``quiet`` seconds, or ``seconds`` are over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = self.bytes
            self.pump(quiet)
            if self.bytes == before:
                return

    # --- writing and measuring ------------------------------------------------------------------------------------

    def send(self, data: bytes | str) -> None:
        """Keys."""
        os.write(self._child.fd, data.encode() if isinstance(data, str) else data)

    def type(self, *keys: str, pause: float = 0.15) -> None:
        """Keys one after another, with time for each to act."""
        for key in keys:
            self.send(key)
            self.pump(pause)

    def cpu(self) -> float:
        """CPU seconds so far, threads included, children not."""
        return machine.own_cpu_seconds(self.pid)

    def rss(self) -> float:
        """Resident memory in MB."""
        return machine.resident_mb(self.pid)

    def close(self) -> None:
        """End it, whatever it does."""
        if self._child.isalive():
            self._child.kill(signal.SIGTERM)
            deadline = time.monotonic() + 3
            while self._child.isalive() and time.monotonic() < deadline:
                try:
                    self.pump(0.05)
                except Gone:
                    time.sleep(0.01)
            if self._child.isalive():
                self._child.kill(signal.SIGKILL)
        self._child.close(force=True)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    left_out = ("APOLLO_", "TEXTUAL", "SSH_", "PYTHONDONTWRITE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {
        **kept,
        # Compiled once, as where it is installed; in a place of its own, which the first run of each row fills.
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / f"apollo-bench-pyc-{os.getuid()}"),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "APOLLO_CONFIG": os.environ.get("APOLLO_CONFIG", "/nonexistent/config.toml"),
        "APOLLO_AS": "bench",
        **more,
    }

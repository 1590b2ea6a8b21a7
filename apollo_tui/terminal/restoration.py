"""The terminal is borrowed: however the app ends, but for SIGKILL, it is given back as it was.

Textual gives it back where its own loop comes to its end. What is here holds where it does not: a signal, a loop that
is stuck, an exception on the way out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

SIGNALS: Final = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGXCPU")
    if hasattr(signal, name)
)
"""Those that end a process and can be caught."""
END_S: Final = 5.0
"""So long an app that was told to end may take; then the terminal is given back without it."""
WRITE_S: Final = 1.0
"""So long a terminal that takes nothing is waited for."""

GIVE_BACK: Final = (
    "\x18"  # ends a sequence that was cut
    "\x1b[?2026l\x1b[0m"
    "\x1b[?2004l\x1b[?7h\x1b[?2048l"
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l\x1b[?1004l"
    "\x1b[<u"
    "\x1b[?1049l\x1b[?25h"
)
"""All modes that Textual and the app set, undone: mouse, paste, focus, keys, wrapping, the other screen, the cursor."""


class BorrowedTerminal:
    """The terminal of this process. The app says when it takes it and when it has given it back by itself.

    ``title_end``: the bytes that bring the title back, as long as the title is the app's. ``ended_by``: the signal
    that ended the app, if one did.
    """

    def __init__(self) -> None:
        self.taken = False
        self.title_end = ""
        self.ended_by: signal.Signals | None = None
        self._in, self._out = _fd(sys.__stdin__), _fd(sys.__stderr__)
        self._attributes = _attributes(self._in)

    @contextlib.contextmanager
    def lent(self, end: Callable[[], object]) -> Iterator[None]:
        """While the app runs in here a signal asks it to ``end``, and after it the terminal is as it was."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def take_signal(number: int, _frame: FrameType | None) -> None:
            self._take_signal(signal.Signals(number), end)

        # What was ignored stays ignored, as under nohup.
        before: dict[int, Any] = {s: signal.getsignal(s) for s in SIGNALS if signal.getsignal(s) is not signal.SIG_IGN}
        for number in before:
            signal.signal(number, take_signal)
        try:
            yield
        finally:
            self.give_back()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take_signal(self, number: signal.Signals, end: Callable[[], object]) -> None:
        if self.ended_by is not None:
            return  # it is ending, and not for long
        self.ended_by = number
        # The thread, and no timer of the loop: the loop may be what is stuck.
        late = threading.Timer(END_S, self._end_at_once, (number,))
        late.daemon = True
        late.start()
        try:
            asyncio.get_running_loop().call_soon_threadsafe(end)
        except RuntimeError:
            raise SystemExit(128 + number) from None

    def _end_at_once(self, number: signal.Signals) -> None:
        self.give_back()
        if self._out is not None:
            _write(self._out, f"{self.last_words}\n".encode())
        os._exit(128 + number)

    @property
    def last_words(self) -> str:
        """One line for who sees the app end by a signal."""
        name = self.ended_by.name if self.ended_by else "itself"
        return f"apollo: ended by {name}; sessions go on, drafts are kept"

    def give_back(self) -> None:
        """Undo what the app has not undone. A terminal that is gone, or takes nothing, is left to itself."""
        undo = (GIVE_BACK if self.taken else "") + self.title_end
        self.title_end = ""
        if self.taken and self._attributes is not None and self._in is not None:
            self.taken = False
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self._in, termios.TCSANOW, self._attributes)
                # What the terminal answered or reported meanwhile is nothing that somebody typed for the shell.
                termios.tcflush(self._in, termios.TCIFLUSH)
        if undo and self._out is not None:
            writer = threading.Thread(target=_write, args=(self._out, undo.encode()), daemon=True)
            writer.start()
            writer.join(WRITE_S)

    def die_of_signal(self) -> None:
        """End as the signal ends a process that does not catch it, without a core: it would hold keys."""
        if self.ended_by is not None:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
            signal.signal(self.ended_by, signal.SIG_DFL)
            signal.raise_signal(self.ended_by)


def _fd(file: Any) -> int | None:
    try:
        return int(file.fileno()) if file is not None and file.isatty() else None
    except (OSError, ValueError):
        return None


def _attributes(fd: int | None) -> list[Any] | None:
    try:
        return None if fd is None else termios.tcgetattr(fd)
    except termios.error:
        return None


def _write(fd: int, data: bytes) -> None:
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(fd, data) :]

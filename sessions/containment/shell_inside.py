"""A person's shell inside a space: takes over the terminal that it was started on. Stdlib only.

The first line that comes over the terminal says how: environment, folder, programs to try, and the terminal's settings
from then on. Nothing of it stands in a command line, where every user of the machine could read it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import termios
from typing import Any, Final

PLAIN: Final = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGTSTP,
    signal.SIGTTIN, signal.SIGTTOU,
)  # fmt: skip
"""Signals that whoever started us may ignore, and a shell's commands must not."""


class NoShell(Exception):
    """None of the shells is there; one line."""


def main() -> None:
    """Become the shell."""
    wish = _read_wish()
    with contextlib.suppress(OSError):  # it leads its session already
        os.setsid()
    with contextlib.suppress(OSError):  # without, there are no jobs in the shell
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    *flags, characters = wish["settings"]
    termios.tcsetattr(0, termios.TCSANOW, [*flags, [bytes([one]) for one in characters]])
    for number in PLAIN:
        signal.signal(number, signal.SIG_DFL)
    os.chdir(wish["cwd"])
    for shell in wish["shells"]:
        with contextlib.suppress(OSError):
            os.execve(shell, [os.path.basename(shell)], wish["env"])  # noqa: PTH119 - a path of inside
    raise NoShell(f"none of {', '.join(wish['shells'])} is there inside")


def _read_wish() -> dict[str, Any]:
    """The first line, byte by byte: what comes after it is for the shell."""
    line = bytearray()
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    found: dict[str, Any] = json.loads(line)
    return found

"""A shell inside a space, on a terminal of its own: what is typed here goes there, and what it prints comes here.

Never the person's own terminal: a command of the agent's that runs in the space could take hold of that. Stdlib only;
runs as a program of its own, that has the person's terminal on its standard streams.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios
import tty
from pathlib import Path
from typing import Any, Final

LOOK_SECONDS: Final = 0.5
"""How often a system that has no handles of processes is asked whether the shell has ended."""
CHUNK: Final = 65_536


def main(path: str) -> None:
    """Run what the private file ``path`` says (and remove it): ``argv`` leads into the space and there to
    ``shell_inside``, which is told ``wish`` (None: ``argv`` has the terminal itself); ``first`` is said before. Exits
    as the shell did."""
    file = Path(path)
    given: dict[str, Any] = json.loads(file.read_text())
    file.unlink()
    _write_all(1, f"{given['first']}\n".encode())
    sys.exit(run_shell(given["argv"], given["env"], given["wish"]))


def run_shell(argv: list[str], env: dict[str, str], wish: dict[str, Any] | None) -> int:
    """Start it, and carry bytes to and fro until it has ended. Returns its exit status."""
    master, slave = os.openpty()
    _copy_size(master)
    settings = termios.tcgetattr(slave)
    characters = [one[0] if isinstance(one, bytes) else one for one in settings[6]]
    if wish is not None:
        tty.setraw(slave)  # the first line is no echo's business
    process = subprocess.Popen(
        argv, stdin=slave, stdout=slave, stderr=slave, cwd="/", env=env, start_new_session=True,
        preexec_fn=None if wish is not None else _take_terminal,
    )  # fmt: skip
    os.close(slave)
    before = termios.tcgetattr(0) if os.isatty(0) else None
    signal.signal(signal.SIGWINCH, lambda *_: _copy_size(master))
    try:
        if before is not None:
            tty.setraw(0)
        if wish is not None:
            _write_all(master, json.dumps({**wish, "settings": [*settings[:6], characters]}).encode() + b"\n")
        _carry(master, process)
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
        os.close(master)  # what is left of the shell hears that its terminal is gone
    return process.wait()


def _take_terminal() -> None:
    """Hear of its keys and of its size: what leads to another side passes them on."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _carry(master: int, process: subprocess.Popen[bytes]) -> None:
    """Until the shell has ended; what it left running keeps nobody here."""
    ended = _handle_of(process.pid)
    watched = [0, master, *([ended] if ended is not None else [])]
    while True:
        ready, _, _ = select.select(watched, [], [], None if ended is not None else LOOK_SECONDS)
        if master in ready and not _pass_on(master, 1):
            return
        if 0 in ready and not _pass_on(0, master):
            watched.remove(0)
            with contextlib.suppress(OSError):
                os.write(master, b"\x04")  # nobody types any more
        if master not in ready and ((ended in ready) if ended is not None else process.poll() is not None):
            return


def _pass_on(source: int, target: int) -> bool:
    """False at the end of the source."""
    try:
        data = os.read(source, CHUNK)
        _write_all(target, data)
    except OSError:
        return False
    return bool(data)


def _write_all(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


def _handle_of(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _copy_size(master: int) -> None:
    """The terminal there is as large as the one here."""
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)

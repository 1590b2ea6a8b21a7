"""Runs commands of ``apollo`` for tests without loading the product anew for each: a child of a process that has it.

``run_command`` is ``subprocess.run`` for them. What a command does is the same from its first line on; that a real
start of the program does it too, the tests of the README's commands and of terminals hold.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

OWN_START: Final = ("LANG", "LC_", "PYTHON", "TERM", "COLUMNS", "LINES")
"""What of an environment Python or a library looks at as it starts: such a command is started by itself."""


# --- in the tests -----------------------------------------------------------------------------------------------------


class CommandServer:
    """The process that commands are children of, begun with the first of them and ended with the tests."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="commands-")
        path = f"{self._folder.name}/socket"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(64)
        self.path = path
        env = {name: value for name, value in os.environ.items() if not name.startswith("APOLLO_")}
        # The other end of its standard input is ours: it ends with us, however we end.
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(listener.fileno())],
            stdin=subprocess.PIPE, pass_fds=[listener.fileno()], env=env, start_new_session=True,
        )  # fmt: skip
        listener.close()
        atexit.register(self.close)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._folder.cleanup()

    def run(self, args: list[str], env: dict[str, str], cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
        """Raises subprocess.TimeoutExpired after ``timeout`` seconds."""
        out, err = os.pipe(), os.pipe()
        said: dict[int, bytes] = {out[0]: b"", err[0]: b""}
        deadline = time.monotonic() + timeout
        with socket.socket(socket.AF_UNIX) as call:
            call.connect(self.path)
            wanted = json.dumps({"args": args, "env": env, "cwd": str(cwd)}).encode()
            socket.send_fds(call, [len(wanted).to_bytes(4)], [out[1], err[1]])
            call.sendall(wanted)
            os.close(out[1])
            os.close(err[1])
            pid = int.from_bytes(_read(call, 4))
            open_ends = set(said)
            while open_ends and (left := deadline - time.monotonic()) > 0:
                for end in select.select(list(open_ends), [], [], left)[0]:
                    if data := os.read(end, 1 << 16):
                        said[end] += data
                    else:
                        open_ends.discard(end)
            for end in said:
                os.close(end)
            if open_ends:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(args, timeout, said[out[0]], said[err[0]])
            status = int.from_bytes(_read(call, 4))
        code = os.waitstatus_to_exitcode(status)
        text = [data.decode("utf-8").replace("\r\n", "\n") for data in said.values()]
        return subprocess.CompletedProcess(args, code, *text)


_servers: dict[int, CommandServer] = {}


def run_command(args: list[str], env: dict[str, str], cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """``apollo`` with ``args``; no terminal, nothing to read."""
    if any(env.get(name) != os.environ.get(name) for name in {*env, *os.environ} if name.startswith(OWN_START)):
        command = [sys.executable, "-P", "-m", "apollo_tui", *args]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout, cwd=cwd)
    if os.getpid() not in _servers:
        _servers[os.getpid()] = CommandServer()
    return _servers[os.getpid()].run(args, env, cwd, timeout)


def _read(call: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        data = call.recv(count - len(found))
        if not data:
            raise AssertionError("the process that runs commands for tests is gone")
        found += data
    return found


# --- in the process of its own ----------------------------------------------------------------------------------------


def serve(listener: socket.socket) -> dict[str, Any]:
    """Answer calls until the tests are over. Returns in a child of each call, with what that is to run."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    while True:
        ready = select.select([listener, 0], [], [])[0]
        if 0 in ready:
            os._exit(0)
        call, _ = listener.accept()
        if os.fork():
            call.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listener.close()
        size, ends, _, _ = socket.recv_fds(call, 4, 2)
        wanted: dict[str, Any] = json.loads(_read(call, int.from_bytes(size)))
        pid = os.fork()
        if pid:
            for end in ends:
                os.close(end)
            call.sendall(pid.to_bytes(4))
            status = os.waitpid(pid, 0)[1]
            with suppress(OSError):
                call.sendall(status.to_bytes(4))
            os._exit(0)
        call.close()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, end in enumerate((nothing, *ends)):
            os.dup2(end, number)
            os.close(end)
        return wanted


def main() -> None:
    """Load the product, then be each command that is asked for."""
    import gc
    import importlib

    from apollo_tui.cli.root import COMMANDS

    for place in {place.partition(":")[0] for place in COMMANDS.values()}:
        importlib.import_module(f"apollo_tui.cli.{place}")
    gc.collect()
    gc.freeze()
    wanted = serve(socket.socket(fileno=int(sys.argv[1])))
    os.environ.clear()
    os.environ.update(wanted["env"])
    os.chdir(wanted["cwd"])
    sys.argv = ["apollo", *wanted["args"]]
    from apollo_tui.cli import main as apollo

    apollo(wanted["args"])


if __name__ == "__main__":
    main()

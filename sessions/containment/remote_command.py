"""A command on another side that a command line leads to (``ssh HOST``, ``docker exec NAME`` …), followed from here.

It runs in the job's holder in place of the command itself: starts it there once, passes on what it writes, comes back
after a lost line, and ends as it ends. Over there a POSIX shell holds the command, and keeps in a folder
of the job's own ``command`` (what is to run), ``pid`` (its session), ``output``, and ``exit`` (its code). Stdlib only.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final

PLACE: Final = ".apollo"
"""Folder of all sessions over there."""
GO_HOME: Final = f"""\
{{ cd "${{HOME:-/tmp}}" && (umask 077; mkdir -p {PLACE}) && [ -w {PLACE} ]; }} 2>/dev/null || cd /tmp
"""
"""To the home, where it can be written: containers give users that they do not know the root of all files."""
START: Final = (
    GO_HOME
    + """\
umask 077
mkdir -p "$1" && cd "$1" || exit 97
mkdir started 2>/dev/null || exit 0
cat > command
: > output
$(command -v setsid) sh -c '
  echo $$ > pid; sh ./command > output 2>&1 < /dev/null; echo $? > exit.new; mv exit.new exit' \\
  > /dev/null 2>&1 < /dev/null &
"""
)
"""Started twice, it runs once: of two that make the folder ``started`` one succeeds."""
FOLLOW: Final = (
    GO_HOME
    + """\
cd "$1" || exit 97
at=$2
printf %s "$3"
gone() {
  kill -0 "$1" 2>/dev/null || return 0
  read -r stat 2>/dev/null < "/proc/$1/stat" || return 1
  case ${stat##*) } in [ZX]*) return 0 ;; esac
  return 1
}
while :; do
  over=0; [ -e exit ] && over=1
  [ $over = 0 ] && [ -s pid ] && gone "$(cat pid)" && [ ! -e exit ] && over=2
  size=$(wc -c < output)
  if [ "$size" -gt "$at" ]; then tail -c +$((at + 1)) output | head -c $((size - at)); at=$size; fi
  [ $over = 1 ] && exit 0
  [ $over = 2 ] && exit 96
  sleep 0.2
done
"""
)
"""Says the mark ``$3`` first: what comes before it is the line's own, the error of a daemon, say."""
END: Final = (
    GO_HOME
    + """\
cd "$1" || exit 97
[ -s pid ] && kill -s "$2" -- "-$(cat pid)" 2>/dev/null
exit 0
"""
)
LOST_THERE: Final = 96
"""Exit code of ``FOLLOW`` where the command is gone and did not say how it ended. In a container whose first process
reaps nobody, what is gone is a zombie."""
NO_FOLDER: Final = 97
PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the line is tried again, by the number of failures in a row."""
CALL_SECONDS: Final = 60.0
KEEP_ALIVE: Final = {"ServerAliveInterval": "15", "ServerAliveCountMax": "4"}
"""Options of ``ssh``: a line that is dead and does not say so is given up after a minute, and not waited for."""


def over_there(prefix: Sequence[str], argv: Sequence[str]) -> list[str]:
    """The command line that runs ``argv`` on the other side: ``ssh`` has a shell there read it once more and is told to
    see to its line, and ``docker exec`` and ``podman exec`` pass a standard input on only if they are told to."""
    program, *options = prefix
    name = os.path.basename(program)  # noqa: PTH119 - loaded in a process that starts for each command
    if name == "ssh":
        said = " ".join(options).lower()
        ours = [f"{option}={value}" for option, value in KEEP_ALIVE.items() if option.lower() not in said]
        return [program, *(word for one in ours for word in ("-o", one)), *options, shlex.join(argv)]
    if name in ("docker", "podman") and options[:1] == ["exec"] and not {"-i", "--interactive"} & {*options}:
        return [program, "exec", "-i", *options[1:], *argv]
    return [*prefix, *argv]


def shell_there(prefix: Sequence[str], place: str) -> list[str]:
    """The command line that opens a person's shell in the folder ``place`` of the other side, on a terminal there."""
    argv = ["sh", "-c", GO_HOME + 'cd "$1" && exec "${SHELL:-/bin/sh}"', "sh", place]
    program, *options = prefix
    name = os.path.basename(program)  # noqa: PTH119 - as above
    if name == "ssh":
        return [program, "-tt", *over_there(prefix, argv)[1:]]
    if name in ("docker", "podman") and options[:1] == ["exec"]:
        return [program, "exec", "-it", *options[1:], *argv]
    return [*prefix, *argv]


def last_words(done: subprocess.CompletedProcess[bytes]) -> str:
    """What a call that failed said last; docker says it on its standard output."""
    said = (done.stderr.strip() or done.stdout[-4096:].strip()).decode(errors="replace").splitlines()
    return said[-1] if said else ""


def script_of(command: str, cwd: str, env: dict[str, str]) -> str:
    """What the shell over there runs: the environment, the folder, then the command as it is."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in env.items() if name.isidentifier()]
    shell = 'if command -v bash > /dev/null; then exec bash -c "$c"; else exec sh -c "$c"; fi'
    return "\n".join(
        [
            *lines,
            GO_HOME.rstrip(),
            f"cd {shlex.quote(cwd)} || exit 98",
            f"c={shlex.quote(command)}",
            shell,
            "",
        ]
    )


class RemoteCommand:
    """One command, from its start over there to its end."""

    def __init__(self, prefix: Sequence[str], folder: str, script: str) -> None:
        self._prefix = list(prefix)
        self._folder = folder
        self._script = script
        self._written = 0
        self._ending = False
        self._follower: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Start it, follow it, and return its exit code."""
        signal.signal(signal.SIGTERM, self._end)
        self._start()
        failures = 0
        while True:
            code = self._follow()
            if code == 0:
                return self._exit_code()
            if code in (LOST_THERE, NO_FOLDER):
                self._say("the command over there is gone, and did not say how it ended")
                return 255
            failures += 1
            if failures == 1:
                self._say(f"the line is lost ({self._prefix_words()}); the command goes on there, and is looked for")
            time.sleep(PAUSES[min(failures, len(PAUSES)) - 1])

    def _start(self) -> None:
        failures = 0
        while True:
            done = self._call(START, self._folder, given=self._script.encode())
            if done.returncode == 0:
                return
            failures += 1
            if failures == len(PAUSES) or done.returncode in (NO_FOLDER, 127, 126):
                said = last_words(done) or str(done.returncode)
                self._say(f"the command could not be started over there: {said}")
                sys.exit(127)
            time.sleep(PAUSES[failures - 1])

    def _follow(self) -> int:
        mark = os.urandom(16).hex()
        argv = over_there(self._prefix, ["sh", "-c", FOLLOW, "sh", self._folder, str(self._written), mark])
        self._follower = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._follower.stdout is not None
        with self._follower.stdout as pipe:
            before: bytes | None = b""
            while piece := os.read(pipe.fileno(), 65536):
                if before is not None:
                    before, found, piece = (before + piece).partition(mark.encode())
                    if not found:
                        continue
                    before = None
                self._written += len(piece)
                os.write(1, piece)
        return self._follower.wait()

    def _exit_code(self) -> int:
        failures = 0
        while True:
            done = self._call(GO_HOME + 'cat "$1/exit"', self._folder)
            if done.returncode == 0:
                return int(done.stdout)
            failures += 1
            time.sleep(PAUSES[min(failures, len(PAUSES)) - 1])

    def _end(self, number: int, frame: FrameType | None) -> None:
        """End it over there too; what it still writes is passed on."""
        name = "KILL" if self._ending else "TERM"
        self._ending = True
        self._call(END, self._folder, name)

    def _call(self, script: str, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        argv = over_there(self._prefix, ["sh", "-c", script, "sh", *arguments])
        try:
            return subprocess.run(argv, input=given, capture_output=True, timeout=CALL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 255, b"", b"no answer within a minute")
        except OSError as error:
            return subprocess.CompletedProcess(argv, 127, b"", str(error).encode())

    def _prefix_words(self) -> str:
        return shlex.join(self._prefix)

    def _say(self, line: str) -> None:
        os.write(1, f"[{line}]\n".encode(errors="replace"))


def main(wish_text: str) -> None:
    """``wish_text`` is JSON: prefix, folder (over there), cwd, command, and the environment for it."""
    wish = json.loads(wish_text)
    script = script_of(wish["command"], wish["cwd"], wish["env"])
    sys.exit(RemoteCommand(wish["prefix"], wish["folder"], script).run())

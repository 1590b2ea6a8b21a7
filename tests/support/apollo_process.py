"""The product as a user runs it: the command line in child processes, on a log of its own, with a host of its own.

``Apollo(tmp)`` gives ``run(*args)``, ``json(*args)``, ``kill_host()``, and ``close()``, which leaves no process behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from command_server import run_command

from apollo_tui.cli.output import session_row
from apollo_tui.cli.read import event_json
from sessions.clock import now_ms
from sessions.host.client import HostDown, host_status
from sessions.log.reader import LogReader
from sessions.paths import log_paths

T = TypeVar("T")


def wait_for(what: str, condition: Callable[[], T | None], *, seconds: float = 30.0, every: float = 0.05) -> T:
    """Poll ``condition`` until it is truthy; AssertionError naming ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for: {what}")
        time.sleep(every)


class Apollo:
    """One log in ``folder`` and everything that runs for it."""

    def __init__(self, folder: Path, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.log = folder / "apollo.db"
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("APOLLO_")},
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_DATA_HOME": str(folder / "data"),
            "APOLLO_AS": "tester",
            **(env or {}),
        }

    def write_config(self, text: str = "") -> None:
        """A config file. A busy machine reads a terminal late, and is no slow line: panes stay panes."""
        config = self.folder / "config" / "apollo-tui" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(f'[ui]\nslow_link = "off"\n{text}')

    def command(self, *args: str) -> list[str]:
        """The words that run ``apollo`` with this log."""
        return [sys.executable, "-P", "-m", "apollo_tui", "--log", str(self.log), *args]

    def run(
        self, *args: str, check: bool = True, timeout: float = 60, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command; with ``check``, a non-zero exit is an AssertionError with what it said."""
        done = run_command(["--log", str(self.log), *args], self.env, cwd or self.folder, timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"apollo {' '.join(args)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *args: str) -> Any:
        """Run one command with ``--json`` and parse what it prints."""
        return json.loads(self.run(*args, "--json").stdout)

    def events(self, session: str, *kinds: str) -> list[dict[str, Any]]:
        """The events of a session as ``log --json`` prints them, read here: polling must not cost a process each."""
        with LogReader(self.log) as reader:
            found = reader.events(reader.find(session), kinds=kinds or None)
        return [json.loads(event_json(event)) for event in found]

    def session(self, prefix: str) -> dict[str, Any]:
        """The row of ``ls --all --json`` for a session id or title."""
        with LogReader(self.log) as reader:
            rows = [session_row(summary, now_ms()) for summary in reader.summaries()]
        found = [row for row in rows if prefix in (row["id"], row["title"])]
        assert found, f"no session {prefix}"
        return found[0]

    def host_pid(self) -> int | None:
        """The host's pid, None if none runs; asked for here: polling must not cost a process each."""
        try:
            status = host_status(log_paths(self.log))
        except HostDown:
            return None
        return status.pid if status else None

    def states(self) -> set[str]:
        """The states that its sessions are in; read here, as events are."""
        with LogReader(self.log) as reader:
            return {summary.state for summary in reader.summaries()}

    def kill_host(self) -> int | None:
        """SIGKILL the host (not its watcher); returns its pid."""
        pid = self.host_pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        return pid

    def close(self) -> None:
        """Stop the host, then the jobs, which outlive it; an AssertionError says what of this log still runs."""
        if not self.processes():
            return
        stopped = self.run("host", "stop", "--sessions", "--now", "--quiet", check=False)
        for pid, line in self.processes():
            if "sessions.jobs.holder" in line:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        try:
            wait_for("no process of this log is left", lambda: not self.processes(), seconds=20)
        except AssertionError as late:
            raise AssertionError(f"{late}: {self.processes()}; host stop said {stopped.stderr!r}") from None

    def processes(self) -> list[tuple[int, str]]:
        """Pids and command lines of all processes that name this folder, a scripted model server apart."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                except OSError:
                    continue
                if str(self.folder) in line and state != "Z" and "sse_server" not in line:
                    found.append((int(entry.name), line))
        return found


def create_session(folder: Path, task: str) -> Apollo:
    """A log with one session, which is not started."""
    made = Apollo(folder)
    (folder / "task.md").write_text(task)
    made.run("new", "task.md", "--model", "demo:steady", "--no-start")
    return made

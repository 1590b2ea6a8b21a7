"""Apollo, through its command line: every act of an evaluation is one child process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from apollo_train.evaluation.plan import Cell
from apollo_train.runtime import TrainError

NAME: Final = "apollo-train-eval"
ACTOR: Final = f"human:{NAME}"
"""Who an evaluation is in the log."""
SECONDS: Final = 180.0
"""For one command; a host that is to stop waits up to 30 s for boundaries."""


class CommandFailed(TrainError):
    """A command ended with an error; the text is what it said."""


class ApolloCli:
    """``apollo`` on one log."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def start_host(self) -> None:
        """Start the host, and its watcher, where none runs."""
        self._run("host", "start", "--json")

    def stop_host(self, *, sessions: bool) -> None:
        """Stop the host; with ``sessions`` whatever has not ended is stopped first, else it is held."""
        self._run("host", "stop", "--quiet", *(["--sessions"] if sessions else []))

    def create(self, cell: Cell, limits: tuple[str, ...]) -> str:
        """Make the session of a cell and start it; its id."""
        url = [f"--base-url={cell.contender.base_url}"] if cell.contender.base_url else []
        given = [f"--limit={limit}" for limit in limits]
        words = [f"--model={cell.contender.text}", f"--name={cell.title}", *url, *given]
        return str(json.loads(self._run("new", str(cell.task.path), "--anyway", *words, "--json"))["id"])

    def resume(self, session: str) -> None:
        """Let a session go on that was held."""
        self._run("resume", session, "--json")

    def stop(self, session: str) -> None:
        """End a session and its jobs."""
        self._run("stop", session, "--json")

    def list_sessions(self) -> list[dict[str, Any]]:
        """The rows of ``ls``, archived ones too."""
        found: list[dict[str, Any]] = json.loads(self._run("ls", "--all", "--json"))
        return found

    def _run(self, *words: str) -> str:
        command = [sys.executable, "-P", "-m", "apollo_tui", "--log", str(self.log), "--as", NAME, *words]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"`apollo {words[0]}` did not end within {SECONDS:.0f} s (log {self.log})") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise CommandFailed(f"`apollo {words[0]}`: {lines[-1].removeprefix('apollo: ')}")
        return done.stdout

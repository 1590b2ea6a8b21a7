"""The product on a log of its own: a scripted server with faults, sessions that leave traces, an app behind a pty."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from apollo_tui.cli.start import task_request
from benchmarks.budgets.pty_program import ROOT, Gone, Program
from sessions.events import Limits
from sessions.fold.summary import Summary
from sessions.host.client import HostDown, call_once, ensure_host
from sessions.log.reader import LogReader
from sessions.paths import log_paths

FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"status": 429, "headers": {"Retry-After": "0"}, "message": "slow down"},
    {"status": 500, "message": "it broke"},
    {"status": 529, "message": "overloaded"},
    {"cut": "middle"},
    {"cut": "open"},
    {"error": "overloaded_error"},
)
ANNOTATOR: Final = "human:chaos"


class Product:
    """One log in ``folder``. ``script``: what the models say, by their names."""

    def __init__(self, folder: Path, script: dict[str, Any]) -> None:
        self.folder = folder
        self.paths = log_paths(folder / "apollo.db")
        self._script = script
        self._url = ""
        self.app: App | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """While this lasts the server answers and a host may run; afterwards no process is left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "config.toml"
        config.write_text('[ui]\nslow_link = "off"\n')
        (self.folder / "task.md").write_text("Leave a trace in every step.")
        (self.folder / "script.json").write_text(json.dumps(self._script))
        before = dict(os.environ)
        os.environ |= {"APOLLO_CONFIG": str(config), "APOLLO_LOG": str(self.paths.log), "OPENAI_API_KEY": "none"}
        for name in ("CONFIG", "STATE", "DATA"):
            os.environ[f"XDG_{name}_HOME"] = str(self.folder / name.lower())
        server = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/support/sse_server.py"), "--script", str(self.folder / "script.json")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            self._url = json.loads(server.stdout.readline())["url"]
            yield
        finally:
            if self.app is not None:
                self.app.close()
            self.stop()
            server.terminate()
            server.wait(10)
            os.environ.clear()
            os.environ.update(before)

    def stop(self) -> None:
        """Stop its sessions and its host."""
        command = [sys.executable, "-P", "-m", "apollo_tui", "--log", str(self.paths.log)]
        subprocess.run(
            [*command, "host", "stop", "--sessions", "--now", "--quiet"],
            cwd=ROOT,
            check=False,
            timeout=120,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wake(self) -> None:
        """What the next client does: see that a host and its watcher run."""
        with contextlib.suppress(HostDown):
            asyncio.run(ensure_host(self.paths))

    def begin(self, model: str, inside: str, steps: int | None = None) -> str:
        """A new session, of so many ``steps`` at most; asked for until a host answers, always by the same request."""
        params = task_request(self.folder / "task.md", f"openai:{model}", base_url=f"{self._url}/v1", inside=inside)
        session: str = self.ask(msgspec.structs.replace(params, title=model, limits=Limits(steps=steps))).session
        return session

    def ask(self, params: Any, seconds: float = 60) -> Any:
        """One request, sent again with its id until a host answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return call_once(self.paths, params, actor=ANNOTATOR)
            except (HostDown, OSError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def summaries(self) -> dict[str, Summary]:
        """How each session stands."""
        if not self.paths.log.exists():
            return {}
        with LogReader(self.paths.log) as reader:
            return {summary.session: summary for summary in reader.summaries()}

    def open_app(self) -> None:
        """Attach an app, in place of one that is gone."""
        if self.app is None or not self.app.alive:
            if self.app is not None:
                self.app.close()
            self.app = App(self.paths.log)

    def processes(self) -> list[tuple[int, str]]:
        """Pids and command lines that name the log's folder, this process and the server apart."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and int(entry.name) != os.getpid():
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                    gone = (entry / "stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
                    if str(self.folder) in line and "sse_server" not in line and not gone:
                        found.append((int(entry.name), line))
        return found


class App:
    """The app behind a pty that somebody reads."""

    def __init__(self, log: Path) -> None:
        self._program = Program(
            [sys.executable, "-P", "-m", "apollo_tui", "--log", str(log)],
            {name: value for name, value in os.environ.items() if name.startswith(("APOLLO_", "XDG_"))},
        )
        self.pid = self._program.pid
        self.alive = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while self.alive:
                self._program.pump(0.5)
        except (Gone, OSError, ValueError):
            self.alive = False

    def close(self) -> None:
        """End it."""
        self.alive = False
        self._reader.join(2)
        with contextlib.suppress(OSError, ProcessLookupError, Gone):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(Exception):
            self._program.close()


def turns(model: str, count: int, draw: random.Random, *, slow: float = 1.5, fault: float = 0.15) -> dict[str, Any]:
    """``count`` steps of a model, each with one or two commands that leave a line of their own; then it finishes."""
    made: list[dict[str, Any]] = []
    for step in range(1, count + 1):
        calls = []
        for call in range(1, 2 + (step % 5 == 0)):
            pause = f"sleep {draw.uniform(0, slow):.2f}; " if slow else ""
            calls.append({"name": "run", "arguments": {"command": f"{pause}echo {trace(model, step, call)} >> traces"}})
        turn: dict[str, Any] = {"text": f"step {step}", "calls": calls}
        if draw.random() < fault:
            turn["faults"] = [draw.choice(FAULTS)]
        made.append(turn)
    return {"turns": [*made, {"calls": [{"name": "finish", "arguments": {"summary": "all traces are left"}}]}]}


def trace(model: str, step: int, call: int) -> str:
    """The line that a command leaves."""
    return f"{model}-{step}.{call}"


def workspaces(reader: LogReader, sessions: Sequence[str]) -> dict[str, Path]:
    """Where each session leaves its traces."""
    created = {session: reader.events(session, kinds=("session.created",))[0].body for session in sessions}
    return {session: Path(getattr(body, "workspace", None) or "") for session, body in created.items()}

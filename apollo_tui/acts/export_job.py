"""An export that goes on when the app does not: a child process of its own, its progress in a file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from apollo_train.export.counts import REFUSES
from sessions.host.spawn import child_environment
from sessions.paths import LogPaths
from sessions.private_files import open_private, write_private
from sessions.ulid import new_ulid


class _Progress(msgspec.Struct, frozen=True):
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How an export stands. ``ended``: None while it runs, else its exit code; ``said`` is its last line."""

    done: int = 0
    total: int = 0
    ended: int | None = None
    said: str = ""


class ExportJob:
    """One export under way. ``policy`` is TOML; it is stored beside the progress, so that the run can be repeated."""

    def __init__(
        self,
        paths: LogPaths,
        actor: str,
        sessions: Sequence[str],
        format: str,
        policy: str,
        out: Path,
        overwrite: bool,
        *,
        template: str = "",
    ) -> None:
        self.out = out
        folder = paths.folder / "exports"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = new_ulid()
        rules = folder / f"{name}.toml"
        write_private(rules, policy)
        self._told = folder / f"{name}.progress"
        self._said = folder / f"{name}.out"
        command = [sys.executable, "-P", "-c", "from apollo_tui.cli import main; main()"]
        command += ["--log", str(paths.log), "--as", actor.removeprefix("human:")]
        command += ["export", "--format", format, "--out", str(out), "--policy", str(rules), "--progress"]
        for session in sessions:
            command += ["--session", session]
        if template:
            command += ["--template", template]
        if overwrite:
            command.append("--overwrite")
        with open_private(self._told) as told, open_private(self._said) as said:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=told,
                env=child_environment(),
                cwd=folder,
                start_new_session=True,
            )

    def poll(self) -> JobProgress:
        """How it stands now."""
        code = self._process.poll()
        lines = self._told.read_text("utf-8", "replace").splitlines()
        done, total, problem = 0, 0, ""
        for text in lines:
            found = _progress(text)
            if found is None:
                problem = text
            else:
                done, total = found.done, found.total
        if code is None:
            return JobProgress(done, total)
        written = self._said.read_text("utf-8", "replace").splitlines()
        refused = [line.strip() for line in written[1:] if line.strip().startswith(REFUSES)]
        said = "; ".join([*written[:1], *refused]) if code == 0 and written else problem.removeprefix("apollo: ")
        return JobProgress(done, total, code, said or f"the export ended with code {code}")


def _progress(text: str) -> _Progress | None:
    if not text.startswith("{"):
        return None
    try:
        return msgspec.json.decode(text, type=_Progress)
    except msgspec.MsgspecError:
        return None

"""What leaves the app: the clipboard, the pager and the crash report. Receipts say what really happened."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

OSC_52_MOST: Final = 74_000
"""Terminals drop longer clipboard sequences without a word."""


def copy_text(text: str, folder: Path, osc52: Callable[[str], None], env: Mapping[str, str] = os.environ) -> str:
    """Copy ``text`` by the way that works here, and say in one line which way that was. May wait for tmux (0.5 s)."""
    size = f"{len(text):,} characters"
    if env.get("TMUX"):
        for arguments, said in (
            (["load-buffer", "-w", "-"], "in tmux's buffer (prefix ] pastes) and offered to your terminal"),
            (["load-buffer", "-"], "in tmux's buffer only (prefix ] pastes)"),
        ):
            if tmux_load(arguments, text):
                return f"{size} {said}"
    elif not env.get("STY") and len(text.encode()) <= OSC_52_MOST:
        osc52(text)
        return f"{size} sent to the terminal (OSC 52); not every terminal takes them: `:copy-file` is sure"
    return copy_to_file(text, folder)


def copy_to_file(text: str, folder: Path) -> str:
    """Write ``text`` to a 0600 file and say where it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "copied.txt"
    _write_private(path, text)
    return f"{len(text):,} characters in {path}"


def tmux_load(arguments: list[str], text: str) -> bool:
    """Give tmux ``text`` on its input; False if it did not take it within half a second."""
    try:
        done = subprocess.run(["tmux", *arguments], input=text.encode(), capture_output=True, timeout=0.5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def page_text(text: str, name: str, env: Mapping[str, str] = os.environ) -> str:
    """Show ``text`` in ``$PAGER`` (the caller has suspended the app). Returns one line if it could not."""
    return _shown_by(shlex.split(env.get("PAGER") or "less"), text, name, "$PAGER")


def edit_text(text: str, name: str, env: Mapping[str, str] = os.environ) -> str:
    """Open a copy of ``text`` in ``$VISUAL`` or ``$EDITOR`` (the caller has suspended the app); changes go nowhere."""
    editor = env.get("VISUAL") or env.get("EDITOR") or "vi"
    return _shown_by(shlex.split(editor), text, name, "$EDITOR")


def _shown_by(command: Sequence[str], text: str, name: str, variable: str) -> str:
    with tempfile.TemporaryDirectory(prefix="apollo-") as folder:
        path = Path(folder) / name
        _write_private(path, text)
        try:
            subprocess.run([*command, str(path)], check=False)
        except OSError as problem:
            return f"{command[0]} could not be started ({problem.strerror}): set {variable}"
    return ""


def crash_report(error: BaseException, folder: Path) -> Path:
    """Write the traceback of ``error`` (no variables: they may hold secrets) and return the file."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / time.strftime("crash-%Y%m%d-%H%M%S.txt")
    _write_private(path, "".join(traceback.format_exception(error)))
    return path


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode("utf-8", "replace"))

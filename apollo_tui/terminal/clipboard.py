"""The clipboard: of the terminal, of tmux, or a file. Receipts say what really happened."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from sessions.private_files import write_private

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
    write_private(path, text)
    return f"{len(text):,} characters in {path}"


def tmux_load(arguments: list[str], text: str) -> bool:
    """Give tmux ``text`` on its input; False if it did not take it within half a second."""
    try:
        done = subprocess.run(["tmux", *arguments], input=text.encode(), capture_output=True, timeout=0.5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0

"""A text in the person's pager or editor, while the app is suspended."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sessions.private_files import write_private


def page_text(text: str, name: str, env: Mapping[str, str] = os.environ) -> str:
    """Show ``text`` in ``$PAGER`` (the caller has suspended the app). Returns one line if it could not."""
    return _open_with(shlex.split(env.get("PAGER") or "less"), text, name, "$PAGER")


def edit_text(text: str, name: str, env: Mapping[str, str] = os.environ) -> str:
    """Open a copy of ``text`` in ``$VISUAL`` or ``$EDITOR`` (the caller has suspended the app); changes go nowhere."""
    editor = env.get("VISUAL") or env.get("EDITOR") or "vi"
    return _open_with(shlex.split(editor), text, name, "$EDITOR")


def _open_with(command: Sequence[str], text: str, name: str, variable: str) -> str:
    with tempfile.TemporaryDirectory(prefix="apollo-") as folder:
        path = Path(folder) / name
        write_private(path, text)
        try:
            subprocess.run([*command, str(path)], check=False)
        except OSError as problem:
            return f"{command[0]} could not be started ({problem.strerror}): set {variable}"
    return ""

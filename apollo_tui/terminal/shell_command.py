"""How a person calls this Apollo again from a shell: the words that the app and the command line name when they end."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from sessions.paths import log_paths


def program(called: str | None = None, path: str | None = None) -> str:
    """``apollo`` where a shell finds this one by that name, else the path of the script that was called.

    ``called`` is ``sys.argv[0]`` and ``path`` the shell's PATH. An environment that is not activated, such as that of
    ``make demo``, has its script in no PATH. What was started in another way (``python -m``) is called ``apollo``, too.
    """
    called = sys.argv[0] if called is None else called
    script = Path(called)
    if script.name != "apollo" or not script.is_file():
        return "apollo"
    found = shutil.which("apollo", path=path)
    if found is not None and script.samefile(found):
        return "apollo"
    return shlex.quote(str(script.absolute()))


def on_log(log: Path) -> str:
    """The beginning of a command on ``log``, wherever the shell stands."""
    return f"{program()} --log {shlex.quote(str(log))}"


def way_back(log: Path) -> str:
    """The command that opens ``log`` again; the log that is used by itself need not be named."""
    return program() if log == log_paths().log else on_log(log)

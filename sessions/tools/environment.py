"""The environment of an agent's commands: the session's scrubbed one, without ours, and set for a reader that is no
person: no pager, no questions, no colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

SETTINGS: Final = {
    "TERM": "dumb",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "PYTHONUNBUFFERED": "1",
}
OURS: Final = "APOLLO_"
"""Variables with this prefix are between parts of this program."""
FALLBACK: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def tool_environment(env: Mapping[str, str], workspace: Path) -> dict[str, str]:
    """What a command of the agent sees; ``env`` is the session's, already without keys."""
    kept = {name: value for name, value in env.items() if not name.startswith(OURS)}
    return {**FALLBACK, "HOME": str(workspace), **kept, **SETTINGS, "PWD": str(workspace)}

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
OURS: Final = frozenset({"APOLLO_LOG", "APOLLO_AS", "APOLLO_CONFIG", "APOLLO_KEYS", "APOLLO_FAULTS"})
"""Variables between parts of this program; a session may be given others with the same prefix (the demo's pace)."""
FALLBACK: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def command_env(env: Mapping[str, str], workspace: Path) -> dict[str, str]:
    """What a command of the agent sees; ``env`` is the session's, already without keys."""
    kept = {name: value for name, value in env.items() if name not in OURS}
    return {**FALLBACK, "HOME": str(workspace), **kept, **SETTINGS, "PWD": str(workspace)}

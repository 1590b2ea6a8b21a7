"""``python -m benchmarks.containment``: what each prefix that works here stops, as the table of docs/containment.md.

Run by root it makes every attempt twice: as root, and as an ordinary user (``--user``), where that user can read this
Python and this code.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.containment.attempts import ATTEMPTS
from sessions.containment.choice import LOCAL, works_here

USERS: Final = range(60_000, 64_000)
SECONDS: Final = 180


def see(kind: str, user: int | None = None, python: str = sys.executable) -> dict[str, bool]:
    """Whether each attempt got through inside ``kind``, made by ``user`` (None: by who runs this)."""
    with tempfile.TemporaryDirectory() as folder:
        if user is not None:
            os.chown(folder, user, user)
        ran = _run([python, "-P", "-m", "benchmarks.containment.scene", kind, str(Path(folder) / "place")], user)
    if ran.returncode:
        raise RuntimeError(ran.stderr.strip() or f"exit code {ran.returncode}")
    found: dict[str, bool] = json.loads(ran.stdout.splitlines()[-1])
    return found


def spare_user() -> int:
    """A user's number that no other run has: the kernel counts the processes of a user, and limits them, wherever
    they run."""
    return random.choice(USERS)


def python_of(user: int) -> str | None:
    """A Python with which ``user`` can make the attempts; None: there is none, or only root can become another user."""
    if os.geteuid() != 0:
        return None
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, *(f"{folder}/{name}" for folder in ("/usr/local/bin", "/usr/bin"))):
        with contextlib.suppress(OSError):
            if _run([python, "-P", "-c", "import msgspec, benchmarks.containment.scene"], user).returncode == 0:
                return python
    return None


def _run(argv: list[str], user: int | None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    groups: list[int] | None = None if user is None else []
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=SECONDS, check=False,
        user=user, group=user, extra_groups=groups, cwd="/", env=env,
    )  # fmt: skip


def table(seen: dict[str, dict[str, bool]]) -> str:
    """Markdown: a row per attempt, a column per prefix and user."""
    rows = ["| a command inside … | " + " | ".join(seen) + " |", "|---" * (len(seen) + 1) + "|"]
    for attempt in ATTEMPTS:
        cells = ["**gets through**" if found[attempt.name] else "stopped" for found in seen.values()]
        rows.append(f"| {attempt.gets} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.containment", description=__doc__)
    parser.add_argument("--user", type=int, default=spare_user(), help="The ordinary user's number.")
    options = parser.parse_args()
    who = "root" if os.geteuid() == 0 else "user"
    seen = {f"none ({who})": see("none")}
    python = python_of(options.user)
    for kind in LOCAL:
        if works_here()[kind]:
            print(f"{kind} does not work here: {works_here()[kind]}", file=sys.stderr)
            continue
        seen[f"{kind} ({who})"] = see(kind)
        if python is not None:
            seen[f"{kind} (user)"] = see(kind, options.user, python)
    if python is None:
        print(
            f"nothing was tried as user {options.user}: nobody but root becomes one, or it reads no Python",
            file=sys.stderr,
        )
    print(table(seen))


if __name__ == "__main__":
    main()

"""The search itself, in a process of its own: a pattern that takes for ever must not take the host with it.

Reads one JSON object (root, path, pattern, glob, limits) on its input and prints one on its output. Stdlib only.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sessions.containment.file_access import FileTrouble, resolve_inside

SKIPPED = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".mypy_cache", ".tox"})
MAX_FILE = 8 * 1024 * 1024
MAX_SHOWN = 300
"""Characters shown of one line."""
LIFE = 60
"""Seconds after which the kernel ends this process, should nobody else."""


def search(wish: dict[str, Any]) -> dict[str, Any]:
    """Matching lines as ``path:line: text``, the number of matches, and what was not looked at."""
    pattern = re.compile(wish["pattern"])
    root = Path(wish["root"])
    try:
        start = resolve_inside(root, wish["path"])
    except FileTrouble as trouble:
        return {"trouble": str(trouble)}
    if not start.exists():
        return {"trouble": f"there is no {wish['path']!r} in the workspace"}
    found: list[str] = []
    matches = files = skipped = 0
    for path, name in _files(str(root.resolve()), str(start)):
        if wish["glob"] and not _fits(name, wish["glob"]):
            continue
        text = _text(path)
        if text is None:
            skipped += 1
            continue
        before = matches
        for number, line in enumerate(text.split("\n"), 1):
            if hit := pattern.search(line):
                matches += 1
                if len(found) < wish["limit"]:
                    found.append(f"{name}:{number}: {_around(line.rstrip(), hit.start())}")
        files += matches > before
        if matches >= wish["stop"]:
            break
    return {"found": found, "matches": matches, "files": files, "skipped": skipped, "stopped": matches >= wish["stop"]}


def _files(root: str, start: str) -> Iterator[tuple[str, str]]:
    """Every file below ``start`` in a stable order, with its path relative to ``root``; links are not followed."""
    if os.path.isfile(start):  # noqa: PTH113 - strings throughout, for speed
        yield start, os.path.relpath(start, root)
        return
    for folder, folders, names in os.walk(start):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in sorted(names):
            path = f"{folder}/{name}"
            yield path, os.path.relpath(path, root)


def _fits(name: str, glob: str) -> bool:
    """Whether a path fits a glob: one without a slash is about the file's name, ``**/`` may be no folder at all."""
    if "/" not in glob:
        return fnmatch.fnmatch(name.rpartition("/")[2], glob)
    return fnmatch.fnmatch(name, glob) or fnmatch.fnmatch(name, glob.replace("**/", ""))


def _text(path: str) -> str | None:
    """The text of a regular file; None for links, what is not regular, binary or too large, or cannot be read."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE:
            return None
        data = Path(path).read_bytes()
    except OSError:
        return None
    return None if b"\0" in data[:8192] else data.decode(errors="replace")


def _around(line: str, at: int) -> str:
    if len(line) <= MAX_SHOWN:
        return line
    start = max(0, min(at - MAX_SHOWN // 2, len(line) - MAX_SHOWN))
    return f"{'…' if start else ''}{line[start : start + MAX_SHOWN]}{'…' if start + MAX_SHOWN < len(line) else ''}"


def main() -> None:
    """Answer the one request on standard input."""
    signal.alarm(LIFE)
    json.dump(search(json.load(sys.stdin)), sys.stdout)

"""What people name when they import: files, folders and patterns, as one list of files."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sessions.errors import ApolloError
from sessions.importers import openhands
from sessions.importers.base import CannotImport
from sessions.importers.documents import ZIP, Document, items, loads
from sessions.importers.encodings import decode
from sessions.importers.packed import read_head

NEVER: Final = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv"})
"""Folders that hold no recordings, and many files."""
EVENT_FILE: Final = re.compile(r"(event-)?\d+.*\.json")
HEAD: Final = 64
"""Bytes that tell JSON from other files."""


class NothingThere(ApolloError):
    """A word that names no file, no folder, and no pattern of any."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file (or a folder that is one recording) to import. ``named``: by this very name, and not found in a folder."""

    path: Path
    size: int
    named: bool


@dataclass(slots=True)
class Sources:
    """All that was found. ``others``: files in the folders that are none by their first bytes."""

    found: list[Source] = field(default_factory=list)
    others: int = 0

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(source.size for source in self.found)


def find_sources(words: Sequence[str]) -> Sources:
    """The files that these words name, each once, in order; a folder is searched whole. Raises NothingThere."""
    sources = Sources()
    seen: set[str] = set()
    for word in words:
        for path, named in _paths(word):
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                _add(sources, path, named)
    return sources


def _add(sources: Sources, path: Path, named: bool) -> None:
    if named or path.is_dir() or _may_be_recording(path):
        sources.found.append(Source(path, _size(path), named))
    else:
        sources.others += 1


def _paths(word: str) -> Iterator[tuple[Path, bool]]:
    path = Path(word).expanduser()
    if path.is_dir():
        yield from ((one, False) for one in _walk(path))
    elif path.exists():
        yield path, True
    elif glob.has_magic(str(path)):
        matches = sorted(glob.glob(str(path), recursive=True, include_hidden=True))  # noqa: PTH207 - absolute ones too
        if not matches:
            raise NothingThere(f"no file matches {word}")
        for match in map(Path, matches):
            yield from ((one, False) for one in (_walk(match) if match.is_dir() else [match]))
    else:
        raise NothingThere(f"there is no file and no folder {word}")


def _walk(folder: Path) -> Iterator[Path]:
    """The files below a folder, those of a session before those of its sub-folders."""
    if is_conversation(folder):
        yield folder
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as problem:
        raise NothingThere(f"cannot read {folder}: {problem.strerror or problem}") from problem
    yield from (Path(entry.path) for entry in entries if entry.is_file())
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and entry.name not in NEVER:
            yield from _walk(Path(entry.path))


def is_conversation(folder: Path) -> bool:
    """Whether the folder is one recording: the events of a conversation of OpenHands, a file each."""
    inner = folder / "events" if (folder / "events").is_dir() else folder
    names = sorted(path.name for path in inner.glob("*.json"))
    if not names or not all(map(EVENT_FILE.fullmatch, names)):
        return False
    try:
        first = loads((inner / names[0]).read_bytes())
    except (OSError, ValueError):
        return False
    return openhands.recognises(Document(inner, records=items([first])))


def _may_be_recording(path: Path) -> bool:
    try:
        head = read_head(path, HEAD)
    except CannotImport:
        return True  # it cannot be read, or is damaged: that is for the import to say
    return head.startswith(ZIP) or decode(head).text.lstrip()[:1] in ("{", "[")


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*.json"))
    return path.stat().st_size

"""The list of real recordings, and where their bytes come from: clones or the network. None is committed."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

LIST: Final = Path(__file__).with_name("recordings.tsv")
SOURCE: Final = "https://raw.githubusercontent.com"


@dataclass(frozen=True, slots=True)
class Recording:
    """One file of a public repository, as it was at a commit."""

    format: str
    repository: str
    commit: str
    path: str
    sha256: str
    bytes: int
    shows: str
    """What it is in the list for."""

    def __str__(self) -> str:
        return f"{self.repository} {self.path}"

    @property
    def file_name(self) -> str:
        """A name that no other recording has, with the ending that the tool gave it."""
        return f"{self.sha256[:12]}-{Path(self.path).name}"


@dataclass(frozen=True, slots=True)
class NotFound:
    """A recording that could not be had, and why, in a few words that are counted."""

    recording: Recording
    why: str


def recordings(file: Path = LIST) -> list[Recording]:
    """The list, in its order."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Recording(**{**row, "bytes": int(row["bytes"])}) for row in rows]  # type: ignore[arg-type]


def take(recording: Recording, clones: Path | None, *, fetch: bool = False) -> bytes | NotFound:
    """The bytes of a recording, from ``clones`` or, with ``fetch``, from GitHub; checked against the list."""
    why = "no folder of clones was given"
    if clones is not None:
        data, why = _from_clone(recording, clones)
        if data is not None:
            return data
    if fetch:
        data, why = _from_network(recording)
        if data is not None:
            return data
    return NotFound(recording, why)


def _from_clone(recording: Recording, clones: Path) -> tuple[bytes | None, str]:
    repositories = list(_clones_of(recording, clones))
    if not repositories:
        return None, "no clone of the repository"
    other = False
    for repository in repositories:
        for version in (recording.commit, "HEAD"):
            data = _blob(repository, f"{version}:{recording.path}")
            if data is not None and _fits(recording, data):
                return data, ""
            other |= data is not None
    return None, "other bytes in the clone" if other else "not in the clone: fetch its commit"


def _clones_of(recording: Recording, clones: Path) -> Iterator[Path]:
    owner, _, name = recording.repository.partition("/")
    for place in (f"{owner}/{name}", f"{owner}+{name}", f"{owner}__{name}", name):
        for folder in (clones / place, clones / f"{place}.git", clones / place / "repo"):
            if (folder / ".git").exists() or (folder / "objects").is_dir():
                yield folder


def _blob(repository: Path, name: str) -> bytes | None:
    command = ["git", "-C", str(repository), "-c", "safe.directory=*", "cat-file", "blob", name]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _from_network(recording: Recording) -> tuple[bytes | None, str]:
    address = f"{SOURCE}/{recording.repository}/{recording.commit}/{quote(recording.path)}"
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            data: bytes = answer.read()
    except (urllib.error.URLError, OSError) as problem:
        return None, f"the network has it not ({getattr(problem, 'code', None) or type(problem).__name__})"
    return (data, "") if _fits(recording, data) else (None, "other bytes in the network")


def _fits(recording: Recording, data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == recording.sha256

"""What lies in a workspace, and how a file in it begins: for people who look at it. Stdlib only.

Who works there may have put anything in it: links that lead out, a fifo that nobody writes to, millions of files, more
of them while one looks. So links are not followed, nothing is waited for, and every look ends. In a session on another
side ``main`` answers one request there.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sessions.untrusted_files import SpoiltFile, open_folder, open_regular, read_up_to

MOST_KEPT: Final = 40_000
"""Files of one listing."""
MOST_LOOKED: Final = 1_000_000
"""Names that are looked at for it."""
MOST_SECONDS: Final = 5.0
MOST_DEPTH: Final = 100
SLICE: Final = 2_000
"""Names of one folder that are looked at before the next folder has its turn: none keeps the others out."""
MOST_HANDLES: Final = 64
"""Folders that are open because they are looked at in slices."""
SKIPPED: Final = frozenset(
    {".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".tox", ".mypy_cache", ".ruff_cache",
     ".pytest_cache"}
)  # fmt: skip
"""Folders that programs fill for themselves: shown, and looked into when somebody wants it."""
FILE: Final = "file"
FOLDER: Final = "folder"
_KINDS: Final = (
    (stat.S_ISREG, FILE),
    (stat.S_ISLNK, "link"),
    (stat.S_ISDIR, FOLDER),
    (stat.S_ISFIFO, "fifo"),
    (stat.S_ISSOCK, "socket"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in the workspace: a ``file``, ``link``, ``fifo``, ``socket`` or ``device``, or a ``folder`` that was
    not looked into. ``path`` is relative to the workspace; ``size`` in bytes.

    ``modified`` and ``changed`` in ns (Unix): the former anybody can set, the latter the system alone does.
    """

    path: str
    kind: str
    size: int
    modified: int
    changed: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What to list: paths that hold ``pattern`` (lower case finds both cases), changed after ``since`` (ns, Unix).

    ``inside``: folders of ``SKIPPED`` names that are looked into all the same.
    """

    pattern: str = ""
    since: int = 0
    inside: tuple[str, ...] = ()
    most: int = MOST_KEPT
    seconds: float = MOST_SECONDS


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found, by path. ``looked``: at how many names; ``more``: how many that were wanted are left out;
    ``whole``: whether every folder was looked through. ``clock``: the time there (ns) when it was made."""

    found: tuple[Found, ...]
    looked: int
    more: int
    whole: bool
    clock: int


@dataclass(frozen=True, slots=True)
class Head:
    """How a file begins, and how large it is as a whole (bytes)."""

    data: bytes
    size: int


def list_files(root: Path, wish: Wish, go_on: Callable[[], bool] = lambda: True) -> Listing:
    """What is below ``root``, folder by folder, the upper ones first. Raises OSError if that is no folder.

    ``go_on``: asked now and then; what was found so far is returned once it says no.
    """
    found: list[Found] = []
    looked = more = 0
    whole = True
    end = time.monotonic() + wish.seconds
    home = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    device = os.fstat(home).st_dev
    turns: deque[_Turn] = deque([_Turn(())])
    try:
        while turns:
            turn = turns.popleft()
            if time.monotonic() > end:
                turn.close()
                return _listing(found, looked, more, whole=False)
            try:
                for entry in turn.entries(home, device):
                    looked += 1
                    if looked % SLICE == 0 and (looked >= MOST_LOOKED or time.monotonic() > end or not go_on()):
                        turn.close()
                        return _listing(found, looked, more, whole=False)
                    one = _look(entry, turn.place)
                    if one is None:
                        continue
                    if one.kind == FOLDER and _is_entered(one.path, wish):
                        # A folder of folders without end is not kept in memory either.
                        if len(turns) < MOST_KEPT:
                            turns.append(_Turn((*turn.place, entry.name)))
                        else:
                            whole = False
                        continue
                    if not _is_wanted(one, wish):
                        continue
                    if len(found) < wish.most:
                        found.append(one)
                    else:
                        more += 1
            except FileNotFoundError:
                turn.close()
            except OSError:  # closed to us, a link since, or of another file system
                turn.close()
                whole = False
            if turn.goes_on:
                in_slices = sum(1 for one in turns if one.goes_on)
                turns.append(turn) if in_slices < MOST_HANDLES else turns.appendleft(turn)
    finally:
        for turn in turns:
            turn.close()
        os.close(home)
    return _listing(found, looked, more, whole=whole)


class _Turn:
    """A folder by its place (names from the workspace down), and how far it has been looked through."""

    def __init__(self, place: tuple[str, ...]) -> None:
        self.place = place
        self._scan: Any = None
        self._handle = -1

    @property
    def goes_on(self) -> bool:
        """Whether it is open, and has more to look at."""
        return self._scan is not None

    def entries(self, home: int, device: int) -> Iterator[os.DirEntry[str]]:
        """The next slice. Raises OSError."""
        if self._scan is None:
            self._handle = _open_place(home, self.place)
            if os.fstat(self._handle).st_dev != device:  # it may hang
                raise SpoiltFile(errno.EXDEV, "is of another file system", "/".join(self.place))
            self._scan = os.scandir(self._handle)
        for _ in range(SLICE):
            entry = next(self._scan, None)
            if entry is None:
                self.close()
                return
            yield entry

    def close(self) -> None:
        """Look no further."""
        if self._scan is not None:
            self._scan.close()
            self._scan = None
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _open_place(home: int, place: tuple[str, ...]) -> int:
    """A handle of the folder at ``place``, opened name by name, so that no link on the way is followed."""
    handle = os.dup(home)
    for name in place:
        try:
            inner = open_folder(name, at=handle)
        finally:
            os.close(handle)
        handle = inner
    return handle


def _look(entry: os.DirEntry[str], place: tuple[str, ...]) -> Found | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:  # gone since
        return None
    kind = next((name for matches, name in _KINDS if matches(found.st_mode)), "device")
    path = "/".join((*place, entry.name))
    return Found(path, kind, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _is_entered(path: str, wish: Wish) -> bool:
    name = path.rpartition("/")[2]
    return (name not in SKIPPED or path in wish.inside) and path.count("/") < MOST_DEPTH


def _is_wanted(one: Found, wish: Wish) -> bool:
    if one.changed <= wish.since and one.kind != FOLDER:
        return False
    return holds(one.path, wish.pattern)


def holds(path: str, pattern: str) -> bool:
    """Whether a path has the pattern in it; one in lower case finds both cases."""
    return not pattern or pattern in (path if pattern != pattern.lower() else path.lower())


def _listing(found: list[Found], looked: int, more: int, *, whole: bool) -> Listing:
    return Listing(tuple(sorted(found, key=lambda one: one.path)), looked, more, whole, time.time_ns())


def read_head(root: Path, path: str, limit: int) -> Head:
    """The first ``limit`` bytes of the regular file ``path`` (relative to ``root``).

    Raises FileNotFoundError, SpoiltFile for what is no regular file or lies behind a link, or another OSError.
    """
    *above, name = Path(path).parts or ("",)
    if not name or ".." in (*above, name) or Path(path).is_absolute():
        raise SpoiltFile(errno.EINVAL, "is no path inside the workspace", path)
    home = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        folder = _open_place(home, tuple(above))
    finally:
        os.close(home)
    try:
        handle = open_regular(name, at=folder)
    finally:
        os.close(folder)
    try:
        return Head(read_up_to(handle, limit), os.fstat(handle).st_size)
    finally:
        os.close(handle)


def read_link(root: Path, path: str) -> str:
    """Where the link ``path`` says that it leads. Raises OSError."""
    *above, name = Path(path).parts
    home = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        folder = _open_place(home, tuple(above))
    finally:
        os.close(home)
    try:
        return os.readlink(name, dir_fd=folder)
    finally:
        os.close(folder)


def main() -> None:
    """Answer the one request on standard input, a line of JSON: ``do`` is list, head or link."""
    wish: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    root = Path(wish["root"])
    answer: dict[str, Any] = {}
    content = b""
    try:
        match wish["do"]:
            case "list":
                asked = Wish(**{**wish["wish"], "inside": tuple(wish["wish"]["inside"])})
                answer = asdict(list_files(root, asked))
                answer["found"] = [list(one.values()) for one in answer["found"]]
            case "head":
                head = read_head(root, wish["path"], wish["limit"])
                answer, content = {"size": head.size}, head.data
            case "link":
                answer = {"leads": read_link(root, wish["path"])}
    except OSError as error:
        answer = {"trouble": error.strerror or str(error)}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + content)
    sys.stdout.buffer.flush()

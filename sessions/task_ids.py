"""The task id of a session that no task file names: where it worked, and what it was asked first.

``repo:NAME#HASH``: all before ``#`` is the group that a data set's split goes by, so that what one session did in a
repository is not what another is tested on. ``prompt:HASH`` where nothing says in which repository it worked.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

NAME_CHARS: Final = 60
_HOMES: Final = re.compile(r"^(?:[a-z]:)?/(?:home|users)/[^/]+(?:/|$)|^/root(?:/|$)|^~(?:/|$)")
_WORKTREE: Final = re.compile(r"/\.(?:claude|git)/worktrees/.*$")
_ANYWHERE: Final = frozenset(
    {"app", "data", "home", "mnt", "root", "testbed", "tmp", "users", "var", "workspace", "workspaces"}
)
"""Folders of containers and machines: that two sessions worked there says nothing."""
_VAGUE: Final = _ANYWHERE | {
    "code",
    "dev",
    "git",
    "main",
    "master",
    "project",
    "projects",
    "repo",
    "repos",
    "src",
    "work",
}
"""Names of a folder that the folder above it tells apart."""
_URL_HEAD: Final = re.compile(r"^[a-z][a-z0-9+.-]*://[^/]*/|^[^/\s]+@[^/:\s]+:")
_GROUPED: Final = re.compile(r"(repo:[^#]+)#[0-9a-f]{12}")
_PATH: Final = re.compile(r"(?<![\w/.:~-])(?:[a-z]:|~|\.{1,2})?(?:[/\\][\w.@+~-]+)*[/\\]([\w.@+~-]+)[/\\]?")
_ID: Final = re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{8,}(?:-[0-9a-f]{4,})*\b")
_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")


def make_task_id(origin: str, prompt: str) -> str:
    """The id of the task that ``prompt`` asks for in the workspace of this ``origin`` ("": none)."""
    return f"repo:{origin}#{_hash(prompt)}" if origin else f"prompt:{_hash(prompt)}"


def group_of(task_id: str) -> str:
    """What has to stay on one side of a split: all tasks of a repository, else the task alone."""
    found = _GROUPED.fullmatch(task_id)
    return found[1] if found else task_id


def find_origin(meta: Mapping[str, Any]) -> str:
    """The repository that a recording says it worked in: its remote, else its folder; "" where it says neither."""
    said = (meta.get(name) for name in ("repository", "repo", "cwd"))
    return next((name for place in said if isinstance(place, str) and (name := name_origin(place))), "")


def name_origin(place: str) -> str:
    """The name of a repository by its remote or its folder, the same for both; "" where the folder could be any.

    Two repositories of one name have one name here, whoever owns them: rather that than one of them on both sides.
    """
    plain = place.strip().replace("\\", "/").casefold().rstrip("/").removesuffix(".git")
    remote = _URL_HEAD.sub("", plain)
    own = _HOMES.sub("", plain)
    path = remote if remote != plain else _WORKTREE.sub("", own)
    parts = [part for part in path.split("/") if part not in ("", ".", "..", "~")]
    if not parts:
        return ""
    if remote != plain:
        return _clean(parts[-1])
    told = next((part for part in reversed(parts) if part not in _VAGUE), "")
    if not told:
        told = next((part for part in reversed(parts) if own != plain or part not in _ANYWHERE), "")
    return _clean(told)


def _clean(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name.removesuffix(".git")).strip("-")[:NAME_CHARS]


def normalise_prompt(prompt: str) -> str:
    """A prompt without what differs between two times that the same is asked: white space, case, where files lie,
    ids and numbers."""
    text = unicodedata.normalize("NFKC", prompt).casefold()
    text = _NUMBER.sub("0", _ID.sub("0", _PATH.sub(r"\1", text)))
    return " ".join(text.split())


@lru_cache(maxsize=256)
def _hash(prompt: str) -> str:
    return hashlib.sha256(normalise_prompt(prompt).encode(errors="replace")).hexdigest()[:12]

"""What is to be played: tasks, models and repeats, each cell with a key by which its session is found again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from apollo_train.runtime import TrainError
from sessions.config import load_config, resolve_model
from sessions.events import ModelSpec, SessionCreated
from sessions.events.text import canonical_json
from sessions.log.reader import LogReader
from sessions.taskfile import load_task

KEY: Final = re.compile(r"\(eval ([0-9a-f]{12})\)$")
"""How the title of an evaluation's session ends."""


class BadEvaluation(TrainError):
    """What was asked for cannot be played; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task file. ``files`` maps what it consists of (itself, scorer's files, workspace) to SHA-256."""

    id: str
    path: Path
    better: str
    scored: bool
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Contender:
    """A model that plays: ``text`` as it was given, ``label`` as it is shown, ``spec`` as it was resolved."""

    text: str
    label: str
    base_url: str | None
    spec: ModelSpec

    def plain(self) -> dict[str, object]:
        """All that says which model it was; an address without the password that may be in it."""
        spec = msgspec.structs.replace(self.spec, base_url=without_password(self.spec.base_url))
        return {"label": self.label, **msgspec.to_builtins(spec)}


@dataclass(frozen=True, slots=True)
class Cell:
    """One session to play. ``key`` changes with task, model, limits and repeat."""

    task: Task
    contender: Contender
    repeat: int
    key: str

    @property
    def title(self) -> str:
        """The session's title, by which an interrupted evaluation knows it again."""
        return f"{self.task.id} · {self.contender.label} · {self.repeat} (eval {self.key})"


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole evaluation. ``limits`` are the words of ``--limit``; the first contender is the base."""

    tasks: tuple[Task, ...]
    contenders: tuple[Contender, ...]
    repeats: int
    limits: tuple[str, ...]

    def cells(self) -> Iterator[Cell]:
        """All cells; models alternate, so that the machine's load falls on all alike."""
        for repeat in range(1, self.repeats + 1):
            for task in self.tasks:
                for contender in self.contenders:
                    identity = [task.id, task.files, contender.plain(), sorted(self.limits), repeat]
                    yield Cell(task, contender, repeat, hashlib.sha256(canonical_json(identity)).hexdigest()[:12])


def find_tasks(paths: Sequence[Path]) -> tuple[Task, ...]:
    """The tasks in files and folders (``*.md`` but README.md), by name. Raises BadEvaluation or TaskFileError."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.glob("*.md") if each.name.lower() != "readme.md")
            if not inside:
                raise BadEvaluation(f"there are no tasks in {path}: expected files NAME.md (docs/tasks.md)")
            files += inside
        else:
            files.append(path)
    tasks: dict[str, Task] = {}
    for file in dict.fromkeys(each.resolve() for each in files):
        if file.stem in tasks:
            raise BadEvaluation(f"two tasks are called {file.stem}: {tasks[file.stem].path} and {file}; rename one")
        tasks[file.stem] = _task(file)
    if not tasks:
        raise BadEvaluation("there are no tasks: name files or folders with --tasks")
    return tuple(tasks.values())


def _task(path: Path) -> Task:
    loaded = load_task(path)
    files = {path.name: _hash(path)}
    for name in loaded.evaluate.files if loaded.evaluate else ():
        files[f"evaluate: {name}"] = _hash(path.parent / name)
    if loaded.workspace:
        files["workspace"] = _hash(loaded.workspace)
    scored = loaded.evaluate is not None or loaded.environment is not None
    better = loaded.evaluate.better if loaded.evaluate else "higher"
    return Task(loaded.id, path, better, scored, files)


def _hash(path: Path) -> str:
    """Of a file's bytes, or of the names and bytes of all files of a folder."""
    try:
        if not path.is_dir():
            return _bytes_hash(path)
        inside = sorted(each for each in path.rglob("*") if each.is_file() or each.is_symlink())
        found = [[str(each.relative_to(path)), _member(each)] for each in inside]
    except OSError as problem:
        raise BadEvaluation(f"{problem.filename or path}: cannot be read: {problem.strerror}") from None
    return hashlib.sha256(canonical_json(found)).hexdigest()


def _member(path: Path) -> str:
    return f"-> {path.readlink()}" if path.is_symlink() else _bytes_hash(path)


def _bytes_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_contenders(models: Sequence[str], base_urls: Sequence[str]) -> tuple[Contender, ...]:
    """The models, with no address, one for all, or one each. Raises BadEvaluation, UnknownModel or ConfigError."""
    if len(base_urls) not in (0, 1, len(models)):
        raise BadEvaluation(f"{len(base_urls)} addresses for {len(models)} models: give --base-url once, or one each")
    for given in base_urls:
        check_url(given)
    urls: Sequence[str | None] = base_urls or (None,)
    if len(urls) == 1:
        urls = (urls[0],) * len(models)
    config = load_config()
    found: list[Contender] = []
    for text, url in zip(models, urls, strict=True):
        spec = resolve_model(text, base_url=url, config=config)
        label = text if models.count(text) == 1 else f"{text} at {without_password(spec.base_url) or 'its default'}"
        if label in [each.label for each in found]:
            raise BadEvaluation(f"{text} is given twice at the same address: there is nothing to compare")
        found.append(Contender(text, label, url, spec))
    return tuple(found)


def check_url(url: str) -> None:
    """Raises BadEvaluation for what is no address of a server."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise BadEvaluation(f"{url!r} is no address: expected one like http://gpu-box:8000/v1")


def without_password(url: str | None) -> str | None:
    """The address, without the user and password that may be in it."""
    if url is None or "@" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def first_titles(reader: LogReader) -> dict[str, str]:
    """What each session of the log was called when it was made, by its id: people may call it otherwise since."""
    titles: dict[str, str] = {}
    for summary in reader.summaries():
        first = reader.event(summary.session, 1)
        body = first.body if first is not None else None
        titles[summary.session] = body.title if isinstance(body, SessionCreated) else summary.title
    return titles


def sessions_of(titles: dict[str, str]) -> dict[str, str]:
    """Cell keys to session ids, from session ids to titles. Raises BadEvaluation for a log that is not ours alone."""
    found: dict[str, str] = {}
    for session, title in titles.items():
        match = KEY.search(title)
        if match is None:
            raise BadEvaluation(
                f"the log has other sessions ({title}), which the end of an evaluation would stop: name another --log"
            )
        found[match.group(1)] = session
    return found

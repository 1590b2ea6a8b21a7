"""From the form of a new session to the request that makes it; what is wrong is said with the field it is in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from sessions.config import Config, resolve_model
from sessions.errors import ApolloError
from sessions.events import Limits
from sessions.host.protocol import CreateSession
from sessions.redaction import scrub_env
from sessions.taskfile import load_task, parse_task
from sessions.ulid import new_ulid

Field = Literal["task", "model", "name", "workspace", "limits"]


class BadField(ApolloError):
    """A field of the form cannot be used; ``field`` says which."""

    def __init__(self, field: Field, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed. ``task`` is the text of a task, or the path of a task file in one line."""

    task: str
    model: str
    name: str = ""
    workspace: str = ""
    limits: str = ""


def request_of(form: Form, config: Config) -> CreateSession:
    """The request. Raises BadField."""
    text = form.task.strip()
    if not text:
        raise BadField("task", "write the task, or the path of a task file")
    path = Path(text).expanduser()
    is_file = "\n" not in text and len(text) < 1024 and path.is_file()
    if not is_file and "\n" not in text and text.endswith(".md"):
        raise BadField("task", f"there is no file {path}")
    try:
        task = load_task(path) if is_file else parse_task(text, Path.cwd() / "task.md")
    except ApolloError as problem:
        raise BadField("task", str(problem)) from problem
    if not form.model.strip():
        raise BadField("model", "choose a model: PROVIDER:NAME, or a profile of the config")
    try:
        model = resolve_model(form.model.strip(), config=config)
    except ApolloError as problem:
        raise BadField("model", str(problem)) from problem
    workspace = task.workspace
    if form.workspace.strip():
        workspace = Path(form.workspace.strip()).expanduser().resolve()
        if not workspace.is_dir():
            raise BadField("workspace", f"there is no folder {workspace}")
    return CreateSession(
        request=new_ulid(),
        title=form.name.strip() or (task.title if is_file or task.title != "task" else _first_words(task.text)),
        task=task.text,
        model=model,
        workspace=str(workspace) if workspace else None,
        tools=task.tools,
        evaluate=task.evaluate,
        environment=task.environment,
        evaluate_base=str(path.resolve().parent) if is_file else None,
        limits=_limits(form.limits, task.limits),
        env=scrub_env(dict(os.environ)),
        key=os.environ.get(model.key_env) if model.key_env else None,
        task_id=task.id if is_file else "",
        tags=task.tags,
        origin="replay" if model.provider == "replay" else ("demo" if model.provider == "demo" else "host"),
    )


def _first_words(text: str) -> str:
    words = text.lstrip("# ").split("\n")[0].split()
    return " ".join(words[:5])[:40]


def _limits(text: str, base: Limits) -> Limits:
    """``steps=200 money=5``: what is named changes, the rest is the task file's."""
    for item in text.replace(",", " ").split():
        name, _, value = item.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if name not in Limits.__struct_fields__ or number <= 0:
            raise BadField("limits", f"{item}: write NAME=NUMBER with a name of {', '.join(Limits.__struct_fields__)}")
        whole = name not in ("money", "active_hours")
        base = msgspec.structs.replace(base, **{name: int(number) if whole else number})
    return base

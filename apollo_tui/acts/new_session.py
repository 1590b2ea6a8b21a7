"""The request that makes a session: from the app's form, whose errors name their field, and from the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

import msgspec

from apollo_tui.acts.agents import check_agent, read_choice
from sessions.config import Config, resolve_model
from sessions.errors import ApolloError
from sessions.events import Containment, Limits, ModelSpec
from sessions.events.session import add_what_is_in_sight
from sessions.host.protocol import Created, CreateSession
from sessions.providers.registry import MODULES
from sessions.redaction import scrub_env
from sessions.taskfile import TaskFile, load_task, parse_task
from sessions.ulid import new_ulid

Field = Literal["task", "model", "base_url", "agent", "name", "workspace", "limits"]

PROVIDERS: Final = tuple(f"{name}:" for name in MODULES)
FRACTIONS: Final = ("money", "active_hours")
"""The limits that need not be whole."""


class BadLimit(ApolloError):
    """A limit of a new session cannot be used."""


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
    agent: str = ""
    """An agent program, as ``read_choice`` reads it; "" for our own agent."""
    name: str = ""
    workspace: str = ""
    limits: str = ""
    base_url: str = ""
    """Where the model is served, in place of what its profile says."""


def model_named(form: Form, config: Config) -> str:
    """What was written for the model; a name alone is one of the server whose URL stands beside it."""
    named = form.model.strip()
    alone = bool(named) and named not in config.profiles and not named.startswith(PROVIDERS)
    return f"openai:{named}" if alone and form.base_url.strip() else named


def request_of(form: Form, config: Config) -> CreateSession:
    """The request, but for its agent: that takes a moment (``with_agent``). Raises BadField."""
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
    named = model_named(form, config)
    if not named:
        raise BadField("model", "choose a model: PROVIDER:NAME, or a profile of the config")
    try:
        model = resolve_model(named, form.base_url.strip() or None, config=config)
    except ApolloError as problem:
        raise BadField("model", str(problem)) from problem
    try:
        if form.agent.strip():
            name, acp = read_choice(form.agent)
            check_agent(name, acp=acp)
    except ApolloError as problem:
        raise BadField("agent", str(problem)) from problem
    workspace = task.workspace
    if form.workspace.strip():
        workspace = Path(form.workspace.strip()).expanduser().resolve()
        if not workspace.is_dir():
            raise BadField("workspace", f"there is no folder {workspace}")
    try:
        limits = limits_with(task.limits, form.limits.replace(",", " ").split())
    except BadLimit as problem:
        raise BadField("limits", str(problem)) from problem
    return session_request(
        new_ulid(),
        task,
        model,
        title=form.name.strip() or (task.title if is_file or task.title != "task" else _first_words(task.text)),
        workspace=workspace,
        limits=limits,
        file=path if is_file else None,
        contained=wished_containment(task, config, named),
        origin="demo" if model.provider == "demo" else "host",
    )


def _first_words(text: str) -> str:
    words = text.lstrip("# ").split("\n")[0].split()
    return " ".join(words[:5])[:40]


def limits_with(base: Limits, items: Iterable[str]) -> Limits:
    """``base`` with what ``steps=200``, ``money=2.5`` and so on say instead. Raises BadLimit."""
    for item in items:
        name, _, value = item.partition("=")
        if name not in Limits.__struct_fields__ or not re.fullmatch(r"\d+\.?\d*|\.\d+", value, re.ASCII):
            raise BadLimit(f"{item}: write NAME=NUMBER with a name of {', '.join(Limits.__struct_fields__)}")
        number = float(value) if name in FRACTIONS else int(float(value))
        base = msgspec.structs.replace(base, **{name: number})
    return base


def wished_containment(
    task: TaskFile, config: Config, model: str, *, inside: str = "", network: str = ""
) -> Containment:
    """What is to contain a session: by option, else by its task file, its model's profile, or the config."""
    settings = config.containment
    profile = config.profiles.get(model)
    return Containment(
        inside=inside or task.inside or (profile.inside if profile else "") or settings.inside,
        network=cast("Literal['off', 'all', '']", network or task.network or settings.network),
        read=(*settings.read, *task.read),
        write=(*settings.write, *task.write),
        limits=settings.limits,
    )


def explain_containment(created: Created) -> str:
    """One line that says what contains a new session, and why nothing better does; "" if nothing better is known."""
    contained = created.contained
    if contained is None or not contained.why_not:
        return ""
    return f"it is {add_what_is_in_sight(contained.words)} ({contained.why_not})"


def session_request(
    request: str,
    task: TaskFile,
    model: ModelSpec,
    *,
    title: str,
    workspace: Path | None,
    limits: Limits,
    file: Path | None,
    contained: Containment | None = None,
    origin: Literal["host", "demo"] = "host",
) -> CreateSession:
    """A new session of ``task``, read from ``file`` (None: it was typed). The key never reaches the log."""
    return CreateSession(
        request=request,
        title=title,
        task=task.text,
        model=model,
        workspace=str(workspace) if workspace else None,
        tools=task.tools,
        evaluate=task.evaluate,
        evaluate_base=str(file.resolve().parent) if file else None,
        environment=task.environment,
        limits=limits,
        env=scrub_env(dict(os.environ)),
        key=os.environ.get(model.key_env) if model.key_env else None,
        task_id=task.id if file else "",
        tags=task.tags,
        stream=task.stream,
        contained=contained,
        terms=task.terms,
        origin="replay" if model.provider == "replay" else origin,
    )

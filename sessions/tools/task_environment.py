"""The environment of a task as tools: a Python entry point that the task names, imported only then.

``environment: package.module:factory`` in a task file names a callable. It is given a ``Setting`` and returns the tools
that the agent has besides the product's own. It is called when the session is made, so that a mistake is told at once,
and again whenever a host takes the session over: what a tool must remember belongs into ``Setting.folder``.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from sessions.errors import ApolloError
from sessions.events import EnvironmentSpec
from sessions.tools import schema
from sessions.tools.base import Arguments, Tool
from sessions.tools.registry import NAMES

ENTRY: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class BadEnvironment(ApolloError):
    """The task's environment cannot be had; the text names the entry point and says why."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a factory is told of the session that it makes tools for."""

    session: str
    workspace: Path
    folder: Path
    """The environment's own folder, made when first asked for; the agent's file tools do not reach it."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """As the task gives them."""


def is_entry(text: str) -> bool:
    """Whether ``text`` has the form ``package.module:factory``."""
    return ENTRY.fullmatch(text) is not None


def environment_tools(spec: EnvironmentSpec | None, *, session: str, workspace: Path, folder: Path) -> dict[str, Tool]:
    """The tools of a session's environment by name; ``folder`` is the session's own. Imports what the task names.

    Raises BadEnvironment. Without ``spec`` there are none, and nothing is imported.
    """
    if spec is None:
        return {}
    own = folder / "environment"
    setting = Setting(session, workspace, own, spec.options)
    factory = _factory(spec.factory)
    try:
        own.mkdir(parents=True, exist_ok=True)
        made = list(factory(setting))
    except (Exception, SystemExit) as error:
        raise BadEnvironment(f"the environment {spec.factory} could not be made: {_error_text(error)}") from error
    return _check_tools(spec.factory, made)


def _factory(entry: str) -> Callable[[Setting], Iterable[Tool]]:
    if not is_entry(entry):
        raise BadEnvironment(f"the environment {entry!r} is no entry point: expected package.module:factory")
    module, _, name = entry.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (Exception, SystemExit) as error:
        raise BadEnvironment(
            f"the environment {entry} cannot be imported: {_error_text(error)}; "
            "install the module where the host's Python finds it"
        ) from error
    if not callable(found):
        raise BadEnvironment(f"the environment {entry}: the module {module} has no callable {name!r}")
    factory: Callable[[Setting], Iterable[Tool]] = found
    return factory


def _check_tools(entry: str, made: list[Tool]) -> dict[str, Tool]:
    """The tools by name, after a look at all that a model will be told of them."""
    tools: dict[str, Tool] = {}
    for tool in made:
        name, arguments = getattr(tool, "name", None), getattr(tool, "arguments", None)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not callable(getattr(tool, "run", None)):
            raise BadEnvironment(f"the environment {entry}: {tool!r} is no tool (name, arguments, run)")
        if name in NAMES or name in tools:
            raise BadEnvironment(f"the environment {entry}: there is a tool {name!r} already; give it another name")
        if not (isinstance(arguments, type) and issubclass(arguments, Arguments)):
            raise BadEnvironment(f"the environment {entry}: the arguments of {name!r} are no subclass of Arguments")
        try:
            schema.parameters(arguments)
        except (TypeError, msgspec.ValidationError) as error:
            raise BadEnvironment(f"the environment {entry}: no schema for {name!r}: {_error_text(error)}") from error
        tools[name] = tool
    if not tools:
        raise BadEnvironment(f"the environment {entry} made no tool")
    return tools


def _error_text(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

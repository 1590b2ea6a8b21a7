"""All tools by name: what the model is told of them, and what it wrote turned into typed arguments or into words."""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, cast

import msgspec

from sessions.events.text import valid_unicode
from sessions.providers.base import ToolSchema
from sessions.tools import schema
from sessions.tools.ask_human import AskHuman
from sessions.tools.base import Arguments, Tool
from sessions.tools.edits import EditFile, WriteFile
from sessions.tools.evaluate import Evaluate
from sessions.tools.finish import Finish
from sessions.tools.jobs import JobInput, JobKill, JobOutput
from sessions.tools.plan import Plan
from sessions.tools.read_file import ReadFile
from sessions.tools.run import Run
from sessions.tools.search import Search
from sessions.tools.wait import Wait

_ALL: Final[tuple[Tool, ...]] = (
    Run(),
    JobOutput(),
    JobInput(),
    JobKill(),
    Wait(),
    ReadFile(),
    WriteFile(),
    EditFile(),
    Search(),
    Plan(),
    Evaluate(),
    AskHuman(),
    Finish(),
)
TOOLS: Final[dict[str, Tool]] = {tool.name: tool for tool in _ALL}
NAMES: Final[tuple[str, ...]] = tuple(TOOLS)
"""Every tool, in the order in which models are told of them."""
NO_TOOLS: Final[Mapping[str, Tool]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class MalformedCall:
    """A call that cannot be run; ``problem`` tells the model what was wrong and what was expected."""

    why: Literal["malformed", "unknown_tool"]
    problem: str


def names_for(tools: Collection[str], *, has_scorer: bool, own: Collection[str] = ()) -> tuple[str, ...]:
    """The tools of a session: those it names (none: all), always ``finish``, and ``evaluate`` only with a scorer.

    ``own`` are the tools of its environment, which it always has; they come first.
    """
    wanted = set(tools or NAMES) | {"finish"}
    return (*own, *(name for name in NAMES if name in wanted and (has_scorer or name != "evaluate")))


@functools.cache
def _schema(name: str, arguments: type[Arguments]) -> ToolSchema:
    return ToolSchema(name, schema.description(arguments), schema.parameters(arguments))


def schemas(names: Sequence[str] = NAMES, own: Mapping[str, Tool] = NO_TOOLS) -> list[ToolSchema]:
    """What the model is told of these tools, in this order."""
    return [_schema(name, find_tool(name, own).arguments) for name in names]


def find_tool(name: str, own: Mapping[str, Tool] = NO_TOOLS) -> Tool:
    """The tool of that name: one of the environment's ``own``, or the product's."""
    return own[name] if name in own else TOOLS[name]


def decode(
    name: str, text: str, names: Sequence[str] = NAMES, own: Mapping[str, Tool] = NO_TOOLS
) -> Arguments | MalformedCall:
    """The arguments of a call of ``name``, whose JSON text the model wrote; blank text counts as ``{}``.

    ``names`` are the tools that this session has, ``own`` those of them that its environment brings.
    """
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        hint = f" Did you mean {_or(near)}?" if near else ""
        return MalformedCall("unknown_tool", f"There is no tool {name!r}.{hint} The tools are: {', '.join(names)}.")
    arguments = find_tool(name, own).arguments
    expected = f".{_describe_arguments(name, arguments)}"
    try:
        value = json.loads(text) if text.strip() else {}
    except RecursionError:
        return MalformedCall("malformed", f"The arguments of {name} are nested too deeply.")
    except ValueError as error:
        return MalformedCall("malformed", f"The arguments of {name} are no valid JSON: {error}{expected}")
    if not isinstance(value, dict):
        kind = {list: "an array", str: "a string", type(None): "null"}.get(type(value), f"{value}")
        return MalformedCall("malformed", f"The arguments of {name} must be a JSON object, not {kind}{expected}")
    try:
        return msgspec.convert(_clean(value), arguments)
    except msgspec.ValidationError as error:
        return MalformedCall("malformed", f"The arguments of {name} are wrong: {_in_words(error)}{expected}")


def as_json(arguments: Arguments) -> dict[str, Any]:
    """The arguments as a JSON object, defaults included, for the log."""
    return cast("dict[str, Any]", msgspec.to_builtins(arguments))


def _clean(value: Any) -> Any:
    """``value`` with U+FFFD for escapes of lone surrogates, which no file and no log can hold."""
    if isinstance(value, str):
        return valid_unicode(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {valid_unicode(key): _clean(item) for key, item in value.items()}
    return value


def _in_words(error: msgspec.ValidationError) -> str:
    """``timeout: expected `float`, got `str``` instead of a path at the end."""
    text, _, place = str(error).partition(" - at `$")
    text = re.sub(r"^Object (missing|contains)", r"\1", text)
    where = place.rstrip("`").lstrip(".")
    return f"{where}: {text[0].lower()}{text[1:]}" if where else f"{text[0].lower()}{text[1:]}"


def _describe_arguments(name: str, arguments: type[Arguments]) -> str:
    parameters = _schema(name, arguments).parameters
    required = parameters.get("required", [])
    descriptions = [
        f"{key} ({_type(field)}{', required' if key in required else ''})"
        for key, field in parameters["properties"].items()
    ]
    return f" Expected: {', '.join(descriptions)}." if descriptions else " It takes no arguments: {}."


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(json.dumps(value) for value in field["enum"])
    return str(field.get("type", "any"))


def _or(names: Sequence[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)

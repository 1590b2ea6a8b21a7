"""Task files: Markdown whose text is the instruction, with optional YAML front matter.

Errors name file, line and what was expected. Nothing of YAML beyond mappings, lists and scalars is needed, so the
front matter is read from its nodes, which know their lines.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

import msgspec
import yaml

from sessions.errors import ApolloError
from sessions.events import EnvironmentSpec, EvaluateSpec, Handover, Limits, Terms

FENCE: Final = re.compile(r"(---|\.\.\.)[ \t]*")
MAX_BYTES: Final = 1024 * 1024
NO_LIMITS: Final = Limits()
NO_TERMS: Final = Terms()


class TaskFileError(ApolloError):
    """``FILE:LINE: what is wrong; what was expected``."""


@dataclass(frozen=True, slots=True)
class TaskFile:
    """One task. ``id`` is the file's name without its ending; ``workspace`` is absolute; ``tools`` empty: all."""

    id: str
    title: str
    text: str
    workspace: Path | None = None
    evaluate: EvaluateSpec | None = None
    environment: EnvironmentSpec | None = None
    limits: Limits = NO_LIMITS
    tools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    inside: str = ""
    """What is to contain the session; "": what profile or config say."""
    network: Literal["", "off", "all"] = ""
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    terms: Terms = NO_TERMS
    stream: Handover | None = None
    """How an agent program is handed replies; None: what its preset or the config say."""


def load_task(path: Path) -> TaskFile:
    """Read and check a task file. Raises TaskFileError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TaskFileError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise TaskFileError(f"{path}: {len(data):,} bytes is too long for a task; expected at most {MAX_BYTES:,}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TaskFileError(f"{path}:{line}: not valid UTF-8; expected a text file in UTF-8") from None
    return parse_task(text, path)


def parse_task(text: str, path: Path) -> TaskFile:
    """The task in ``text``; ``path`` names it, and relative paths in it are relative to its folder."""
    front, body, first_line = _split(text, path)
    if not body.strip():
        raise TaskFileError(f"{path}:{first_line}: there is no text; expected the instruction for the agent")
    reader = _Reader(path)
    root = reader.compose(front)
    fields = {} if root is None else reader.mapping(root, "", _FIELDS)
    return TaskFile(
        id=path.stem,
        title=fields.get("title") or _heading(body) or path.stem,
        text=body.strip() + "\n",
        workspace=fields.get("workspace"),
        evaluate=fields.get("evaluate"),
        environment=fields.get("environment"),
        limits=fields.get("limits", NO_LIMITS),
        tools=fields.get("tools", ()),
        tags=fields.get("tags", ()),
        inside=fields.get("inside", ""),
        network=fields.get("network", ""),
        read=fields.get("read", ()),
        write=fields.get("write", ()),
        stream=fields.get("stream"),
        terms=Terms(**{name: fields[name] for name in Terms.__struct_fields__ if name in fields}),
    )


def _split(text: str, path: Path) -> tuple[str, str, int]:
    """Front matter (without its fences), instruction, and the line on which the instruction begins."""
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines or lines[0].rstrip() != "---":
        return "", text, 1
    for number, line in enumerate(lines[1:], 2):
        if FENCE.fullmatch(line):
            # Line 1 of the file becomes an empty line, so that the YAML's lines are the file's.
            return "\n".join(["", *lines[1 : number - 1]]), "\n".join(lines[number:]), number + 1
    raise TaskFileError(f"{path}:1: the front matter has no end; expected a line with --- after it")


def _heading(body: str) -> str:
    found = re.match(r"#{1,3}[ \t]+(.+?)[ \t#]*$", body.lstrip(), re.MULTILINE)
    return found.group(1) if found else ""


class _Reader:
    """Turns YAML nodes into values, and every surprise into a line number."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def compose(self, front: str) -> yaml.Node | None:
        try:
            return yaml.compose(front, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            raise TaskFileError(f"{self.path}:{line}: {error.problem or error.context}; expected valid YAML") from None
        except (yaml.YAMLError, RecursionError) as error:
            raise TaskFileError(f"{self.path}:1: {str(error).splitlines()[0]}; expected valid YAML") from None

    def fail(self, node: yaml.Node, name: str, expected: str) -> NoReturn:
        where = f"{name}: " if name else ""
        line = node.start_mark.line + 1
        raise TaskFileError(f"{self.path}:{line}: {where}expected {expected}, got {_describe(node)}")

    def mapping(self, node: yaml.Node, name: str, fields: Mapping[str, _Field]) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, name, f"a mapping with the keys {', '.join(fields)}")
        found: dict[str, Any] = {}
        for key_node, value in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            whole = f"{name}.{key}" if name else key
            line = key_node.start_mark.line + 1
            if key not in fields:
                near = difflib.get_close_matches(str(key), fields, n=1)
                hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(fields)}"
                raise TaskFileError(
                    f"{self.path}:{line}: unknown key {_describe(key_node)}{f' in {name}' if name else ''}; {hint}"
                )
            if key in found:
                raise TaskFileError(f"{self.path}:{line}: {whole} is given twice; expected it once")
            found[key] = fields[key](self, value, whole)
        return found

    def text(self, node: yaml.Node, name: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null" or not node.value.strip():
            self.fail(node, name, "a text")
        return str(node.value)

    def texts(self, node: yaml.Node, name: str) -> tuple[str, ...]:
        if isinstance(node, yaml.ScalarNode) and node.value.strip():
            return (self.text(node, name),)
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, name, "a list of texts")
        return tuple(self.text(item, name) for item in node.value)

    def number(self, node: yaml.Node, name: str, *, whole: bool, above: float) -> float:
        expected = f"a {'whole ' if whole else ''}number above {above:g}" if above >= 0 else "a whole number from 0 on"
        text = node.value.replace("_", "") if isinstance(node, yaml.ScalarNode) and not node.style else ""
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            self.fail(node, name, expected)
        if not above < value < float("inf"):
            self.fail(node, name, expected)
        return value


_Field = Callable[[_Reader, yaml.Node, str], Any]


def _whole(above: int) -> _Field:
    return lambda reader, node, name: int(reader.number(node, name, whole=True, above=above))


def _amount(reader: _Reader, node: yaml.Node, name: str) -> float:
    return reader.number(node, name, whole=False, above=0)


def _workspace(reader: _Reader, node: yaml.Node, name: str) -> Path:
    path = (reader.path.parent / Path(reader.text(node, name)).expanduser()).resolve()
    if not path.is_dir():
        reader.fail(node, name, f"a folder that exists ({path} does not)")
    return path


def _evaluate(reader: _Reader, node: yaml.Node, name: str) -> EvaluateSpec:
    fields = reader.mapping(node, name, _EVALUATE)
    if "command" not in fields:
        line = node.start_mark.line + 1
        raise TaskFileError(f"{reader.path}:{line}: {name}: there is no command; expected the scorer's command")
    return EvaluateSpec(**fields)


def _better(reader: _Reader, node: yaml.Node, name: str) -> str:
    value = reader.text(node, name)
    if value not in ("higher", "lower"):
        reader.fail(node, name, "higher or lower")
    return value


def _files(reader: _Reader, node: yaml.Node, name: str) -> tuple[str, ...]:
    names = reader.texts(node, name)
    for each in names:
        if not (reader.path.parent / each).exists():
            reader.fail(node, name, f"files that exist, relative to {reader.path.parent} ({each} does not)")
    return names


def _limits(reader: _Reader, node: yaml.Node, name: str) -> Limits:
    return msgspec.structs.replace(NO_LIMITS, **reader.mapping(node, name, _LIMITS))


def _tools(reader: _Reader, node: yaml.Node, name: str) -> tuple[str, ...]:
    from sessions.tools.registry import NAMES

    names = reader.texts(node, name)
    for each in names:
        if each not in NAMES:
            near = difflib.get_close_matches(each, NAMES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
            reader.fail(node, name, f"names of tools ({each} is none; {hint})")
    return names


def _environment(reader: _Reader, node: yaml.Node, name: str) -> EnvironmentSpec:
    if isinstance(node, yaml.MappingNode):
        fields = reader.mapping(node, name, _ENVIRONMENT)
        if "factory" not in fields:
            line = node.start_mark.line + 1
            raise TaskFileError(f"{reader.path}:{line}: {name}: there is no factory; expected package.module:factory")
        return EnvironmentSpec(**fields)
    return EnvironmentSpec(_entry(reader, node, name))


def _entry(reader: _Reader, node: yaml.Node, name: str) -> str:
    from sessions.tools.task_environment import is_entry

    text = reader.text(node, name)
    if not is_entry(text):
        reader.fail(node, name, "a Python entry point, package.module:factory")
    return text


def _options(reader: _Reader, node: yaml.Node, name: str) -> dict[str, Any]:
    """Plain values for the factory, which alone knows their names."""
    if not isinstance(node, yaml.MappingNode):
        reader.fail(node, name, "a mapping")
    try:
        found = yaml.SafeLoader("").construct_mapping(node, deep=True)
        # What JSON cannot say (a date, a NaN) cannot be in the log.
        return msgspec.convert(json.loads(json.dumps(found, allow_nan=False)), dict[str, Any])
    except (yaml.YAMLError, TypeError, ValueError):
        reader.fail(node, name, "plain texts, numbers, lists and mappings")


def _network(reader: _Reader, node: yaml.Node, name: str) -> str:
    value = node.value if isinstance(node, yaml.ScalarNode) else ""
    if value not in ("off", "all"):
        reader.fail(node, name, "off or all")
    return str(value)


def _stream(reader: _Reader, node: yaml.Node, name: str) -> str:
    value = reader.text(node, name)
    if value not in ("buffered", "pass"):
        reader.fail(node, name, "buffered or pass")
    return value


def _places(reader: _Reader, node: yaml.Node, name: str) -> tuple[str, ...]:
    """Files or folders that exist, absolute or relative to the task file."""
    found = []
    for each in reader.texts(node, name):
        path = (reader.path.parent / Path(each).expanduser()).resolve()
        if not path.exists():
            reader.fail(node, name, f"files or folders that exist ({path} does not)")
        found.append(str(path))
    return tuple(found)


_ENVIRONMENT: Final[dict[str, _Field]] = {"factory": _entry, "options": _options}
_EVALUATE: Final[dict[str, _Field]] = {
    "command": _Reader.text,
    "better": _better,
    "timeout": _amount,
    "files": _files,
}
_LIMITS: Final[dict[str, _Field]] = {
    "steps": _whole(0),
    "active_hours": _amount,
    "tokens": _whole(0),
    "money": _amount,
    "evaluations": _whole(-1),
}
_FIELDS: Final[dict[str, _Field]] = {
    "title": _Reader.text,
    "workspace": _workspace,
    "evaluate": _evaluate,
    "environment": _environment,
    "limits": _limits,
    "tools": _tools,
    "tags": _Reader.texts,
    "inside": _Reader.text,
    "network": _network,
    "read": _places,
    "write": _places,
    "stream": _stream,
    **dict.fromkeys(Terms.__struct_fields__, _Reader.text),
}


def _describe(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value[:60]) if node.value else "nothing"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"

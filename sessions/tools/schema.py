"""The JSON Schema that a model is shown for a tool's arguments: one inline object, in words every server takes."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from sessions.tools.base import Arguments


def description(arguments: type[Arguments]) -> str:
    """What the tool does: the docstring of its arguments, a paragraph in one line."""
    paragraphs = inspect.cleandoc(arguments.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def parameters(arguments: type[Arguments]) -> dict[str, Any]:
    """The schema of ``arguments``, without references, titles, and alternatives with null."""
    whole = msgspec.json.schema(arguments)
    schema: dict[str, Any] = _plain(whole, whole.get("$defs", {}))
    schema.pop("description", None)
    return schema


def _plain(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_plain(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        node = {**definitions[node["$ref"].rsplit("/", 1)[-1]], **rest}
    if "anyOf" in node:
        # ``int | None = None`` is told as an optional integer: some servers choke on a choice of types.
        kinds = [kind for kind in node["anyOf"] if kind != {"type": "null"}]
        if len(kinds) == 1:
            node = {**kinds[0], **{key: value for key, value in node.items() if key != "anyOf"}}
    if node.get("default", "") is None:
        node = {key: value for key, value in node.items() if key != "default"}
    if "enum" in node and all(isinstance(value, str) for value in node["enum"]):
        node = {"type": "string", **node}
    return {
        key: _plain_properties(value, definitions) if key == "properties" else _plain(value, definitions)
        for key, value in node.items()
        if key not in ("title", "$defs")
    }


def _plain_properties(properties: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(schema, definitions) for name, schema in properties.items()}

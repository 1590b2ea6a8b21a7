"""What a template does not render, found by rendering small conversations: nothing is ever left out unnoticed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from apollo_train.templates.engine import Engine, TemplateRefused

_TOOL = {
    "type": "function",
    "function": {
        "name": "xtoolx",
        "description": "xaboutx",
        "parameters": {"type": "object", "properties": {"xkeyx": {"type": "string"}}},
    },
}


@dataclass(frozen=True, slots=True)
class TemplateTraits:
    """What a template can say."""

    system: bool
    reasoning: bool
    """The reasoning of the last reply is rendered."""
    schemas: bool
    """The tools on offer are rendered."""
    calls: bool
    """Calls and their results are rendered."""
    objects: bool
    """Arguments must be objects; else they must be JSON text."""
    runs: bool
    """Two user turns may follow each other, as advice follows a task."""


def probe_template(engine: Engine) -> TemplateTraits:
    """What this template renders."""
    user = {"role": "user", "content": "xaskedx"}
    answer = {"role": "assistant", "content": "xsaidx", "reasoning_content": "xthoughtx"}
    system = _render(engine, [{"role": "system", "content": "xsystemx"}, user], generation=True)
    thought = _render(engine, [user, answer])
    offered = _render(engine, [user], tools=[_TOOL], generation=True)
    called = {objects: _render(engine, [user, *_call_with_result(objects)], tools=[_TOOL]) for objects in (True, False)}
    whole = ("xtoolx", "xkeyx", "xvaluex", "xresultx")
    good = {objects: all(word in text for word in whole) and not _is_mangled(text) for objects, text in called.items()}
    return TemplateTraits(
        system="xsystemx" in system,
        reasoning="xthoughtx" in thought,
        schemas="xtoolx" in offered,
        calls=good[True] or good[False],
        objects=good[True] or not good[False],
        runs="xaskedx" in _render(engine, [user, user]),
    )


def _call_with_result(objects: bool) -> list[dict[str, Any]]:
    arguments: Any = {"xkeyx": "xvaluex"}
    function = {"name": "xtoolx", "arguments": arguments if objects else json.dumps(arguments)}
    return [
        {"role": "assistant", "content": "", "tool_calls": [{"id": "x1", "type": "function", "function": function}]},
        {"role": "tool", "content": "xresultx", "tool_call_id": "x1"},
    ]


def _is_mangled(text: str) -> bool:
    """A JSON text quoted once more, or an object printed as Python does."""
    return '\\"xkeyx' in text or "'xkeyx'" in text


def _render(
    engine: Engine,
    messages: list[dict[str, Any]],
    *,
    tools: list[dict[str, Any]] | None = None,
    generation: bool = False,
) -> str:
    try:
        return engine.render(messages, tools or [], generation=generation, thinking=True)
    except TemplateRefused:
        return ""

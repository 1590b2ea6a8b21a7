"""A chat template as text, rendered as transformers renders it; jinja2 is imported when one is rendered first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apollo_train.templates.engine import TemplateRefused

SAID_CHARS = 200
"""What a template says is quoted up to here."""


@dataclass
class JinjaTemplate:
    """A template. ``values``: what its tokenizer puts in, like ``bos_token``."""

    text: str
    values: Mapping[str, str] = field(default_factory=dict)
    _compiled: Any = field(default=None, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Other processes compile it themselves."""
        return {**self.__dict__, "_compiled": None}

    def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any], *, generation: bool) -> str:
        """The text of a conversation. Raises TemplateRefused in the template's own words."""
        import jinja2

        try:
            if self._compiled is None:
                self._compiled = _compile(self.text)
            named = [_name_reasoning(message) for message in messages]
            offered = list(tools) or None
            made = self._compiled.render(messages=named, tools=offered, add_generation_prompt=generation, **self.values)
        # Whatever is raised inside a template is what its trainer would stop at.
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as problem:
            said = " ".join(str(problem).split()) or type(problem).__name__
            raise TemplateRefused(said[:SAID_CHARS]) from problem
        return str(made)


def _name_reasoning(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message with its reasoning under the other name that templates look for."""
    thought = message.get("reasoning_content")
    return message if thought is None else {"thinking": thought, **message}


def _compile(text: str) -> Any:
    """The template in a sandbox: it is foreign code."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """``{% generation %}`` marks what is trained, in templates made for it."""

        tags = {"generation"}  # noqa: RUF012 - as jinja2 wants it

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = _dump
    # A row is the same whenever it is rendered.
    made.globals |= {"raise_exception": refuse, "strftime_now": lambda _: ""}
    return made.from_string(text)


def _dump(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """JSON as chat templates write it: nothing is escaped for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

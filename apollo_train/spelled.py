"""Qwen 3's chat template spelled out: tools, calls, results and reasoning as text in messages of role and content.

For trainers whose renderer puts the template's header and end around each text, and whose loader cannot keep calls.
A test compares it with the template itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from apollo_train.chat import Chat
from apollo_train.context import Turn

Flagged = tuple[Turn, bool | None]
"""A turn, and whether it is trained; None where it is no reply."""

T = TypeVar("T")
KEPT: Final = 8192
"""Turns that are remembered."""
NOTHING: Final = Turn({})
"""Where a conversation has no system turn."""
TOOLS: Final = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>{}\n</tools>\n\n"
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML "
    'tags:\n<tool_call>\n{{"name": <function-name>, "arguments": <args-json-object>}}\n</tool_call>'
)


class Spelling:
    """Remembers what it said: a step sample repeats all turns of the one before."""

    def __init__(self) -> None:
        # By the turn's id and what it depends on; the turn is held too, so that its id stays its own.
        self._said: dict[tuple[int, object], tuple[object, Turn]] = {}

    def spelled(self, made: list[Flagged], tools: list[dict[str, Any]]) -> list[Flagged]:
        """The conversation; results that follow each other are one turn. The newest round keeps its reasoning."""
        if len(self._said) > KEPT:
            self._said.clear()
        newest = next((at for at in reversed(range(len(made))) if _is_query(made[at][0].chat)), len(made))
        said = list(self._turns(made, newest))
        if not tools:
            return said
        first = said.pop(0)[0] if said and said[0][0].chat["role"] == "system" else NOTHING
        return [(self._once(first, id(tools), _offering, tools), None), *said]

    def _turns(self, made: list[Flagged], newest: int) -> Iterator[Flagged]:
        results: list[Turn] = []
        for at, (turn, flag) in enumerate(made):
            role = turn.chat["role"]
            if role == "tool":
                results.append(turn)
                continue
            if results:
                yield self._results(results), None
                results = []
            if role == "assistant":
                framed = at > newest and (at == len(made) - 1 or bool(_said_and_thought(turn.chat)[1]))
                yield self._once(turn, framed, _reply, framed), flag
            else:
                yield self._once(turn, "", _plain, None), flag
        if results:
            yield self._results(results), None

    def _results(self, turns: list[Turn]) -> Turn:
        more = tuple(id(turn) for turn in turns[1:])
        return self._once(turns[0], more, _shown, turns)

    def _once(self, turn: Turn, key: object, make: Callable[[Turn, T], Turn], told: T) -> Turn:
        known = self._said.get((id(turn), key))
        if known is None:
            known = self._said[id(turn), key] = ((turn, told), make(turn, told))
        return known[1]


def _is_query(chat: Chat) -> bool:
    """Whether the template takes it for a question: its reasoning is dropped before the last one."""
    text = chat["content"]
    shown = text.startswith("<tool_response>") and text.endswith("</tool_response>")
    return chat["role"] == "user" and not shown


def _offering(first: Turn, tools: list[dict[str, Any]]) -> Turn:
    """The system turn, with the tools that are offered."""
    listed = TOOLS.format("".join(f"\n{_dumped(tool)}" for tool in tools))
    before = "" if first is NOTHING else f"{first.chat['content']}\n\n"
    return _text(first, "system", before + listed)


def _plain(turn: Turn, _: None) -> Turn:
    return _text(turn, turn.chat["role"], turn.chat["content"])


def _shown(_: Turn, turns: list[Turn]) -> Turn:
    """Results, in one turn of the user."""
    text = "\n".join(f"<tool_response>\n{turn.chat['content']}\n</tool_response>" for turn in turns)
    return Turn({"role": "user", "content": text}, tuple(source for turn in turns for source in turn.sources))


def _reply(turn: Turn, framed: bool) -> Turn:
    """What the template writes between a reply's header and its stop token."""
    content, thought = _said_and_thought(turn.chat)
    calls = [_call(call["function"]) for call in turn.chat.get("tool_calls", ())]
    head = "<think>\n" + thought.strip("\n") + "\n</think>\n\n" + content.lstrip("\n") if framed else content
    return _text(turn, "assistant", head + ("\n" if calls and content else "") + "\n".join(calls))


def _said_and_thought(chat: Chat) -> tuple[str, str]:
    """A reply's text and its reasoning, which the template also finds in a text where a server left it there."""
    content: str = chat["content"]
    thought = chat.get("reasoning_content")
    if isinstance(thought, str) or "</think>" not in content:
        return content, thought or ""
    first, *_, last = content.split("</think>")
    return last.lstrip("\n"), first.rstrip("\n").split("<think>")[-1].lstrip("\n")


def _call(function: dict[str, Any]) -> str:
    arguments = function["arguments"]
    name: str = function["name"]
    said = arguments if isinstance(arguments, str) else _dumped(arguments)
    return '<tool_call>\n{"name": "' + name + '", "arguments": ' + said + "}\n</tool_call>"


def _text(turn: Turn, role: str, text: str) -> Turn:
    return Turn({"role": role, "content": text}, turn.sources)


def _dumped(value: Any) -> str:
    """JSON as chat templates write it."""
    return json.dumps(value, ensure_ascii=False)

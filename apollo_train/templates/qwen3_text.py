"""Conversations in the words of Qwen 3's template, for loaders that take a role and a text and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from apollo_train.samples.chat import Chat, Turn
from apollo_train.templates.turn_cache import TurnCache

MarkedTurn = tuple[Turn, bool | None]
"""A turn, and whether it is trained; None where it is no reply."""

NOTHING: Final = Turn({})
"""Where a conversation has no system turn."""
TOOLS: Final = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>{}\n</tools>\n\n"
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML "
    'tags:\n<tool_call>\n{{"name": <function-name>, "arguments": <args-json-object>}}\n</tool_call>'
)


class Qwen3Text:
    r"""Writes conversations as Qwen 3's template would, each turn once: a step sample repeats those of the one before.

    A call with its result, in the round after the newest question:

        assistant: reasoning "Look.", call run {"command": "ls"}
        tool: "a.txt"

    becomes

        assistant: "<think>\nLook.\n</think>\n\n<tool_call>\n{"name": "run", "arguments": {…}}\n</tool_call>"
        user: "<tool_response>\na.txt\n</tool_response>"
    """

    def __init__(self) -> None:
        self._cache = TurnCache()
        self._tools: list[dict[str, Any]] = []
        self._offer = ""
        """The newest tools as the system turn offers them: all samples of a session share the list."""

    def write(self, turns: list[MarkedTurn], tools: list[dict[str, Any]]) -> list[MarkedTurn]:
        """The conversation; results that follow each other are one turn. The newest round keeps its reasoning."""
        newest = next((at for at in reversed(range(len(turns))) if _is_query(turns[at][0].chat)), len(turns))
        written = list(self._write_turns(turns, newest))
        if not tools:
            return written
        first = written.pop(0)[0] if written and written[0][0].chat["role"] == "system" else NOTHING
        return [(self._write_system(first, tools), None), *written]

    def _write_turns(self, turns: list[MarkedTurn], newest: int) -> Iterator[MarkedTurn]:
        results: list[Turn] = []
        for at, (turn, flag) in enumerate(turns):
            role = turn.chat["role"]
            if role == "tool":
                results.append(turn)
                continue
            if results:
                yield self._write_results(tuple(results)), None
                results = []
            if role == "assistant":
                framed = at > newest and (at == len(turns) - 1 or bool(_split_reasoning(turn.chat)[1]))
                yield self._write_reply(turn, framed), flag
            else:
                yield self._cache.get_or_make((turn,), _copy_text, turn), flag
        if results:
            yield self._write_results(tuple(results)), None

    def _write_system(self, first: Turn, tools: list[dict[str, Any]]) -> Turn:
        if self._tools is not tools:
            self._tools, self._offer = tools, TOOLS.format("".join(f"\n{_dump(tool)}" for tool in tools))
        return self._cache.get_or_make((first, self._offer), _write_system, first, self._offer)

    def _write_results(self, turns: tuple[Turn, ...]) -> Turn:
        return self._cache.get_or_make(("results", *turns), _write_results, turns)

    def _write_reply(self, turn: Turn, framed: bool) -> Turn:
        return self._cache.get_or_make((turn, framed), _write_reply, turn, framed)


def _is_query(chat: Chat) -> bool:
    """Whether the template takes it for a question: its reasoning is dropped before the last one."""
    text = chat["content"]
    shown = text.startswith("<tool_response>") and text.endswith("</tool_response>")
    return chat["role"] == "user" and not shown


def _write_system(first: Turn, offer: str) -> Turn:
    """The system turn, with the tools that are offered."""
    before = "" if first is NOTHING else f"{first.chat['content']}\n\n"
    return _text(first, "system", before + offer)


def _copy_text(turn: Turn) -> Turn:
    return _text(turn, turn.chat["role"], turn.chat["content"])


def _write_results(turns: tuple[Turn, ...]) -> Turn:
    """Results, in one turn of the user."""
    text = "\n".join(f"<tool_response>\n{turn.chat['content']}\n</tool_response>" for turn in turns)
    return Turn({"role": "user", "content": text}, tuple(source for turn in turns for source in turn.sources))


def _write_reply(turn: Turn, framed: bool) -> Turn:
    """What the template writes between a reply's header and its stop token."""
    content, thought = _split_reasoning(turn.chat)
    calls = [_write_call(call["function"]) for call in turn.chat.get("tool_calls", ())]
    head = "<think>\n" + thought.strip("\n") + "\n</think>\n\n" + content.lstrip("\n") if framed else content
    return _text(turn, "assistant", head + ("\n" if calls and content else "") + "\n".join(calls))


def _split_reasoning(chat: Chat) -> tuple[str, str]:
    """A reply's text and its reasoning, which the template also finds in a text where a server left it there."""
    content: str = chat["content"]
    thought = chat.get("reasoning_content")
    if isinstance(thought, str) or "</think>" not in content:
        return content, thought or ""
    first, *_, last = content.split("</think>")
    return last.lstrip("\n"), first.rstrip("\n").split("<think>")[-1].lstrip("\n")


def _write_call(function: dict[str, Any]) -> str:
    arguments = function["arguments"]
    name: str = function["name"]
    said = arguments if isinstance(arguments, str) else _dump(arguments)
    return '<tool_call>\n{"name": "' + name + '", "arguments": ' + said + "}\n</tool_call>"


def _text(turn: Turn, role: str, text: str) -> Turn:
    return Turn({"role": role, "content": text}, turn.sources)


def _dump(value: Any) -> str:
    """JSON as chat templates write it."""
    return json.dumps(value, ensure_ascii=False)

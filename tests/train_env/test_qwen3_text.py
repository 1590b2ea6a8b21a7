from __future__ import annotations

from typing import Any

import pytest
from tiny_models import tokenizer

from apollo_train.samples.chat import Turn
from apollo_train.templates.qwen3_text import Qwen3Text

RUN = {"type": "function", "function": {"name": "run", "description": "Läuft.", "parameters": {"type": "object"}}}
SYSTEM = {"role": "system", "content": "You are an agent."}
ASK = {"role": "user", "content": "Find it."}
DONE = {"role": "assistant", "content": "Done.", "reasoning_content": "Found.\n"}
INSIDE = {"role": "assistant", "content": "<think>\nOnce.\n</think>\n\nI\n</think>\nsay."}


def called(*commands: Any, text: str = "", thought: str = "") -> dict[str, Any]:
    calls = [{"type": "function", "function": {"name": "run", "arguments": made}} for made in commands]
    return {"role": "assistant", "content": text, "reasoning_content": thought, "tool_calls": calls}


def result(text: str) -> dict[str, Any]:
    return {"role": "tool", "content": text, "tool_call_id": "x"}


CONVERSATIONS = {
    "calls": [SYSTEM, ASK, called({"command": "ls"}, text="I look.", thought="Where?"), result("a"), DONE],
    "no system text": [ASK, called({"command": "ä"}, thought="Where?"), result("a\nb"), DONE],
    "many calls": [SYSTEM, ASK, called({"n": 1.5}, {"s": '"q"'}, thought="T"), result("a"), result("b"), DONE],
    "advice": [SYSTEM, ASK, called({"c": "ls"}, thought="Old."), result("a"), ASK, called({}, thought="New.")],
    "users in a row": [SYSTEM, ASK, ASK, DONE],
    "no reasoning before": [SYSTEM, ASK, called({"c": "ls"}), result("a"), DONE],
    "no reasoning at the end": [SYSTEM, ASK, {"role": "assistant", "content": "\nDone."}],
    "a user who quotes a result": [ASK, DONE, {"role": "user", "content": "<tool_response>x</tool_response>"}, DONE],
    "results at the end": [SYSTEM, ASK, called({"c": "ls"}, thought="Where?"), result("a")],
    "reasoning in the text": [SYSTEM, ASK, INSIDE, ASK, INSIDE, called({"c": "ls"}, thought="T"), result("a"), INSIDE],
    "arguments that are no object": [SYSTEM, ASK, called("ls -l", thought="Where?"), result("a"), DONE],
}


@pytest.mark.parametrize("tools", [[], [RUN, RUN]], ids=["without tools", "with tools"])
@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_headers_and_stop_tokens_around_our_texts_give_what_qwen_renders(
    messages: list[dict[str, Any]], tools: list[dict[str, Any]]
) -> None:
    flags = [(True if chat["role"] == "assistant" else None) for chat in messages]
    turns = [(Turn(chat, (at,)), flags[at]) for at, chat in enumerate(messages)]
    writer = Qwen3Text()
    for end in range(1, len(turns)):
        writer.write(turns[:end], tools)  # what it wrote of a part must not be what it writes of the whole
    made = writer.write(turns, tools)
    assert all(set(turn.chat) == {"role", "content"} for turn, _ in made)
    text = "".join(f"<|im_start|>{turn.chat['role']}\n{turn.chat['content']}<|im_end|>\n" for turn, _ in made)
    assert text == tokenizer("qwen3").apply_chat_template(messages, tools=tools or None, tokenize=False)
    assert [flag for _, flag in made if flag is not None] == [flag for flag in flags if flag is not None]
    assert sorted(source for turn, _ in made for source in turn.sources) == list(range(len(messages)))

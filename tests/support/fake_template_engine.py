"""A chat template and a tokenizer in a few lines of Python, for tests without transformers. It speaks like Qwen3."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from apollo_train.templates.renderer import NoThink, Renderer
from apollo_train.templates.stop_tokens import find_stop_tokens
from apollo_train.templates.template_probe import probe_template

SPECIAL = ["<|im_start|>", "<|im_end|>", "<think>", "</think>"]
_TOKEN = re.compile("|".join(map(re.escape, SPECIAL)) + r"|\w+|\s|.", re.S)


class FakeEngine:
    """Tokens are words, single signs and special tokens; ids are given as words come."""

    name = "fake"
    template = "in Python: <|im_start|> <|im_end|>"
    tokenizer_hash = "0" * 64
    borders = frozenset(range(len(SPECIAL)))

    def __init__(self) -> None:
        self.words = list(SPECIAL)

    def render(
        self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], *, generation: bool, thinking: bool
    ) -> str:
        text = "".join(f"<|im_start|>tools\n{tool['function']['name']}<|im_end|>\n" for tool in tools)
        last = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=-1)
        for at, message in enumerate(messages):
            thought = message.get("reasoning_content", "")
            block = f"<think>\n{thought}\n</think>\n\n" if message["role"] == "assistant" and at > last else ""
            if not thought and at < len(messages) - 1:
                block = ""
            calls = "".join(
                f"\n<call>{call['function']['name']} {json.dumps(call['function']['arguments'])}</call>"
                for call in message.get("tool_calls", ())
            )
            text += f"<|im_start|>{message['role']}\n{block}{message['content']}{calls}<|im_end|>\n"
        empty = "" if thinking else "<think>\n\n</think>\n\n"
        return text + (f"<|im_start|>assistant\n{empty}" if generation else "")

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        found = list(_TOKEN.finditer(text))
        return [self._id(match[0]) for match in found], [match.span() for match in found]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.words[number] for number in ids)

    def token_id(self, text: str) -> int | None:
        return self._id(text) if len(_TOKEN.findall(text)) == 1 else None

    def _id(self, word: str) -> int:
        if word not in self.words:
            self.words.append(word)
        return self.words.index(word)


def fake_renderer(no_think: NoThink = "mask") -> Renderer:
    engine = FakeEngine()
    return Renderer(engine, find_stop_tokens(engine), probe_template(engine), no_think)

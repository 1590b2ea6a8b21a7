"""The few words that the tiny model knows. It skips all others: the system prompt is prose to us, and nothing to it.

The same words are a Hugging Face tokenizer with a chat template (``save_tokenizer``), which the product's export and
trainer use. ``ids_of_chat`` does the same without it, fast; the server checks at its start that both agree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from benchmarks.supervision.chain import Shape

END: Final = "<|end|>"
"""Ends each reply: the token that the server stops on."""
PATTERN: Final = (
    r"act\(do=[A-Z]+[0-9]*\)|<\|end\|>"
    r"|\b(?:K[0-9]|C[0-9]|E[0-9]|A[0-9]|FIX[0-9]|WAIT|SUBMIT|BUSY|READY|SUCCESS|FAILURE)\b"
)
TEMPLATE: Final = (
    "{% for message in messages %}{{ message.content }}"
    "{% for call in message.tool_calls or [] %}{{ call.function.name }}("
    "{% for name, value in call.function.arguments.items() %}{{ name }}={{ value }}{% endfor %})"
    "{% endfor %}{% if message.role == 'assistant' %}" + END + "{% endif %}\n{% endfor %}"
)


@dataclass(frozen=True)
class Words:
    """Words and their ids. An action as a call is one word, as advice it is another."""

    shape: Shape

    @cached_property
    def all(self) -> tuple[str, ...]:
        """Every word in the order of its id."""
        shape = self.shape
        seen = (
            *(f"K{n}" for n in range(shape.keys)),
            *(f"C{n}" for n in range(shape.clues)),
            *(f"E{n}" for n in range(shape.errors)),
            *("BUSY", "READY", "SUCCESS", "FAILURE"),
        )
        return (END, *seen, *shape.acts, *(call_word(act) for act in shape.acts))

    @cached_property
    def ids(self) -> dict[str, int]:
        """Word to id."""
        return {word: number for number, word in enumerate(self.all)}

    @cached_property
    def calls(self) -> dict[int, str]:
        """Id of a call to its action."""
        return {self.ids[call_word(act)]: act for act in self.shape.acts}

    def ids_of(self, text: str) -> list[int]:
        """The ids of the known words in ``text``."""
        return [self.ids[word] for word in re.findall(PATTERN, text) if word in self.ids]

    def ids_of_chat(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """The prompt of a request in the shape of Chat Completions."""
        found: list[int] = []
        for message in messages:
            if message["role"] == "system":
                continue  # no known word is in it; reading it anew at each step is most of the work
            found += self.ids_of(message.get("content") or "")
            for call in message.get("tool_calls") or ():
                found += self.ids_of(call_word(str(json.loads(call["function"]["arguments"])["do"])))
            if message["role"] == "assistant":
                found.append(self.ids[END])
        return found

    def save_tokenizer(self, folder: Path) -> None:
        """Write the tokenizer with its template."""
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        made = Tokenizer(models.WordLevel(dict(self.ids), unk_token=END))
        made.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True)
        fast = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=END, pad_token=END)
        fast.chat_template = TEMPLATE
        fast.save_pretrained(str(folder))


def call_word(action: str) -> str:
    """An action as the template writes the call."""
    return f"act(do={action})"

"""Families of chat templates, and the token on which a server stops a reply in each.

The stop token is the one thing that cannot be read off a template: GLM-4.5 ends a reply with the *next* role's token,
and a template that forgets it teaches a model never to stop. So it is written down here and asserted, never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from apollo_train.runtime import TrainError
from apollo_train.templates.engine import Engine


class UnknownTemplate(TrainError):
    """Nobody told on which token this template's replies end."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family. ``marks`` are texts that all its templates have; ``others`` also end replies in some servers."""

    name: str
    marks: tuple[str, ...]
    after_text: str
    after_call: str
    others: tuple[str, ...] = ()

    @property
    def stops(self) -> tuple[str, ...]:
        """All tokens that can end a reply."""
        return tuple(dict.fromkeys((self.after_text, self.after_call, *self.others)))


FAMILIES: Final = (
    Family("glm", ("<|observation|>", "<|assistant|>"), "<|user|>", "<|observation|>"),
    Family("llama3", ("<|start_header_id|>", "<|eot_id|>"), "<|eot_id|>", "<|eot_id|>", ("<|eom_id|>",)),
    Family("chatml", ("<|im_start|>", "<|im_end|>"), "<|im_end|>", "<|im_end|>"),
    Family("gemma", ("<start_of_turn>", "<end_of_turn>"), "<end_of_turn>", "<end_of_turn>"),
)
"""Known families; Qwen 2 and 3 and SmolLM are ``chatml``."""


@dataclass(frozen=True, slots=True)
class StopTokens:
    """The stop tokens of one tokenizer: ids by text, and which follows what."""

    family: str
    after_text: int
    after_call: int
    ids: dict[str, int]

    def of(self, calls: bool, logged: str = "") -> int:
        """The id after a reply with or without calls; ``logged`` is what the server said (a text or an id)."""
        if logged in self.ids:
            return self.ids[logged]
        if logged.isdecimal() and int(logged) in self.ids.values():
            return int(logged)
        return self.after_call if calls else self.after_text


def find_stop_tokens(engine: Engine, given: Sequence[str] = ()) -> StopTokens:
    """The stop tokens of this tokenizer; ``given`` (after a text, then after a call) goes before what is known here.

    Raises UnknownTemplate.
    """
    if given:
        family = Family("given", (), given[0], given[-1])
    else:
        known = [family for family in FAMILIES if all(mark in engine.template for mark in family.marks)]
        if not known:
            names = ", ".join(family.name for family in FAMILIES)
            raise UnknownTemplate(
                f"the template of {engine.name!r} is none of {names}: "
                "say on which token its replies end, `--stop TOKEN` (twice, if after a call it is another)"
            )
        family = known[0]
    ids: dict[str, int] = {}
    for text in family.stops:
        number = engine.token_id(text)
        if number is not None:
            ids[text] = number
        elif text in (family.after_text, family.after_call):
            raise UnknownTemplate(f"the tokenizer {engine.name!r} has no single token {text!r}, on which replies end")
    return StopTokens(family.name, ids[family.after_text], ids[family.after_call], ids)

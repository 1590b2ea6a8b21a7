"""Prompts that are rendered and encoded turn by turn are those of one whole rendering, on the real templates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trl
from random_conversations import TOOLS, prompts
from tiny_models import TEMPLATES, engine, tokenizer

from apollo_train.templates import growing_prompt
from apollo_train.templates.engine import HFEngine, TemplateRefused
from apollo_train.templates.growing_prompt import GrowingPrompt, RendersOtherwise
from apollo_train.templates.normaliser import normalise_messages
from apollo_train.templates.prompt_encoder import PromptEncoder
from apollo_train.templates.template_probe import probe_template

BUNDLED = sorted(path for path in (Path(trl.__path__[0]) / "chat_templates").glob("*.jinja"))
Messages = Sequence[dict[str, Any]]


def other_engine(path: Path) -> HFEngine:
    """A tokenizer with another of TRL's templates. Ids are compared with those of the same tokenizer."""
    made = tokenizer("qwen3").__class__(tokenizer_object=tokenizer("qwen3").backend_tokenizer, eos_token="<|im_end|>")
    made.chat_template = path.read_text("utf-8")
    return HFEngine(made, path.stem)


def compare(made: HFEngine, seed: int, *, thinking: bool = True, steps: int = 24) -> int:
    """How many prompts were compared, to the last id."""
    traits = probe_template(made)
    normalise = partial(normalise_messages, system=traits.system, objects=traits.objects, runs=traits.runs)
    tools = TOOLS if traits.schemas else []

    def render(messages: Messages, generation: bool) -> str:
        return made.render(messages, tools, generation=generation, thinking=thinking)

    grown, encoder = GrowingPrompt(render, normalise, runs=traits.runs), PromptEncoder(made)
    calls, advice = (1 if "llama3" in made.name else 2) if traits.calls else 0, (0.0, 0.1, 0.4)[seed % 3]
    compared, wrong = 0, False
    for turns, reply in prompts(seed, steps, calls=calls, advice=advice, talk=not traits.calls):
        chats = [turn.chat for turn in turns]
        try:
            whole = render(normalise(chats), True)
        except TemplateRefused:
            with pytest.raises(TemplateRefused):
                grown.prompt(turns)
            continue
        found = grown.prompt(turns)
        wrong |= found.text != whole
        assert encoder.encode(found.text) == made.encode(found.text)[0]
        try:
            said = render(normalise([*chats, reply]), False)
        except TemplateRefused:
            continue
        wrong |= grown.reply(found, reply) != (said[len(whole) :] if said.startswith(whole) else None)
        compared += 1
    grown.finish()
    assert not wrong, "and that was not found out"
    return compared


@pytest.mark.parametrize("thinking", [True, False])
@pytest.mark.parametrize("name", list(TEMPLATES))
def test_the_joined_ids_are_those_of_one_whole_rendering(
    name: str, thinking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_prompt, "SURE", 0)  # what is compared as it goes would hide what windows get wrong
    for seed in range(3):
        assert compare(engine(name), seed, thinking=thinking) > 20


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_every_template_that_trl_bundles_is_told_right_or_not_at_all(path: Path) -> None:
    for seed in range(2):
        try:
            compare(other_engine(path), seed, steps=16)
        except RendersOtherwise:
            return  # found out, and said: `--render whole` is for these

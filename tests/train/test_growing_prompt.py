from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from fake_template_engine import FakeEngine
from random_conversations import TOOLS, prompts

from apollo_train.samples.chat import Turn
from apollo_train.templates import growing_prompt
from apollo_train.templates.engine import TemplateRefused
from apollo_train.templates.growing_prompt import GrowingPrompt, RendersOtherwise
from apollo_train.templates.normaliser import normalise_messages
from apollo_train.templates.prompt_encoder import PromptEncoder

Messages = Sequence[dict[str, Any]]


class Counted(FakeEngine):
    """Counts the messages that it renders."""

    rendered = 0

    def render(self, messages: Messages, tools: Messages, *, generation: bool, thinking: bool) -> str:
        self.rendered += len(messages)
        return super().render(messages, tools, generation=generation, thinking=thinking)


def growing(engine: FakeEngine, **more: Any) -> GrowingPrompt:
    def render(messages: Messages, generation: bool) -> str:
        return engine.render(messages, TOOLS, generation=generation, thinking=True)

    return GrowingPrompt(render, normalise_messages, **more)


def whole(engine: FakeEngine, turns: Sequence[Turn], *more: dict[str, Any]) -> str:
    messages = normalise_messages([*(turn.chat for turn in turns), *more])
    return engine.render(messages, TOOLS, generation=not more, thinking=True)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_rendered_turn_by_turn_is_what_the_whole_renders(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_prompt, "SURE", 0)  # what is compared as it goes would hide what windows get wrong
    engine = FakeEngine()
    grown, encoder = growing(engine), PromptEncoder(engine)
    for turns, reply in prompts(seed, 40, advice=(0.0, 0.1, 0.4)[seed % 3]):
        found = grown.prompt(turns)
        assert found.text == whole(engine, turns)
        assert grown.reply(found, reply) == whole(engine, turns, reply)[len(found.text) :]
        assert encoder.encode(found.text) == engine.encode(found.text)[0]
    grown.finish()


def test_a_long_conversation_is_rendered_a_few_times_and_not_once_for_each_reply() -> None:
    engine = Counted()
    grown = growing(engine)
    steps = 400
    for turns, reply in prompts(3, steps, calls=1, advice=0.05):
        grown.reply(grown.prompt(turns), reply)
    grown.finish()
    assert engine.rendered < 100 * len(turns), "each message some times, however long the conversation is"
    assert steps * len(turns) / 2 > 1.5 * engine.rendered


class Forgetful(FakeEngine):
    """Leaves out the results but the ten newest, which no turn near them shows."""

    def render(self, messages: Messages, tools: Messages, *, generation: bool, thinking: bool) -> str:
        results = [at for at, message in enumerate(messages) if message["role"] == "tool"]
        kept = [m if at not in results[:-10] else {**m, "content": "…"} for at, m in enumerate(messages)]
        return super().render(kept, tools, generation=generation, thinking=thinking)


def test_a_template_that_looks_far_is_found_out_and_no_row_of_it_is_wrong() -> None:
    engine = Forgetful()
    grown = growing(engine)
    with pytest.raises(RendersOtherwise, match="say --render whole"):
        for turns, _ in prompts(1, 60, calls=1, advice=0.0):
            grown.prompt(turns)
        grown.finish()
    grown = growing(engine, whole=True)
    for turns, _ in prompts(1, 60, calls=1, advice=0.0):
        assert grown.prompt(turns).text == whole(engine, turns)


class NoNewest(FakeEngine):
    """Says at its head how many messages there are."""

    def render(self, messages: Messages, tools: Messages, *, generation: bool, thinking: bool) -> str:
        return f"{len(messages)}\n" + super().render(messages, tools, generation=generation, thinking=thinking)


def test_a_template_that_shows_at_once_that_it_looks_far_is_rendered_whole_without_a_word() -> None:
    engine = NoNewest()
    grown = growing(engine)
    for turns, reply in prompts(2, 40):
        found = grown.prompt(turns)
        assert found.text == whole(engine, turns)
        assert grown.reply(found, reply) is None, "and such a prompt is no beginning of what follows"


class OneCall(FakeEngine):
    def render(self, messages: Messages, tools: Messages, *, generation: bool, thinking: bool) -> str:
        if any(len(message.get("tool_calls", ())) > 1 for message in messages):
            raise TemplateRefused("only single tool-calls at once!")
        return super().render(messages, tools, generation=generation, thinking=thinking)


def test_what_a_template_refuses_stays_refused_in_all_that_follows_it_also_out_of_the_window() -> None:
    engine = OneCall()
    grown = growing(engine)
    refused = 0
    for turns, _ in prompts(5, 60):
        twice = any(len(turn.chat.get("tool_calls", ())) > 1 for turn in turns)
        try:
            assert grown.prompt(turns).text == whole(engine, turns) and not twice
        except TemplateRefused:
            refused += 1
            assert twice
    assert 40 < refused < 60


def test_turns_that_were_made_anew_are_known_by_what_they_say() -> None:
    engine = Counted()
    grown = growing(engine)
    for turns, _ in prompts(7, 100, calls=1, advice=0.0):
        anew = [Turn(dict(turn.chat)) for turn in turns]
        assert grown.prompt(anew).text.endswith("<|im_start|>assistant\n")
    assert engine.rendered < 60 * len(turns)


def test_another_conversation_begins_anew_and_an_earlier_prompt_of_the_same_too() -> None:
    engine = FakeEngine()
    grown = growing(engine)
    told = [turns for turns, _ in prompts(8, 30)]
    other = [turns for turns, _ in prompts(9, 10)]
    for turns in (*told[:20], *other, *told[5:], told[3]):
        assert grown.prompt(turns).text == whole(engine, turns)

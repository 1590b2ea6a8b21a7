"""What a family refuses by name is what its real template refuses; our rendering is that of transformers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trl
from random_conversations import TOOLS, prompts
from tiny_models import TEMPLATES, renderer, template, tokenizer

from apollo_train.formats.conformance import conformance
from apollo_train.samples.chat import Chat
from apollo_train.templates.engine import HFEngine, TemplateRefused
from apollo_train.templates.jinja_template import JinjaTemplate
from apollo_train.templates.normaliser import normalise_messages
from apollo_train.templates.template_trial import OUTLINES, WITHOUT_CALLS, TemplateTrial

BUNDLED = sorted(path for path in (Path(trl.__path__[0]) / "chat_templates").glob("*.jinja"))


def conversations() -> list[list[Chat]]:
    """Of all kinds, some with turns taken out, doubled or exchanged, as no server would have let them pass."""
    found: list[list[Chat]] = []
    for seed in range(8):
        rng = random.Random(seed)
        for turns, reply in prompts(seed, 6, calls=1 + seed % 2, advice=0.3, talk=seed in (3, 6)):
            chats = [*(turn.chat for turn in turns), reply]
            found.append(chats)
            odd = list(chats)
            if rng.random() < 0.3:
                odd.pop(rng.randrange(len(odd)))
            if rng.random() < 0.3:
                odd.insert(rng.randrange(len(odd)), rng.choice(odd))
            found.append(odd)
    return found


@pytest.mark.parametrize("tools", [True, False])
@pytest.mark.parametrize("name", list(conformance().templates))
def test_a_family_refuses_by_its_outline_what_its_template_refuses_in_its_words(name: str, tools: bool) -> None:
    values = {"bos_token": "<s>", "eos_token": "</s>"}
    real = TemplateTrial(JinjaTemplate(template(name), values))
    outline = TemplateTrial(JinjaTemplate(OUTLINES[name])) if name in OUTLINES else None
    offered = TOOLS if tools else []
    said = set()
    for messages in conversations():
        for form in ({"system": True, "runs": True}, {"system": False, "runs": False}):
            for trial in (real, outline):
                if trial is not None:
                    trial.system, trial.runs = form["system"], form["runs"]
            wanted = real.try_messages(messages, offered)
            said.add(wanted)
            assert (outline.try_messages(messages, offered) if outline is not None else "") == wanted
    assert said >= {
        "llama3": {"", "This model only supports single tool-calls at once!"},
        "gemma": {"System role not supported", "Conversation roles must alternate user/assistant/user/assistant/..."},
    }.get(name, {""})
    assert WITHOUT_CALLS in said or name != "gemma"


def other_engine(path: Path) -> HFEngine:
    made = tokenizer("qwen3").__class__(tokenizer_object=tokenizer("qwen3").backend_tokenizer, eos_token="<|im_end|>")
    made.chat_template = path.read_text("utf-8")
    return HFEngine(made, path.stem)


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_a_template_is_rendered_as_transformers_renders_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, ours = other_engine(path), JinjaTemplate(path.read_text("utf-8"), {"eos_token": "<|im_end|>"})
    if "strftime_now" in made.template:
        pytest.skip("it says what day it is")
    rendered = 0
    for chats in conversations()[::3]:
        messages = normalise_messages(chats)
        try:
            wanted = made.render(messages, TOOLS, generation=True, thinking=True)
        except TemplateRefused as problem:
            with pytest.raises(TemplateRefused) as refused:
                ours.render(messages, TOOLS, generation=True)
            assert str(refused.value) in str(problem)
            continue
        assert ours.render(messages, TOOLS, generation=True) == wanted
        rendered += 1


@pytest.mark.parametrize("name", list(TEMPLATES))
@pytest.mark.parametrize("after", ["", "\n", "\n\n", " \n"])
def test_what_is_blank_after_a_stop_token_is_no_reason_to_refuse(name: str, after: str) -> None:
    made = renderer(name)
    for stop in made.stops.ids:
        assert made._body(f"Hm.{stop}{after}") == "Hm."
        assert made._body(f"Hm.{stop}{after}more") is None


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_what_the_real_templates_write_after_a_reply_is_blank_behind_its_stop_token(name: str) -> None:
    made = renderer(name)
    question, reply = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    before = made.engine.render([question], [], generation=True, thinking=True)
    said = made.engine.render([question, reply], [], generation=False, thinking=True)[len(before) :]
    body = made._body(said)
    assert body is not None and body.endswith("b")

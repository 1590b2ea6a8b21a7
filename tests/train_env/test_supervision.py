from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from apollo_train.templates.engine import open_engine
from apollo_train.templates.normaliser import normalise_messages
from apollo_train.templates.template_probe import probe_template
from benchmarks.supervision.chain import Chain, World, observation, task_text
from benchmarks.supervision.episodes import actions_of, judge
from benchmarks.supervision.forward import load
from benchmarks.supervision.knobs import load_knobs
from benchmarks.supervision.tiny_model import Habits, episode, make_base
from benchmarks.supervision.vocabulary import Words

KNOBS = load_knobs()
WORLD = World(KNOBS.shape, 1)
WORDS = Words(KNOBS.shape)
SMALL = msgspec.structs.replace(KNOBS.base, width=16, episodes=200, steps=40, batch=16)


def test_the_server_and_the_tokenizer_of_the_export_read_a_chat_alike(tmp_path: Path) -> None:
    WORDS.save_tokenizer(tmp_path)
    engine = open_engine(tmp_path)
    traits = probe_template(engine)
    assert traits.calls
    assert traits.system
    chain = Chain(WORLD, 3)
    state = chain.start()
    chat: list[dict[str, Any]] = [
        {"role": "system", "content": "You work alone. Use `wait`."},
        {"role": "user", "content": task_text(chain)},
    ]
    for action in ("A1", "FIX0", chain.right(state), "WAIT"):
        state = chain.act(state, action)
        function = {"name": "act", "arguments": json.dumps({"do": action})}
        chat.append(
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "type": "function", "function": function}]}
        )
        chat.append({"role": "tool", "tool_call_id": "c", "content": observation(chain, state)})
    chat.append({"role": "user", "content": "<advice-0a1b>\nUse A2 now.\n</advice-0a1b>"})
    made = normalise_messages(chat, system=traits.system, objects=traits.objects)
    text = engine.render(made, [], generation=True, thinking=True)
    assert engine.encode(text)[0] == WORDS.ids_of_chat(chat)


def test_the_past_of_the_base_has_its_loss_on_its_own_words_only() -> None:
    ids, labels = episode(Habits(WORLD, KNOBS.base), WORDS, 1)
    trained = {WORDS.all[label] for label in labels if label != -100}
    assert all(word.startswith("act(") or word == "<|end|>" for word in trained)
    assert len(ids) == len(labels)
    assert all(label in (-100, number) for number, label in zip(ids, labels, strict=True))


def test_a_base_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_base(WORLD, SMALL, tmp_path / name)
    chances = [load(tmp_path / name, WORDS.calls) for name in ("one", "two")]
    prompt = WORDS.ids_of("K1 C1")
    assert chances[0](prompt) == chances[1](prompt)
    played = [[actions_of(each, WORLD, number, 1.0) for number in range(5)] for each in chances]
    assert played[0] == played[1]
    assert 0.0 <= judge(WORLD, range(5), played[0]).right <= 1.0

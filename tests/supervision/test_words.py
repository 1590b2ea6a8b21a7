from __future__ import annotations

import json
from typing import Any

from supervision_testbed import SHAPE, WORLD, models

from benchmarks.supervision.chain import Chain, task_text
from benchmarks.supervision.serve import EXPERT, pick, reply
from benchmarks.supervision.vocabulary import END, Words, call_word
from sessions import events as ev
from sessions.agent.prompts import NUDGE, system_prompt

WORDS = Words(SHAPE)


def assistant(action: str) -> dict[str, Any]:
    function = {"name": "act", "arguments": json.dumps({"do": action})}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": function}]}


def test_of_what_the_product_says_itself_the_model_knows_no_word() -> None:
    created = ev.SessionCreated(number=1, title="t", task="x", model=ev.ModelSpec("openai", "m"), nonce="0a1b2c3d")
    assert WORDS.ids_of(system_prompt(created) + NUDGE + "<advice-0a1b2c3d>\n</advice-0a1b2c3d>") == []


def test_a_chat_is_read_as_its_known_words_in_order() -> None:
    chain = Chain(WORLD, 1)
    advice = {"role": "user", "content": "<advice-0a1b>\nUse A2 now.\n</advice-0a1b>"}
    tool = {"role": "tool", "tool_call_id": "c", "content": "Stage 1 of 2: E1."}
    ids = WORDS.ids_of_chat([{"role": "user", "content": task_text(chain)}, assistant("A1"), tool, advice])
    start = chain.start()
    assert [WORDS.all[n] for n in ids] == [f"K{start.key}", start.sight, call_word("A1"), END, "E1", "A2"]


def test_an_action_called_is_another_word_than_the_same_action_advised() -> None:
    assert WORDS.ids_of("A1") != WORDS.ids_of(call_word("A1"))
    assert set(WORDS.calls.values()) == set(SHAPE.acts)


def test_sampling_depends_on_the_request_alone() -> None:
    logits = [0.0] * len(WORDS.all)
    drawn = [pick(logits, WORDS.calls, [1, 2], temperature=1.0, seed=seed) for seed in range(200)]
    assert drawn == [pick(logits, WORDS.calls, [1, 2], temperature=1.0, seed=seed) for seed in range(200)]
    assert set(drawn) == set(SHAPE.acts)
    likely = [9.0 if number == WORDS.ids[call_word("WAIT")] else 0.0 for number in range(len(logits))]
    assert pick(likely, WORDS.calls, [1], temperature=0.0, seed=1) == "WAIT"


def test_the_expert_answers_the_newest_observation(tmp_path: Any) -> None:
    made = models(tmp_path)
    chain = Chain(WORLD, 4)
    state = chain.start()
    messages: list[dict[str, Any]] = [{"role": "user", "content": task_text(chain)}]
    for _ in range(SHAPE.budget):
        stream = reply(made, {"model": EXPERT, "messages": messages}).decode()
        first = json.loads(stream.split("\n")[0].removeprefix("data: "))
        called = first["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"]
        assert json.loads(called) == {"do": chain.right(state)}
        state = chain.act(state, chain.right(state))
        messages += [assistant("A0"), {"role": "tool", "tool_call_id": "c", "content": state.sight}]
        if state.phase == "success":
            return
    raise AssertionError("the expert did not get through")

"""A long run in each dialect: 200 steps, sub-agents in parallel, two compactions and a rewind; nothing is lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from apollo_process import Apollo, wait_for
from wire_model import WireModel

from sessions.events import ModelRequested
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request

TASK = "Write numbers."
STEPS = 200
PATHS = {"chat": "chat/completions", "responses": "responses", "messages": "messages"}
TOOL = {"type": "object", "properties": {"command": {"type": "string"}}}


class Talk:
    """A conversation of a harness in one dialect: what it sends, and what it makes of a reply."""

    def __init__(self, dialect: str, task: str, system: str = "You are an agent.") -> None:
        self.dialect = dialect
        self.system = system
        self.turns: list[Any] = [self.says(task)]
        self.results = 0

    def says(self, text: str) -> dict[str, Any]:
        kind = {"responses": "input_text"}.get(self.dialect, "text")
        return {"role": "user", "content": [{"type": kind, "text": text}]}

    def body(self) -> dict[str, Any]:
        if self.dialect == "chat":
            messages = [{"role": "system", "content": self.system}, *self.turns]
            tools = [{"type": "function", "function": {"name": "shell", "parameters": TOOL}}]
            return {"model": "m", "messages": messages, "tools": tools}
        if self.dialect == "responses":
            tools = [{"type": "function", "name": "shell", "parameters": TOOL}]
            return {"model": "m", "instructions": self.system, "input": self.turns, "tools": tools}
        tools = [{"name": "shell", "input_schema": TOOL}]
        return {"model": "m", "system": self.system, "max_tokens": 100, "messages": self.turns, "tools": tools}

    def take(self, reply: dict[str, Any]) -> None:
        """Add the reply, and the result of its call."""
        self.results += 1
        result = f"result {self.results} of {self.system} " + " ".join(str(self.results * n) for n in range(100))
        if self.dialect == "chat":
            message = reply["choices"][0]["message"]
            self.turns += [message, {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": result}]
        elif self.dialect == "responses":
            self.turns += reply["output"]
            call = reply["output"][-1]["call_id"]
            self.turns.append({"type": "function_call_output", "call_id": call, "output": result})
        else:
            self.turns.append({"role": "assistant", "content": reply["content"]})
            block = {"type": "tool_result", "tool_use_id": reply["content"][-1]["id"], "content": result}
            self.turns.append({"role": "user", "content": [block]})

    def turns_of_a_step(self) -> int:
        return 4 if self.dialect == "responses" else 2


@pytest.fixture
def model() -> Any:
    with WireModel(100_000).serving() as model:
        yield model


@pytest.mark.parametrize("dialect", PATHS)
def test_two_hundred_steps_with_sub_agents_compactions_and_a_rewind(
    apollo: Apollo, model: WireModel, session: str, dialect: str
) -> None:
    ask = asker(apollo, session, dialect)
    talk = Talk(dialect, TASK)
    for number in range(1, STEPS + 1):
        talk.take(ask(talk.body()))
        if number == 20:
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(lambda name: run_sub_agent(ask, dialect, name), ("one", "two", "three")))
        elif number in (70, 150):
            kept = talk.turns[-2 * talk.turns_of_a_step() :]
            talk.turns = [talk.says(f"{TASK} Up to now: {number} steps."), *kept]
        elif number == 110:
            talk.turns = talk.turns[: -5 * talk.turns_of_a_step()]
            talk.turns.append(talk.says("Another way."))
    wait_for("the last reply", lambda: apollo.session("there")["step"] == STEPS)

    rows = {row["title"]: row["step"] for row in apollo.json("ls")}
    assert rows == {"there": STEPS} | {f"Look into {name}.": 4 for name in ("one", "two", "three")}
    sent: list[bytes] = []
    with LogReader(apollo.log) as reader:
        for row in apollo.json("ls"):
            for event in reader.events(row["id"], kinds={"model.request"}):
                assert isinstance(event.body, ModelRequested)
                assert event.body.purpose == "step"
                sent.append(rebuild_request(reader, row["id"], event.seq))
    assert sorted(sent) == sorted(model.bodies), "every prompt of the log is what the server received, once"
    assert len(apollo.events(session, "summary.written")) == 3
    turns = [event["body"]["text"] for event in apollo.events(session, "harness.turn")]
    assert not [text for text in turns if text.startswith("result ")], "what was kept is not told again"
    results = apollo.events(session, "action.result")
    # Of the step that the rewind undid nobody heard how its call came out.
    assert Counter(event["body"]["outcome"] for event in results) == {"ok": STEPS - 2, "unknown": 1}
    size = sum(map(len, sent))
    assert apollo.log.stat().st_size < size / 4, "what is sent again is not stored again"


def run_sub_agent(ask: Callable[..., dict[str, Any]], dialect: str, name: str) -> None:
    talk = Talk(dialect, f"Look into {name}.", f"You explore {name}.")
    for _ in range(4):
        talk.take(ask(talk.body(), {"x-claude-code-agent-id": name}))


def asker(apollo: Apollo, session: str, dialect: str) -> Callable[..., dict[str, Any]]:
    variables = apollo.json("gateway", session)
    client = httpx2.Client(trust_env=False, timeout=30)

    def ask(body: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        own = {"authorization": f"Bearer {variables['OPENAI_API_KEY']}"}
        url = f"{variables['OPENAI_BASE_URL']}/{PATHS[dialect]}"
        reply: dict[str, Any] = client.post(url, json=body, headers=own | (headers or {})).raise_for_status().json()
        return json.loads(json.dumps(reply))

    return ask

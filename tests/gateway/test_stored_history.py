"""Harnesses that send what is new, and name the reply before: the model's server keeps the conversation (Responses)."""

from __future__ import annotations

import json
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
TOOLS = [{"type": "function", "name": "shell", "parameters": {"type": "object", "properties": {"command": {}}}}]
ADVICE = "Write words from now on."
Ask = Callable[..., httpx2.Response]


@pytest.fixture
def ask(apollo: Apollo, session: str) -> Ask:
    variables = apollo.json("gateway", session)
    url = f"{variables['OPENAI_BASE_URL']}/responses"
    own = {"authorization": f"Bearer {variables['OPENAI_API_KEY']}"}

    def post(input: Any, before: httpx2.Response | None = None, timeout: float = 30, **more: Any) -> httpx2.Response:
        body = {"model": "m", "instructions": "You are an agent.", "input": input, "tools": TOOLS} | more
        if before is not None:
            body["previous_response_id"] = before.json()["id"]
        return httpx2.post(url, json=body, headers=own, timeout=timeout, trust_env=False)

    return post


def result(reply: httpx2.Response, text: str = "done") -> list[dict[str, Any]]:
    """What a harness sends of the call in a reply: its result, and nothing else."""
    call = reply.json()["output"][-1]["call_id"]
    return [{"type": "function_call_output", "call_id": call, "output": text}]


def says(reply: httpx2.Response) -> str:
    return str(reply.json()["output"][1]["content"][0]["text"])


def requests(apollo: Apollo, session: str) -> list[tuple[str, int | None]]:
    found = apollo.events(session, "model.request")
    return [(event["body"].get("purpose", "step"), event["step"]) for event in found]


def rebuilt(apollo: Apollo, session: str) -> list[bytes]:
    with LogReader(apollo.log) as reader:
        asked = [e for e in reader.events(session, kinds={"model.request"}) if isinstance(e.body, ModelRequested)]
        return [rebuild_request(reader, session, event.seq) for event in asked]


def rows(apollo: Apollo, session: str, form: str, *more: str) -> list[dict[str, Any]]:
    target = apollo.folder / f"{form}.jsonl"
    apollo.run("export", session, "--format", form, "--advice", "kept", "--out", str(target), *more)
    return [json.loads(line) for line in target.read_text().splitlines()]


def test_a_conversation_that_the_server_keeps_is_held_advised_once_killed_under_and_exported_whole(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    first = ask(TASK)
    second = ask(result(first), first)
    apollo.run("pause", session)
    apollo.run("advise", session, ADVICE)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, result(second), second)
        wait_for("the pause", lambda: apollo.session("there")["state"] == "paused")
        assert len(model.bodies) == 2, "it is held"
        pid = apollo.kill_host()
        wait_for("another host", lambda: (apollo.host_pid() or pid) != pid)
        with pytest.raises(httpx2.HTTPError):  # this client does not ask again by itself
            asked.result()
        asked = pool.submit(ask, result(second), second)
        apollo.run("resume", session)
        third = asked.result()
    fourth = ask(result(third), third)
    assert [says(reply) for reply in (first, second, third, fourth)] == [
        "Step 1, alone.", "Step 2, alone.", "Step 3, advised.", "Step 4, advised."
    ]  # fmt: skip
    assert [ADVICE.encode() in body for body in model.bodies] == [False, False, True, False], "the server has it"
    assert requests(apollo, session) == [("step", 1), ("step", 2), ("step", 3), ("step", 4)]
    assert rebuilt(apollo, session) == model.bodies
    assert [event["step"] for event in apollo.events(session, "action.result")] == [1, 2, 3]
    assert not apollo.events(session, "summary.written")

    steps = rows(apollo, session, "steps")
    assert [row["meta"]["prompt"] for row in steps] == ["exact", *["exact_opaque"] * 3]
    assert [row["meta"].get("without", []) for row in steps] == [[], *[["history", "reasoning"]] * 3]
    roles = ["system", "user", "assistant", "tool", "assistant", "tool", "user", "assistant", "tool"]
    assert [message["role"] for message in steps[-1]["prompt"]] == roles
    assert steps[-1]["prompt"][2]["tool_calls"][0]["function"]["name"] == "shell"
    assert ADVICE in steps[-1]["prompt"][6]["content"]
    assert [row["meta"]["advice"] for row in steps] == [[], [], [1], [1]]
    (whole,) = rows(apollo, session, "openai")
    assert [message["role"] for message in whole["messages"]] == [*roles, "assistant"]
    assert apollo.run("doctor", check=False).stdout.count("cannot be rebuilt") == 0

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
from sessions.paths import log_paths
from sessions.queries.damage import find_damage

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
    with LogReader(apollo.log) as reader:
        assert list(find_damage(reader, log_paths(apollo.log).sessions)) == []


def test_the_reply_that_is_named_is_the_one_that_counts_and_an_older_one_is_gone_back_to(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    first = ask(TASK)
    apollo.run("advise", session, ADVICE)
    samples = [ask(result(first), first) for _ in range(2)]
    third = ask(result(samples[0]), samples[0])
    replies = [event["seq"] for event in apollo.events(session, "model.reply")]
    gone = [event["body"] for event in apollo.events(session, "reply.superseded")]
    assert [(body["old"], body["new"]) for body in gone] == [(replies[1], replies[2]), (replies[2], replies[1])]
    assert [event["step"] for event in apollo.events(session, "action.result")] == [1, 2]

    # What the server does not know it refuses, and that is passed on: nothing else changes.
    unknown = ask(result(third), previous_response_id="resp-of-another")
    assert (unknown.status_code, unknown.json()["error"]["message"]) == (
        400, "Previous response with id 'resp-of-another' not found."
    )  # fmt: skip
    assert says(ask(result(third), third)) == "Step 4, advised."
    assert requests(apollo, session)[3:] == [("step", 3), ("side", None), ("step", 4)]

    back = ask([{"role": "user", "content": "Another way."}], third)
    assert says(back) == "Step 3, advised."
    assert requests(apollo, session)[-1] == ("step", 5)
    assert [ADVICE.encode() in body for body in model.bodies] == [False, True, True, *[False] * 4], "once in each way"
    assert rebuilt(apollo, session) == model.bodies
    (row,) = (row for row in rows(apollo, session, "steps") if row["meta"]["step"] == "5")
    roles = ["system", "user", "assistant", "tool", "user", "assistant", "tool", "assistant", "user"]
    assert [message["role"] for message in row["prompt"]] == roles
    assert row["prompt"][-1]["content"] == "Another way."


def test_one_whose_server_keeps_nothing_after_all_goes_on_with_its_whole_conversation(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    first = ask(TASK, store=False)
    assert ask(result(first), first).status_code == 400
    told = [{"role": "user", "content": [{"type": "input_text", "text": TASK}]}]
    second = ask([*told, *first.json()["output"], *result(first)])
    assert says(second) == "Step 2, alone."
    assert requests(apollo, session) == [("step", 1), ("step", 2), ("step", 2)]
    assert not apollo.events(session, "summary.written"), "it is the same conversation"
    assert rebuilt(apollo, session) == model.bodies
    assert [row["meta"]["step"] for row in rows(apollo, session, "steps")] == ["1", "2"]


def test_a_conversation_by_its_own_name_grows_with_each_reply(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    here = {"conversation": {"id": "conv-1"}}
    first = ask(TASK, **here)
    apollo.run("advise", session, ADVICE)
    ask(result(first), **here)
    words = [{"role": "user", "content": "Go on."}]
    ask(words, **here)
    model.free.clear()
    with pytest.raises(httpx2.ReadTimeout):
        ask(words, timeout=1, **here)
    model.free.set()
    wait_for("the lost reply", lambda: len(apollo.events(session, "model.reply")) == 4)
    again = ask(words, **here)
    assert len(model.bodies) == 4, "the same words said again are another turn; asked for again they are the same"
    assert requests(apollo, session) == [("step", 1), ("step", 2), ("step", 3), ("step", 4)]
    assert not apollo.events(session, "reply.superseded")
    assert says(again) == "Step 2, advised."
    assert [ADVICE.encode() in body for body in model.bodies] == [False, True, False, False]
    assert rebuilt(apollo, session) == model.bodies
    # What it held before nobody knows: its replies are no targets by default.
    refused = apollo.run("export", session, "--format", "steps", "--advice", "kept", "--out", "x.jsonl", check=False)
    assert "no reply is left to train (4 incomplete)" in refused.stderr

"""What a harness asks beside its work costs money: it is counted, and held where a limit is used up."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from apollo_process import Apollo, wait_for
from wire_model import VECTORS, WireModel, turn

from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request

Ask = Callable[..., httpx2.Response]
Embed = Callable[..., httpx2.Response]
TITLE = {"messages": [{"role": "user", "content": "Name this: Write numbers."}], "tools": []}


@pytest.fixture
def embed(apollo: Apollo, session: str) -> Embed:
    variables = apollo.json("gateway", session)

    def post(path: str = "embeddings", timeout: float = 30, **body: Any) -> httpx2.Response:
        own = {"authorization": f"Bearer {variables['OPENAI_API_KEY']}"}
        url = f"{variables['OPENAI_BASE_URL']}/{path}"
        sent = {"model": "e-small", "input": ["one", "two"]} | body
        return httpx2.post(url, json=sent, headers=own, timeout=timeout, trust_env=False)

    return post


def tokens(apollo: Apollo, session: str) -> int:
    with LogReader(apollo.log) as reader:
        summary = reader.summary(session)
    assert summary is not None
    return summary.tokens


def test_embeddings_are_recorded_without_their_vectors_and_counted(
    apollo: Apollo, model: WireModel, session: str, ask: Ask, embed: Embed
) -> None:
    ask()
    answer = embed()
    assert answer.json() == VECTORS
    _, request = apollo.events(session, "model.request")
    assert (request["step"], request["body"]["purpose"], request["body"]["wire"]["dialect"]) == (
        None,
        "side",
        "embeddings",
    )
    with LogReader(apollo.log) as reader:
        assert rebuild_request(reader, session, request["seq"]) == model.bodies[1]
    _, reply = apollo.events(session, "model.reply")
    assert (reply["body"]["model"], reply["body"]["usage"], reply["body"]["parts"]) == (
        "e-small",
        {"input_tokens": 40},
        [],
    )
    assert tokens(apollo, session) == 150
    assert b"0.123456789" not in apollo.log.read_bytes()
    assert apollo.session("there")["step"] == 1


def test_an_error_of_the_server_is_handed_over_and_costs_nothing(
    apollo: Apollo, model: WireModel, session: str, embed: Embed
) -> None:
    model.errors = [429]
    refused = embed()
    assert (refused.status_code, refused.json()) == (429, {"error": {"message": "no"}})
    assert embed(input=[1, 2, 3]).status_code == 200
    assert tokens(apollo, session) == 40


def test_after_a_crash_embeddings_are_no_conversation(
    apollo: Apollo, model: WireModel, session: str, ask: Ask, embed: Embed
) -> None:
    embed(input="Write numbers.")
    ask()
    pid = apollo.kill_host()
    wait_for("another host", lambda: (apollo.host_pid() or pid) != pid)
    assert embed(input="Write numbers.").status_code == 200
    assert ask().status_code == 200
    purposes = [event["body"].get("purpose", "step") for event in apollo.events(session, "model.request")]
    assert purposes.count("side") == 2


@pytest.mark.parametrize("what", ["embeddings", "title"])
def test_a_limit_of_tokens_holds_what_costs_some(
    apollo: Apollo, model: WireModel, session: str, ask: Ask, embed: Embed, what: str
) -> None:
    apollo.run("limit", session, "tokens=100")
    ask()
    begin = embed if what == "embeddings" else lambda: ask(**TITLE)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(begin)
        wait_for("the limit", lambda: apollo.session("there")["state"] == "paused")
        assert "110 of 100 tokens" in apollo.session("there")["reason"]
        assert len(model.bodies) == 1
        assert embed("messages/count_tokens").status_code == 200, "what is free is not held"
        apollo.run("limit", session, "tokens=1000")
        assert asked.result().status_code == 200
    assert [event["body"]["purpose"] for event in apollo.events(session, "model.request")[1:]] == ["side"]


def test_a_limit_takes_nothing_back_that_waits_for_the_boundary(
    apollo: Apollo, model: WireModel, session: str, ask: Ask, embed: Embed
) -> None:
    apollo.run("limit", session, "tokens=100")
    first = ask()
    apollo.run("interrupt", session)
    with pytest.raises(httpx2.ReadTimeout):
        embed(timeout=1)
    assert apollo.session("there")["state"] == "running", "it is at work, and stands still at its boundary"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: ask(*turn(first)))
        wait_for("the boundary", lambda: apollo.session("there")["state"] == "paused")
        assert apollo.session("there")["reason"] == "interrupted"
        apollo.run("stop", session)
        assert asked.result().status_code == 403
    assert len(model.bodies) == 1


def test_a_pause_and_a_limit_of_steps_hold_none(
    apollo: Apollo, model: WireModel, session: str, ask: Ask, embed: Embed
) -> None:
    apollo.run("limit", session, "steps=1")
    ask()
    apollo.run("pause", session)
    assert embed().status_code == 200
    assert ask(**TITLE).status_code == 200


def test_what_a_limit_holds_ends_with_its_session_or_its_client(
    apollo: Apollo, model: WireModel, session: str, ask: Ask, embed: Embed
) -> None:
    apollo.run("limit", session, "tokens=100")
    ask()
    with pytest.raises(httpx2.ReadTimeout):
        embed(timeout=1)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(embed)
        wait_for("the limit", lambda: apollo.session("there")["state"] == "paused")
        apollo.run("stop", session)
        assert asked.result().status_code == 403
    assert len(model.bodies) == 1, "neither went on"

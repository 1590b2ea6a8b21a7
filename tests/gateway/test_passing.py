"""`stream = "pass"`: a reply goes over as it comes, the log has it before its end does, what broke off is no target."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from apollo_process import Apollo, wait_for
from wire_model import WireModel, turn

Ask = Callable[..., httpx2.Response]
TOOLS = [{"type": "function", "function": {"name": "shell", "parameters": {"type": "object"}}}]
TALK = [{"role": "system", "content": "You are an agent."}, {"role": "user", "content": "Write numbers."}]


class Reading:
    """A client that reads a reply as it comes."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key
        self.text = ""
        self.problem = ""

    def read(self, *talk: dict[str, Any], hangs_up: bool = False, timeout: float = 30) -> None:
        """Ask, and read to the end; ``hangs_up``: no further than the first piece."""
        body = {"model": "m", "messages": [*TALK, *talk], "tools": TOOLS, "stream": True}
        own = {"authorization": f"Bearer {self._key}"}
        try:
            with httpx2.stream("POST", self._url, json=body, headers=own, timeout=timeout, trust_env=False) as response:
                for piece in response.iter_text():
                    self.text += piece
                    if hangs_up:
                        return
        except httpx2.HTTPError as error:
            self.problem = type(error).__name__


Read = Callable[..., Any]


@pytest.fixture
def session(apollo: Apollo, model: WireModel) -> str:
    apollo.run("run", "--name", "there", "--model", "openai:m", "--base-url", model.url, "--task", "Write numbers.",
               "--inside", "none", "--stream", "pass")  # fmt: skip
    wait_for("it runs", lambda: apollo.session("there")["state"] == "running")
    return str(apollo.session("there")["id"])


@pytest.fixture
def reading(apollo: Apollo, session: str, model: WireModel) -> Iterator[Read]:
    """``with reading(…) as client``: its reply has begun to come, and goes no further until ``model.rest``."""
    variables = apollo.json("gateway", session)
    url = f"{variables['OPENAI_BASE_URL']}/chat/completions"

    @contextmanager
    def begin(*talk: dict[str, Any], **more: Any) -> Iterator[Reading]:
        model.rest.clear()
        client = Reading(url, variables["OPENAI_API_KEY"])
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(client.read, *talk, **more)
            try:
                wait_for("the first piece", lambda: client.text)
                yield client
            finally:
                model.rest.set()
                done.result()

    yield begin


def test_a_reply_goes_over_as_it_comes_and_is_in_the_log_before_its_end(
    apollo: Apollo, model: WireModel, session: str, reading: Read, ask: Ask
) -> None:
    with reading() as client:
        assert "Step 1, alone." in client.text
        assert "[DONE]" not in client.text
        assert not apollo.events(session, "model.reply", "action.started")
    assert client.problem == ""
    assert client.text.endswith("data: [DONE]\n\n")
    (reply,) = apollo.events(session, "model.reply")  # without waiting: it was there before
    assert apollo.session("there")["step"] == 1
    call = {"id": "call-1-0", "type": "function"}
    function = {"name": "shell", "arguments": reply["body"]["parts"][1]["arguments"]}
    said = {"role": "assistant", "content": "Step 1, alone.", "tool_calls": [call | {"function": function}]}
    ask(said, {"role": "tool", "tool_call_id": "call-1-0", "content": "done"})
    assert [event["step"] for event in apollo.events(session, "model.reply")] == [1, 2]
    assert not apollo.events(session, "reply.superseded")


def test_nothing_can_be_held_and_it_says_so(apollo: Apollo, session: str) -> None:
    refused = apollo.run("hold", session, check=False)
    assert refused.returncode == 1
    assert refused.stderr.strip().endswith(
        "session 1 hands replies over as they come (stream = pass): nothing can be held"
    )
    assert "replies: as they come" in apollo.run("show", session).stdout
    assert apollo.session("there")["passes_replies"] is True


def test_a_pause_holds_at_the_boundary_as_ever(
    apollo: Apollo, model: WireModel, session: str, reading: Read, ask: Ask
) -> None:
    first = ask()
    apollo.run("pause", session)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, *turn(first))
        wait_for("the pause", lambda: apollo.session("there")["state"] == "paused")
        apollo.run("advise", session, "Write words.")
        assert len(model.bodies) == 1
        apollo.run("resume", session)
        assert asked.result().status_code == 200
    assert b"Write words." in model.bodies[1]


def test_an_interrupt_takes_back_nothing_that_was_handed_over(
    apollo: Apollo, model: WireModel, session: str, reading: Read, ask: Ask
) -> None:
    with reading() as client:
        told = apollo.run("interrupt", session).stdout
        assert "at the boundary at the latest: what its harness has of a reply stays" in told
        told = apollo.run("advise", session, "--now", "Write words.").stdout
        assert "delivered at the boundary, after the reply under way" in told
        assert not apollo.events(session, "model.interrupted")
    assert client.text.endswith("data: [DONE]\n\n")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, {"role": "user", "content": "Go on."})
        wait_for("the boundary", lambda: apollo.session("there")["state"] == "paused")
        assert len(model.bodies) == 1
        apollo.run("resume", session)
        assert asked.result().status_code == 200
    assert not apollo.events(session, "model.interrupted")


def test_of_a_reply_that_has_not_begun_to_come_nothing_is_left(
    apollo: Apollo, model: WireModel, session: str, reading: Read, ask: Ask
) -> None:
    model.free.clear()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        wait_for("a request under way", lambda: model.bodies)
        apollo.run("interrupt", session)
        (cut,) = wait_for("it is thrown away", lambda: apollo.events(session, "model.interrupted"))
        assert "delivered" not in cut["body"]
        model.free.set()
        apollo.run("resume", session)
        assert asked.result().status_code == 200
    assert len(model.bodies) == 2


def test_a_stream_that_its_server_breaks_off_breaks_off_and_the_gateway_asks_for_no_other(
    apollo: Apollo, model: WireModel, session: str, reading: Read
) -> None:
    model.cuts = 1
    with reading() as client:
        pass
    assert client.problem == "RemoteProtocolError", "it is no whole reply"
    assert client.text.count("Step 1, alone.") == 1
    (failed,) = wait_for("it is said", lambda: apollo.events(session, "model.attempt_failed"))
    assert (failed["body"]["reason"], failed["body"]["delivered"]) == ("cut", "partial")
    assert [part["text"] for part in failed["body"]["partial"] if part["part"] == "text"] == ["Step 1, alone."]
    assert len(model.bodies) == 1
    with reading() as again:
        model.rest.set()
    assert again.text.endswith("data: [DONE]\n\n")
    assert len(model.bodies) == 2
    (reply,) = apollo.events(session, "model.reply")
    assert (reply["step"], reply["body"]["attempt"]) == (1, 2)
    assert trained_steps(apollo, session) == ["1"]


def test_a_harness_that_hangs_up_ends_its_reply(apollo: Apollo, model: WireModel, session: str, reading: Read) -> None:
    with reading(hangs_up=True):
        (cut,) = wait_for("it is ended", lambda: apollo.events(session, "model.interrupted"))
    assert (cut["body"]["why"], cut["body"]["delivered"]) == ("client", "partial")
    with reading() as again:
        model.rest.set()
    assert again.text.endswith("data: [DONE]\n\n")
    assert len(model.bodies) == 2, "what it had a part of is no reply for who asks again"
    (reply,) = apollo.events(session, "model.reply")
    assert reply["step"] == 1
    assert trained_steps(apollo, session) == ["1"]


def test_a_reply_that_never_went_over_and_that_the_next_request_does_without_is_none(
    apollo: Apollo, model: WireModel, session: str, reading: Read, ask: Ask
) -> None:
    model.free.clear()
    with pytest.raises(httpx2.ReadTimeout):
        ask(timeout=1)
    model.free.set()
    (lost,) = wait_for("the reply", lambda: apollo.events(session, "model.reply"))
    second = ask({"role": "user", "content": "Never mind, go on."})
    ask({"role": "user", "content": "Never mind, go on."}, *turn(second))
    (gone,) = apollo.events(session, "reply.superseded")
    assert (gone["body"]["old"], gone["body"].get("new")) == (lost["seq"], None)
    assert trained_steps(apollo, session) == ["2", "3"]


def test_a_stop_breaks_off_what_is_handed_over(apollo: Apollo, model: WireModel, session: str, reading: Read) -> None:
    with reading() as client:
        apollo.run("stop", session)
        wait_for("its end", lambda: apollo.session("there")["state"] == "stopped")
        wait_for("the line breaks", lambda: client.problem)
    assert client.problem == "RemoteProtocolError"
    (cut,) = apollo.events(session, "model.interrupted")
    assert (cut["body"]["why"], cut["body"]["delivered"]) == ("stop", "partial")
    assert trained_steps(apollo, session) == []


def test_a_host_that_is_killed_in_mid_reply_leaves_no_target(
    apollo: Apollo, model: WireModel, session: str, reading: Read
) -> None:
    with reading() as client:
        pid = apollo.kill_host()
        wait_for("the line breaks", lambda: client.problem)
        wait_for("another host", lambda: (apollo.host_pid() or pid) != pid)
    assert client.problem
    (failed,) = wait_for("it is said", lambda: apollo.events(session, "model.attempt_failed"))
    assert (failed["body"]["reason"], failed["body"]["delivered"]) == ("cut", "partial")
    assert len(model.bodies) == 1, "it asks for nothing by itself"
    with reading() as again:
        model.rest.set()
    assert again.text.endswith("data: [DONE]\n\n")
    assert trained_steps(apollo, session) == ["1"]


def test_a_title_goes_over_as_it_comes_too(
    apollo: Apollo, model: WireModel, session: str, reading: Read, ask: Ask
) -> None:
    ask()
    variables = apollo.json("gateway", session)
    model.rest.clear()
    title = {"model": "m", "messages": [{"role": "user", "content": "Name this: Write numbers."}], "stream": True}
    url = f"{variables['OPENAI_BASE_URL']}/chat/completions"
    own = {"authorization": f"Bearer {variables['OPENAI_API_KEY']}"}
    with httpx2.stream("POST", url, json=title, headers=own, timeout=20, trust_env=False) as response:
        pieces = response.iter_text()
        assert "Step 1" in next(pieces)
        model.rest.set()
        assert "".join(pieces).endswith("data: [DONE]\n\n")
    assert [e["body"].get("purpose") for e in apollo.events(session, "model.request")] == [None, "side"]


def test_it_is_said_in_a_preset_a_task_file_or_the_config(apollo: Apollo, model: WireModel) -> None:
    config = apollo.folder / "config" / "apollo-tui"
    config.joinpath("agents.toml").write_text(
        '[passing]\ntitle = "P"\ndialect = "chat"\ncommand = ["sleep", "60"]\nstream = "pass"\n'
        '[plain]\ntitle = "P"\ndialect = "chat"\ncommand = ["sleep", "60"]\n'
    )
    (apollo.folder / "task.md").write_text("---\nstream: pass\n---\nWrite.")
    (apollo.folder / "bare.md").write_text("Write.")
    own = ("--anyway", "--model", "openai:m", "--base-url", model.url, "--inside", "none", "--no-start")

    def passes(name: str, *words: str) -> bool:
        apollo.run("new", *words, *own, "--name", name)
        return bool(apollo.session(name)["passes_replies"])

    assert passes("preset", "bare.md", "--agent", "passing")
    assert passes("task", "task.md", "--agent", "plain")
    assert not passes("nothing", "bare.md", "--agent", "plain")
    assert not passes("option", "task.md", "--agent", "passing", "--stream", "buffered")
    assert not passes("own", "task.md")
    apollo.write_config('[gateway]\nstream = "pass"\n')
    assert passes("config", "bare.md", "--agent", "plain")
    refused = apollo.run("new", "bare.md", *own, "--stream", "pass", check=False)
    assert "--stream is for agent programs: name one with --agent" in refused.stderr


def trained_steps(apollo: Apollo, session: str) -> list[str]:
    """The steps that an export trains."""
    target = Path(apollo.folder) / "rows.jsonl"
    apollo.run("export", session, "--format", "steps", "--advice", "kept", "--out", str(target), check=False)
    if not target.exists():
        return []
    return [json.loads(line)["meta"]["step"] for line in target.read_text().splitlines()]

"""Clients with time-outs of ten minutes: what each one does when its host dies after the headers.

docs/agents.md has the table. Behind the headers only keep-alives have come: the model has not begun.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from apollo_process import Apollo, wait_for
from wire_model import WireModel

pytestmark = pytest.mark.kill

LOOPS = Path(__file__).parents[1] / "support" / "harnesses"
TASK = "Write numbers into trace.txt."
SECONDS = 600
RAISES = {
    "chat": "openai.APIConnectionError: Connection error.",
    "responses": "openai.APIConnectionError: Connection error.",
    "messages": "httpx2.RemoteProtocolError: peer closed connection without sending complete message body (incomplete "
    "chunked read)",
}
"""What a client that reads a stream raises, and its agent does not catch, by dialect."""


@pytest.fixture
def model() -> Iterator[WireModel]:
    with WireModel(5).serving() as model:
        yield model


@pytest.fixture
def apollo(tmp_path: Path) -> Iterator[Apollo]:
    product = Apollo(tmp_path, {"LOOP_TIMEOUT": str(SECONDS)})
    product.write_config("[gateway]\nfirst_seconds = 0.2\nheaders_seconds = 0.4\npause_seconds = 0.2\n")
    yield product
    product.close()


def begin(apollo: Apollo, model: WireModel, dialect: str, *command: str) -> str:
    provider = "anthropic" if dialect == "messages" else "openai"
    apollo.run("run", "--name", "long", "--model", f"{provider}:m", "--base-url", model.url, "--task", TASK,
               "--inside", "none", *command)  # fmt: skip
    return str(apollo.session("long")["id"])


def kill_host(apollo: Apollo) -> None:
    pid = apollo.kill_host()
    wait_for("another host", lambda: (apollo.host_pid() or pid) != pid)


def said(apollo: Apollo, session: str) -> list[str]:
    """What its agent has said."""
    files = [path for path in apollo.folder.rglob("output") if session in str(path)]
    return files[0].read_text().splitlines() if files else []


@pytest.mark.parametrize("dialect", RAISES)
def test_a_stream_is_not_asked_for_again_and_its_agent_ends_early(
    apollo: Apollo, model: WireModel, dialect: str
) -> None:
    model.free.clear()
    loop = str(LOOPS / f"{dialect}_loop.py")
    session = begin(apollo, model, dialect, "--", sys.executable, loop, TASK)
    wait_for("a request under way", lambda: model.bodies)
    wait_for("its headers", lambda: "headers" in said(apollo, session))
    kill_host(apollo)
    wait_for("its end", lambda: apollo.session("long")["state"] == "stopped")
    assert said(apollo, session)[-1] == RAISES[dialect]
    assert apollo.session("long")["reason"] == "ended early: exit code 1, without a last reply"
    assert "ended early: exit code 1" in apollo.run("ls").stdout + apollo.run("show", session).stdout
    assert len(model.bodies) == 1, "neither its client nor the next host asked again"
    (failed,) = apollo.events(session, "model.attempt_failed")
    assert failed["body"]["reason"] == "cut"
    assert not apollo.events(session, "model.reply")


def ask_chat(url: dict[str, str], http: Any) -> object:
    client = openai.OpenAI(
        base_url=url["OPENAI_BASE_URL"], api_key=url["OPENAI_API_KEY"], timeout=SECONDS, http_client=http
    )
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": TASK}]).choices[0].message


def ask_responses(url: dict[str, str], http: Any) -> object:
    client = openai.OpenAI(
        base_url=url["OPENAI_BASE_URL"], api_key=url["OPENAI_API_KEY"], timeout=SECONDS, http_client=http
    )
    return client.responses.create(model="m", input=[{"role": "user", "content": TASK}]).output


def ask_messages(url: dict[str, str], http: Any) -> object:
    client = anthropic.Anthropic(
        base_url=url["ANTHROPIC_BASE_URL"], api_key=url["ANTHROPIC_API_KEY"], timeout=SECONDS, http_client=http
    )
    return client.messages.create(model="m", max_tokens=100, messages=[{"role": "user", "content": TASK}]).content


@pytest.mark.parametrize("ask", [ask_chat, ask_responses, ask_messages])
def test_an_answer_in_one_piece_is_asked_for_again_by_the_client_itself(
    apollo: Apollo, model: WireModel, ask: Callable[[dict[str, str], Any], object]
) -> None:
    model.free.clear()
    session = begin(apollo, model, ask.__name__.removeprefix("ask_"), "--elsewhere")
    headers = threading.Event()
    hooks = {"response": [lambda _: headers.set()]}
    with httpx2.Client(trust_env=False, event_hooks=hooks) as http, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, apollo.json("gateway", session), http)
        assert headers.wait(30)
        wait_for("the request at the server", lambda: len(model.bodies) == 1)
        kill_host(apollo)
        wait_for("the request again", lambda: len(model.bodies) == 2)
        model.free.set()
        assert asked.result(30)
    assert apollo.session("long")["state"] == "running"
    assert len(apollo.events(session, "model.reply")) == 1

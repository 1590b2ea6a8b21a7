"""Three agents that know nothing of us, one a dialect, watched, held, advised, killed and exported; nothing is lost."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from apollo_process import Apollo, wait_for
from wire_model import WireModel

from sessions.events import ModelRequested
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request
from sessions.paths import log_paths
from sessions.queries.damage import find_damage

pytestmark = pytest.mark.kill

LOOPS = Path(__file__).parents[1] / "support" / "harnesses"
TASK = "Write numbers into trace.txt."
STEPS = 20
TIMEOUT = 2.0
"""Of the loops' clients, in seconds."""


@pytest.fixture
def model() -> Iterator[WireModel]:
    with WireModel(STEPS).serving() as model:
        yield model


@pytest.fixture
def apollo(tmp_path: Path) -> Iterator[Apollo]:
    product = Apollo(tmp_path)
    product.write_config()
    yield product
    product.close()


def start(apollo: Apollo, model: WireModel, dialect: str, *more: str) -> str:
    loop = [sys.executable, str(LOOPS / f"{dialect}_loop.py"), TASK]
    provider = "anthropic" if dialect == "messages" else "openai"
    words = ["run", "--name", dialect, "--model", f"{provider}:m", "--base-url", model.url, "--task", TASK]
    apollo.run(*words, "--inside", "none", *more, "--", *loop)
    return str(apollo.session(dialect)["id"])


def step(apollo: Apollo, session: str) -> int:
    return len(apollo.events(session, "model.reply"))


def state(apollo: Apollo, session: str) -> str:
    return str(apollo.session(session)["state"])


def prompts(apollo: Apollo, session: str) -> list[bytes]:
    """What the log says was sent, in order."""
    with LogReader(apollo.log) as reader:
        requests = [e for e in reader.events(session, kinds={"model.request"}) if isinstance(e.body, ModelRequested)]
        return [rebuild_request(reader, session, event.seq) for event in requests]


@pytest.mark.parametrize("dialect", ["chat", "responses", "messages"])
def test_a_loop_is_held_advised_killed_under_and_exported_with_its_exact_prompts(
    apollo: Apollo, model: WireModel, dialect: str
) -> None:
    session = start(apollo, model, dialect)
    wait_for("the fifth step", lambda: step(apollo, session) >= 5)
    model.free.clear()  # so that it waits for us, however quick it is

    # Held for longer than its client waits twice: one sample all the same, of the prompt with the advice in it.
    apollo.run("pause", session)
    model.free.set()
    wait_for("the pause", lambda: state(apollo, session) == "paused")
    since = time.monotonic()
    held, asked = step(apollo, session), len(model.bodies)
    apollo.run("advise", session, "Write another word from now on.")
    pid = apollo.kill_host()
    assert pid is not None
    wait_for("another host", lambda: (apollo.host_pid() or pid) != pid)
    wait_for("two time-outs of the client", lambda: time.monotonic() > since + 2 * TIMEOUT + 0.5)
    assert len(model.bodies) == asked, "a held request goes nowhere"
    apollo.run("resume", session)
    wait_for("a step with advice", lambda: step(apollo, session) > held)
    assert len(model.bodies) <= asked + 1 + step(apollo, session) - held
    wait_for("its effect", lambda: "advised" in trace(apollo, session))

    # Interrupted: the harness never sees that reply, and the next one knows why.
    model.free.clear()
    asked = len(model.bodies)
    wait_for("a request under way", lambda: len(model.bodies) > asked)
    apollo.run("interrupt", session)
    wait_for("it is thrown away", lambda: apollo.events(session, "model.interrupted"))
    apollo.run("advise", session, "Not that one.")
    model.free.set()
    apollo.run("resume", session)
    wait_for("it is told why", lambda: any(b"Not that one." in body for body in model.bodies))

    # Cut by the death of the host: asked for again once, and the log says so.
    model.free.clear()
    asked = len(model.bodies)
    wait_for("a request under way", lambda: len(model.bodies) > asked)
    pid = apollo.kill_host()
    assert pid is not None
    wait_for("the request again", lambda: len(model.bodies) > asked + 1)
    model.free.set()
    wait_for("the failed attempt", lambda: apollo.events(session, "model.attempt_failed"))
    (failed,) = apollo.events(session, "model.attempt_failed")
    assert failed["body"]["reason"] == "cut"

    apollo.run("flag", session, "2.1", "--label", "impatience")
    apollo.run("flag", session, "4.1", "--label", "impatience")
    wait_for("the end", lambda: state(apollo, session) == "finished", seconds=90)

    lines = trace(apollo, session).splitlines()
    assert [line.split()[0] for line in lines] == [str(number) for number in range(1, STEPS + 1)], "each ran once"
    assert lines[0].endswith("alone")
    assert lines[-1].endswith("advised")
    sent = prompts(apollo, session)
    received = [body for body in model.bodies]
    assert [body for n, body in enumerate(received) if body not in received[:n]] == sent
    assert len(received) == len(sent) + 1, "the cut one twice, all others once"
    with LogReader(apollo.log) as reader:
        assert not list(find_damage(reader, log_paths(apollo.log).sessions))
    assert all(session not in json.dumps(headers) for headers in model.headers)

    target = apollo.folder / "steps.jsonl"
    apollo.run("export", session, "--format", "steps", "--advice", "kept", "--out", str(target))
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [int(row["meta"]["step"]) for row in rows] == [n for n in range(1, STEPS + 1) if n not in (2, 4)]
    assert {row["meta"]["harness"] for row in rows} == {Path(sys.executable).name}
    # From the first reply on a prompt holds reasoning that nobody can read, where that is what the model gives.
    opaque = "exact_opaque" if dialect == "responses" else "exact"
    assert [row["meta"]["prompt"] for row in rows] == ["exact", *[opaque] * (len(rows) - 1)]
    assert [message["role"] for message in rows[-1]["prompt"]].count("assistant") == STEPS - 1
    assert json.loads(rows[0]["tools"])[0]["function"]["name"] == "shell"


def trace(apollo: Apollo, session: str) -> str:
    with LogReader(apollo.log) as reader:
        created = reader.events(session, limit=1)[0].body
    path = Path(str(created.workspace)) / "trace.txt"  # type: ignore[attr-defined]  # the first event creates it
    return path.read_text() if path.exists() else ""

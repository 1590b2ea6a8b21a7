"""Agent programs of others, as they are installed (`make test-harness`): held, advised, interrupted, exported."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from apollo_process import Apollo, wait_for
from wire_model import WireModel

from sessions.events import ModelRequested
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request

HERE = Path(__file__).parent / "programs"
PLACE = Path(os.environ.get("APOLLO_HARNESSES", ""))
"""A folder with a virtual environment for each program."""
TASK = "Write numbers into trace.txt."
HELD_S = float(os.environ.get("APOLLO_HARNESS_HOLD", "60"))
COMMANDS = {
    "mini-swe-agent": ["--agent", "mini-swe-agent"],
    "aider": ["--agent", "aider"],
    "openai-agents": ["--agent", "openai-agents", "--", "python", str(HERE / "openai_agents_loop.py"), TASK],
    "smolagents": ["--agent", "smolagents", "--", "python", str(HERE / "smolagents_loop.py"), TASK],
    "inspect": ["--agent", "inspect", "--", "env", f"TASK={TASK}", "inspect", "eval", "inspect_task.py",
                "--model", "openai/m", "--display", "plain"],
}  # fmt: skip


@pytest.fixture
def model() -> Iterator[WireModel]:
    with WireModel(3).serving() as model:
        yield model


@pytest.fixture
def apollo(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Apollo]:
    own = PLACE / request.node.callspec.params["name"] / "bin"
    if not own.is_dir():
        pytest.skip(f"there is no {own}")
    product = Apollo(tmp_path, {"PATH": f"{own}:{os.environ['PATH']}"})
    product.write_config()
    yield product
    product.close()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_program_is_held_advised_interrupted_and_exported(apollo: Apollo, model: WireModel, name: str) -> None:
    options, command = COMMANDS[name], []
    if "--" in options:
        options, command = options[: options.index("--")], options[options.index("--") :]
    workspace = ["--workspace", str(HERE)] if name == "inspect" else []
    apollo.run("run", "--name", name, "--model", "openai:m", "--base-url", model.url, "--task", TASK,
               "--inside", "none", "--limit", "steps=0", *workspace, *options, *command)  # fmt: skip
    session = str(apollo.session(name)["id"])
    wait_for("its first request", lambda: apollo.session(name)["state"] == "paused", seconds=120)
    until = time.monotonic() + HELD_S
    wait_for("it is held", lambda: time.monotonic() > until, seconds=HELD_S + 5, every=1)
    asked = [event for event in apollo.events(session, "model.reply") if event["step"]]
    assert not asked, "nothing was asked but what is no step: Inspect tries its model first"

    apollo.run("limit", session, "steps=30")
    model.free.clear()
    before = len(model.bodies)
    apollo.run("resume", session)
    wait_for("a request under way", lambda: len(model.bodies) > before)
    apollo.run("interrupt", session)
    wait_for("it is thrown away", lambda: apollo.events(session, "model.interrupted"))
    apollo.run("advise", session, "Write another word from now on.")
    model.free.set()
    apollo.run("resume", session)
    wait_for("its end", lambda: apollo.session(name)["state"] in ("finished", "stopped", "needs_you"), seconds=120)
    assert apollo.session(name)["state"] == "finished", apollo.session(name)["reason"]
    assert len(apollo.events(session, "advice.delivered")) == 1

    with LogReader(apollo.log) as reader:
        requests = [e for e in reader.events(session, kinds={"model.request"}) if isinstance(e.body, ModelRequested)]
        sent = [rebuild_request(reader, session, event.seq) for event in requests]
    assert set(model.bodies) == set(sent), "every prompt of the log is what the server received"
    assert b"Write another word from now on." in sent[-1]
    policy = apollo.folder / "policy.toml"
    policy.write_text("version = 2\n\n[targets]\ntext_only = true\n")
    target = apollo.folder / "rows.jsonl"
    apollo.run(
        "export", session, "--format", "steps", "--advice", "kept", "--policy", str(policy), "--out", str(target)
    )
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert rows
    assert all(row["meta"]["prompt"] in ("exact", "exact_opaque") for row in rows)

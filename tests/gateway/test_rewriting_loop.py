"""A harness that rewrites its first message with each request, keeps one call of two, and refuses words alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from apollo_process import Apollo, wait_for
from wire_model import WireModel

from sessions.events import ModelRequested
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request

LOOP = Path(__file__).parents[1] / "support" / "harnesses" / "rewriting_loop.py"
TASK = "Write numbers into trace.txt."
STEPS = 12


@pytest.mark.kill
def test_it_is_one_conversation_all_the_same(tmp_path: Path) -> None:
    apollo = Apollo(tmp_path)
    apollo.write_config()
    model = WireModel(STEPS)
    model.calls, model.silences = 2, {4: 2}
    with model.serving():
        loop = [sys.executable, str(LOOP), TASK]
        words = ["run", "--name", "rewrites", "--model", "openai:m", "--base-url", model.url, "--task", TASK]
        apollo.run(*words, "--inside", "none", "--", *loop)
        session = str(apollo.session("rewrites")["id"])
        try:
            wait_for("the sixth step", lambda: apollo.session("rewrites")["step"] >= 6)
            model.free.clear()
            asked = len(model.bodies)
            wait_for("a request under way", lambda: len(model.bodies) > asked)
            pid = apollo.kill_host()
            assert pid is not None
            wait_for("it again", lambda: len(model.bodies) > asked + 1)
            model.free.set()
            wait_for("the end", lambda: apollo.session("rewrites")["state"] in ("finished", "stopped"), seconds=60)
            events = apollo.events(session)
            state = apollo.session("rewrites")
        finally:
            apollo.close()
    replies = [(e["step"], e["seq"]) for e in events if e["kind"] == "model.reply"]
    steps = [step for step, _ in replies]
    assert sorted(set(steps)) == list(range(1, STEPS + 2))
    assert steps.count(5) == 3, "two without a call were refused"
    gone = [e["body"]["old"] for e in events if e["kind"] == "reply.superseded"]
    assert gone == [seq for step, seq in replies if step == 5][:2]
    results = [(e["step"], e["call"], e["body"]["outcome"]) for e in events if e["kind"] == "action.result"]
    # The last one is that with which it ended.
    assert [r for r in results if r[1] == 1] == [(step, 1, "ok") for step in range(1, STEPS + 2)]
    assert {r[2] for r in results if r[1] == 2} == {"unknown"}, "of the second call nobody ever heard"
    assert state["state"] == "finished", state

    with LogReader(apollo.log) as reader:
        requests = [e for e in reader.events(session, kinds={"model.request"})]
        sent = [rebuild_request(reader, session, event.seq) for event in requests]
    bodies = [event.body for event in requests]
    assert all(isinstance(body, ModelRequested) for body in bodies)
    assert [body.parent is None for body in bodies] == [True] + [False] * (len(bodies) - 1)  # type: ignore[attr-defined]
    assert all(len(body.append) <= 3 for body in bodies[1:]), "what came before is named, not repeated"  # type: ignore[attr-defined]
    assert [body for n, body in enumerate(model.bodies) if body not in model.bodies[:n]] == list(dict.fromkeys(sent))
    assert json.loads(sent[-1])["messages"][1] != json.loads(sent[0])["messages"][1]

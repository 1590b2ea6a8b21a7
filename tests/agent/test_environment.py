from __future__ import annotations

import sys

import pytest
from agent_testbed import Bench, assert_rebuilds
from scripted_model import ScriptedAdapter, call

from sessions import events as ev

COUNTER = ev.EnvironmentSpec("toy_environment:counter", {"last": 3})
UP = call("count", by=1)


async def test_a_session_lives_in_its_task_s_environment_until_that_ends_it(bench: Bench) -> None:
    session = await bench.run([UP, call("count", by=-1), call("run", command="ls"), UP, UP], environment=COUNTER)
    outputs = [body.output.text for body in bench.bodies(session, ev.ActionResult)]
    assert [text for text in outputs if text.startswith("at")] == ["at 1", "at 2", "at 3"]
    assert "Only up." in outputs
    assert bench.summary(session).state == "finished"
    assert isinstance(bench.adapter, ScriptedAdapter)
    assert_rebuilds(bench, session, bench.adapter.received)


async def test_the_tools_that_a_task_names_are_the_product_s_and_its_own_stay(bench: Bench) -> None:
    session = await bench.run([call("run", command="ls"), UP, UP, UP], environment=COUNTER, tools=("finish",))
    (refused,) = bench.bodies(session, ev.ActionRefused)
    assert refused.why == "unknown_tool"
    assert "The tools are: count, finish." in refused.problem


async def test_an_environment_goes_on_under_another_host(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([UP, UP, UP])
    session = await bench.create(environment=COUNTER)
    first = bench.runner(session)
    first.start()
    await bench.until(lambda: bench.bodies(session, ev.ActionResult), "the first result")
    await first.close()
    bench.runner(session).start()
    await bench.state(session, "finished")
    counted = [body.output.text for body in bench.bodies(session, ev.ActionResult) if body.outcome == "ok"]
    assert counted[-1] == "at 3"


async def test_an_environment_that_is_gone_asks_for_a_person_and_names_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.adapter = ScriptedAdapter([UP, UP, UP])
    session = await bench.create(environment=COUNTER, start=False)
    first = bench.runner(session)
    await bench.control(session, "next")
    await bench.until(lambda: bench.bodies(session, ev.ActionResult), "the first result")
    await bench.state(session, "paused")
    await first.close()
    monkeypatch.setitem(sys.modules, "toy_environment", None)
    bench.runner(session)
    await bench.control(session, "resume")
    await bench.state(session, "needs_you")
    assert "toy_environment:counter cannot be imported" in bench.summary(session).reason
    monkeypatch.undo()
    await bench.control(session, "resume")
    await bench.state(session, "finished")

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter

import pytest
from agent_testbed import Bench, assert_prompts_grow, assert_rebuilds
from scripted_model import ScriptedAdapter, Turn, call

from sessions import events as ev

DONE = call("finish", summary="done")
TURNS = [
    Turn("", (("run", {"command": "sleep 0.05; echo a"}), ("wait", {"seconds": 0.1}))),
    call("ask_human", question="which one?"),
    Turn("a reply without a call"),
    call("run", command="sleep 5", background=True),
    call("wait", job=1, seconds=0.2),
    call("evaluate"),
]
VERBS = ("pause", "resume", "stop", "interrupt", "next", "reopen")
OTHERS = ("advise", "advise now", "advise later", "new host", "host stops")


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_people_press_and_hosts_do_nothing_is_lost_doubled_or_broken(
    bench: Bench, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(seed)
    bench.adapter = ScriptedAdapter([*TURNS, *[DONE] * 40])
    session = await bench.create(evaluate=ev.EvaluateSpec(command="echo 1"))
    bench.runner(session).start()
    for _ in range(12):
        await asyncio.sleep(dice.choice([0, 0.01, 0.05, 0.1]))
        await act(bench, session, dice.choice(VERBS + OTHERS))
    await bench.until(lambda: settled(bench, session), "rest")
    while bench.summary(session).state != "finished" or bench.summary(session).open_advice:
        await go_on(bench, session)
    assert not [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    started, ended = (
        Counter((event.step, event.call) for event in bench.events(session, *kinds))
        for kinds in (("action.started",), ("action.result", "action.refused"))
    )
    assert set(started.values()) | set(ended.values()) == {1}
    assert set(started) <= set(ended)
    given = Counter(number for body in bench.bodies(session, ev.AdviceDelivered) for number in body.advice)
    assert given == Counter(range(1, bench.summary(session).advice + 1))
    for kind in (ev.JobStarted, ev.JobEnded):
        assert set(Counter(body.job for body in bench.bodies(session, kind)).values()) <= {1}
    assert_prompts_grow(bench, session)
    assert_rebuilds(bench, session, bench.adapter.received)


async def act(bench: Bench, session: str, what: str) -> None:
    match what:
        case "advise":
            await bench.advise(session, "one more thing")
        case "advise now":
            await bench.advise(session, "stop that", now=True)
        case "advise later":
            await bench.advise(session, "and then", hold_ms=60)
        case "new host":
            await bench.runners[-1].close()
            # A cancelled commit is stored all the same; a real host begins when the one before has closed its writer.
            await bench.writer.wait_for_writes()
            bench.runner(session).start()
        case "host stops":
            bench.runners[-1].hold("the host stops")
        case _:
            await bench.control(session, what)


def settled(bench: Bench, session: str) -> bool:
    """Whether the session waits for somebody."""
    summary = bench.summary(session)
    return bool(summary.open_question) or summary.state in ("created", "paused", "needs_you", "stopped", "finished")


async def go_on(bench: Bench, session: str) -> None:
    """Give the session what it waits for, and wait until it waits again."""
    before = bench.summary(session).last_seq
    if bench.summary(session).open_question:
        await bench.answer(session, "the first")
    else:
        await bench.control(session, "resume")
    await bench.until(lambda: bench.summary(session).last_seq > before + 1 and settled(bench, session), "the next rest")

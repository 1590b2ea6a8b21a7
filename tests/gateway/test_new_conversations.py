"""What is committed where a harness begins a new conversation, and what a kill leaves of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from agent_testbed import Bench, Crash, FragileWriter

from sessions import events as ev
from sessions.agent.session import Session
from sessions.events.messages import CallPart, TextPart
from sessions.gateway.advice_again import requeue_standing
from sessions.gateway.dialects import DIALECTS
from sessions.gateway.exchange import Exchange
from sessions.gateway.line import Turn
from sessions.gateway.observations import Observations
from sessions.gateway.threads import Place

SUMMARY = "The first number is written into the file.\nWhat is left: to write the other nineteen numbers."
ADVICE = "Write words instead of numbers."


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = await Bench.open(tmp_path)
    yield made
    await made.close()


async def new_session(bench: Bench) -> str:
    """One whose newest reply, at step 2, is a summary that nothing says is one; step 1 made a call."""
    session = await bench.create(harness=ev.Harness(name="little"))

    async def tell(body: ev.Body, step: int | None = None) -> int:
        return (await bench.writer.append(ev.NewEvent(session, body, step=step)))[0].seq

    await tell(ev.StateChanged(state="running"))
    for step, part in ((1, CallPart("c1.1", "shell", "{}")), (2, TextPart(SUMMARY))):
        if step == 2:
            await tell(ev.AdviceQueued(advice=1, text=ADVICE))
            await tell(ev.AdviceDelivered(advice=(1,), at_step=2, text=ADVICE), 2)
        asked = await tell(ev.ModelRequested(adapter="gateway", adapter_version=1, envelope={}, sha256=""), step)
        finish = "calls" if step == 1 else "stop"
        await tell(ev.ModelReplied(request=asked, parts=(part,), finish=finish), step)  # type: ignore[arg-type]
    return session


def new_turn(*told: str) -> Turn:
    """The first request of the next conversation."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text} for text in told]}).encode()
    dialect = DIALECTS["chat"]
    answer = asyncio.get_running_loop().create_future()
    exchange = Exchange(dialect, dialect.read_request(body), body, "chat/completions", "", (), answer)
    return Turn(exchange, Place(0, "main", "", "segment"), "", 0)


async def take_in(session: Session, turn: Turn) -> None:
    units = turn.exchange.request.units
    await Observations(session).take_in(turn, session.resume_point(), None, None, units)


@pytest.mark.parametrize("stored", [True, False])
async def test_a_kill_leaves_all_or_nothing_of_a_summary_that_shows_late(bench: Bench, stored: bool) -> None:
    name, turn = await new_session(bench), new_turn(f"Go on from here:\n{SUMMARY}")
    with pytest.raises(Crash):
        await take_in(Session(name, bench.services(FragileWriter(bench.writer, 1, stored=stored))), turn)
    kinds = ("advice.requeued", "thread.assigned", "reply.superseded", "summary.written")
    said = [(event.kind, event.step) for event in bench.events(name, *kinds)]
    whole = [(kinds[0], None), (kinds[1], 2), (kinds[2], 2), (kinds[3], None)]
    assert said == (whole if stored else [])
    await take_in(Session(name, bench.services()), turn)
    assert [(event.kind, event.step) for event in bench.events(name, *kinds)] == whole, "the next host writes no second"
    (written,) = bench.bodies(name, ev.SummaryWritten)
    assert (written.from_step, written.to_step, written.text.text) == (1, 1, SUMMARY)


async def test_advice_that_the_new_conversation_has_is_not_said_again(bench: Bench) -> None:
    """As what a program was told as its prompt, which is part of its own history."""
    name = await new_session(bench)
    for number, text in ((2, "Say hello\nto them all first."), (3, "Leave the other files alone.")):
        queued = ev.NewEvent(name, ev.AdviceQueued(advice=number, text=text))
        told = ev.AdviceDelivered(advice=(number,), at_step=2, text=text, as_prompt=number == 2)
        await bench.writer.append(queued, ev.NewEvent(name, told, step=2))
    await take_in(
        Session(name, bench.services()), new_turn(f"Go on from here:\n{SUMMARY}", "Say hello to them all first.")
    )
    assert [body.advice for body in bench.bodies(name, ev.AdviceRequeued)] == [1, 3]


async def test_standing_advice_that_was_taken_back_before_it_was_said_again_stays_away(bench: Bench) -> None:
    name = await new_session(bench)

    async def tell(body: ev.Body) -> None:
        await bench.writer.append(ev.NewEvent(name, body, actor="human:ann"))

    async def begin() -> list[int]:
        """How often it was queued again, and what waits now."""
        await requeue_standing(
            Session(name, bench.services()), new_turn("Another beginning.").exchange.request.units, ()
        )
        return [len(bench.bodies(name, ev.AdviceRequeued)), len(bench.summary(name).open_advice)]

    await tell(ev.AdviceStanding(advice=1, standing=True))
    assert await begin() == [1, 1]
    await tell(ev.AdviceWithdrawn(advice=1))
    assert await begin() == [1, 0]
    await tell(ev.AdviceStanding(advice=1, standing=True))
    assert await begin() == [2, 1], "it is to be said after all"
    await tell(ev.AdviceStanding(advice=1, standing=False))
    assert await begin() == [2, 0]

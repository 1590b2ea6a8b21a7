"""``M``: which of a harness's conversations is its work."""

from __future__ import annotations

from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.panels.base import ChoicePanel
from sessions import events as ev
from sessions.events.messages import TextPart
from sessions.events.text import Blob
from sessions.host import protocol

HARNESS = ev.Harness(name="codex", command=("codex",))


async def add_step(feed: FakeFeed, session: str, step: int | None, words: str, thread: str = "main") -> None:
    """A request that begins a conversation with ``words``, and its reply."""
    told = Blob.of(('{"role":"user","content":"' + words + '"}').encode())
    frame = ev.WireFrame(dialect="chat", before=(), after=(), chain="00", thread=thread)
    asked = ev.ModelRequested(
        purpose="side" if step is None else "step", adapter="gateway", adapter_version=1, envelope={}, sha256="0",
        wire=frame, append=(ev.MessageRef(told.hash, "user"),),
    )  # fmt: skip
    request = await feed.add(session, asked, step=step, blobs=[told])
    reply = ev.ModelReplied(request=request.seq, parts=(TextPart(text="yes"),), finish="stop")
    await feed.add(session, reply, step=step)


async def test_it_lists_them_and_what_is_chosen_is_asked_once_more(feed: FakeFeed) -> None:
    session = await feed.session("fix it", harness=HARNESS)
    await add_step(feed, session, 1, "Fix the parser.")
    await add_step(feed, session, None, "Make a title.", thread="side 93ab")
    await add_step(feed, session, 2, "Look into the [b]tests[/b].")
    async with open_app(feed) as (app, pilot):
        assert isinstance(app.screen, ApolloScreen)
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, ChoicePanel))
        await pilot.pause()
        shown = screen_text(app)
        assert "main line  step 1" in shown and "Fix the parser." in shown
        assert "main line  step 2 · newest" in shown and "Look into the [b]tests[/b]." in shown
        assert "beside it  side 93ab, requests: 1" in shown and "Make a title." in shown
        await pilot.press("end", "enter")
        await until(pilot, lambda: "It is a sub-agent's" in screen_text(app))
        assert not [call for call in feed.calls if isinstance(call, protocol.AssignThread)]
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(call, protocol.AssignThread) for call in feed.calls))
    (call,) = [call for call in feed.calls if isinstance(call, protocol.AssignThread)]
    assert (call.session, call.step, call.thread) == (session, 2, "")


async def test_esc_leaves_it_as_it_is(feed: FakeFeed) -> None:
    session = await feed.session("fix it", harness=HARNESS)
    await add_step(feed, session, 1, "Fix the parser.")
    async with open_app(feed) as (app, pilot):
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, ChoicePanel))
        await pilot.press("enter")
        await until(pilot, lambda: "enter does it" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ChoicePanel))
    assert not [call for call in feed.calls if isinstance(call, protocol.AssignThread)]


async def test_our_own_agent_has_one_conversation(feed: FakeFeed) -> None:
    await feed.session("ours")
    async with open_app(feed) as (app, pilot):
        await pilot.press("M")
        await until(pilot, lambda: "it runs our own agent, which has one" in screen_text(app))

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from host_in_process import new_session, open_host
from host_in_process import until as comes

from apollo_tui.acts import error_hints
from apollo_tui.app import ApolloApp
from apollo_tui.backend.feed import NotDone
from apollo_tui.backend.live_feed import LiveFeed
from apollo_tui.commands import COMMANDS
from apollo_tui.screens.base import ApolloScreen
from sessions import events as ev
from sessions.config import Config
from sessions.hints import COMMANDS as SHELL
from sessions.hints import Remedy, Way, command_of, go_on, say_remedies
from sessions.host import protocol


def receipt(app: ApolloApp) -> str:
    assert isinstance(app.screen, ApolloScreen)
    return app.screen._receipt.text


def test_every_way_on_has_a_command_or_a_key_and_what_the_app_names_exists() -> None:
    for way in get_args(Way):
        remedy = Remedy(way, "helps", "3", "steps +N")
        assert error_hints.key(remedy, {}) or command_of(remedy), way
        assert "apollo" not in error_hints.key(remedy, {})
    known = {f":{one.name}" for one in COMMANDS}
    assert {named.split(" ")[0] for named in error_hints.COMMANDS.values()} <= known
    assert set(SHELL) | set(error_hints.KEYS) | set(error_hints.COMMANDS) == set(get_args(Way))


def test_a_rebound_key_is_named_as_it_is_bound() -> None:
    refused = NotDone("session 3 is paused already", remedies=[go_on("3")])
    assert error_hints.explain(refused, {}) == "session 3 is paused already: `p` lets it go on"
    assert error_hints.explain(refused, {"pause": "P"}) == "session 3 is paused already: `P` lets it go on"


def test_what_follows_a_way_that_is_not_there_is_left_out_with_it() -> None:
    ways = [Remedy("advise_reopening", "does both", "1", "TEXT"), go_on("1", then=True), Remedy("reopen", "starts it")]
    assert say_remedies("ended", ways, lambda one: error_hints.key(one, {})) == "ended: `:reopen` starts it"


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_a_refusal_names_keys_in_the_app_and_stands_whole_on_the_screen(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1", limits=ev.Limits(steps=0)))
        await comes("running", lambda: host.state(made.session) == "running")
        feed: Any = LiveFeed(host.paths, "human:ada")
        async with open_app(feed, size) as (app, pilot):
            await until(pilot, lambda: app.context.state.writable)
            await pilot.press("colon", *"archive", "enter")
            await until(pilot, lambda: receipt(app) == "session 1 is running: `:stop` ends it first")
            await host.append(
                ev.NewEvent(made.session, ev.StateChanged(state="paused", reason="budget used up", need="limit"))
            )
            await until(pilot, lambda: app.context.state.sessions[made.session].summary.state == "paused")
            await pilot.press("i", *"go", "enter")
            whole = (
                "queued: advice to 1 tune the rate, general · waits, as the session stands at its limit of 0 steps; "
                "`:limit steps +N` raises it, then `p` lets it go on · u takes it back"
            )
            await until(pilot, lambda: whole in " ".join(screen_text(app).split()))
            await pilot.press("p")
            again = (
                "✗ session 1 would be paused again at once (budget used up: 0 of 0 steps): `:limit steps +N` "
                "raises it, then `p` lets it go on"
            )
            await until(pilot, lambda: again in " ".join(screen_text(app).split()))
            await pilot.press("colon", *"limit", "space", *"steps", "space", *"+5", "enter")
            await until(pilot, lambda: receipt(app).endswith("steps: 5; `p` lets it go on"))
            await host.append(ev.NewEvent(made.session, ev.StateChanged(state="stopped")))
            await until(pilot, lambda: app.context.state.sessions[made.session].summary.state == "stopped")
            await pilot.press("i", *"on", "enter")
            await until(pilot, lambda: "is stopped: `:reopen` lets it go on · `i` brings" in receipt(app))


async def test_the_way_to_a_refused_session_says_whole_what_lets_it_go_on(feed: FakeFeed) -> None:
    session = await feed.session("t")
    await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"))
    reason = "openai:m refuses the conversation as it stands: " + "the history is not acceptable " * 20
    await feed.add(session, ev.StateChanged(state="needs_you", need="refused", reason=reason))
    async with open_app(feed, (80, 24)) as (app, pilot):
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: "refuses the conversation" in receipt(app))
        for way in ("`:drop` leaves its last reply out", "`:shorten` puts", "`:retry` sends the same once more"):
            await until(pilot, lambda way=way: way in " ".join(screen_text(app).split()))


async def test_without_a_host_the_app_names_its_own_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        await client.call(new_session("r1"))
    monkeypatch.setattr("apollo_tui.backend.host_link.ensure_host", _no_host)
    feed: Any = LiveFeed(host.paths, "human:ada")
    async with open_app(feed, (200, 50)) as (app, pilot):
        await until(pilot, lambda: "`:host start` starts one" in app.context.state.trouble)
        assert "apollo host" not in screen_text(app)
        with pytest.raises(NotDone) as refused:
            await feed.call(protocol.SetLimit(request="r", session="s", name="steps"))
        assert app.explain(refused.value) == "no host is connected: nothing was sent: `:host start` starts one"


async def _no_host(*_: object) -> None:
    return None


async def test_a_session_at_its_limit_says_in_its_facts_how_it_goes_on(feed: FakeFeed) -> None:
    session = await feed.session("tune")
    await feed.add(session, ev.LimitChanged(name="steps", value=1))
    await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"))
    await feed.add(session, ev.StateChanged(state="paused", reason="budget used up: 1 of 1 steps", need="limit"))
    async with open_app(feed, (160, 50), config=Config(path=Path(), keys={"pause": "P"})) as (app, pilot):
        assert "budget used up: 1 of 1 steps" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: "`:limit steps +N` raises it, then `P` lets it go on" in _flat(app))


def _flat(app: ApolloApp) -> str:
    """The facts at the side, without where their rows break."""
    return " ".join(row.rpartition("│")[2].strip() for row in screen_text(app).splitlines())

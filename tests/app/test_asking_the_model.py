"""The form asks the model's server before anything is created."""

from __future__ import annotations

from pathlib import Path

import pytest
from endpoint_server import TOKEN, EndpointServer, Said, models
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual.widgets import Input, TextArea

from apollo_tui.acts.model_check import say_missing, say_where
from apollo_tui.acts.new_session import Form, model_named
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.new_session import NewSessionScreen
from sessions.config import Config, Profile, resolve_model
from sessions.host import protocol

CHAT = "/v1/chat/completions"
KEY = "sk-wrong-0123456789"


def created(feed: FakeFeed) -> list[protocol.CreateSession]:
    return [call for call in feed.calls if isinstance(call, protocol.CreateSession)]


async def test_a_wrong_key_is_told_before_anything_is_created_and_then_the_right_one_creates_it(
    feed: FakeFeed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.setenv("APOLLO_KEYS", str(tmp_path / "keys"))
    await feed.session("one")
    refused = Said({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401)
    async with EndpointServer({"/v1/models": refused, CHAT: refused}) as server:
        profile = Profile(model="openai:tiny", base_url=server.url, key_env="A_KEY")
        config = Config(path=tmp_path / "config.toml", profiles={"local": profile})
        async with open_app(feed, (80, 24), config=config) as (app, pilot):
            await pilot.press("c")
            await until(pilot, lambda: isinstance(app.screen, NewSessionScreen))
            await pilot.press(*"Sort", "space", *"it", "ctrl+n")
            await until(pilot, lambda: "ctrl+s asks the model's server first" in screen_text(app))
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "nothing is created" in screen_text(app))
            said = " ".join(screen_text(app).split())
            assert f"{server.place} refuses the key in A_KEY (401); put A_KEY=…" in said
            assert KEY not in said and not created(feed)
            assert app.focused is app.screen.query_one("#model") and "ctrl+n create anyway" in said

            server.answers |= {"/v1/models": models("glm-4.6"), CHAT: Said({"error": {"message": "no model"}}, 404)}
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "has no model tiny; it has glm-4.6" in " ".join(screen_text(app).split()))
            assert "`model` of [profiles.local]" in " ".join(screen_text(app).split())

            # A server that says nothing: what is typed meanwhile lets the question go.
            server.answers[CHAT] = Said(silent=True)
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "asking for one token" in screen_text(app))
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "has not answered yet" in screen_text(app))
            app.screen.query_one("#name", Input).value = "sorter"
            await until(pilot, lambda: "create anyway" not in screen_text(app))
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "asking for one token" in screen_text(app))
            assert not created(feed)
            await pilot.press("ctrl+n")
            await until(pilot, lambda: isinstance(app.screen, BoardScreen) and len(created(feed)) == 1)
            assert created(feed)[0].title == "sorter"

            server.answers[CHAT] = TOKEN
            await pilot.press("c")
            await until(pilot, lambda: isinstance(app.screen, NewSessionScreen) and app.focused is not None)
            app.screen.query_one(TextArea).text = "Sort it again"
            app.screen.query_one("#model", Input).value = "tiny"
            app.screen.query_one("#base_url", Input).value = server.url
            await pilot.press("ctrl+s")
            await until(pilot, lambda: len(created(feed)) == 2)
            assert (created(feed)[1].model.id, created(feed)[1].model.base_url) == ("openai:tiny", server.url)


async def test_leaving_the_form_lets_the_question_go(feed: FakeFeed) -> None:
    await feed.session("one")
    async with EndpointServer({CHAT: Said(silent=True)}) as server:
        config = Config(path=Path("none"), profiles={"local": Profile(model="openai:tiny", base_url=server.url)})
        async with open_app(feed, config=config) as (app, pilot):
            await pilot.press("c")
            await until(pilot, lambda: isinstance(app.screen, NewSessionScreen))
            await pilot.press(*"Sort", "ctrl+s")
            await until(pilot, lambda: any(path == CHAT for _, path, _, _ in server.asked))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, BoardScreen))
            server.answers[CHAT] = TOKEN
            await pilot.press("c")
            await until(pilot, lambda: isinstance(app.screen, NewSessionScreen))
            assert not created(feed) and app.screen.query_one(TextArea).text == "Sort"


def test_where_to_set_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("APOLLO_KEYS", str(tmp_path / "keys"))
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    local = Profile(model="openai:tiny", base_url="http://127.0.0.1:9/v1")
    config = Config(path=tmp_path / "config.toml", profiles={"local": local})
    spec = resolve_model("local", config=config)
    assert "write a profile with base_url and key_env" in say_where("key", spec, "local", config)
    assert say_where("url", spec, "local", config) == f"`base_url` of [profiles.local] in {config.path} has it"
    assert say_where("url", spec, "local", config, typed_url=True) == "", "it stands before one's eyes"
    own = resolve_model("openai:gpt", config=config)
    assert say_where("key", own, "openai:gpt", config).startswith(f"put OPENAI_API_KEY=… into {tmp_path / 'keys'}")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    proxied = resolve_model("openai:gpt", config=config)
    assert say_where("url", proxied, "openai:gpt", config) == "it is from OPENAI_BASE_URL"
    assert say_missing(config, {}) == "" and say_missing(Config(path=config.path), {"OPENAI_API_KEY": "x"}) == ""
    assert "no OPENAI_API_KEY or ANTHROPIC_API_KEY, and no profile" in say_missing(Config(path=config.path), {})


def test_a_name_alone_is_one_of_the_server_beside_it() -> None:
    config = Config(path=Path("none"), profiles={"local": Profile(model="openai:tiny")})
    assert model_named(Form("", "tiny", base_url="http://h/v1"), config) == "openai:tiny"
    assert model_named(Form("", "llama3:8b", base_url="http://h/v1"), config) == "openai:llama3:8b"
    assert model_named(Form("", "local", base_url="http://h/v1"), config) == "local"
    assert model_named(Form("", "anthropic:c", base_url="http://h"), config) == "anthropic:c"
    assert model_named(Form("", "tiny"), config) == "tiny"

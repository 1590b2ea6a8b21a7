from __future__ import annotations

from pathlib import Path

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual.widgets import Input, Static, TextArea

from apollo_train.formats.conformance import conformance
from apollo_train.policy import parse_policy
from apollo_tui.acts.agents import agent_names
from apollo_tui.acts.export_job import JobProgress, default_path
from apollo_tui.acts.new_session import BadField, Form, request_of
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.export import ExportScreen
from apollo_tui.screens.new_session import TALKED_TO, NewSessionScreen
from sessions import events as ev
from sessions.config import Config, Profile
from sessions.events.messages import CallPart
from sessions.gateway.agents import AgentPreset
from sessions.host import protocol
from sessions.providers.endpoint_check import Served

CONFIG = Config(path=Path("none"), profiles={"local": Profile(model="openai:tiny", base_url="http://127.0.0.1:9/v1")})


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_export_menu_counts_previews_writes_and_never_overwrites_unasked(
    feed: FakeFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.chdir(tmp_path)
    first = await feed.session("tune-lr")
    await feed.step(first, 1, ("run", {"command": "python train.py"}, "loss 2.1\n"), text="I train.")
    started = await feed.step(first, 2, ("job_kill", {"job": 7}, "killed\n"))
    flag = ev.FlagSet(flag="F1", target=ev.Target(2, "call", 1))
    await feed.add(first, flag, step=2, call=1, actor="human:ada")
    assert started
    async with open_app(feed, size) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen) and "1 flagged" in screen_text(app))
        await until(pilot, lambda: "masked call 1 (flagged)" in screen_text(app))
        await pilot.press("x")
        await until(pilot, lambda: "no session is chosen" in screen_text(app))
        await pilot.press("x", "tab", *["right"] * 20)
        menu = app.screen
        assert isinstance(menu, ExportScreen)
        while menu._settings["format"] != "raw":
            await pilot.press("right")
        target = menu._out
        await pilot.press("w")
        await until(pilot, lambda: target.exists() and "wrote" in screen_text(app), seconds=20)
        before = target.read_bytes()
        await pilot.press("w")
        await until(pilot, lambda: "w again replaces" in screen_text(app))
        assert target.read_bytes() == before and before.count(b"\n") > 5
        await pilot.press("escape")
        assert isinstance(app.screen, BoardScreen)


def test_a_new_file_has_a_name_that_says_what_it_holds_and_is_not_there(tmp_path: Path) -> None:
    assert default_path("Tune/../LR ☕", "steps", tmp_path).name == "tune-lr.steps.jsonl"
    (tmp_path / "tune-lr.steps.jsonl").touch()
    assert default_path("Tune LR", "steps", tmp_path).name == "tune-lr-2.steps.jsonl"
    assert default_path("☕", "raw", tmp_path).name == "apollo.raw.jsonl"


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model answers."""

    async def ask(*_: object, **__: object) -> Served:
        return Served()

    monkeypatch.setattr("apollo_tui.acts.model_check.ask_endpoint", ask)


@pytest.mark.usefixtures("answering")
async def test_a_session_is_created_from_the_form_and_errors_stand_beside_their_field(feed: FakeFeed) -> None:
    await feed.session("one")
    async with open_app(feed, config=CONFIG) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, NewSessionScreen))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "write the task" in screen_text(app))
        app.screen.query_one(TextArea).focus()
        await pilot.press(*"Sort", "space", *"it", "enter", *"well")
        app.screen.query_one("#model", Input).value = "nonsense"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.focused is app.screen.query_one("#model"))
        app.screen.query_one("#model", Input).value = "local"
        app.screen.query_one("#limits", Input).value = "steps=5"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any(isinstance(call, protocol.CreateSession) for call in feed.calls))
        made = next(call for call in feed.calls if isinstance(call, protocol.CreateSession))
        assert made.task.split() == ["Sort", "it", "well"] and made.limits.steps == 5
        assert made.model.id == "openai:tiny" and made.model.base_url == "http://127.0.0.1:9/v1"
        await until(pilot, lambda: isinstance(app.screen, BoardScreen) and "session 2" in screen_text(app))
        said = " ".join(screen_text(app).split())
        assert "it is not contained (bwrap is not installed)" in said, "at creation, and why nothing better does"


@pytest.mark.usefixtures("answering")
async def test_an_agent_is_talked_to_where_its_field_says_so(
    feed: FakeFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    presets = {"little": AgentPreset("Little", "chat", command=("sh", "-c", "{task}"), acp=("sh", "-s"))}
    monkeypatch.setattr("apollo_tui.acts.agents.read_agents", lambda _: presets)
    assert agent_names() == ["little", "little acp"]
    await feed.session("one")
    async with open_app(feed, config=CONFIG) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, NewSessionScreen))
        app.screen.query_one(TextArea).text = "---\nlimits: {steps: 9}\n---\nSort it."
        app.screen.query_one("#agent", Input).value = "little"
        await pilot.pause()
        assert TALKED_TO not in screen_text(app)
        app.screen.query_one("#agent", Input).value = "little acp"
        await until(pilot, lambda: TALKED_TO in screen_text(app))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any(isinstance(call, protocol.CreateSession) for call in feed.calls))
    made = next(call for call in feed.calls if isinstance(call, protocol.CreateSession))
    assert made.harness is not None
    assert (made.harness.name, made.harness.acp, made.harness.command) == ("little", True, ("sh", "-s"))
    assert (made.task.strip(), made.limits.steps) == ("Sort it.", 9)


@pytest.mark.usefixtures("answering")
async def test_a_form_that_was_left_is_there_again_until_its_session_is_created(feed: FakeFeed) -> None:
    await feed.session("one")
    async with open_app(feed, config=CONFIG) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, NewSessionScreen))
        assert "empty: none · e.g. steps=200" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        assert "is kept" not in screen_text(app)
        await pilot.press("c", *"Sort", "space", *"it", *["tab"] * 4, *"sorter")
        await until(pilot, lambda: app.screen.query_one("#name", Input).value == "sorter")
        await pilot.press("escape")
        await until(pilot, lambda: "kept as you left it: c goes on with it" in screen_text(app))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, NewSessionScreen) and "sorter" in screen_text(app))
        assert app.screen.query_one(TextArea).text == "Sort it"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any(isinstance(call, protocol.CreateSession) for call in feed.calls))
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, NewSessionScreen) and app.focused is not None)
        assert app.screen.query_one(TextArea).text == "" and "sorter" not in screen_text(app)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (Form("", "local"), "task"),
        (Form("missing.md", "local"), "task"),
        (Form("do it", ""), "model"),
        (Form("do it", "nobody:x"), "model"),
        (Form("do it", "local", workspace="/does/not/exist"), "workspace"),
        (Form("do it", "local", limits="steps=many"), "limits"),
        (Form("do it", "local", limits="bread=2"), "limits"),
        (Form("do it", "local", agent="nobody"), "agent"),
        (Form("do it", "local", agent="smolagents"), "agent"),
        (Form("do it", "local", agent="aider acp"), "agent"),
    ],
)
def test_every_bad_field_is_named(form: Form, field: str) -> None:
    with pytest.raises(BadField) as caught:
        request_of(form, CONFIG)
    assert caught.value.field == field and "\n" not in str(caught.value)


def test_a_task_file_brings_its_front_matter_and_the_form_wins(tmp_path: Path) -> None:
    path = tmp_path / "sum.md"
    path.write_text("---\ntitle: Sum it\nlimits: {steps: 9, money: 2}\n---\nAdd the numbers.\n")
    made = request_of(Form(str(path), "local", limits="steps=20"), CONFIG)
    assert (made.title, made.limits.steps, made.limits.money) == ("Sum it", 20, 2)
    assert made.task.strip() == "Add the numbers." and made.evaluate_base == str(tmp_path)
    assert request_of(Form(str(path), "local", name="mine"), CONFIG).title == "mine"
    assert request_of(Form("Sort these files by date please", "local"), CONFIG).title == "Sort these files by date"


async def test_the_template_of_the_model_is_chosen_in_the_menu_and_decides_what_is_written(
    feed: FakeFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "python train.py"}, "loss 2.1\n"), text="I train.")
    commands: list[list[str]] = []

    class Process:
        def __init__(self, command: list[str], **_: object) -> None:
            commands.append(command)

        def poll(self) -> None:
            return None

    async with open_app(feed) as (app, pilot):
        await pilot.press("e", "tab")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen) and "1 row" in screen_text(app))
        menu = app.screen
        assert isinstance(menu, ExportScreen)
        counts = menu.query_one("#export-counts", Static)
        assert "--template" not in str(counts.render()) and "template" in str(counts.render())
        await pilot.press("down", "right")
        chosen = menu._settings["template"]
        assert chosen in conformance().templates
        await until(pilot, lambda: "trains exactly these masks with the templates" not in str(counts.render()))
        monkeypatch.setattr("apollo_tui.acts.export_job.subprocess.Popen", Process)
        await pilot.press("w")
        await until(pilot, lambda: commands)
        assert commands[0][commands[0].index("--template") + 1] == chosen


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The policies by which the menu would have written files."""
    found: list[str] = []

    class Job:
        def __init__(self, *given: object, **_: object) -> None:
            found.append(str(given[4]))

        def poll(self) -> JobProgress:
            return JobProgress(ended=0, said="wrote it")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("apollo_tui.screens.export.ExportJob", Job)
    return found


async def test_the_export_menu_asks_once_what_becomes_of_advice_and_writes_that(
    feed: FakeFeed, policies: list[str]
) -> None:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "python train.py"}, "loss 2.1\n"), text="I train.")
    await feed.add(session, ev.AdviceQueued(advice=1, text="Wait.", reach="general"), actor="human:ada")
    await feed.add(session, ev.AdviceDelivered(advice=(1,), at_step=2, text="<advice-n>\nWait.\n</advice-n>"))
    async with open_app(feed) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: "nobody has said yet" in screen_text(app))
        await pilot.press("w")
        await until(pilot, lambda: "these sessions hold 1 piece of advice" in screen_text(app))
        assert not policies
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen))
        await pilot.press("w")
        await until(pilot, lambda: "these sessions hold 1 piece of advice" in screen_text(app))
        await pilot.press("d")
        await until(pilot, lambda: len(policies) == 1)
        await until(pilot, lambda: "wrote it" in screen_text(app))
        await pilot.press("w")
        await until(pilot, lambda: len(policies) == 2)
    assert all(parse_policy(text).advice.modes == {"dropped"} for text in policies)


async def test_the_export_menu_lists_rows_by_model_and_asks_once_whose_are_trained(
    feed: FakeFeed, policies: list[str]
) -> None:
    session = await feed.session("tune-lr", model=ev.ModelSpec("openai", "glm-4.6"))
    for step, model in enumerate(("glm-4.6", "claude-opus-4", "glm-4.6"), 1):
        sent = ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256="0" * 64)
        asked = await feed.add(session, sent, step=step)
        parts = (CallPart(f"c{step}", "run", "{}"),)
        reply = ev.ModelReplied(request=asked.seq, parts=parts, finish="calls", model=model)
        await feed.add(session, reply, step=step, actor="agent")
    async with open_app(feed) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: "trained by model: 2 glm-4.6, 1 claude-opus-4" in screen_text(app))
        await pilot.press("w")
        await until(pilot, lambda: "replies of several models would be trained" in screen_text(app))
        await until(pilot, lambda: "only glm-4.6: 2 replies" in screen_text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: len(policies) == 1)
    assert parse_policy(policies[0]).targets.trainable == ("glm-4.6",)

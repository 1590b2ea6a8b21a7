from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual.widgets import Input, Static, TextArea

from apollo_train.formats.conformance import conformance
from apollo_train.policy import parse_policy
from apollo_tui.acts.agents import agent_names
from apollo_tui.acts.drafts import Drafts
from apollo_tui.acts.export_choices import ChoiceFile, ExportChoices, default_path, name_contents
from apollo_tui.acts.export_job import JobProgress
from apollo_tui.acts.new_session import BadField, Form, request_of
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.export import ExportScreen
from apollo_tui.screens.new_session import TALKED_TO, NewSessionScreen
from apollo_tui.state.export_menu import BEGINNING, about_value, choices_of, menu_rows
from sessions import events as ev
from sessions.config import Config, Profile
from sessions.events.messages import CallPart
from sessions.events.session import Beginning
from sessions.fold.summary import Summary
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


def test_a_new_file_has_a_name_that_says_what_it_holds_since_when_and_is_not_there(tmp_path: Path) -> None:
    day = "2026-12-02"
    assert default_path("Tune/../LR ☕", "steps", day, tmp_path).name == "tune-lr.2026-12-02.steps.jsonl"
    (tmp_path / "tune-lr.2026-12-02.steps.jsonl").touch()
    assert default_path("Tune LR", "steps", day, tmp_path).name == "tune-lr.2026-12-02-2.steps.jsonl"
    assert default_path("☕", "raw", day, tmp_path).name == "apollo.2026-12-02.raw.jsonl"


def test_a_file_is_called_after_its_session_its_task_or_how_many_it_holds() -> None:
    one = Summary(session="a", number=1, model="m", title="Tune LR", task_id="sums")
    assert name_contents([one]) == "Tune LR"
    child = Summary(session="c", number=3, model="m", title="helper", begins=Beginning("a", 3, "child"))
    assert name_contents([one, child]) == "Tune LR", "a sub-agent is of its session"
    assert (
        name_contents([one, Summary(session="b", number=2, model="m", title="two", task_id="sums")])
        == "sums 2 sessions"
    )
    two = Summary(session="b", number=2, model="m", title="two", task_id="sums")
    assert name_contents([one, two]) == "sums 2 sessions"
    assert name_contents([one, msgspec.structs.replace(two, task_id="other")]) == "2 sessions"


def test_choices_are_kept_as_far_as_they_are_known_and_a_broken_file_is_none(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "log" / "drafts", "human:ada")
    kept = ChoiceFile(drafts)
    known = {"format": {"steps", "raw"}, "policy": {"strict"}}
    assert kept.load(known) == ExportChoices()
    kept.save(ExportChoices({"format": "raw", "policy": "gone", "odd": "x"}, str(tmp_path)))
    assert kept.load(known) == ExportChoices({"format": "raw"}, str(tmp_path))
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert ChoiceFile(Drafts(drafts.folder, "human:eve")).load(known) == ExportChoices(), "each has their own"
    kept.save(ExportChoices({}, str(tmp_path / "gone")))
    assert kept.load(known).folder == ""
    kept.path.write_text("{")
    assert kept.load(known) == ExportChoices()


async def test_sessions_are_chosen_at_once_settings_by_what_they_do_and_all_of_it_is_remembered(
    feed: FakeFeed, tmp_path: Path, policies: list[str]
) -> None:
    for name in ("tune-lr", "poller"):
        session = await feed.session(name)
        await feed.step(session, 1, ("run", {"command": "python train.py"}, "loss 2.1\n"), text="I train.")
    (tmp_path / "data").mkdir()
    async with open_app(feed, (80, 24)) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen) and "the file: 1 row, " in screen_text(app))
        menu = app.screen
        assert isinstance(menu, ExportScreen)
        assert menu._out.name.startswith("tune-lr.20") and menu._out.name.endswith(".steps.jsonl")
        await pilot.press("n")
        await until(pilot, lambda: "no session is chosen" in screen_text(app))
        await pilot.press("a")
        await until(pilot, lambda: "the file: 2 rows, " in screen_text(app))
        assert menu._out.name.startswith("2-sessions.20")
        await pilot.press("slash")
        await until(pilot, lambda: "2 of 2 sessions" in screen_text(app))
        await pilot.press(*"poll")
        await until(pilot, lambda: "1 of 2 sessions" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: menu._out.name.startswith("poller.20") and len(menu._chosen) == 1)
        await pilot.press("a")

        await pilot.press("tab")
        about = menu.query_one("#export-about", Static)
        await until(pilot, lambda: "one row per trained reply" in str(about.render()))
        assert "read by TRL" in " ".join(screen_text(app).split())
        before = dict(menu._settings)
        await pilot.press("enter")
        await until(pilot, lambda: "a digit or enter chooses" in screen_text(app))
        said = " ".join(screen_text(app).split())
        assert "everything in the log about the sessions" in said or "more" in said
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is menu)
        assert menu._settings == before, "enter turns nothing over"
        await pilot.press("down", "down", "enter")
        await until(
            pilot, lambda: "only what was seen, in sessions signed off as good" in " ".join(screen_text(app).split())
        )
        await pilot.press("3")
        await until(pilot, lambda: menu._settings["policy"] == "unaided")
        await until(pilot, lambda: "the default with advice dropped" in str(about.render()))

        await pilot.press("p")
        await until(pilot, lambda: app.focused is not None and isinstance(app.focused, Input))
        await pilot.press(*str(tmp_path / "data"), "enter")
        await until(pilot, lambda: menu._out.parent == tmp_path / "data")
        assert menu._out.name.startswith("2-sessions."), "a folder keeps the name"
        await pilot.press("w")
        await until(pilot, lambda: len(policies) == 1)
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen) and app.screen is not menu)
        again = app.screen
        assert isinstance(again, ExportScreen)
        assert again._settings == menu._settings and again._out.parent == tmp_path / "data"


def test_every_value_of_the_menu_says_what_it_does() -> None:
    for row in menu_rows(BEGINNING, "out.jsonl"):
        for value, _ in row.values:
            assert about_value(row.id, value), (row.id, value)
        assert row.values or about_value(row.id, "")
    formats = menu_rows(BEGINNING, "")[0]
    assert "read by TRL" in next(choice.text for choice in choices_of(formats) if choice.id == "steps")


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

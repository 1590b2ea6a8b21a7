"""Who a person says to be: what is a name, and which are shown as self-declared, on screens and in the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from host_in_process import Raw, new_session, open_host

from apollo_tui.cli.root import apollo
from sessions import events as ev
from sessions.annotators import know_logins, name_problem, own_login, shown_actor, shown_name
from sessions.fold.notes import SessionNotes
from sessions.host import protocol
from sessions.log.reader import LogReader

ROOT = Path(__file__).parents[2]
BAD = (
    "", "a b", "a:b", "a\nb", "a\x1b[2J", "\u202eada", "ada\u200b", "~ada", "x" * 65, "a" + "\u0301" * 4, "\u0301a",
    "\x9b",
)  # fmt: skip
GOOD = ("ada", "Ünal", "李", "jean-luc", "a.b@c", "x" * 64, "e\u0301ve", "o'neil")


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_read_is_a_name(name: str) -> None:
    assert name_problem(name) == ""


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_seen_or_spills_is_none(name: str) -> None:
    assert name_problem(name)


@pytest.mark.parametrize("name", [name for name in BAD if name])
@pytest.mark.parametrize("source", ["--as", "APOLLO_AS", "LOGNAME", "USER"])
def test_the_command_line_refuses_it_in_one_clean_line(name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("APOLLO_AS", "LOGNAME", "USER"):
        monkeypatch.delenv(variable, raising=False)
    if source != "--as":
        monkeypatch.setenv(source, name)
    said = CliRunner().invoke(apollo, [*(["--as", name] if source == "--as" else []), "ls"])
    assert said.exit_code == 2
    line = said.stderr.splitlines()[-1]
    assert line.startswith(f"Error: {source}: the name ")
    assert line.isprintable()


async def test_the_host_refuses_it_too(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        for name in BAD:
            raw = await Raw.connect(host.paths)
            error = (await raw.hello(actor=f"human:{name}"))["error"]["message"]
            assert "no actor" in error
            assert error.isprintable()
            await raw.close()


def test_an_actor_is_marked_where_the_log_says_whose_account_wrote_it() -> None:
    assert shown_actor("human:mallory") == "human:mallory"  # a log from before logins were kept
    know_logins(["ada"])
    assert [shown_name(f"human:{name}") for name in ("ada", "mallory")] == ["ada", "~mallory"]
    assert [shown_name(actor) for actor in ("host", "agent", "rule:polls")] == ["host", "agent", "rule:polls"]


async def test_the_log_keeps_the_name_and_the_shell_shows_the_mark(tmp_path: Path) -> None:
    async with open_host(tmp_path, login="ada") as host:
        for name in ("ada", "mallory"):
            client = await host.client(f"human:{name}")
            made = await client.call(new_session(f"new-{name}", start=False))
            body = {"text": "seen"}
            await client.call(
                protocol.Annotate(request=f"note-{name}", session=made.session, kind="session.note", body=body)
            )
        status = await client.call(protocol.Status())
        assert status.clients == ("human:ada (script)", "human:~mallory (script)")
        with LogReader(host.paths.log) as reader:
            assert reader.logins() == {"ada"}
            assert {event.actor for event in reader.events(reader.find("2"))} == {"human:mallory"}
        shell = ["--log", str(host.paths.log), "--as", "ada"]
        lines = CliRunner().invoke(apollo, [*shell, "log", "2"]).output.splitlines()
        assert all(" human:~mallory " in line for line in lines)
        assert "human:ada " in CliRunner().invoke(apollo, [*shell, "log", "1"]).output
        for session, shown in (("1", None), ("2", "human:~mallory")):
            rows = CliRunner().invoke(apollo, [*shell, "log", session, "--json"]).output.splitlines()
            assert {json.loads(row).get("shown_actor") for row in rows} == {shown}
        assert "by ~mallory" not in CliRunner().invoke(apollo, [*shell, "show", "1"]).output


async def test_screens_show_the_mark(tmp_path: Path) -> None:
    feed = await FakeFeed(tmp_path).open()
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"))
    know_logins(["grace"])
    for name in ("mallory", "grace"):
        await feed.add(session, ev.SignedOff(verdict="good"), actor=f"human:{name}")
    assert SessionNotes(feed.reader.events(session)).sign_off_lines() == ["good by ~mallory", "good by grace"]
    async with open_app(feed, (140, 40)) as (app, pilot):
        await until(pilot, lambda: f"~{feed.actor.removeprefix('human:')}" in screen_text(app))
        await pilot.press("i", "escape", "enter")
        await until(pilot, lambda: "good by ~mallory" in screen_text(app))
    await feed.shut()


def test_names_are_shown_by_that_function_alone() -> None:
    """Who needs a bare name for something else than a screen is listed."""
    others = {"sessions/annotators.py", "apollo_tui/acts/export_job.py", "apollo_train/masks/flag_verdicts.py",
              "apollo_train/masks/unused_names.py"}  # fmt: skip
    found = {
        str(path.relative_to(ROOT))
        for folder in ("sessions", "apollo_tui", "widgets", "apollo_train")
        for path in (ROOT / folder).rglob("*.py")
        if 'removeprefix("human:")' in (text := path.read_text()) or "removeprefix(PERSON)" in text
    }
    assert found == others


def test_a_user_without_a_login_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    assert own_login() == "4000000"

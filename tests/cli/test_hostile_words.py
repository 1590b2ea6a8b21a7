"""Every command of both command lines, told and shown hostile text: nothing of it reaches the terminal.

The commands are taken from the programs themselves, so that a new one is walked without being named here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from training_log import Teller

import apollo_train.cli.terminal_output as printed
from apollo_train.cli.main import main as train
from apollo_train.cli.terminal_output import ask, confirm, progress_on_stderr, say, say_json
from apollo_tui.cli import root
from sessions import events as ev
from sessions.errors import ApolloError
from sessions.host import protocol
from sessions.log.writer import LogWriter

MARKER = "seen"
HOSTILE = (
    f"{MARKER}\x1b]0;owned\x07\x1b[2J\x1b[?1049l\x9b31m\x9d0;x\x9c\x7f\x85\x08\u061c\u200e\u202e\u2066\u2028"
    + "a"
    + "\u0301" * 6
    + "ก"
    + "\u0e47" * 6
    + "漢字"
)
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
PILE = re.compile("[\u0300-\u036f\u0e47]{4}")
STYLE = re.compile(r"\x1b\[[0-9;]*m")
"""The commands' own colours."""
WITH_A_HOST = {"new", "replay", "demo", "host"}
DEEPER: dict[str, list[list[str]]] = {
    "ls": [["--all"], ["--json"]],
    "show": [["1"], ["1", "--json"]],
    "log": [["1"], ["1", "--json"]],
    "prompt": [["1", "1"], ["1", "1", "--pretty"]],
    "search": [["seen"], ["seen", "--json"]],
    "digest": [["1"], ["--json"]],
    "effort": [[], ["--json"]],
    "leave": [[], ["--json"]],
    "doctor": [[], ["--json"]],
    "advise": [["1", HOSTILE], ["1", HOSTILE, "--json"]],
    "pause": [["1"], ["1", "--json"]],
    "note": [["1", HOSTILE]],
    "flag": [["1", "1.1", "--label", HOSTILE], ["1", "1.1"]],
    "limit": [["1", f"{HOSTILE}=3"], ["1", "steps=3"]],
    "export": [["--format", HOSTILE, "--out", "x.jsonl"], ["--format", "steps", "--advice", "kept", "--out", HOSTILE]],
    "import": [["hostile.json"], ["hostile.json", "--dry-run"], ["hostile.json", "--dry-run", "--json"]],
    "new": [["task.md", "--model", f"openai:{HOSTILE}"]],
    "host status": [[], ["--json"]],
}
TRAINING: dict[str, list[list[str]]] = {
    "build": [["--advice", "kept", "--out", f"out-{HOSTILE}"]],
    "dataset": [["--advice", "kept", "--out", f"set-{HOSTILE}"], ["--format", HOSTILE, "--out", "set"]],
    "inspect": [["1", "1"], ["1", "2"], [HOSTILE]],
    "diff": [["a.jsonl", HOSTILE]],
    "policy show": [["hostile.toml"], ["default"]],
    "policy check": [["hostile.toml"], [HOSTILE]],
}


async def fill(path: Path) -> None:
    async with await LogWriter.open(path) as writer:
        told = await Teller(writer).begin(HOSTILE, title=HOSTILE, tags=(HOSTILE,))
        await told.advise(HOSTILE, "knowledge", actor=f"human:{HOSTILE}")
        await told.act(HOSTILE, HOSTILE, text=HOSTILE, reasoning=HOSTILE)
        await told.flag(ev.Target(1, "call", 1), label=HOSTILE, note=HOSTILE, actor=f"human:{HOSTILE}")
        await told.tell(ev.PlanChanged(items=(ev.PlanItem(text=HOSTILE, status="doing"),)))
        await told.act("ls", f"{HOSTILE}\n{HOSTILE}", text="fine")
        await told.tell(ev.AdviceQueued(advice=9, text=HOSTILE), actor="human:ann")
        await told.tell(ev.StateChanged(state="needs_you", reason=HOSTILE))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log in a folder of a hostile name, and files that are as bad."""
    place = tmp_path / HOSTILE.replace("\x85", "").replace("\u2028", "")
    place.mkdir()
    asyncio.run(fill(place / "log.db"))
    (place / "hostile.json").write_text(json.dumps({"messages": [{"role": HOSTILE, "content": HOSTILE}]}))
    (place / "hostile.toml").write_text(f'name = {json.dumps(HOSTILE)}\nversion = 2\n["\\u001b]0;x"]\n')
    (place / "task.md").write_text(HOSTILE)
    (place / "a.jsonl").write_text(HOSTILE)
    monkeypatch.chdir(place)
    for name in ("CONFIG", "STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(place / name))
    monkeypatch.setenv("APOLLO_AS", "ada")  # such a name is refused: tests/cli/test_names.py
    monkeypatch.setattr(printed, "reads_person", lambda stream: True)
    return place


def refuse(*_: Any, **__: Any) -> Any:
    raise ApolloError(HOSTILE)


async def refuse_later(*_: Any, **__: Any) -> Any:
    refuse()


def answer(_paths: Any, params: Any, **_more: Any) -> Any:
    if protocol.ANSWERS[params.method] is protocol.Done:
        return protocol.Done(HOSTILE, 1, 1, note=HOSTILE)
    return refuse()


@pytest.fixture(params=["refuses", "answers"])
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that says hostile things."""
    monkeypatch.setattr("sessions.host.client.call_once", refuse if request.param == "refuses" else answer)
    monkeypatch.setattr("sessions.host.client.ensure_host", refuse_later)
    monkeypatch.setattr("sessions.host.main.run_host", refuse)


def commands(group: click.Group, *names: str) -> Iterator[str]:
    """The whole names of all commands below ``group``."""
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from commands(command, *names, name)
            else:
                yield " ".join((*names, name))


def ways(name: str, deeper: dict[str, list[list[str]]]) -> list[list[str]]:
    """How a command is called: with hostile words for everything that it may take, and as it should be."""
    return [
        ["--help"],
        [],
        [HOSTILE],
        [HOSTILE, HOSTILE],
        ["1", HOSTILE, HOSTILE],
        [f"--{HOSTILE}"],
        *deeper.get(name, []),
    ]


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(program: Callable[..., Any], args: list[str]) -> str:
        with contextlib.suppress(SystemExit):
            program(args)
        out, err = capfd.readouterr()
        return out + err

    return run


def require_harmless(text: str, what: object) -> None:
    plain = STYLE.sub("", text)
    assert not FORBIDDEN.search(plain), (what, plain)
    assert not PILE.search(plain), (what, plain)


def test_no_command_of_apollo_lets_hostile_text_through(folder: Path, host: None, said: Callable[..., str]) -> None:
    names = list(commands(root.apollo))
    assert {*DEEPER} <= {*names}, "a command was renamed"
    seen = {}
    for name in names:
        for args in ways(name, DEEPER):
            text = said(root.main, ["--log", str(folder / "log.db"), *name.split(), *args])
            require_harmless(text, (name, args))
            seen[name] = seen.get(name, "") + text
    for name in ("ls", "show", "log", "prompt", "search", "advise", "export", "import", "doctor"):
        assert seen[name].count(MARKER) > 1, f"{name} showed nothing of it"


def test_no_command_of_apollo_train_does(folder: Path, said: Callable[..., str]) -> None:
    names = list(commands(train))
    assert {*TRAINING} <= {*names}, "a command was renamed"
    seen = {}
    for name in names:
        for args in ways(name, TRAINING):
            reads = ["--log", str(folder / "log.db")] if name in ("build", "dataset", "inspect") else []
            text = said(train, [*name.split(), *args, *reads])
            require_harmless(text, (name, args))
            seen[name] = seen.get(name, "") + text
    for name in ("build", "dataset", "inspect", "policy check"):
        assert seen[name].count(MARKER) > 1, f"{name} showed nothing of it"


@pytest.mark.parametrize("command", [["ls"], ["show", "1"], ["digest"], ["leave"], ["search", "seen"]])
def test_json_is_the_same_on_a_terminal_and_byte_for_byte_elsewhere(
    folder: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, said: Callable[..., str]
) -> None:
    args = ["--log", str(folder / "log.db"), *command, "--json"]
    shown = said(root.main, args)
    require_harmless(shown, command)
    monkeypatch.setattr(printed, "reads_person", lambda stream: False)
    piped = said(root.main, args)
    timeless = [re.sub(r"\d+", "0", json.dumps(json.loads(text))) for text in (shown, piped)]
    assert timeless[0] == timeless[1]
    assert "\u202e" in piped, "as it is in the log"


def test_a_prompt_goes_byte_for_byte_into_a_pipe(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(printed, "reads_person", lambda stream: False)
    with pytest.raises(SystemExit):
        root.main(["--log", str(folder / "log.db"), "prompt", "1", "1"])
    out, _ = capfdbinary.readouterr()
    assert "\u202e".encode() in out and json.loads(out)["model"] == "scripted"


@pytest.mark.parametrize(("term", "styled"), [("xterm", True), ("dumb", False), ("", False)])
def test_a_terminal_that_shows_escapes_is_sent_none(
    term: str, styled: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    say("red", colour="red", bold=True)
    assert ("\x1b" in capsys.readouterr().out) == styled


def test_what_asks_and_what_counts_is_said_by_the_same_voice(
    monkeypatch: pytest.MonkeyPatch, said: Callable[..., str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(printed, "reads_person", lambda stream: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text="": print(text) or "y")

    def talk(_: object) -> None:
        say(HOSTILE, colour="red", bold=True)
        say_json({HOSTILE: HOSTILE}, err=True)
        ask(HOSTILE)
        confirm(HOSTILE)
        with progress_on_stderr(3, HOSTILE, lambda: HOSTILE) as bar:
            bar.is_hidden = False
            bar.update(1)

    text = said(talk, [])
    require_harmless(text.replace("\r", "").replace("\x1b[?25l", "").replace("\x1b[?25h", "").replace("\x1b[K", ""), "")
    assert text.count(MARKER) >= 5

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

import pytest

from apollo_tui.cli.terminal_check import Trial, questions, try_all


class Terminal:
    """A terminal that takes some sequences, and a person who tells what they see."""

    def __init__(self, *, clipboard: bool, shows: frozenset[str]) -> None:
        self.takes, self.shows = clipboard, shows
        self.pasted = ""
        self.written: list[str] = []

    def write(self, data: str) -> None:
        self.written.append(data)
        found = re.search(r"\x1b\]52;c;([A-Za-z0-9+/=]+)\x07", data)
        if found and self.takes:
            self.pasted = base64.b64decode(found[1]).decode()

    def ask(self, question: str) -> str:
        if "paste" in question:
            return self.pasted
        return "y" if question.split(":")[0] in self.shows else "n"

    def run(self, env: Mapping[str, str]) -> dict[str, Trial]:
        return {tried.name: tried for tried in try_all(self.ask, self.write, env)}


def test_what_works_is_found_out_and_a_better_channel_than_the_one_in_use_is_named() -> None:
    found = Terminal(clipboard=True, shows=frozenset({"bell", "osc777"})).run({"TERM": "xterm-256color"})
    assert found["clipboard by OSC 52"].worked
    assert {name for name, tried in found.items() if tried.worked} == {
        "clipboard by OSC 52", "notification by bell", "notification by osc777",
    }  # fmt: skip
    assert 'alerts = "osc777"' in found["notification by osc777"].advice
    assert not found["notification by bell"].advice


def test_a_clipboard_that_drops_the_sequence_is_said_and_the_file_is_named() -> None:
    found = Terminal(clipboard=False, shows=frozenset()).run({"TERM": "xterm"})
    assert not found["clipboard by OSC 52"].worked and "copy-file" in found["clipboard by OSC 52"].advice
    assert "alerts" in found["notification by bell"].advice


@pytest.mark.parametrize("env", [{"TERM": "xterm"}, {"TERM": "tmux-256color", "TMUX": "/x,1,0"}, {"STY": "1"}])
def test_every_question_is_counted_and_the_word_that_was_sent_is_named(
    monkeypatch: pytest.MonkeyPatch, env: Mapping[str, str]
) -> None:
    monkeypatch.setattr("apollo_tui.cli.terminal_check.tmux_load", lambda arguments, text: True)
    asked: list[str] = []
    terminal = Terminal(clipboard=True, shows=frozenset())

    def ask(question: str) -> str:
        asked.append(question)
        return terminal.ask(question)

    list(try_all(ask, terminal.write, env))
    assert len(asked) == questions(env)
    assert terminal.pasted in asked[0]


def test_an_old_clipboard_is_not_taken_for_success() -> None:
    terminal = Terminal(clipboard=False, shows=frozenset())
    terminal.pasted = "apollo-of-yesterday"
    assert not terminal.run({"TERM": "xterm"})["clipboard by OSC 52"].worked


def test_inside_tmux_only_the_bell_is_tried_so_that_nothing_leaks_into_other_panes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apollo_tui.cli.terminal_check.tmux_load", lambda arguments, text: False)
    terminal = Terminal(clipboard=True, shows=frozenset({"bell"}))
    found = terminal.run({"TERM": "tmux-256color", "TMUX": "x"})
    assert [name for name in found if name.startswith("notification")] == ["notification by bell"]
    assert not found["clipboard by tmux"].worked and "set-clipboard" in found["clipboard by tmux"].advice
    assert not any("]9;" in data or "]777;" in data for data in terminal.written)

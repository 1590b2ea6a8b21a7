from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apollo_process import Apollo
from terminal import Terminal

pytestmark = pytest.mark.pty

GOLDEN = Path(__file__).parents[1] / "golden" / "openai-2-anthropic-2.sqlite"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    apollo = Apollo(tmp_path)
    apollo.write_config()
    shutil.copy(GOLDEN, apollo.log)
    terminals: list[Terminal] = []

    def open_app(*words: str, **more: Any) -> Terminal:
        terminals.append(Terminal(apollo.command(*words), apollo.env, apollo.folder, **more))
        return terminals[-1]

    yield open_app
    for terminal in terminals:
        terminal.close()
    apollo.close()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"term": "dumb"}, "TERM is dumb"),
        ({"term": ""}, "TERM is not set"),
        ({"columns": 1, "rows": 1}, "the terminal is 1x1"),
        ({"columns": 10, "rows": 3}, "the terminal is 10x3"),
        ({"columns": 200, "rows": 7}, "the terminal is 200x7"),
    ],
)
def test_a_terminal_that_cannot_show_the_app_gets_one_line_that_says_why(
    opened: Callable[..., Terminal], more: dict[str, Any], why: str
) -> None:
    terminal = opened("--read-only", **more)
    terminal.wait("the end", lambda: not terminal.running)
    said = terminal.raw.decode()
    assert said.startswith(f"apollo: {why}") and "'apollo ls' lists the sessions without it" in said
    assert said.count("\r\n") == 1 and said.endswith("\r\n"), "one line"
    assert "\x1b" not in said
    assert terminal.child.exitstatus == 2


def test_a_terminal_that_is_made_tiny_meanwhile_shows_the_board_again(opened: Callable[..., Terminal]) -> None:
    terminal = opened("--read-only")
    terminal.wait("the board", "? help")
    for rows, columns in ((1, 1), (3, 10), (1, 200), (60, 2)):
        terminal.child.setwinsize(rows, columns)
        terminal.read(0.3)
        assert terminal.running
    terminal.child.setwinsize(36, 120)
    seen = len(terminal.raw)
    terminal.wait("the board again", lambda: b"help" in terminal.raw[seen:])
    terminal.press("q", "q")
    terminal.wait("the end", lambda: not terminal.running)
    assert terminal.child.exitstatus == 0

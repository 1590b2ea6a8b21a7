from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apollo_process import Apollo, wait_for
from terminal import Terminal
from terminal_modes import changed_modes

pytestmark = pytest.mark.pty

CRASHING = Path(__file__).parents[1] / "support" / "crashing_app.py"
GOLDEN = Path(__file__).parents[1] / "golden" / "openai-2-anthropic-2.sqlite"
TAKEN = {"1049", "25", "2004", "1000", "1003", "1006", "1004", "7", "keys", "title"}
"""What the app takes: without it a test that all is given back proves nothing."""


@pytest.fixture
def apollo(tmp_path: Path) -> Apollo:
    product = Apollo(tmp_path)
    product.write_config('mouse = "on"\n')
    shutil.copy(GOLDEN, product.log)
    return product


@pytest.fixture
def opened(apollo: Apollo) -> Iterator[Callable[..., Terminal]]:
    terminals: list[Terminal] = []

    def open_app(*command: str, deaf: bool = False) -> Terminal:
        words = list(command) or apollo.command("--read-only")
        terminal = Terminal(words, apollo.env, apollo.folder, deaf=deaf)
        terminals.append(terminal)
        terminal.attributes = attributes(terminal)
        terminal.wait("the board", "? help", seconds=60)
        assert changed_modes(terminal.raw.decode()) >= TAKEN
        assert attributes(terminal) != terminal.attributes
        return terminal

    yield open_app
    for terminal in terminals:
        terminal.close()
    apollo.close()


def attributes(terminal: Terminal) -> Any:
    return termios.tcgetattr(terminal.child.child_fd)


def ended(terminal: Terminal) -> str:
    """What the terminal got, once the process has ended."""
    terminal.wait("the end", lambda: not terminal.running, seconds=60)
    terminal.read(0.1)
    return terminal.raw.decode()


def require_given_back(terminal: Terminal) -> None:
    assert changed_modes(ended(terminal)) == set()
    assert attributes(terminal) == terminal.attributes


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT", "SIGUSR1", "SIGALRM"])
def test_a_signal_ends_the_app_and_leaves_the_terminal_as_it_was(opened: Callable[..., Terminal], name: str) -> None:
    terminal = opened()
    sign = signal.Signals[name]
    os.kill(terminal.child.pid, sign)
    require_given_back(terminal)
    # By its own exit where a busy machine took longer over it than the app is given.
    told = terminal.child.signalstatus or terminal.child.exitstatus - 128
    assert told == sign, "who waits for it learns of what it died"
    assert f"apollo: ended by {name}; sessions go on, drafts are kept" in terminal.text()


def test_two_signals_at_once_end_it_too(opened: Callable[..., Terminal]) -> None:
    terminal = opened()
    os.kill(terminal.child.pid, signal.SIGTERM)
    os.kill(terminal.child.pid, signal.SIGHUP)
    require_given_back(terminal)


def test_a_hang_up_that_was_ignored_from_the_start_stays_so(opened: Callable[..., Terminal]) -> None:
    terminal = opened(deaf=True)
    os.kill(terminal.child.pid, signal.SIGHUP)
    terminal.press("?")
    terminal.wait("the help", "keys that work here")
    os.kill(terminal.child.pid, signal.SIGTERM)
    require_given_back(terminal)


@pytest.mark.parametrize("where", ["handler", "worker", "paint", "diff", "input", "exit", "unmount"])
def test_a_crash_leaves_the_terminal_as_it_was(apollo: Apollo, opened: Callable[..., Terminal], where: str) -> None:
    terminal = opened(*crashing(apollo, where))
    terminal.child.send("\x03")

    def is_over() -> bool:
        # What fails on the next key needs one, however late a busy machine takes the first.
        with contextlib.suppress(OSError):
            terminal.press("x")
        return not terminal.running

    terminal.wait("the end", is_over, seconds=60)
    require_given_back(terminal)
    assert "Traceback" not in terminal.text(), "the report is in a file"
    assert terminal.child.exitstatus not in (0, None)


def test_an_app_that_is_stuck_gives_the_terminal_back_all_the_same(
    apollo: Apollo, opened: Callable[..., Terminal]
) -> None:
    terminal = opened(*crashing(apollo, "stuck"))
    terminal.child.send("\x03")
    terminal.wait("it to be stuck", lambda: b"\x1b]2;stuck\x07" in terminal.raw)
    os.kill(terminal.child.pid, signal.SIGTERM)
    require_given_back(terminal)
    assert terminal.child.exitstatus == 128 + signal.SIGTERM


def crashing(apollo: Apollo, where: str) -> list[str]:
    return [sys.executable, str(CRASHING), where, "--log", str(apollo.log), "--read-only"]


FLAGS = (
    "alternate_on", "cursor_flag", "mouse_any_flag", "mouse_all_flag", "mouse_sgr_flag", "keypad_flag",
    "keypad_cursor_flag", "insert_flag", "origin_flag", "wrap_flag", "bracket_paste_flag",
)  # fmt: skip


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
@pytest.mark.parametrize("end", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT", "handler", "worker", "paint"])
def test_tmux_says_that_nothing_is_left(apollo: Apollo, tmp_path: Path, end: str) -> None:
    by_signal = end.startswith("SIG")
    words = apollo.command("--read-only") if by_signal else crashing(apollo, end)
    env = {k: v for k, v in apollo.env.items() if k not in ("TMUX", "TMUX_PANE")}
    # No shell for people: it would set modes of its own. The pane stays when the app has ended.
    server = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]

    def tmux(*args: str) -> str:
        return subprocess.run([*server, *args], env=env, capture_output=True, text=True, check=True).stdout.strip()

    def flags() -> dict[str, str]:
        said = tmux("display", "-p", "-t", "a", "|".join(f"#{{{flag}}}" for flag in FLAGS))
        return dict(zip(FLAGS, said.split("|"), strict=True))

    tmux("new-session", "-d", "-s", "a", "-x", "120", "-y", "36", "cat")
    try:
        before = flags()
        tmux("respawn-pane", "-k", "-t", "a", "sh", "-c", '"$@"; echo "it is over"; exec cat', "sh", *words)
        wait_for("the board", lambda: "? help" in tmux("capture-pane", "-p", "-t", "a"))
        taken = flags()
        assert (taken["alternate_on"], taken["cursor_flag"], taken["mouse_any_flag"]) == ("1", "0", "1")
        if by_signal:
            shell = tmux("display", "-p", "-t", "a", "#{pane_pid}")
            (app,) = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
            os.kill(int(app), signal.Signals[end])
        else:
            tmux("send-keys", "-t", "a", "C-c")
        wait_for("the end", lambda: "it is over" in tmux("capture-pane", "-p", "-t", "a"))
        assert flags() == before
    finally:
        tmux("kill-server")
        apollo.close()

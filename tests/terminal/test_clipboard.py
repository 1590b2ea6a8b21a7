from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from apollo_tui.run import wants_mouse
from apollo_tui.terminal.clipboard import OSC_52_MOST, copy_text
from apollo_tui.terminal.pager import page_text


def tool(folder: Path, name: str, script: str) -> dict[str, str]:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_outside_a_multiplexer_the_terminal_is_asked_and_the_receipt_promises_no_more(tmp_path: Path) -> None:
    sent: list[str] = []
    receipt = copy_text("hello", tmp_path, sent.append, {})
    assert sent == ["hello"] and "5 characters sent to the terminal (OSC 52)" in receipt


def test_inside_tmux_its_buffer_is_used_and_an_old_tmux_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "PATH", tool(tmp_path, "tmux", f'echo "$@" >> {tmp_path}/calls; cat > {tmp_path}/buffer')["PATH"]
    )
    receipt = copy_text("hello", tmp_path, lambda _: pytest.fail("no OSC 52 here"), {"TMUX": "x"})
    assert (tmp_path / "buffer").read_text() == "hello" and "offered to your terminal" in receipt
    tool(tmp_path, "tmux", f'[ "$2" = -w ] && exit 1; cat > {tmp_path}/buffer')
    assert "tmux's buffer only" in copy_text("again", tmp_path, lambda _: None, {"TMUX": "x"})
    tool(tmp_path, "tmux", "exit 1")
    assert "copied.txt" in copy_text("more", tmp_path, lambda _: None, {"TMUX": "x"})


@pytest.mark.parametrize(("text", "env"), [("x" * (OSC_52_MOST + 1), {}), ("short", {"STY": "screen"})])
def test_what_no_terminal_takes_goes_to_a_file_that_only_its_owner_reads(
    tmp_path: Path, text: str, env: dict[str, str]
) -> None:
    receipt = copy_text(text, tmp_path / "new", lambda _: pytest.fail("too long, or inside screen"), env)
    path = tmp_path / "new" / "copied.txt"
    assert path.read_text() == text and str(path) in receipt
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_pager_sees_the_text_and_a_missing_one_is_said(tmp_path: Path) -> None:
    tool(tmp_path, "pager", f'cat "$2" > {tmp_path}/seen')
    assert page_text("body\n", "a.txt", {"PAGER": f"{tmp_path}/pager -x"}) == ""
    assert (tmp_path / "seen").read_text() == "body\n"
    assert "set $PAGER" in page_text("body\n", "a.txt", {"PAGER": "/no/such/pager"})


def test_the_mouse_is_off_over_ssh_unless_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_TTY", raising=False)
    monkeypatch.setenv("SSH_CONNECTION", "1 2 3 4")
    assert not wants_mouse("auto") and wants_mouse("on")
    monkeypatch.delenv("SSH_CONNECTION")
    assert wants_mouse("auto") and not wants_mouse("off")

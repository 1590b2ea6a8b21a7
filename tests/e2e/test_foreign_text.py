from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from apollo_process import Apollo, wait_for
from sse_server import server_process
from terminal import Terminal

from apollo_tui.terminal.alerts import title_text

pytestmark = pytest.mark.pty

MARKUP = "[/foo] [bold [@click=app.quit]x"
SEQUENCES = (
    "\x1b]52;c;b3duZWQ=\x07", "\x1b]52;c;b3duZWQ=\x1b\\", "\x1b]0;owned\x07", "\x1b]0;owned\x1b\\", "\x1b]2;owned\x07",
    "\x1b[2J", "\x1b[3J", "\x1b[H", "\x1b[?1049l", "\x1b[?25h", "\x1b[8;31m", "\x1b[6n", "\x1b[5i", "\x1bc", "\x1b(0",
    "\x1bP+q544e\x1b\\", "\x1b_G\x1b\\", "\x1b^x\x1b\\", "\x9b2J", "\x9d0;owned\x9c", "\x90q\x9c", "\x85",
    "\x07", "\x08", "\x0e", "\x00", "\x7f", "\u202e", "\u2028",
)  # fmt: skip
HOSTILE = f"{MARKUP} {' '.join(SEQUENCES)} 数値 👩\u200d👧 Ａ\u0301"
SURROGATE = "\ud800 \udfff"
LONG = "y" * 500_000 + HOSTILE + "y" * 500_000
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]P^_X].*?(?:\x07|\x1b\\)"  # OSC, DCS, and their like, with what they carry
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)


def turns(nasty: str, path: str, long: str) -> list[dict[str, Any]]:
    """A session that says ``nasty`` wherever a model can say something, and meets it wherever a tool can."""
    run = ("run", {"command": f"echo '{MARKUP}'; cat nasty"})
    write = ("write_file", {"path": path, "content": nasty})
    edit = ("edit_file", {"path": path, "old": "[bold", "new": nasty})
    plan = ("plan", {"items": [{"text": nasty, "status": "doing"}]})
    steps: list[tuple[str, list[tuple[str, Any]]]] = [
        (nasty, [run]),
        (nasty, [write, edit, ("read_file", {"path": nasty})]),
        ("", [("run", {"command": "cat long"}), plan]),
        ("", [(MARKUP + nasty[:99], {}), ("run", nasty)]),
        (long, [("ask_human", {"question": nasty})]),
    ]
    return [
        {"text": text, "reasoning": nasty, "chunk": 1 << 20, "calls": [{"name": n, "arguments": a} for n, a in calls]}
        for text, calls in steps
    ]


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """``shown(...)``: the app on a log whose sessions have met these texts."""
    with ExitStack() as stack:

        def show(name: str, *, nasty: str, path: str, title: str, long: str, raw: bytes) -> Terminal:
            folder = tmp_path / name
            files = folder / "files"
            files.mkdir(parents=True)
            (files / "nasty").write_bytes(raw)
            (files / "long").write_text(long, errors="replace")
            error = {"turns": [{"faults": [{"status": 400, "message": nasty}] * 9}]}
            script = folder / "script.json"
            script.write_text(json.dumps({"talker": {"turns": turns(nasty, path, long)}, "failer": error}))
            url = stack.enter_context(server_process(script))
            apollo = Apollo(folder)
            stack.callback(apollo.close)
            task = folder / "task.md"
            task.write_text(nasty.replace("\x00", "").encode("utf-8", "replace").decode())
            for model in ("talker", "failer"):
                apollo.run(
                    "new", str(task), "--name", title, "--workspace", str(files), "--model", f"openai:{model}",
                    "--base-url", f"{url}/v1", "--anyway",
                )  # fmt: skip
            wait_for("all to be said", lambda: apollo.states() == {"needs_you"}, seconds=60)
            terminal = Terminal(apollo.command(), apollo.env, apollo.folder)
            stack.callback(terminal.close)
            return terminal

        yield show


def walk(terminal: Terminal) -> dict[str, str]:
    """Look at everything, then leave; returns what stood on each screen."""
    seen: dict[str, str] = {}

    def look(name: str, mark: str, *keys: str) -> None:
        terminal.press(*keys)
        terminal.wait(name, lambda: any(word in terminal.text() for word in mark.split("|")))
        terminal.read(0.15)
        seen[name] = seen.get(name, "") + terminal.text()

    look("board", "! needs you")
    look("help", "keys that work here", "?")
    look("board", "? help", "esc", "1")
    look("session", "model     openai:talker", "enter")
    for _ in range(3):
        look("session", "openai:talker", "g", "space", "space")
    look("search", "hold foo", "/", *"foo", "enter")
    look("session", "openai:talker", "G")
    for _ in range(6):
        look("action", " arguments| what the model wrote| before it ─", "[", "enter")
        look("session", "openai:talker", "esc")
    look("labels", "impatience", "F")
    look("session", "openai:talker", "esc")
    look("export", "write it (w)", "e")
    terminal.wait("the preview", lambda: " context " in terminal.text())
    look("export", "▌", "tab", "tab", "G")
    look("session", "openai:talker", "esc")
    look("board", "? help", "esc", "2")
    look("error", "openai:failer refused", "enter")
    look("board", "? help", "esc")
    look("leaving", "needs you", "q")
    terminal.wait("the end", lambda: not terminal.running or terminal.press("q"))
    terminal.read(0.2)
    return seen


OWN_STYLE = re.compile(r"\x1b\[(?:(?:0|1|2|3|4|7|9|2[1-9]|39|49|[34]8;5;\d+|[34]8;2;\d+;\d+;\d+)(?:;|(?=m)))*m")
"""Styles as the app writes them, in any company: which of them stand together depends on when it painted. The sixteen
basic colours (``31m``), which foreign text would use, are not among them."""


OSC = re.compile(r"\x1b\].*?(?:\x07|\x1b\\)", re.DOTALL)
OWN_OSC = {"\x1b]22;default\x07"} | {f"\x1b]2;{title_text(need)}\x07" for need in range(3)}
"""All that the app says to the terminal beside its cells: how many need somebody, as often as that changes while it
loads, and the plain shape of the mouse's pointer."""


def kinds(raw: str) -> set[str]:
    """The escape sequences of ``raw``, numbers apart."""
    found = {"\x1b[STYLEm" if OWN_STYLE.fullmatch(one) else one for one in SEQUENCE.findall(raw)}
    return {re.sub(r"[0-9]+", "N", re.sub(r"(?<=[;N])[0-9]+", "N", one)) for one in found}


def test_foreign_text_changes_nothing_on_a_terminal_but_its_own_cells(shown: Callable[..., Terminal]) -> None:
    plain = shown("plain", nasty="hello foo", path="a/b.txt", title="a title", long="y" * 1000, raw=b"hello\n")
    walk(plain)
    own = plain.raw.decode("utf-8")
    hostile = shown(
        "hostile", nasty=HOSTILE + SURROGATE, path="a/\x1b]0;owned\x07[bold \x1b[2J数.txt",
        title=HOSTILE.replace("\x00", "") + "\udcff", long=LONG, raw=HOSTILE.encode() + b"\xff\xfe\x80\x9b2J\n",
    )  # fmt: skip
    seen = walk(hostile)
    raw = hostile.raw.decode("utf-8")

    assert kinds(raw) - kinds(own) == set(), "sequences that the app does not write for plain text"
    assert set(OSC.findall(raw)) <= OWN_OSC, "a title or a clipboard was set"
    assert len(OSC.findall(raw)) == raw.count("\x1b]"), "one begins that does not end"
    assert set(CONTROL.findall(SEQUENCE.sub("", raw))) <= set(CONTROL.findall(SEQUENCE.sub("", own)))
    for sequence in SEQUENCES:
        assert sequence in own or sequence not in raw, repr(sequence)
    for name in ("board", "session", "action", "error", "export"):
        assert MARKUP in seen[name].replace("\n", ""), f"{name} hides what was said"
    assert "数値" in seen["session"] and "1,000," in seen["session"]

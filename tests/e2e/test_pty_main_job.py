from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apollo_process import Apollo, wait_for
from terminal import Terminal

pytestmark = pytest.mark.pty

ADVICE = "let the run end before you judge it: expect /exports, [x] marks & 2 more minutes"
"""Nearly every letter of it is a key of the board."""


@pytest.fixture
def apollo(tmp_path: Path) -> Iterator[Apollo]:
    product = Apollo(tmp_path)
    product.write_config()
    yield product
    product.close()


@pytest.fixture
def opened(apollo: Apollo) -> Iterator[Any]:
    """``opened()`` opens the app once more; none of them is left behind."""
    terminals: list[Terminal] = []

    def open_app(deaf: bool = False) -> Terminal:
        terminal = Terminal(apollo.command(), apollo.env, apollo.folder, deaf=deaf)
        terminals.append(terminal)
        terminal.wait("the board", "1 tune-lr")
        return terminal

    yield open_app
    for terminal in terminals:
        terminal.close()


def weights(file: Path) -> dict[str, dict[int, int]]:
    """Per session: the weight of each assistant message, by step."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    found: dict[str, dict[int, int]] = {}
    for row in rows:
        assistants = [message for message in row["messages"] if message["role"] == "assistant"]
        found[row["meta"]["session"]] = {step: message["weight"] for step, message in enumerate(assistants, start=1)}
    return found


def test_advise_flag_undo_and_export_by_keys_alone(apollo: Apollo, opened: Any) -> None:
    tune, _, formats, *_ = (made["id"] for made in apollo.json("demo", "--headless", "--pace", "0.1"))
    terminal = opened()
    terminal.wait("the agent to drift", lambda: named(apollo, tune, "job_kill"), seconds=40)

    # One burst, as a paste or a slow line brings it: all of it is text, and none of it a key of the board.
    terminal.type("1i" + ADVICE)
    terminal.wait("the composer", "advise 1 tune-lr")
    terminal.wait("the whole text", lambda: ADVICE in terminal.text())
    terminal.read(0.3)  # a return at the heels of a burst is part of a paste
    terminal.press("enter")
    terminal.wait("the receipt", "queued: advice to 1 tune-lr")
    queued = apollo.events(tune, "advice.queued")
    assert [event["body"]["text"] for event in queued] == [ADVICE]
    said = terminal.wait("delivery", lambda: re.search(r"delivered at step (\d+)", terminal.text()), seconds=40)
    at_step = apollo.events(tune, "advice.delivered")[0]["body"]["at_step"]
    assert int(said[1]) == at_step
    for session in (tune, formats):
        wait_for("the end", lambda session=session: apollo.session(session)["state"] == "finished", seconds=60)
    after = [event for event in named(apollo, tune) if event["step"] >= at_step]
    assert "wait" in [event["body"]["name"] for event in after]
    assert "job_kill" not in [event["body"]["name"] for event in after]

    # The log knows of the end before the screen does.
    terminal.wait("its end on the screen", lambda: re.search(r"▸ finish +Trained", terminal.text()))
    terminal.press("tab", "[", "f")
    terminal.wait("the first flag", "finish: unspecified")
    terminal.press("[", "f")
    terminal.wait("the second flag", lambda: len(apollo.events(tune, "flag.set")) == 2)
    terminal.press("u")
    terminal.wait("the undo", "undone: flag unspecified on 1 tune-lr")
    first, second = apollo.events(tune, "flag.set")
    assert [event["body"]["flag"] for event in apollo.events(tune, "flag.removed")] == [second["body"]["flag"]]

    terminal.press("e")
    terminal.wait("the export menu", "tokens trained")
    terminal.press("j", "j", "x")
    terminal.wait("two sessions to be chosen", "[x] 3 formats")
    terminal.press("tab")
    while (shown := terminal.wait("a format", lambda: re.search(r"format  (\S+)", terminal.text())))[1] != "openai":
        terminal.press("l")
        terminal.wait("the next format", lambda before=shown[0]: before not in terminal.text())
    terminal.press("w")
    terminal.wait("the question what becomes of advice", "what becomes of that?")
    terminal.press("k")
    terminal.wait("the file", "✓ wrote")
    (out,) = apollo.folder.glob("*.openai.jsonl")
    refused = {event["step"] for event in apollo.events(formats, "action.refused")}
    found = weights(out)
    assert {step for step, weight in found[tune].items() if weight == 0} == {first["body"]["target"]["step"]}
    assert {step for step, weight in found[formats].items() if weight == 0} == refused and len(refused) >= 6
    assert set(found) == {tune, formats}
    terminal.press("esc", "q")
    # What will not go on is listed first, if anything will not.
    terminal.wait("the end of the app", lambda: not terminal.running or terminal.press("q"))


def named(apollo: Apollo, session: str, name: str = "") -> list[dict[str, Any]]:
    """The calls of a session that began, by the name of their tool."""
    return [e for e in apollo.events(session, "action.started") if not name or e["body"]["name"] == name]


@pytest.mark.parametrize(("end", "deaf"), [("kill", False), ("hang_up", False), ("hang_up", True)])
def test_sessions_outlive_the_app_and_its_terminal_and_the_draft_is_there_again(
    apollo: Apollo, opened: Any, end: str, deaf: bool
) -> None:
    poller = apollo.json("demo", "--headless", "--pace", "0.3")[1]["id"]
    terminal = opened(deaf)
    half = "poll less: use wait for the jo"
    terminal.type("2i" + half)
    terminal.wait("the draft on disk", lambda: any(half in f.read_text() for f in drafts(apollo)))
    getattr(terminal, end)()
    assert not terminal.running
    step = steps(apollo)[poller]
    wait_for("steps to grow", lambda: steps(apollo)[poller] >= step + 3, seconds=40)

    again = opened()
    here = steps(apollo)[poller]
    again.wait("what happened meanwhile", lambda: shown_step(again) >= here)
    again.press("2", "i")
    again.wait("the draft", lambda: half in again.text())
    again.type("b")
    again.wait("the text to go on", lambda: f"{half}b" in again.text())
    again.press("enter")
    again.wait("the receipt", "queued: advice to 2 poller")
    assert apollo.events(poller, "advice.queued")[0]["body"]["text"] == f"{half}b"
    wait_for("the draft to be cleared", lambda: not drafts(apollo))


def drafts(apollo: Apollo) -> list[Path]:
    return list((apollo.log.parent / f"{apollo.log.name}.d" / "drafts").glob("[!.]*.json"))


def steps(apollo: Apollo) -> dict[str, int]:
    return {row["id"]: row["step"] for row in apollo.json("ls")}


def shown_step(terminal: Terminal) -> int:
    """The step in the title of the poller's pane."""
    line = next((line for line in terminal.text().splitlines() if "2 poller ─" in line), "")
    words = line.partition("2 poller")[2].split()
    return int(words[words.index("step") + 1]) if "step" in words else 0

"""Nothing but a person's key does anything, and nothing foreign does anything at all."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual import events

from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.host import protocol
from widgets.composer import Composer

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
NAMED = {
    " ": "space", "'": "apostrophe", "/": "slash", ":": "colon", "?": "question_mark", "[": "left_square_bracket",
    "]": "right_square_bracket", "!": "exclamation_mark",
}  # fmt: skip
FOREIGN = [
    "[/foo]", "[bold", "[@click=app.quit]x", "d['k']", "\x1b]52;c;aGk=\x1b\\", "\x1b]0;owned\x07", "\x1b[2J", "a\x00b",
    "\ud800", "漢字テスト", "👩‍👩‍👧", "\u202egnp.exe", "\x9b2J", "x" * 1_000_000,
]  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1])
async def test_random_typing_while_everything_happens_is_nothing_but_text(feed: FakeFeed, seed: int) -> None:
    chance = random.Random(seed)
    first = await feed.session("one")
    await feed.step(first, 1, ("run", {"command": "x"}, "y\n"))
    async with open_app(feed) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: app.screen.query_one(Composer).is_bound)
        composer = app.screen.query_one(Composer)
        focused = app.focused
        calls = len(feed.calls)
        typed = ""
        other = first
        for number in range(2, 62):
            text = [chance.choice(LETTERS + "".join(NAMED)) for _ in range(4)]
            for letter in text:
                app.post_message(events.Key(NAMED.get(letter, letter), letter))
            await pilot.pause(0.01)
            typed += "".join(text)
            match number % 8:
                case 0:
                    other = await feed.session(f"s{number}")
                case 1:
                    await feed.step(first, number, ("run", {"command": "x"}, "y\n"), text="more")
                case 2:
                    await feed.add(first, ev.QuestionAsked(question=1, text="Which?", until=0))
                case 3:
                    feed.link(chance.random() < 0.5)
                case 4:
                    await pilot.resize_terminal(chance.choice([80, 120, 200]), chance.choice([24, 36, 50]))
                case 5:
                    feed.delta(first, number, "streaming")
                case 6:
                    app.say("a receipt", "warning")
                case 7:
                    await feed.add(other, ev.StateChanged(state="needs_you", need="other", reason="stuck"))
                    await feed.add(other, ev.StateChanged(state="running"))
        await until(pilot, lambda: composer.text == typed)
        assert app.focused is focused and composer.target is not None and composer.target.session == first
        made = [call for call in feed.calls[calls:] if not isinstance(call, protocol.Annotate)]
        assert made == [] and not [
            c for c in feed.calls[calls:] if isinstance(c, protocol.Annotate) and c.kind != "cursor.moved"
        ]
        assert isinstance(app.screen, BoardScreen)
    from apollo_tui.acts.drafts import Drafts

    draft = Drafts(feed.paths.drafts, feed.actor).load(first)
    assert draft is not None and draft.text == typed


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_foreign_text_of_every_kind_changes_nothing_but_its_own_cells(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    everything = " ".join(text[:60] for text in FOREIGN)
    session = await feed.session(everything.encode("utf-8", "replace").decode(), task=_storable(everything))
    for number, text in enumerate(FOREIGN, 1):
        stored = _storable(text)
        await feed.step(
            session, number, (stored[:50], {"path": stored[:100], stored[:20]: "x"}, stored), text=stored[:5000],
            reasoning=stored[:5000],
        )  # fmt: skip
    await feed.add(session, ev.QuestionAsked(question=1, text=_storable(everything), until=0))
    await feed.add(session, ev.StateChanged(state="needs_you", reason=_storable(everything)))
    async with open_app(feed, size) as (app, pilot):
        for keys in (["tab", "left_square_bracket"], ["F"], ["escape"], ["enter"], ["escape"], ["escape"], ["enter"],
                     ["escape"], ["a"], ["escape"], ["question_mark"], ["escape"], ["q"], ["escape"]):  # fmt: skip
            await pilot.press(*keys)
            await pilot.pause(0.05)
            _harmless(app)
        assert app.is_running and app.title == "Apollo"


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _harmless(app: object) -> None:
    text = screen_text(app)  # type: ignore[arg-type]
    bad = [letter for letter in text if (ord(letter) < 32 and letter != "\n") or 0x7F <= ord(letter) < 0xA0]
    assert bad == [] and "\u202e" not in text


async def test_an_app_on_an_empty_log_says_what_to_do(feed: FakeFeed) -> None:
    async with open_app(feed) as (app, pilot):
        assert "c new session" in screen_text(app) and "d demo" in screen_text(app)
        await pilot.press("f", "u", "p", "x", "t", "n", "left_square_bracket", "tab", "j", "5", "y")
        said = ("nothing of yours can be undone", "there is no session here: c creates one")
        await until(pilot, lambda: any(words in screen_text(app) for words in said))
        assert isinstance(app.screen, BoardScreen)


@pytest.mark.usefixtures("only_keys_call")
async def test_q_and_letters_in_the_session_screen_act_only_outside_the_composer(feed: FakeFeed) -> None:
    await feed.step(await feed.session("one"), 1, ("run", {"command": "x"}, "y\n"))
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter", "i", *"qpfux")
        await until(pilot, lambda: app.screen.query_one(Composer).text == "qpfux")
        assert isinstance(app.screen, SessionScreen) and feed.calls == []
        await pilot.press("escape", "q")
        assert isinstance(app.screen, BoardScreen)


def test_importing_the_app_pulls_in_no_provider_no_host_and_no_agent() -> None:
    code = "import sys, apollo_tui.app; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"openai", "anthropic", "tiktoken", "torch", "transformers", "datasets", "pyarrow", "aiosqlite", "click"}
    assert not heavy & {name.split(".")[0] for name in loaded}
    ours = {"sessions.agent", "sessions.tools", "sessions.jobs", "sessions.host.server", "sessions.log.writer"}
    assert not [name for name in loaded if any(name == one or name.startswith(one + ".") for one in ours)]


async def test_an_unexpected_error_leaves_a_line_and_a_report_not_a_traceback(feed: FakeFeed) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_app(feed) as (app, pilot):
            app.call_later(lambda: 1 / 0)
            await until(pilot, lambda: app.crash)
    assert "ZeroDivisionError" in app.crash and "\n" not in app.crash
    report = next(feed.paths.folder.glob("crash-*.txt"))
    assert str(report) in app.crash and "1 / 0" in report.read_text()
    assert report.stat().st_mode & 0o077 == 0

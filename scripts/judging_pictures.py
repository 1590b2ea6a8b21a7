"""Make the guide's pictures of judging, on the night of night_pictures: labels, review, search, training view."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from night_pictures import ME, write
from pictures import SIZE, take, until

from apollo_tui.app import ApolloApp
from apollo_tui.backend.live_feed import LiveFeed
from apollo_tui.screens.panels.search_results import SearchResultsPanel
from apollo_tui.screens.review import ReviewScreen
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.clock import now_ms
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter
from sessions.paths import LogPaths, log_paths

COLLEAGUE: Final = "human:ben"


async def judge(paths: LogPaths) -> None:
    """A colleague has judged a part of it."""
    with LogReader(paths.log) as reader:
        tune, _, formats, _ = [summary.session for summary in reader.summaries()]
    said: list[tuple[str, ev.Body]] = [
        (tune, ev.CursorMoved.up_to(40)),
        (tune, ev.FlagSet(flag="a", target=ev.Target(4, "call", 1), label="x/impatience", note="it was healthy")),
        (tune, ev.FlagSet(flag="b", target=ev.Target(6), label="trail/goal-deviation")),
        (formats, ev.FlagSet(flag="c", target=ev.Target(3, "call", 1), label="mast/step-repetition")),
        (formats, ev.NoteWritten(text="the Makefile lost its rule at step 2")),
    ]
    async with await LogWriter.open(paths.log) as writer:
        for session, body in said:
            await writer.append(ev.NewEvent(session, body, actor=COLLEAGUE))
        flag = ev.FlagSet(flag="d", target=ev.Target(3, "call", 1), verdict="good")
        await writer.append(ev.NewEvent(formats, flag, actor="human:cid"))


async def story(paths: LogPaths) -> None:
    """The label picker, the queue, a search, and what would be trained."""
    app = ApolloApp(LiveFeed(paths, ME, read_only=True))
    async with app.run_test(size=SIZE) as pilot:
        await until(lambda: type(app.screen).__name__ == "AwayPanel")
        # Nothing is written here: the keys are shown as they are with a host.
        app.context.state.writable = True
        await pilot.press("escape", "r")
        await until(lambda: isinstance(app.screen, ReviewScreen) and app.screen.subject() is not None)
        await take(pilot, "review")
        await take(pilot, "labels", "F")
        await pilot.press("escape", "escape", "s", *"tool:run loss", "enter")
        await until(lambda: isinstance(app.screen, SearchResultsPanel))
        await take(pilot, "found")
        await pilot.press("escape", "1", "enter")
        await until(lambda: isinstance(app.screen, SessionScreen) and bool(app.screen.transcript.in_sight()))
        await pilot.pause(0.5)
        await pilot.press("m")
        await pilot.pause(0.5)
        await take(pilot, "training-view")


def main() -> None:
    """Write the night, take the pictures."""
    with tempfile.TemporaryDirectory(prefix="apollo-pictures-") as folder:
        paths = log_paths(Path(folder) / "night.db")
        asyncio.run(write(paths, now_ms()))
        asyncio.run(judge(paths))
        asyncio.run(story(paths))


if __name__ == "__main__":
    main()

"""Make the README's pictures from the running app: real demo sessions, real keys. Run by `make pictures`."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TEXTUAL_FPS", "500")
# Pictures have all colours, whatever terminal they are made from.
os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
os.environ.pop("NO_COLOR", None)

from textual.app import App
from textual.pilot import Pilot

from apollo_tui.app import ApolloApp
from apollo_tui.backend.live_feed import LiveFeed
from sessions.annotators import know_logins
from sessions.demo.requests import demo_sessions
from sessions.host import protocol
from sessions.host.client import call_once, wait_for_stop
from sessions.log.reader import LogReader
from sessions.paths import LogPaths, log_paths
from sessions.ulid import new_ulid

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
SIZE = (120, 36)
PACE = 0.25


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for ``condition``; RuntimeError after ``seconds``."""
    for _ in range(int(seconds / 0.1)):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise RuntimeError("the picture's moment did not come")


async def take(pilot: Pilot[None], name: str, *keys: str) -> None:
    """Press keys, let the app paint, write the picture."""
    await pilot.press(*keys)
    await pilot.pause(0.4)
    app: App[None] = pilot.app
    (PICTURES / f"{name}.svg").write_text(app.export_screenshot(title="Apollo", simplify=True), encoding="utf-8")


def steps(paths: LogPaths, title: str) -> int:
    """How far the session of this title has come."""
    with LogReader(paths.log) as reader:
        return next((s.step for s in reader.summaries() if s.title == title), 0)


async def story(paths: LogPaths) -> None:
    """The five pictures of the README, in the order in which a person would see them."""
    know_logins(["ada"])  # it is her account, whoever makes the pictures
    app = ApolloApp(LiveFeed(paths, "human:ada"))
    async with app.run_test(size=SIZE) as pilot:
        await until(lambda: steps(paths, "tune-lr") >= 6 and steps(paths, "poller") >= 8, 120)
        await pilot.press("1", "i", *"let the run end before you judge it")
        await take(pilot, "board")
        await pilot.press("enter")
        await until(lambda: _delivered(paths))
        await pilot.press("escape", "k", "k", "k", "f")
        await take(pilot, "session", "enter")
        await take(pilot, "action", "k", "enter")
        await pilot.press("escape", "escape")
        await take(pilot, "export", "e")
        await pilot.pause(1.5)
        await take(pilot, "export")
        await pilot.press("escape")
        await take(pilot, "help", "?")


def _delivered(paths: LogPaths) -> bool:
    with LogReader(paths.log) as reader:
        return any(s.advice_delivered for s in reader.summaries())


def main() -> None:
    """Start a host on a log of its own, make the pictures, stop the host."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="apollo-pictures-") as folder:
        # The export menu shows a path: let it be one that says nothing of who made the picture.
        os.chdir(folder)
        paths = log_paths(Path(folder) / "demo.db")
        for params in demo_sessions(pace=PACE, request_id=new_ulid):
            call_once(paths, params, actor="human:ada", start=True)
        try:
            asyncio.run(story(paths))
        finally:
            call_once(paths, protocol.StopHost(by="human:ada", at_boundary=False), actor="human:ada", start=False)
            wait_for_stop(paths)
    print(*sorted(path.name for path in PICTURES.glob("*.svg")))


if __name__ == "__main__":
    main()

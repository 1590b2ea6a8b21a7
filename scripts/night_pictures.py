"""Make the pictures of the annotator's guide: a night that four sessions had, and somebody who comes back to it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from pictures import SIZE, take, until

from apollo_tui.app import ApolloApp
from apollo_tui.backend.live_feed import LiveFeed
from sessions import events as ev
from sessions.clock import now_ms
from sessions.events.messages import CallPart, TextPart, Usage
from sessions.events.text import canonical_json, long_text
from sessions.log.writer import LogWriter
from sessions.paths import LogPaths, log_paths
from sessions.ulid import new_ulid

ME: Final = "human:ada"
MINUTE: Final = 60_000
NIGHT: Final = 8 * 60


class Night:
    """A log that is written with a clock of its own."""

    def __init__(self, now: int) -> None:
        self.now = now - NIGHT * MINUTE
        self.writer: LogWriter

    async def add(self, session: str, body: ev.Body, step: int | None = None, actor: str = "host") -> ev.Event:
        """One event."""
        call = 1 if step and body.kind.startswith(("action.", "job.", "eval.", "file.")) else None
        return (await self.writer.append(ev.NewEvent(session, body, step, call, actor)))[0]

    async def session(self, number: int, title: str) -> str:
        """A session whose first step was read before somebody left."""
        session = new_ulid()
        model = ev.ModelSpec("demo", "scripted")
        await self.add(session, ev.SessionCreated(number=number, title=title, task="Make it better.", model=model))
        await self.add(session, ev.StateChanged(state="running"))
        await self.step(session, 1, "read_file", {"path": "README.md"}, "Lower the loss within 200 steps.")
        await self.score(session, 1, 0.41)
        summary = self.writer.summary(session)
        assert summary is not None
        await self.add(session, ev.CursorMoved.up_to(summary.last_seq), actor=ME)
        return session

    async def step(
        self, session: str, step: int, name: str, arguments: dict[str, object], output: str, text: str = ""
    ) -> None:
        """One step with one call, a minute after the one before."""
        self.now += MINUTE
        asked = ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256="0" * 64)
        request = await self.add(session, asked, step)
        call = CallPart(f"c{step}", name, canonical_json(arguments).decode())
        parts = (TextPart(text), call) if text else (call,)
        reply = ev.ModelReplied(request=request.seq, parts=parts, finish="calls", usage=Usage(9000, 120), cost=0.01)
        await self.add(session, reply, step, "agent")
        await self.add(session, ev.ActionStarted(call_id=f"c{step}", name=name, arguments=arguments), step, "agent")
        outcome: ev.Outcome = "error" if "rror" in output else "ok"
        result = ev.ActionResult(
            call_id=f"c{step}", outcome=outcome, output=long_text(output)[0], duration_ms=1200, data=arguments
        )
        await self.add(session, result, step, "agent")

    async def score(self, session: str, step: int, score: float) -> None:
        """The scorer ran."""
        await self.add(session, ev.EvalScored(score=score, used=step), step)


async def write(paths: LogPaths, now: int) -> None:
    """Eight hours: one session follows advice, one polls, one repeats an error and gets worse, one asks."""
    night = Night(now)
    paths.prepare()
    night.writer = await LogWriter.open(paths.log, clock=lambda: night.now)
    async with night.writer:
        tune, poller, formats, steady = [
            await night.session(number, title)
            for number, title in enumerate(("tune-lr", "poller", "formats", "steady"), 1)
        ]
        said = "Let it run 2,000 steps before you judge it: the loss falls late with this schedule."
        queued = ev.AdviceQueued(advice=1, text=said, advice_kind="strategy", about=ev.Target(1, "call", 1))
        await night.add(tune, queued, actor=ME)
        await night.add(tune, ev.AdviceDelivered(advice=(1,), at_step=2, text=said), 2)
        for step in range(2, 9):
            text = "The loss still falls, so I let the run go on." if step % 2 else ""
            await night.step(tune, step, "run", {"command": f"python train.py --steps {step}00"},
                             f"step {step}00  loss {3 / step:.2f}", text)  # fmt: skip
        await night.score(tune, 8, 0.46)
        for step in range(2, 40):
            await night.step(poller, step, "job_output", {"job": 3}, f"epoch {step // 8} of 10", "Not yet.")
        for step in range(2, 9):
            await night.step(formats, step, "run", {"command": "make convert"}, "Error: no rule 'convert'", "Again.")
        await night.score(formats, 8, 0.31)
        await night.step(steady, 2, "run", {"command": "pytest -q"}, "12 passed")
        await night.add(steady, ev.StateChanged(state="needs_you", need="question", reason="asks a question"))
        # The night goes on until now; nothing more comes.
        night.now = now - 4 * MINUTE
        for session in (tune, formats):
            await night.step(session, 41, "read_file", {"path": "notes.md"}, "nothing new")
        await night.step(poller, 41, "job_output", {"job": 3}, "epoch 5 of 10", "Not yet.")


async def story(paths: LogPaths) -> None:
    """Come back, read what happened, go where it matters."""
    app = ApolloApp(LiveFeed(paths, ME, read_only=True))
    async with app.run_test(size=SIZE) as pilot:
        await until(lambda: type(app.screen).__name__ == "AwayPanel")
        await take(pilot, "since-you-left")
        await pilot.press("j", "enter")
        await take(pilot, "digest")
        await pilot.press("escape", "escape")
        await take(pilot, "attention", "exclamation_mark", "exclamation_mark")
        await pilot.press("1", "enter")
        await pilot.pause(0.5)
        await take(pilot, "outline", "O")
        await pilot.press("O", "escape", "colon", *"outcome", "enter")
        await take(pilot, "outcome")


def main() -> None:
    """Write the night, take the pictures."""
    with tempfile.TemporaryDirectory(prefix="apollo-pictures-") as folder:
        paths = log_paths(Path(folder) / "night.db")
        asyncio.run(write(paths, now_ms()))
        asyncio.run(story(paths))


if __name__ == "__main__":
    main()

"""Sessions in the host, from creation to their end, through its socket: agents alone, or with somebody who advises.

Without an adviser a session just runs: what happens depends on its seeds alone. With one it goes from boundary to
boundary (``Control(verb="next")``), so that advice comes at the same step however fast the machine is.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.supervision.annotator import Adviser, Expert, Seen, key_of, sight_of
from benchmarks.supervision.chain import Chain, Clues, World, plain, task_text
from benchmarks.supervision.environment import ENTRY
from benchmarks.supervision.knobs import Annotator
from sessions import events as ev
from sessions.host import protocol
from sessions.host.client import HostClient, ensure_host
from sessions.log.reader import LogReader
from sessions.paths import LogPaths
from sessions.taskfile import TaskFile, load_task

ACTOR: Final = "human:scripted"
AT_ONCE: Final = 24
"""Sessions that are under way at the same time."""
ENDS: Final = frozenset({"SUCCESS", "FAILURE"})
RESTING: Final = frozenset({"paused", "finished", "stopped", "failed", "needs_you"})


@dataclass(frozen=True, slots=True)
class Played:
    """A session that has ended, as a person could read it."""

    session: str
    episode: int
    success: bool
    key: int
    steps: tuple[Seen, ...]
    advice: int


class Stuck(Exception):
    """A session did not end as an episode does."""


class Desk:
    """A client of the host that waits for sessions to come to rest."""

    def __init__(self, client: HostClient, reader: LogReader) -> None:
        self.client, self.reader = client, reader
        self._position = reader.position()
        self._states: dict[str, str] = {}
        self._changed = asyncio.Condition()

    async def follow(self) -> None:
        """Read what the log grows by, until cancelled."""
        async for note in self.client.notifications():
            if isinstance(note, protocol.Changed):
                await self._read()
        raise Stuck("the connection to the host is lost")

    async def _read(self) -> None:
        while fresh := self.reader.since(self._position):
            self._position = fresh[-1].id
            async with self._changed:
                for event in fresh:
                    if isinstance(event.body, ev.StateChanged):
                        self._states[event.session] = event.body.state
                self._changed.notify_all()

    async def rest(self, session: str) -> str:
        """The state in which the session has come to rest."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._states.get(session, "") in RESTING)
            return self._states[session]

    async def go(self, session: str) -> str:
        """Let the session go on to its next boundary; the state that it rests in then."""
        self._states.pop(session, None)
        await self.client.call(protocol.Control(request=uuid.uuid4().hex, session=session, verb="next"))
        return await self.rest(session)


@asynccontextmanager
async def desk(paths: LogPaths, *, start: bool = True) -> AsyncIterator[Desk]:
    """A desk at the host of this log, which is started if it does not run."""
    if start:
        await ensure_host(paths)
    client = await HostClient.connect(paths, actor=ACTOR, client="script")
    with LogReader(paths.log) as reader:
        made = Desk(client, reader)
        await client.call(protocol.Subscribe())
        following = asyncio.create_task(made.follow())
        try:
            yield made
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            await client.close()


def write_task(world: World, episode: int, clues: Clues, folder: Path) -> Path:
    """The task file of an episode, which names the environment."""
    options = {**plain(world.shape), "world": world.seed, "episode": episode, "show": clues}
    front = [f"title: episode {episode}", "environment:", f"  factory: {ENTRY}", "  options:"]
    front += [f"    {name}: {value}" for name, value in options.items()]
    path = folder / f"episode-{episode}-{clues.replace(' ', '-')}.md"
    path.write_text(
        "\n".join(["---", *front, "tools: [finish]", "---", task_text(Chain(world, episode, clues))]) + "\n", "utf-8"
    )
    return path


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: the model, where it is served, how it samples, and what sessions are tagged with."""

    model: str
    url: str
    tag: str
    temperature: float = 1.0
    clues: Clues = "known"

    def create(self, task: TaskFile, seed: int) -> protocol.CreateSession:
        """The request that makes the session of a task."""
        quirks = {"temperature": self.temperature, "seed": seed, "tool_choice": "required"}
        spec = ev.ModelSpec("openai", self.model, base_url=self.url, max_output_tokens=8, quirks=quirks)
        return protocol.CreateSession(
            request=uuid.uuid4().hex, title=task.title, task=task.text, model=spec, tools=task.tools,
            environment=task.environment, env={"PATH": "/usr/bin:/bin"}, task_id=task.id, tags=(self.tag,), start=False,
        )  # fmt: skip


async def play(
    at: Desk, world: World, cast: Cast, episodes: Sequence[int], folder: Path, annotator: Annotator | None = None
) -> list[Played]:
    """Play the episodes, in their order; with ``annotator`` somebody advises."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(session: str, episode: int) -> Played:
        async with room:
            if annotator is None:
                await at.client.call(protocol.Control(request=uuid.uuid4().hex, session=session, verb="start"))
                await at.rest(session)
            else:
                await _advised(at, world, session, annotator, f"{cast.tag} {world.seed} {episode}")
            return played(at.reader, session, episode)

    # One after the other: an export is in the order of ids, and a trainer draws its batches by that order.
    sessions = [await _created(at, world, cast, episode, folder) for episode in episodes]
    return list(await asyncio.gather(*map(one, sessions, episodes)))


async def _created(at: Desk, world: World, cast: Cast, episode: int, folder: Path) -> str:
    task = load_task(write_task(world, episode, cast.clues, folder))
    made = await at.client.call(cast.create(task, episode))
    return str(made.session)


async def _advised(at: Desk, world: World, session: str, annotator: Annotator, seed: str) -> None:
    """Let the session run step by step, looking at each boundary at what a person would see there."""
    adviser: Adviser | None = None
    while await at.go(session) == "paused":
        steps, now, key = screen(at.reader, session)
        if now in ENDS:
            continue
        adviser = adviser or Adviser(Expert(world, key), annotator, random.Random(seed))
        if text := adviser.look(steps[-1], now):
            advice = protocol.QueueAdvice(
                request=uuid.uuid4().hex, session=session, text=text, kind="correction", hold_ms=0
            )
            await at.client.call(advice)


def screen(reader: LogReader, session: str) -> tuple[list[Seen], str, int]:
    """What a person sees of a session: the steps so far, what stands there now, and the key that the task names."""
    kinds = {"session.created", "action.started", "action.result"}
    steps: list[Seen] = []
    now, key = "", 0
    action: ev.ActionStarted | None = None
    for event in reader.events(session, kinds=kinds):
        match event.body:
            case ev.SessionCreated(task=task):
                now, key = sight_of(task), key_of(task)
            case ev.ActionStarted() as action:
                pass
            case ev.ActionResult(output=output) if action is not None:
                steps.append(Seen(event.step or 0, now, str(action.arguments.get("do", ""))))
                now = sight_of(reader.text(output))
            case _:
                continue
    return steps, now, key


def played(reader: LogReader, session: str, episode: int) -> Played:
    """A session that has ended. Raises Stuck if it did not end as an episode does."""
    steps, now, key = screen(reader, session)
    summary = reader.summary(session)
    if summary is None or summary.state != "finished" or now not in ENDS:
        why = f"{summary.state}: {summary.reason}" if summary else "gone"
        raise Stuck(f"session {session} of episode {episode} did not end: {why}")
    return Played(session, episode, now == "SUCCESS", key, tuple(steps), summary.advice)

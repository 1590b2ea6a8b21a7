"""A whole agent loop for tests: a real log, real tools, real jobs, and a model that follows a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sessions import events as ev
from sessions.agent.runner import SessionRunner
from sessions.agent.session import RetryPolicy, Services, Session
from sessions.clock import now_ms
from sessions.events.text import Blob, canonical_json
from sessions.jobs.manager import JobManager
from sessions.log.errors import LogUnwritable
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter
from sessions.paths import LogPaths, log_paths
from sessions.providers.base import Adapter, Delta
from sessions.redaction import Redactor
from sessions.tokens import Counter
from sessions.ulid import new_ulid

BodyType = TypeVar("BodyType", bound=ev.Body)
DEADLINE = 60.0
FAST = RetryPolicy(attempts=3, first=0.001, cap=0.002, retry_after_cap=0.01)


class Crash(BaseException):
    """The host dies here."""


class FragileWriter:
    """A writer whose host dies at write set number ``commits``: just before it is stored, or just after.

    Nothing that is asked of it later ever returns in order.
    """

    def __init__(self, writer: LogWriter, commits: int, *, stored: bool = True) -> None:
        self._writer = writer
        self._stored = stored
        self.left = commits
        self.dead = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    async def append(self, *events: ev.NewEvent, blobs: Iterable[Blob] = ()) -> list[ev.Event]:
        if self.dead.is_set():
            raise Crash
        self.left -= 1
        if self.left > 0 or self._stored:
            made = await self._writer.append(*events, blobs=blobs)
        if self.left <= 0:
            self.dead.set()
            raise Crash
        return made


class FullDisk:
    """A writer that cannot store the first write set with an event of ``kind``; then there is room again."""

    def __init__(self, writer: LogWriter, kind: str) -> None:
        self._writer = writer
        self._kind = kind
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    async def append(self, *events: ev.NewEvent, blobs: Iterable[Blob] = ()) -> list[ev.Event]:
        if not self.refused and any(event.body.kind == self._kind for event in events):
            self.refused += 1
            raise LogUnwritable("the disk is full: nothing was stored; free some space")
        return await self._writer.append(*events, blobs=blobs)


class Bench:
    """One log and what runs on it. ``secrets`` are taken out of everything that enters it."""

    def __init__(self, paths: LogPaths, writer: LogWriter, reader: LogReader, ahead: list[int]) -> None:
        self.paths, self.writer, self.reader = paths, writer, reader
        self.adapter: Adapter | None = None
        self.adapters: dict[str, Adapter] = {}
        self.deltas: list[tuple[str, int, int, Delta]] = []
        self.secrets: dict[str, str] = {}
        self.retry = FAST
        self.key: str | None = None
        self._ahead = ahead
        self.slept: list[float] = []
        self.runners: list[SessionRunner] = []
        self._managers: dict[str, JobManager] = {}
        self._rung: asyncio.Event = asyncio.Event()
        writer.subscribe(lambda _: self._rung.set())

    @classmethod
    async def open(cls, folder: Path) -> Bench:
        paths = log_paths(folder / "log.sqlite")
        paths.prepare()
        ahead = [0]
        writer = await LogWriter.open(paths.log, clock=lambda: now_ms() + ahead[0])
        return cls(paths, writer, LogReader(paths.log), ahead)

    async def close(self) -> None:
        for runner in self.runners:
            await runner.close()
        for manager in self._managers.values():
            await manager.kill_all(grace=0.2)
        await self.writer.close()
        self.reader.close()

    def clock(self) -> int:
        return now_ms() + self._ahead[0]

    def advance(self, minutes: float) -> None:
        """Let time pass for everybody who looks at the clock."""
        self._ahead[0] += round(minutes * 60_000)

    def let_pass(self, milliseconds: int) -> None:
        """Let time pass, and the runners look at their advice again, as their timers would make them."""
        self._ahead[0] += milliseconds
        for runner in self.runners:
            runner.look_for_advice()

    def jobs_for(self, session: str) -> JobManager:
        return self._managers.setdefault(session, JobManager(self.paths.session_folder(session)))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds)

    def services(self, writer: Any = None) -> Services:
        return Services(
            writer=writer or self.writer,
            reader=self.reader,
            paths=self.paths,
            adapter_for=lambda spec: self.adapters.get(spec.name) or self._the_adapter(),
            counter_for=lambda _: Counter(None, "bytes/4"),
            jobs_for=self.jobs_for,
            key_for=lambda session, spec: self.key,
            env_for=lambda session: {"PATH": "/usr/bin:/bin", "HOME": str(self.paths.folder)},
            redactor_for=lambda session: Redactor(self.secrets),
            deltas=lambda *delta: self.deltas.append(delta),
            clock=self.clock,
            sleep=self.sleep,
            retry=self.retry,
        )

    def _the_adapter(self) -> Adapter:
        assert self.adapter is not None
        return self.adapter

    async def create(self, *, start: bool = True, model: str = "m", **more: Any) -> str:
        session = new_ulid()
        workspace = self.paths.session_folder(session) / "workspace"
        workspace.mkdir(parents=True)
        spec = ev.ModelSpec(more.pop("provider", "openai"), model, **more.pop("spec", {}))
        body = ev.SessionCreated(
            number=self.writer.next_number(),
            title="a session",
            task=more.pop("task", "Do it."),
            model=spec,
            workspace=str(workspace),
            nonce="n0nce",
            **more,
        )
        events = [ev.NewEvent(session, body, actor="human:ann")]
        if start:
            events.append(self.control_event(session, "start"))
        await self.writer.append(*events)
        return session

    def runner(self, session: str, writer: Any = None) -> SessionRunner:
        runner = SessionRunner(Session(session, self.services(writer)))
        self.runners.append(runner)
        return runner

    async def run(self, turns: Sequence[Any] | Adapter, until: str = "finished", **more: Any) -> str:
        """Create a session, run it to a state, and return its id."""
        from scripted_model import ScriptedAdapter

        self.adapter = ScriptedAdapter(turns) if isinstance(turns, Sequence) else turns
        session = await self.create(**more)
        self.runner(session).start()
        await self.state(session, until)
        return session

    # --- what a person does ---

    def control_event(self, session: str, verb: str) -> ev.NewEvent:
        return ev.NewEvent(session, ev.ControlRequested(verb=verb), actor="human:ann")  # type: ignore[arg-type]

    async def control(self, session: str, verb: str) -> None:
        await self.writer.append(self.control_event(session, verb))
        self.runners[-1].start()

    async def advise(self, session: str, text: str, *, hold_ms: int = 0, now: bool = False, **more: Any) -> int:
        number = self.summary(session).advice + 1
        body = ev.AdviceQueued(
            advice=number, text=text, now=now, not_before=self.clock() + hold_ms if hold_ms else 0, **more
        )
        await self.writer.append(ev.NewEvent(session, body, actor="human:ann"))
        if self.runners:
            self.runners[-1].look_for_advice()
        return number

    async def answer(self, session: str, text: str) -> None:
        body = ev.QuestionAnswered(question=self.summary(session).question, text=text)
        await self.writer.append(ev.NewEvent(session, body, actor="human:ann"))
        self.runners[-1].start()

    # --- looking ---

    def summary(self, session: str) -> Any:
        found = self.writer.summary(session)
        assert found is not None
        return found

    def events(self, session: str, *kinds: str) -> list[ev.Event]:
        return self.reader.events(session, kinds=set(kinds) or None)

    def bodies(self, session: str, kind: type[BodyType]) -> list[BodyType]:
        return [e.body for e in self.reader.events(session, kinds={kind.kind}) if isinstance(e.body, kind)]

    def kinds(self, session: str) -> list[str]:
        return [event.kind for event in self.reader.events(session)]

    def prompt(self, session: str, request: ev.Event) -> list[dict[str, Any]]:
        from sessions.log.rebuild import request_chain

        return [json.loads(self.reader.blob(ref.hash)) for ref in request_chain(self.reader, session, request.seq)]

    def workspace(self, session: str) -> Path:
        return self.paths.session_folder(session) / "workspace"

    async def until(self, condition: Callable[[], Any], what: str = "it") -> None:
        """Wait for a condition that a commit makes true (or that a moment does)."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._rung.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self._rung.wait()
                except TimeoutError:
                    for runner in self.runners:
                        if runner.failure is not None and not isinstance(runner.failure, Crash):
                            raise AssertionError(f"while waiting for {what}") from runner.failure

    async def state(self, session: str, *states: str) -> None:
        await self.until(lambda: self.summary(session).state in states, f"{states}")


def assert_rebuilds(bench: Bench, session: str, received: Sequence[bytes]) -> None:
    """Every request has the hash of what was sent, and rebuilds to it from the log alone."""
    import hashlib

    from sessions.log.rebuild import rebuild_request

    hashes = {hashlib.sha256(body).hexdigest() for body in received}
    for event in bench.events(session, "model.request"):
        assert isinstance(event.body, ev.ModelRequested)
        rebuilt = rebuild_request(bench.reader, session, event.seq)
        assert hashlib.sha256(rebuilt).hexdigest() == event.body.sha256
        assert rebuilt == canonical_json(json.loads(rebuilt))
    sent = {event.body.sha256 for event in bench.events(session, "model.request")}  # type: ignore[attr-defined]
    assert hashes <= sent


def assert_prompts_grow(bench: Bench, session: str) -> None:
    """Between summaries each prompt of a step begins with the one before it."""
    before: list[dict[str, Any]] = []
    for event in bench.events(session, "model.request", "summary.written"):
        if isinstance(event.body, ev.SummaryWritten):
            before = []
        elif isinstance(event.body, ev.ModelRequested) and event.body.purpose == "step":
            messages = bench.prompt(session, event)
            assert messages[: len(before)] == before, f"request {event.seq} does not extend the one before it"
            before = messages


def assert_prompts_are_folds(bench: Bench, session: str) -> None:
    """What grew step by step is what the whole log makes at once: training builds its prompts in this way."""
    from sessions.fold.prompt import messages_of
    from sessions.providers.chat_wire import chat_wire

    everything = bench.reader.events(session)
    created = everything[0].body
    assert isinstance(created, ev.SessionCreated)
    for event in everything:
        if isinstance(event.body, ev.ModelRequested) and event.body.purpose == "step":
            before = messages_of([e for e in everything if e.seq < event.seq], bench.reader.text)
            wire = [message.json for message in chat_wire(created.model, before)]
            assert wire == [m for m in bench.prompt(session, event) if m["role"] != "system"], f"request {event.seq}"

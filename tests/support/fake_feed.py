"""The app's feed for tests: a real log in a folder of the test, and a host of a few lines in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from textual.message import Message

from apollo_tui.backend.feed import DeltasArrived, EventsArrived, LinkChanged, Loaded, NotDone
from sessions import events as ev
from sessions.events.messages import CallPart, Part, ReasoningPart, TextPart, Usage
from sessions.events.text import Blob, long_text
from sessions.host import protocol
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter
from sessions.paths import log_paths
from sessions.ulid import new_ulid

T = TypeVar("T")
MODEL = ev.ModelSpec(provider="demo", name="scripted")


class FakeFeed:
    """Requests become events at once, as a host would write them; ``calls`` keeps what was asked."""

    def __init__(self, folder: Path, actor: str = "human:ada") -> None:
        self.paths = log_paths(folder / "log.sqlite")
        self.actor = actor
        self.calls: list[protocol.Call] = []
        self.reports: list[int] = []
        self.up = True
        self.hold: asyncio.Event | None = None
        self.hosts_started = 0
        self._post: Callable[[Message], object] = lambda _: None
        self.writer: LogWriter
        self.reader: LogReader

    async def open(self) -> FakeFeed:
        self.paths.prepare()
        self.writer = await LogWriter.open(self.paths.log)
        self.reader = LogReader(self.paths.log)
        self.writer.subscribe(lambda events: self._post(EventsArrived(events)))
        return self

    # --- what the app asks for ----------------------------------------------------------------------------------

    async def start(self, post: Callable[[Message], object]) -> None:
        self._post = post
        post(LinkChanged("up" if self.up else "down", "" if self.up else "read-only, reconnecting"))
        post(Loaded(self.reader.summaries(), self.reader.position()))

    async def read(self, ask: Callable[[LogReader], T]) -> T:
        return await asyncio.to_thread(ask, self.reader)

    work = read

    async def active(self, idle_ms: int) -> None:
        self.reports.append(idle_ms)

    async def start_host(self) -> None:
        self.hosts_started += 1
        self.link(True)

    async def close(self) -> None:
        self._post = lambda _: None

    async def shut(self) -> None:
        self.reader.close()
        await self.writer.close()

    def link(self, up: bool) -> None:
        self.up = up
        self._post(LinkChanged("up" if up else "down", "" if up else "read-only, reconnecting"))

    def delta(self, session: str, step: int, text: str, *, offset: int = 0, index: int = 0) -> None:
        self._post(DeltasArrived([protocol.DeltaFrame(session, step, 1, index, "text", offset, text)]))

    async def call(self, params: protocol.Call) -> Any:
        if not self.up:
            raise NotDone("no host is connected: nothing was sent")
        if self.hold is not None:
            await self.hold.wait()
        self.calls.append(params)
        return await self._do(params)

    async def _do(self, params: protocol.Call) -> Any:
        match params:
            case protocol.Annotate():
                body = msgspec.convert(params.body, ev.KINDS[params.kind])
                return await self._append(params, body)
            case protocol.QueueAdvice():
                number = self._summary(params.session).advice + 1
                body = ev.AdviceQueued(
                    advice=number, text=params.text, about=params.about, now=params.now, drafted_at=params.drafted_at,
                    seen=params.seen, reach=params.reach, bulk=params.bulk,
                )  # fmt: skip
                return await self._append(params, body)
            case protocol.EditAdvice():
                body = ev.AdviceEdited(advice=params.advice, text=params.text, undoes=params.undoes)
                return await self._append(params, body)
            case protocol.WithdrawAdvice():
                body = ev.AdviceWithdrawn(advice=params.advice, to_draft=params.to_draft, undoes=params.undoes)
                return await self._append(params, body)
            case protocol.Answer():
                number = self._summary(params.session).question
                return await self._append(params, ev.QuestionAnswered(question=number, text=params.text))
            case protocol.Control():
                states = {"pause": "paused", "resume": "running", "interrupt": "running", "archive": "archived"}
                state = states.get(params.verb, "stopped")
                if params.verb == "unarchive":
                    state = self._summary(params.session).archived_from
                asked = ev.ControlRequested(verb=params.verb, undoes=params.undoes, bulk=params.bulk)
                await self._append(params, asked)
                if self._summary(params.session).state != state:
                    await self.add(params.session, ev.StateChanged(state=state), actor=self.actor)  # type: ignore[arg-type]
                return protocol.Done(params.session, 0, 0, note=f"{params.verb} asked for")
            case protocol.OpenShell():
                opened = await self._append(params, ev.ShellOpened(inside="not contained"))
                return msgspec.structs.replace(opened, note="not contained")
            case protocol.CloseShell():
                closed = ev.ShellClosed(opened=params.opened, files=(ev.TouchedFile("a.py"),))
                return msgspec.structs.replace(
                    await self._append(params, closed), note="1 file changed meanwhile: a.py"
                )
            case protocol.CreateSession():
                session = await self.session(params.title, task=params.task)
                contained = params.contained
                if contained is not None and contained.inside == "auto":
                    contained = ev.Containment(why_not="bwrap is not installed")
                return protocol.Created(session, self._summary(session).number, contained)
        raise NotDone(f"{params.method} is not played here")

    async def _append(self, params: Any, body: ev.Body) -> protocol.Done:
        made = await self.add(params.session, body, actor=self.actor, request=params.request)
        return protocol.Done(params.session, made.seq, made.id)

    def _summary(self, session: str) -> Any:
        found = self.writer.summary(session)
        assert found is not None
        return found

    # --- what a host and an agent would write ---------------------------------------------------------------------

    async def add(
        self,
        session: str,
        *bodies: ev.Body,
        step: int | None = None,
        call: int | None = None,
        actor: str = "host",
        request: str | None = None,
        blobs: list[Blob] | None = None,
    ) -> ev.Event:
        events = [ev.NewEvent(session, body, step, call, actor, request) for body in bodies]
        return (await self.writer.append(*events, blobs=blobs or []))[-1]

    async def session(
        self, title: str, *, task: str = "Make it work.", run: bool = True, model: ev.ModelSpec = MODEL, **more: Any
    ) -> str:
        session = new_ulid()
        body = ev.SessionCreated(number=self.writer.next_number(), title=title, task=task, model=model, **more)
        await self.add(session, body)
        if run:
            await self.add(session, ev.StateChanged(state="running"))
        return session

    async def sessions(self, count: int) -> list[str]:
        """So many sessions that run, ``task-1`` the first, in one write."""
        made = [new_ulid() for _ in range(count)]
        first = self.writer.next_number()
        story: list[ev.NewEvent] = []
        for at, session in enumerate(made):
            body = ev.SessionCreated(number=first + at, title=f"task-{at + 1}", task="Make it work.", model=MODEL)
            story += [ev.NewEvent(session, body), ev.NewEvent(session, ev.StateChanged(state="running"))]
        await self.writer.append(*story)
        return made

    async def step(
        self,
        session: str,
        number: int,
        *calls: tuple[str, dict[str, Any], str],
        text: str = "",
        reasoning: str = "",
        shown: str | None = None,
    ) -> list[ev.Event]:
        """One step: request, reply, and each call with its output; returns the calls' starting events."""
        request = await self.add(
            session, ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256="0" * 64), step=number
        )
        parts: list[Part] = [ReasoningPart(reasoning)] if reasoning else []
        parts += [TextPart(text)] if text else []
        parts += [
            CallPart(f"c{number}.{at}", name, msgspec.json.encode(arguments).decode())
            for at, (name, arguments, _) in enumerate(calls, 1)
        ]
        finish = "calls" if calls else "stop"
        reply = ev.ModelReplied(
            request=request.seq,
            parts=tuple(parts),
            finish=finish,
            usage=Usage(900, 40),
            cost=0.01,  # type: ignore[arg-type]
        )
        await self.add(session, reply, step=number, actor="agent")
        started = []
        for at, (name, arguments, output) in enumerate(calls, 1):
            begun = ev.ActionStarted(call_id=f"c{number}.{at}", name=name, arguments=arguments)
            started.append(await self.add(session, begun, step=number, call=at, actor="agent"))
            long, blobs = long_text(output)
            cut, more = long_text(shown) if shown is not None else (None, [])
            hidden = len(output) - len(shown) if shown is not None else 0
            done = ev.ActionResult(
                call_id=f"c{number}.{at}", outcome="ok", output=long, shown=cut, hidden_chars=hidden, duration_ms=1200
            )
            await self.add(session, done, step=number, call=at, actor="agent", blobs=[*blobs, *more])
        return started

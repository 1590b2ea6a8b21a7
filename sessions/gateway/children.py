"""The sub-agents of a harness: each a session of its own, that stands still, is limited and ends with its parent."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, Protocol

import msgspec

from sessions import events as ev
from sessions.agent.session import Session
from sessions.events.states import ACTIVE, ENDED, REBOOTED, STOPPED
from sessions.fold import budget
from sessions.fold.families import count_together, next_child_address
from sessions.fold.summary import Summary
from sessions.gateway.child_thread import THREAD, thread_of_child
from sessions.gateway.exchange import Exchange
from sessions.gateway.units import Unit, text_of
from sessions.ulid import new_ulid

MOST_TITLE: Final = 60


class ChildLine(Protocol):
    """The line of a child."""

    def submit(self, exchange: Exchange) -> None:
        """Take one; its answer comes in its own time."""

    @property
    def is_waiting(self) -> bool:
        """Whether a request waits for its boundary, or is under way."""


@dataclass(slots=True, eq=False)
class Family:
    """What a session has above it and below it. ``above``: the family of its parent, None: it has none."""

    session: Session
    above: Family | None = None
    children: dict[str, Family] = field(default_factory=dict)
    """By thread."""
    line: ChildLine | None = None
    """Where its requests come in."""
    thread: str = ""
    """What its parent calls its conversation."""
    left: set[str] = field(default_factory=set)
    """Threads of sub-agents whose conversation is the main line by now: nothing more comes to their sessions."""

    @property
    def is_left(self) -> bool:
        """Whether its conversation is the main line of its parent by now."""
        return self.above is not None and self.thread in self.above.left

    @property
    def is_over(self) -> bool:
        """Whether the parent has ended."""
        return self.above is not None and self.above.session.summary.state in ENDED

    @property
    def is_held(self) -> bool:
        """Whether one above stands still, or is to: a pause of a session holds all below it."""
        if self.above is None:
            return False
        summary = self.above.session.summary
        held = summary.state not in ACTIVE or summary.pending in ("pause", "interrupt", "stop")
        return held or self.above.is_held

    @property
    def has_waiting_child(self) -> bool:
        """Whether a request of a sub-agent stands at a boundary."""
        return any(
            (child.line is not None and child.line.is_waiting) or child.has_waiting_child
            for child in self.children.values()
        )

    @property
    def root(self) -> Family:
        """The family of the session that all began with."""
        return self if self.above is None else self.above.root

    @property
    def sessions_above(self) -> frozenset[str]:
        """Those whose pause holds this one."""
        if self.above is None:
            return frozenset()
        return self.above.sessions_above | {self.above.session.id}

    def below(self) -> Iterator[Summary]:
        """The sessions below this one, also those that have ended."""
        by_parent: dict[str, list[Summary]] = {}
        for summary in self.session.services.writer.summaries().values():
            if summary.begins is not None and summary.begins.kind == "child":
                by_parent.setdefault(summary.begins.session, []).append(summary)
        found = by_parent.get(self.session.id, [])
        while found:
            yield from found
            found = [child for summary in found for child in by_parent.get(summary.session, ())]

    def count(self) -> Summary:
        """The session with all that was used below it: limits are the tree's."""
        return count_together(self.session.summary, self.below())

    def reason_to_pause(self) -> tuple[Session, str] | None:
        """The one above with a limit that it has used up with all below it, and why it must stand still; None: none."""
        above = self.above
        while above is not None:
            summary = above.count()
            if reason := budget.reason_to_pause(summary, above.session.now(), step=summary.step):
                return above.session, reason
            above = above.above
        return None


def find_task(units: Sequence[Unit]) -> str:
    """What a sub-agent is to do: the last that it was told before it said anything itself; reminders come before."""
    told = takewhile(lambda unit: unit.role != "assistant", units)
    words = [text_of(unit.value) for unit in told if unit.role == "user" and unit.kind == "text"]
    return words[-1] if words else ""


class Children:
    """Hands the requests of sub-agents to their own sessions. ``open_line(session)``: the line of one, at work;
    ``resume(session)``: let one go on that a host held."""

    def __init__(self, family: Family, open_line: Callable[[str], ChildLine], resume: Callable[[str], None]) -> None:
        self._resume = resume
        self._family = family
        self._open_line = open_line
        self._sessions = dict(self._read())
        self._making = asyncio.Lock()

    def has(self, thread: str) -> bool:
        """Whether the conversation is a child's that is known."""
        return thread in self._sessions

    def leave(self, thread: str) -> None:
        """The conversation is the main line from now on: its session ends where it stands."""
        self._family.left.add(thread)
        if (child := self._family.children.get(thread)) is not None:
            child.session.wakeup.wake()

    def resume_held(self) -> None:
        """Those that a host held when it was stopped go on with their parent."""
        for session in self._sessions.values():
            summary = self._summary(session)
            if summary.state == "paused" and summary.reason in (STOPPED, REBOOTED):
                self._resume(session)

    async def end_resting(self) -> None:
        """Those that stand still end with their parent; the others see to it themselves."""
        over = ev.StateChanged(state="stopped", reason="the session that started it has ended")
        for session in self._sessions.values():
            if self._summary(session).state not in ENDED | ACTIVE:
                await self._family.session.services.writer.append(ev.NewEvent(session, over))

    def _summary(self, session: str) -> Summary:
        summary = self._family.session.services.writer.summary(session)
        assert summary is not None, "a session with a first event has a summary"
        return summary

    def sessions(self) -> list[str]:
        """The sessions of the children."""
        return list(self._sessions.values())

    def thread_of(self, child: str) -> str:
        """The conversation that a child's session is."""
        return next(thread for thread, session in self._sessions.items() if session == child)

    async def submit(self, thread: str, exchange: Exchange) -> None:
        """Hand a request to the child whose conversation it is, which is made if it is new. Raises LogError.

        Two requests of one child keep their order; those of several may overtake each other.
        """
        async with self._making:
            session = self._sessions.get(thread)
            if session is None or self._summary(session).state in ENDED:
                session = self._sessions[thread] = await self._make(thread, exchange)
        self._open_line(session).submit(exchange)

    async def _make(self, thread: str, exchange: Exchange) -> str:
        parent = self._family.session
        created, writer, session = parent.created, parent.services.writer, new_ulid()
        assert created.harness is not None, "its parent is a harness's"
        task = parent.clean(find_task(exchange.request.units))
        title = " ".join(task.split())[:MOST_TITLE] or thread
        parent.services.paths.session_folder(session).mkdir(mode=0o700, parents=True, exist_ok=True)
        known = (summary.child_address for summary in writer.summaries().values())
        body = msgspec.structs.replace(
            created,
            number=writer.next_number(),
            child_address=next_child_address(parent.summary.address, known),
            title=title,
            task=task,
            workspace=str(parent.workspace),
            in_place=True,  # the folder is the parent's
            evaluate=None,
            environment=None,
            harness=msgspec.structs.replace(created.harness, command=(), resume=(), files={}, env={}, contained_env={}),
            limits=ev.Limits(),
            nonce=secrets.token_hex(4) if created.nonce else "",
            begins=ev.Beginning(parent.id, parent.summary.last_seq, "child"),
            meta={THREAD: thread},
        )
        await writer.append(ev.NewEvent(session, body), ev.NewEvent(session, ev.ControlRequested(verb="start")))
        return session

    def _read(self) -> Iterator[tuple[str, str]]:
        """The children that the log has, by thread."""
        services, parent = self._family.session.services, self._family.session.id
        for session, summary in services.writer.summaries().items():
            if summary.begins is None or summary.begins.session != parent:
                continue
            first = services.reader.event(session, 1)
            if first is not None and isinstance(first.body, ev.SessionCreated) and thread_of_child(first.body):
                yield thread_of_child(first.body), session

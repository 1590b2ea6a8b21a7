"""Tells somebody who is away that a session wants a person: runs the user's ``notify`` command, once per cause.

The command is run as it is, without a shell; what happened goes in as its last argument and as variables. It runs
beside the sessions: a command that hangs is killed, and what came meanwhile is told in one more run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from sessions.agent.wakeup import cancel
from sessions.attention.notify_when import Key, SignalMemory
from sessions.attention.settings import Thresholds
from sessions.attention.signals import Signal, signals_of
from sessions.clock import now_ms
from sessions.events import Event
from sessions.fold.families import Families
from sessions.fold.summary import Summary
from sessions.host.notifications import Throttle
from sessions.terminal_text import plain_line

CHANGED_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 60.0
"""How often all sessions are looked at: some causes (silence, a snooze that ends) come without an event."""
COMMAND_SECONDS: Final = 30.0
KILL_SECONDS: Final = 5.0
MAX_CHARS: Final = 400

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class NotifyCommand:
    """``command``: program and arguments. ``active_at`` says when an attached annotator last pressed a key (Unix ms).

    ``memory`` is a file that outlives the host, so that a restart does not tell everything again.
    """

    command: Sequence[str]
    summaries: Callable[[], Mapping[str, Summary]]
    active_at: Callable[[], int]
    memory: Path
    thresholds: Thresholds = field(default_factory=Thresholds)
    log: str = ""
    clock: Callable[[], int] = now_ms
    _signal_memory: SignalMemory = field(init=False)
    _saved: frozenset[Key] = frozenset()
    _touched: set[str] = field(default_factory=set)
    _waiting: list[Signal] = field(default_factory=list)
    _changed: Throttle = field(init=False)
    _look_task: asyncio.Task[None] | None = None
    _run_task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._saved = _read_memory(self.memory)
        self._signal_memory = SignalMemory(self._saved)
        self._changed = Throttle(CHANGED_SECONDS, self._look_at_changed_sessions)

    def start(self) -> None:
        """Begin to look."""
        self._look_task = asyncio.create_task(self._look_now_and_then(), name="notifier")

    def on_commit(self, events: Sequence[Event]) -> None:
        """The writer's side: these events are in the log."""
        self._touched |= {event.session for event in events}
        self._changed.poke()

    async def close(self) -> None:
        """Stop looking; a command under way is killed."""
        self._changed.close()
        for task in (self._look_task, self._run_task):
            if task is not None:
                await cancel(task)

    def look(self, sessions: Mapping[str, Summary]) -> None:
        """Evaluate the rules for ``sessions``; what is new is told soon."""
        now = self.clock()
        known = self.summaries()
        families = Families.of(known.values())
        standing = {
            id: signals_of(summary, now, self.thresholds, below=[known[one] for one in families.below(id)])
            for id, summary in sessions.items()
        }
        self._waiting += self._signal_memory.take_due(standing, now, self.active_at())
        self._remember()
        if self._waiting and (self._run_task is None or self._run_task.done()):
            self._run_task = asyncio.create_task(self._run_for_waiting(), name="notify")

    def _look_at_changed_sessions(self) -> bool:
        known = self.summaries()
        touched, self._touched = self._touched, set()
        self.look({id: known[id] for id in touched if id in known})
        return False

    async def _look_now_and_then(self) -> None:
        while True:
            try:
                self.look(self.summaries())
            except Exception:  # noqa: BLE001 - nobody would be told of anything from then on
                _log.exception("the sessions could not be looked at")
            await asyncio.sleep(LOOK_SECONDS)

    def _remember(self) -> None:
        if self._signal_memory.known == self._saved:
            return
        self._saved = self._signal_memory.known
        new = self.memory.with_suffix(".new")
        try:
            new.write_bytes(msgspec.json.encode(sorted(self._saved)))
            new.replace(self.memory)
        except OSError as problem:
            _log.warning("what was notified cannot be remembered in %s: %s", self.memory, problem)

    # --- telling ----------------------------------------------------------------------------------------------------

    async def _run_for_waiting(self) -> None:
        while self._waiting:
            causes, self._waiting = self._waiting, []
            await self._run(causes)

    async def _run(self, causes: Sequence[Signal]) -> None:
        first = causes[0]
        summary = self.summaries()[first.session]
        more = f" (and {len(causes) - 1} more)" if len(causes) > 1 else ""
        text = f"{summary.address} {_short(summary.title)}: {_short(first.reason)}{more}"
        variables = {
            "APOLLO_LOG": self.log,
            "APOLLO_SESSION": first.session,
            "APOLLO_NUMBER": summary.address,
            "APOLLO_TITLE": _short(summary.title),
            "APOLLO_RULE": first.rule,
            "APOLLO_REASON": _short(first.reason),
            "APOLLO_STEP": str(first.step),
            "APOLLO_COUNT": str(len(causes)),
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                text,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        except OSError as problem:
            _log.warning("notify: %s cannot be run: %s", self.command[0], problem.strerror)
            return
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                status = await process.wait()
        except TimeoutError:
            _log.warning("notify: %s took more than %d s and was killed", self.command[0], COMMAND_SECONDS)
        else:
            if status:
                _log.warning("notify: %s ended with status %d", self.command[0], status)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                with contextlib.suppress(TimeoutError):  # one that hangs in the kernel is left to it
                    async with asyncio.timeout(KILL_SECONDS):
                        await process.wait()


def _short(text: str) -> str:
    return plain_line(text)[:MAX_CHARS]


def _read_memory(memory: Path) -> frozenset[Key]:
    try:
        return frozenset(msgspec.json.decode(memory.read_bytes(), type=list[Key]))
    except FileNotFoundError:
        return frozenset()
    except (OSError, msgspec.MsgspecError) as problem:
        _log.warning("what was notified is forgotten: %s: %s", memory, problem)
        return frozenset()

"""What every handler works with: the log, the sessions, and one session at a time from check to commit."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sessions.agent.clean_events import Cleaner
from sessions.clock import now_ms
from sessions.events import (
    AdviceEdited,
    AdviceOutcome,
    AdviceQueued,
    AdviceWithdrawn,
    Body,
    Event,
    NewEvent,
    QuestionAnswered,
)
from sessions.events.text import valid_unicode
from sessions.fold.summary import Summary
from sessions.hints import Remedy
from sessions.host.api_keys import KeyRing
from sessions.host.protocol import Done
from sessions.host.session_env import SessionEnvs
from sessions.host.session_manager import SessionManager
from sessions.host.session_spaces import SessionSpaces
from sessions.host.wire import RpcError
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter
from sessions.paths import LogPaths

MAX_TEXT_CHARS = 200_000
"""Longest text that a person can send at once: more than that is a file, and belongs into the workspace."""


@dataclass(slots=True)
class HandlerContext:
    """Shared by all handlers of a host."""

    writer: LogWriter
    reader: LogReader
    paths: LogPaths
    manager: SessionManager
    keys: KeyRing
    environments: SessionEnvs
    spaces: SessionSpaces
    clock: Callable[[], int] = now_ms
    _turns: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    @asynccontextmanager
    async def turn(self, session: str) -> AsyncIterator[Summary]:
        """The session as it is now, held from check to commit: no two requests about it can pass the same check.

        What the caller may have read in the log before it asked is in it. Raises RpcError if there is no session.
        """
        async with self._turns[session]:
            await self.writer.wait_for_writes()
            yield self.summary(session)

    def summary(self, session: str) -> Summary:
        """The session as it is now. Raises RpcError if there is none."""
        found = self.writer.summary(session)
        if found is None:
            raise RpcError("not_found", f"there is no session {session}", [Remedy("list", "lists them")])
        return found

    def check_runs_here(self, summary: Summary) -> None:
        """Raise RpcError unless the session's agent can work on this machine; an imported one has no folder here."""
        if summary.origin == "import" or not self.paths.session_folder(summary.session).is_dir():
            raise refusal(
                f"session {summary.address} has no folder here (imported, or removed): "
                "it can be read, judged and exported, but not run or advised"
            )

    async def events(
        self, session: str, kinds: Collection[str], steps: tuple[int, int] | None = None
    ) -> Sequence[Event]:
        """Events of these kinds, read off the loop."""
        return await asyncio.to_thread(self.reader.events, session, kinds=kinds, steps=steps)

    async def commit(
        self,
        session: str,
        actor: str,
        request: str,
        first: Body,
        *more: Body,
        note: str = "",
        remedies: Sequence[Remedy] = (),
        step: int | None = None,
    ) -> Done:
        """Append one write set by ``actor``, without secrets; the answer after it is on disk. ``step`` is that of what
        follows the first event."""
        clean = Cleaner(self.keys.redactor())
        events = [NewEvent(session, clean.body(first), actor=actor, request=request)]
        events += [NewEvent(session, clean.body(body), step, actor=actor) for body in more]
        return change_answer(await self.writer.append(*events), note, remedies)


def change_answer(events: Sequence[Event], note: str = "", remedies: Sequence[Remedy] = ()) -> Done:
    """The answer that says that ``events`` are committed."""
    first = events[0]
    return Done(
        session=first.session,
        seq=first.seq,
        position=events[-1].id,
        number=_number_in(first.body),
        note=note,
        remedies=tuple(remedies),
    )


def _number_in(body: Body) -> int | None:
    """The number of the advice, or of the question, that ``body`` is about."""
    match body:
        case AdviceQueued() | AdviceEdited() | AdviceWithdrawn() | AdviceOutcome():
            return body.advice
        case QuestionAnswered():
            return body.question
        case _:
            return None


def refusal(message: str, *remedies: Remedy) -> RpcError:
    """The state does not allow it; ``message`` says why, ``remedies`` what to do."""
    return RpcError("refused", message, remedies)


def require_person(actor: str, what: str) -> None:
    """Raise RpcError unless ``actor`` is human: rules and judges give verdicts, they do not steer."""
    if not actor.startswith("human:"):
        raise refusal(f"only a person can {what}, {actor} cannot")


def text_of(text: str, what: str, *, empty: bool = False) -> str:
    """``text`` as valid Unicode. Raises RpcError if it is empty or too long."""
    if not empty and not text.strip():
        raise refusal(f"{what} is empty")
    if len(text) > MAX_TEXT_CHARS:
        raise refusal(f"{what} is {len(text):,} characters long, more than {MAX_TEXT_CHARS:,}: put it into a file")
    return valid_unicode(text)


def waits_for(summary: Summary) -> str:
    """What the next boundary waits for, as the end of a sentence: ", after `evaluate`"."""
    if summary.doing == "model":
        return ", after the reply under way"
    return f", after `{summary.doing}`" if summary.doing else ""

"""What a session's runner is given by its host: everything it touches outside its own session, in one frozen value."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sessions.clock import now_ms
from sessions.log.events import ModelSpec
from sessions.paths import LogPaths
from sessions.providers.base import Adapter, Delta

if TYPE_CHECKING:
    from sessions.jobs.manager import JobManager
    from sessions.log.reader import LogReader
    from sessions.log.writer import LogWriter
    from sessions.redact import Redactor
    from sessions.tokens import Counter


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failed attempts are repeated. Times in seconds.

    The wait before attempt ``n + 1`` is ``first * 2 ** (n - 1)``, at most ``cap``, with up to half of it taken off at
    random; a server's Retry-After is waited for where it is longer, up to ``retry_after_cap``.
    """

    attempts: int = 10
    first: float = 1.0
    cap: float = 120.0
    retry_after_cap: float = 600.0


DeltaSink = Callable[[str, int, int, Delta], None]
"""``sink(session, step, attempt, delta)``; must not block, and the agent never waits for it."""


def no_deltas(session: str, step: int, attempt: int, delta: Delta) -> None:
    """A sink for those who do not look."""


@dataclass(frozen=True, slots=True)
class Services:
    """Shared by all runners of a host. Nothing in it belongs to one session; what does is looked up by its id."""

    writer: LogWriter
    reader: LogReader
    paths: LogPaths
    adapter_for: Callable[[ModelSpec], Adapter]
    counter_for: Callable[[str], Counter]
    """The token counter of a model, by name; may load a vocabulary, so it is called off the event loop."""
    jobs_for: Callable[[str], JobManager]
    """The job manager of a session; the same one for the same session as long as the host lives."""
    key_for: Callable[[str, ModelSpec], str | None]
    """The API key of a session's model, read anew at each attempt; None: there is none."""
    env_for: Callable[[str], Mapping[str, str]]
    """The scrubbed environment that a session's tools get."""
    redactor_for: Callable[[str], Redactor]
    """What takes secrets out of everything that enters a session's log."""
    deltas: DeltaSink = no_deltas
    clock: Callable[[], int] = now_ms
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: random.Random = field(default_factory=random.Random)
    retry: RetryPolicy = RetryPolicy()

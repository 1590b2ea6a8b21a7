"""Eight demo sessions, three of which drift, and a night for them: what an annotator leaves and comes back to.

``begin(log)`` creates them at a running host; ``let_hours_pass(log, ms)`` sets what a resting log holds that far back.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from sessions.demo.requests import demo_sessions
from sessions.events import Limits
from sessions.host.client import HostClient
from sessions.host.protocol import Created, CreateSession
from sessions.paths import log_paths
from sessions.ulid import new_ulid


@dataclass(frozen=True, slots=True)
class Plan:
    """One session: whose script it follows, how fast its model speaks and its jobs run, and its budget of steps."""

    script: str
    model_pace: float
    job_pace: float
    steps: int | None = None


EIGHT: Final[dict[str, Plan]] = {
    "tune-lr": Plan("tune-lr", 0.3, 0.25),
    "poller": Plan("poller", 0.4, 0.5),
    "formats": Plan("formats", 0.2, 0.0, 10),
    **{f"steady-{number}": Plan("steady", 0.4, 0.0) for number in range(1, 6)},
}
"""By title, in the order of their numbers. ``formats`` is out of steps in the middle of its malformed calls."""


async def begin(log: Path, actor: str) -> dict[str, str]:
    """Create and start them; their ids by title."""
    client = await HostClient.connect(log_paths(log), actor=actor)
    try:
        made: dict[str, str] = {}
        for title, plan in EIGHT.items():
            created: Created = await client.call(_request(title, plan))
            made[title] = created.session
        return made
    finally:
        await client.close()


def begin_and_wait(log: Path, actor: str) -> dict[str, str]:
    """``begin`` without a running loop."""
    return asyncio.run(begin(log, actor))


def _request(title: str, plan: Plan) -> CreateSession:
    [like] = (one for one in demo_sessions(pace=plan.model_pace, request_id=new_ulid) if one.model.name == plan.script)
    limits = like.limits if plan.steps is None else Limits(steps=plan.steps)
    env = {**like.env, "APOLLO_DEMO_PACE": str(plan.job_pace)}
    return msgspec.structs.replace(like, title=title, limits=limits, env=env)


def let_hours_pass(log: Path, milliseconds: int) -> None:
    """Make all that a log holds this much older. No process may have it open."""
    with closing(sqlite3.connect(log)) as base, base:
        guards = base.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            base.execute(f"DROP TRIGGER {name}")
        base.execute("UPDATE events SET at = at - ?", (milliseconds,))
        # The summaries are a cache of the events, and are made anew from them.
        base.execute("DELETE FROM sessions")
        for _, sql in guards:
            base.execute(sql)

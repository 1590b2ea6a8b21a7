"""``:jobs``: which jobs of the log still run, also of sessions that have ended, and the end of one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from apollo_tui.backend.feed import NotDone
from apollo_tui.screens.panels.base import ChoicePanel
from sessions.jobs.living import LivingJob, end_job, living_jobs
from widgets.glyphs import duration
from widgets.models import Choice

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen


async def show_living_jobs(screen: ApolloScreen) -> str:
    """Open the list, if there is anything on it; what is chosen there is ended."""
    folder = screen.context.feed.paths.sessions
    found = {f"{one.session}/{one.name}": one for one in await asyncio.to_thread(living_jobs, folder)}
    if not found:
        return "no job of this log runs"

    def take(name: str | None) -> None:
        if name is not None:
            screen.act(_end(screen, found[name]))

    choices = [Choice(name, _words(screen, one), note=one.job.command) for name, one in found.items()]
    screen.ask(ChoicePanel("jobs that run", choices, "enter ends the job and all that it left · esc closes"), take)
    return ""


async def _end(screen: ApolloScreen, one: LivingJob) -> str:
    if not await end_job(screen.context.feed.paths.sessions, one):
        raise NotDone(f"job {one.name} will not end (pid {one.job.holder.pid})")
    return f"job {one.name} of {_session(screen, one)} has ended"


def _words(screen: ApolloScreen, one: LivingJob) -> str:
    ran = duration(max(0, screen.context.clock() - one.job.started_at))
    return f"{_session(screen, one)}: job {one.name}, for {ran}"


def _session(screen: ApolloScreen, one: LivingJob) -> str:
    known = screen.context.state.sessions.get(one.session)
    if known is None:
        return f"session {one.session[-8:]}, which the log does not have"
    summary = known.summary
    return f"{summary.address} {summary.title} ({summary.state.replace('_', ' ')})"

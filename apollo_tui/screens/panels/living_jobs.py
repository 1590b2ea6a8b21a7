"""``:jobs``: which jobs of the log still run, also of sessions that have ended; their output, and the end of one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType

from apollo_tui.backend.feed import NotDone
from apollo_tui.backend.job_lines import last_line
from apollo_tui.context import ToOutput
from apollo_tui.screens.looks import keep_looking
from apollo_tui.screens.panels.base import ChoicePanel
from sessions.jobs.living import LivingJob, end_job, living_jobs
from widgets.glyphs import running_time
from widgets.models import Choice

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen

LOOK_S: Final = 2.0
"""Between two looks at what runs."""
TAIL: Final = 4096
Jobs = dict[str, LivingJob]


class LivingJobsPanel(ChoicePanel):
    """The jobs that run, as they come and go; one that has ended stays in its row until the panel is closed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("x", "end", show=False)]

    def __init__(self, screen: ApolloScreen, found: Jobs, lines: Mapping[str, str]) -> None:
        self._screen = screen
        self._found = dict(found)
        self._alive = found
        self._last_lines = lines
        self._armed = ""
        super().__init__(
            "jobs that run",
            self._rows(),
            "enter follows its output · x twice ends it and all that it left · esc closes",
        )

    def on_mount(self) -> None:
        """Look again, until it is closed."""
        super().on_mount()
        self.run_worker(keep_looking(self._screen.apollo, self._read, LOOK_S), group="jobs")

    async def _read(self) -> None:
        self._alive, self._last_lines = await asyncio.to_thread(_look_at, self._screen)
        self._found |= self._alive
        self._show()

    def _show(self) -> None:
        rows = self._rows()
        if rows != self._choices:
            self._choices = rows
            self.choices.update(rows)
            self._fit()

    def _rows(self) -> list[Choice]:
        return [self._row(name, one) for name, one in self._found.items()]

    def _row(self, name: str, one: LivingJob) -> Choice:
        runs = name in self._alive
        ran = running_time(self._screen.context.clock() - one.job.started_at) if runs else ""
        words = f"{_session(self._screen, one)}: job {one.name}{f', for {ran}' if ran else ''}"
        said = "x again ends it" if name == self._armed else self._last_lines.get(name, "")
        note = " · ".join(filter(None, (said, one.job.command)))
        return Choice(name, words, note=note, disabled="" if runs else "has ended")

    def action_end(self) -> None:
        """Twice: end the job at the cursor."""
        chosen = self.choices.highlighted
        if chosen is None or chosen.disabled:
            return
        if self._armed == chosen.id:
            self._screen.act(_end(self._screen, self._found[chosen.id]))
            self.dismiss(None)
            return
        self._armed = chosen.id
        self._show()


async def show_living_jobs(screen: ApolloScreen) -> str:
    """Open the list, if there is anything on it."""
    found, lines = await asyncio.to_thread(_look_at, screen)
    if not found:
        return "no job of this log runs"

    def take(name: str | None) -> None:
        if name is not None:
            screen.act(_follow(screen, found[name]), opens=True)

    screen.ask(LivingJobsPanel(screen, found, lines), take)
    return ""


def _look_at(screen: ApolloScreen) -> tuple[Jobs, dict[str, str]]:
    """The jobs that run, and the last line of each."""
    found = {f"{one.session}/{one.name}": one for one in living_jobs(screen.context.feed.paths.sessions)}
    return found, {name: last_line(one.job.reader.tail(TAIL).data) for name, one in found.items()}


async def _follow(screen: ApolloScreen, one: LivingJob) -> str:
    from apollo_tui.backend.job_output import JobOutput

    name, number = (f"job {one.name}", one.job.number) if one.kind == "jobs" else (f"evaluation {one.job.number}", None)
    screen.apollo.open(ToOutput(one.session, JobOutput(name, one.job.command, one.job.reader, one.job, number=number)))
    return ""


async def _end(screen: ApolloScreen, one: LivingJob) -> str:
    if not await end_job(screen.context.feed.paths.sessions, one):
        raise NotDone(f"job {one.name} will not end (pid {one.job.holder.pid})")
    return f"{_name(screen, one)} has ended"


def _name(screen: ApolloScreen, one: LivingJob) -> str:
    return f"job {one.name} of {_session(screen, one)}"


def _session(screen: ApolloScreen, one: LivingJob) -> str:
    known = screen.context.state.sessions.get(one.session)
    if known is None:
        return f"session {one.session[-8:]}, which the log does not have"
    summary = known.summary
    return f"{summary.address} {summary.title} ({summary.state.replace('_', ' ')})"

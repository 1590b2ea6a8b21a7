"""``J``: what a command prints. Of the selected action, else of what runs in the session; a choice where several do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from apollo_tui.backend.feed import NotDone
from apollo_tui.context import ToOutput, View
from widgets.glyphs import duration
from widgets.models import Choice, Entry

if TYPE_CHECKING:
    from apollo_tui.backend.job_output import JobOutput, KnownJob


@runtime_checkable
class LiveOutput(Protocol):
    """A screen that shows what a command prints."""

    def toggle_whole(self) -> None:
        """On the whole screen, or below the view."""
        ...

    def advise(self) -> None:
        """Back to the view, to write to the session."""
        ...

    def copy_line(self) -> None:
        """Copy the line under the cursor."""
        ...


RUNNING: Final = "running"
ENDED: Final = "ended"


def follow_output(view: View) -> None:
    """Show what the selected action, or the session, prints."""
    if view.session:
        view.act(_show(view, view.session), opens=True)


def follow_job(view: View, session: str, job: int) -> None:
    """Show what this job prints."""
    view.act(_open(view, session, job), opens=True)


def copy_line(screen: LiveOutput) -> None:
    """Copy the line under the cursor."""
    screen.copy_line()


async def _show(view: View, session: str) -> str:
    entry = await _selected(view)
    if entry is not None and entry.job is not None:
        return await _open(view, session, entry.job)
    if entry is not None:
        return await _open(view, session, None, entry.seq)
    state = view.context.state.sessions[session]
    summary = state.summary
    running = [job.job for job in summary.open_jobs]
    scored = next((e for e in reversed(state.book.entries()) if e.name == "evaluate" and e.outcome == "running"), None)
    if scored is not None and not running:
        return await _open(view, session, None, scored.seq)
    if len(running) == 1:
        return await _open(view, session, running[0])
    from apollo_tui.backend.job_output import known_jobs

    known = await view.context.feed.work(partial(known_jobs, session=session))
    if not known:
        raise NotDone(f"no command of {view.context.name(session)} has run")
    if len(known) == 1:
        return await _open(view, session, known[0].number)
    _choose(view, session, sorted(known, key=lambda job: (job.number not in running, -job.number)), running)
    return ""


async def _selected(view: View) -> Entry | None:
    """The action that is selected, None if something else is, or nothing."""
    chosen, found = await view.selected_entry(), view.subject()
    if chosen is None or found is None or (found[0], found[1].seq) != chosen or found[1].kind != "action":
        return None
    return found[1]


def _choose(view: View, session: str, known: list[KnownJob], running: list[int]) -> None:
    from apollo_tui.screens.panels.base import ChoicePanel

    now = view.context.clock()
    choices = []
    for job in known:
        runs = job.number in running
        ran = duration(max(0, now - job.since) if runs else job.duration_ms)
        words = f"for {ran}" if runs else f"{job.ended or 'lost'} after {ran}"
        choices.append(
            Choice(str(job.number), f"job {job.number}  {words}", note=job.command, group=RUNNING if runs else ENDED)
        )

    def take(number: str | None) -> None:
        if number is not None:
            follow_job(view, session, int(number))

    view.ask(ChoicePanel("whose output", choices, "enter shows it · esc closes"), take)


async def _open(view: View, session: str, job: int | None, seq: int = 0) -> str:
    view.apollo.open(ToOutput(session, await read_output(view, session, job, seq)))
    return ""


async def read_output(view: View, session: str, job: int | None, seq: int = 0) -> JobOutput:
    """The output of a job, or of the action at ``seq``. Raises NotDone with the reason where there is none."""
    from apollo_tui.backend.job_output import find_action_output, find_job_output

    feed = view.context.feed
    if job is not None:
        return await feed.work(partial(find_job_output, paths=feed.paths, session=session, number=job))
    return await feed.work(partial(find_action_output, paths=feed.paths, session=session, seq=seq))

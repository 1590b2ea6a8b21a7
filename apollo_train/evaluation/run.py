"""Playing the cells: so many at a time, looked at once a second, until every session is at rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from apollo_train.evaluation.apollo_cli import ApolloCli, CommandFailed
from apollo_train.evaluation.outcome import TRANSIENT, Result, find_ending, is_held, is_waiting, read_result
from apollo_train.evaluation.plan import Cell, Plan, first_titles, sessions_of
from apollo_train.runtime import TrainError
from sessions.events.states import ENDED
from sessions.fold.summary import Summary
from sessions.log.reader import LogReader

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the log."""
QUIET: Final = 60.0
"""Seconds without an event after which the host is started again, if it has gone."""
GRACE: Final = 60.0
"""Seconds that a session has to stop after its time is up."""

ResultListener = Callable[[Cell, Result], None]


class HostGone(TrainError):
    """Somebody else stopped the host under the evaluation."""


@dataclass(slots=True)
class LiveSession:
    """A session that we wait for. ``resumed_at``: the time of the state from which it was resumed, in Unix ms."""

    cell: Cell
    session: str
    since: float
    resumed_at: int = -1
    stopping: bool = False


class EvaluationRun:
    """One run of ``apollo-train eval``; ``sessions`` maps a cell's key to its session."""

    def __init__(
        self, plan: Plan, apollo: ApolloCli, on_result: ResultListener, *, parallel: int, timeout: float
    ) -> None:
        """``timeout``: seconds that a session may be at work, and that it is waited for."""
        self.plan = plan
        self.sessions: dict[str, str] = {}
        self._apollo = apollo
        self._on_result = on_result
        self._parallel = parallel
        self._timeout = timeout
        self._live: dict[str, LiveSession] = {}
        self._position = -1
        self._changed_at = 0.0

    def run(self, reader: LogReader, *, retry: bool = False) -> None:
        """Play what has not been played. Raises CommandFailed or HostGone; what runs then is in the log."""
        self.sessions = sessions_of(first_titles(reader))
        to_make = []
        for cell in self.plan.cells():
            if cell.key not in self.sessions:
                to_make.append(cell)
            else:
                self._continue(reader, cell, retry)
        self._changed_at = time.monotonic()
        while to_make or self._live:
            self._check_all(reader)
            while to_make and len(self._live) < self._parallel:
                cell = to_make.pop(0)
                self.sessions[cell.key] = session = self._apollo.create(cell, self.plan.limits)
                self._live[session] = LiveSession(cell, session, time.monotonic())
            if self._live:
                time.sleep(LOOK_EVERY)

    def results(self, reader: LogReader) -> list[Result]:
        """The figures of all cells that have a session, in the order of the plan."""
        return [
            read_result(reader, cell, self.sessions[cell.key])
            for cell in self.plan.cells()
            if cell.key in self.sessions
        ]

    def _continue(self, reader: LogReader, cell: Cell, retry: bool) -> None:
        """Wait again for the session of an earlier run, unless it is at rest."""
        session = self.sessions[cell.key]
        summary = _summary(reader, session)
        how = find_ending(reader.events(session, kinds={"session.state"})).how
        # The host holds keys in memory only: after it was stopped each session has to be given its key again.
        again = is_held(summary) or (retry and how in TRANSIENT)
        if again:
            self._apollo.resume(session)
        if again or is_waiting(summary):
            resumed_at = summary.state_at if again else -1
            self._live[session] = LiveSession(cell, session, time.monotonic(), resumed_at)

    def _check_all(self, reader: LogReader) -> None:
        self._keep_host(reader)
        for live in list(self._live.values()):
            summary = _summary(reader, live.session)
            if summary.state_at == live.resumed_at:
                continue  # the host has yet to act upon it
            if is_held(summary):
                raise HostGone("the host was stopped: the same command goes on from here")
            if is_waiting(summary):
                self._enforce_timeout(live, summary)
            if not is_waiting(summary) or self._is_overdue(live):
                self._settle(reader, live, summary)

    def _keep_host(self, reader: LogReader) -> None:
        """A host that has gone for good (its watcher too) is started again."""
        position = reader.position()
        if position != self._position:
            self._position, self._changed_at = position, time.monotonic()
        elif time.monotonic() - self._changed_at > QUIET:
            self._apollo.start_host()
            self._changed_at = time.monotonic()

    def _enforce_timeout(self, live: LiveSession, summary: Summary) -> None:
        """Stop a session whose time is up."""
        worked = summary.active_now(int(time.time() * 1000)) / 1000
        waited = time.monotonic() - live.since
        if not live.stopping and max(worked, waited) >= self._timeout:
            live.stopping = True
            self._stop(live.session)

    def _is_overdue(self, live: LiveSession) -> bool:
        return live.stopping and time.monotonic() - live.since >= self._timeout + GRACE

    def _settle(self, reader: LogReader, live: LiveSession, summary: Summary) -> None:
        del self._live[live.session]
        if summary.state not in ENDED:
            self._stop(live.session)  # its jobs would go on beside the other sessions
        self._on_result(live.cell, read_result(reader, live.cell, live.session))

    def _stop(self, session: str) -> None:
        """It may have ended by itself in this very moment, and then cannot be stopped."""
        try:
            self._apollo.stop(session)
        except CommandFailed:
            row = next(each for each in self._apollo.list_sessions() if each["id"] == session)
            if row["state"] not in ENDED:
                raise


def _summary(reader: LogReader, session: str) -> Summary:
    found = reader.summary(session)
    assert found is not None, session
    return found

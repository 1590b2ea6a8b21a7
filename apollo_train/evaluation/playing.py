"""Playing the cells: so many at a time, looked at once a second, until every session is at rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from apollo_train.evaluation.outcome import TRANSIENT, Result, ending, held, result, waits
from apollo_train.evaluation.plan import Cell, Plan, sessions_of
from apollo_train.evaluation.run_cli import Product, ProductFailed
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

Tell = Callable[[Cell, Result], None]


class HostStopped(TrainError):
    """Somebody else stopped the host under the evaluation."""


@dataclass(slots=True)
class Watched:
    """A session that we wait for. ``resumed_at``: the time of the state from which it was resumed, in Unix ms."""

    cell: Cell
    session: str
    since: float
    resumed_at: int = -1
    stopping: bool = False


class Playing:
    """One run of ``apollo-train eval``; ``found`` maps a cell's key to its session."""

    def __init__(self, plan: Plan, product: Product, tell: Tell, *, parallel: int, timeout: float) -> None:
        """``timeout``: seconds that a session may be at work, and that it is waited for."""
        self.plan = plan
        self.found: dict[str, str] = {}
        self._product = product
        self._tell = tell
        self._parallel = parallel
        self._timeout = timeout
        self._live: dict[str, Watched] = {}
        self._position = -1
        self._moved = 0.0

    def run(self, reader: LogReader, *, retry: bool = False) -> None:
        """Play what has not been played. Raises ProductFailed or HostStopped; what runs then is in the log."""
        self.found = sessions_of({each.session: each.title for each in reader.summaries()})
        to_make = []
        for cell in self.plan.cells():
            if cell.key not in self.found:
                to_make.append(cell)
            else:
                self._go_on(reader, cell, retry)
        self._moved = time.monotonic()
        while to_make or self._live:
            self._look(reader)
            while to_make and len(self._live) < self._parallel:
                cell = to_make.pop(0)
                self.found[cell.key] = session = self._product.create(cell, self.plan.limits)
                self._live[session] = Watched(cell, session, time.monotonic())
            if self._live:
                time.sleep(LOOK_EVERY)

    def results(self, reader: LogReader) -> list[Result]:
        """The figures of all cells that have a session, in the order of the plan."""
        return [result(reader, cell, self.found[cell.key]) for cell in self.plan.cells() if cell.key in self.found]

    def _go_on(self, reader: LogReader, cell: Cell, retry: bool) -> None:
        """Wait again for the session of an earlier run, unless it is at rest."""
        session = self.found[cell.key]
        summary = _summary(reader, session)
        how = ending(reader.events(session, kinds={"session.state"})).how
        # The host holds keys in memory only: after it was stopped each session has to be given its key again.
        again = held(summary) or (retry and how in TRANSIENT)
        if again:
            self._product.resume(session)
        if again or waits(summary):
            resumed_at = summary.state_at if again else -1
            self._live[session] = Watched(cell, session, time.monotonic(), resumed_at)

    def _look(self, reader: LogReader) -> None:
        self._keep_host(reader)
        for watched in list(self._live.values()):
            summary = _summary(reader, watched.session)
            if summary.state_at == watched.resumed_at:
                continue  # the host has yet to act upon it
            if held(summary):
                raise HostStopped("the host was stopped: the same command goes on from here")
            if waits(summary):
                self._hurry(watched, summary)
            if not waits(summary) or self._overdue(watched):
                self._settle(reader, watched, summary)

    def _keep_host(self, reader: LogReader) -> None:
        """A host that has gone for good (its watcher too) is started again."""
        position = reader.position()
        if position != self._position:
            self._position, self._moved = position, time.monotonic()
        elif time.monotonic() - self._moved > QUIET:
            self._product.start_host()
            self._moved = time.monotonic()

    def _hurry(self, watched: Watched, summary: Summary) -> None:
        """Stop a session whose time is up."""
        worked = summary.active_now(int(time.time() * 1000)) / 1000
        waited = time.monotonic() - watched.since
        if not watched.stopping and max(worked, waited) >= self._timeout:
            watched.stopping = True
            self._stop(watched.session)

    def _overdue(self, watched: Watched) -> bool:
        return watched.stopping and time.monotonic() - watched.since >= self._timeout + GRACE

    def _settle(self, reader: LogReader, watched: Watched, summary: Summary) -> None:
        del self._live[watched.session]
        if summary.state not in ENDED:
            self._stop(watched.session)  # its jobs would go on beside the other sessions
        self._tell(watched.cell, result(reader, watched.cell, watched.session))

    def _stop(self, session: str) -> None:
        """It may have ended by itself in this very moment, and then cannot be stopped."""
        try:
            self._product.stop(session)
        except ProductFailed:
            row = next(each for each in self._product.sessions() if each["id"] == session)
            if row["state"] not in ENDED:
                raise


def _summary(reader: LogReader, session: str) -> Summary:
    found = reader.summary(session)
    assert found is not None, session
    return found

"""``m``: the transcript coloured by what a policy would train. It follows the flags as they are set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from apollo_tui.backend.feed import NotDone
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.state.board import Change
from apollo_tui.state.training_view import facts_of_view, mark_training, summary_of_view
from sessions.config import ExportSettings
from sessions.log.reader import LogReader
from widgets.models import Entry

if TYPE_CHECKING:  # the training module comes with the first `m`: it takes eight megabytes
    from apollo_train.export.training_view import TrainingView
    from apollo_train.policy import FilterPolicy


class TrainingOverlay:
    """The training view of one session's screen. ``redress`` shows all loaded entries anew, as ``dress`` says."""

    def __init__(self, screen: ApolloScreen, session: str, redress: Callable[[], None]) -> None:
        self._screen = screen
        self._session = session
        self._redress = redress
        self._policy: FilterPolicy | None = None
        """By which it was last asked for, None for the default."""
        self._counts = ""
        """The counts as they were last said in the last row."""
        self.view: TrainingView | None = None
        """What would be trained, None while it is off."""

    def dress(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Entries as they are to be shown."""
        view = self.view
        return entries if view is None else [mark_training(entry, view) for entry in entries]

    @property
    def title(self) -> str:
        """What the title says of it, "" when it is off."""
        return f"training view: {self.view.policy}" if self.view is not None else ""

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """The counts for the facts at the side."""
        return facts_of_view(self.view) if self.view is not None else ()

    def toggle(self) -> None:
        """On or off."""
        if self.view is None:
            self._screen.act(self._show())
        else:
            self.view = None
            self._repaint()
            self._screen.say("training view off")

    def show_policy(self, source: str) -> None:
        """On, by this policy: a preset's name, or a file. Raises ApolloError."""
        from apollo_train.export.open_questions import fill_open
        from apollo_train.policy import load_policy

        self._policy = fill_open(load_policy(source), self._screen.context.config.export)
        self._screen.act(self._show())

    async def _show(self) -> str:
        await self._read()
        if self.view is None:
            raise NotDone("nothing to train yet")
        self._counts = summary_of_view(self.view)
        return self._counts

    async def _read(self) -> None:
        feed = self._screen.context.feed
        export = self._screen.context.config.export
        self.view = await feed.work(partial(_read_view, session=self._session, policy=self._policy, export=export))
        self._repaint()

    async def _read_again(self) -> None:
        """The counts in the last row go on with those at the side, as long as nothing else is said there."""
        await self._read()
        before = self._counts
        if self.view is not None and before and self._screen.receipt == before:
            self._counts = summary_of_view(self.view)
            self._screen.say(self._counts, "done")

    def _repaint(self) -> None:
        self._screen.invalidate()
        self._redress()

    def take(self, change: Change) -> None:
        """A flag, a cursor, a reply: look again."""
        if self.view is None or self._session not in change.sessions:
            return
        from apollo_train.export.training_view import CHANGES

        mine = [event for event in change.events if event.session == self._session]
        if not change.events or any(event.kind in CHANGES for event in mine):
            self._screen.run_worker(self._read_again(), group="training", exclusive=True)


def _read_view(
    log: LogReader, *, session: str, policy: FilterPolicy | None, export: ExportSettings
) -> TrainingView | None:
    from apollo_train.export.open_questions import fill_open
    from apollo_train.export.training_view import training_view
    from apollo_train.policy import PRESETS

    return training_view(log, session, policy or fill_open(PRESETS["default"], export))

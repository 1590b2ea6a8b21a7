"""``m``: the transcript coloured by what a policy would train. It follows the flags as they are set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from apollo_train.export.open_questions import fill_open
from apollo_train.export.training_view import TrainingView, training_view
from apollo_train.masks.annotations import KINDS
from apollo_train.policy import PRESETS, FilterPolicy, load_policy
from apollo_tui.backend.feed import NotDone
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.state.board import Change
from apollo_tui.state.training_view import facts_of_view, mark_training, summary_of_view
from widgets.models import Entry

CHANGES: Final = KINDS | {"model.reply", "action.refused"}
"""Kinds that change what would be trained."""


class TrainingOverlay:
    """The training view of one session's screen. ``redress`` shows all loaded entries anew, as ``dress`` says."""

    def __init__(self, screen: ApolloScreen, session: str, redress: Callable[[], None]) -> None:
        self._screen = screen
        self._session = session
        self._redress = redress
        self._policy: FilterPolicy = fill_open(PRESETS["default"], screen.context.config.export)
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
        self.view = await feed.work(partial(training_view, session=self._session, policy=self._policy))
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
        mine = [event for event in change.events if event.session == self._session]
        if not change.events or any(event.kind in CHANGES for event in mine):
            self._screen.run_worker(self._read_again(), group="training", exclusive=True)

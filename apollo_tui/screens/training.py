"""``m``: the transcript coloured by what a policy would train. It follows the flags as they are set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from apollo_train.export.preview import TrainingView, training_view
from apollo_train.masks.annotations import KINDS
from apollo_train.policy import PRESETS, FilterPolicy, load_policy
from apollo_tui.backend.feed import NotDone
from apollo_tui.screens.transcript import Finding
from apollo_tui.state.board import Change
from apollo_tui.state.training_view import facts_of_view, mark_training, summary_of_view
from widgets.entries import EntryBook
from widgets.models import Entry

CHANGES: Final = KINDS | {"model.reply", "action.refused"}
"""Kinds that change what would be trained."""


class TrainingMode(Finding):
    """Over a transcript whose entries come from a book."""

    _view: TrainingView | None = None
    _policy: FilterPolicy = PRESETS["default"]
    _counts = ""
    """The counts as they were last said in the last row."""

    def book(self) -> EntryBook:
        """The entries that are loaded."""
        raise NotImplementedError

    def dress(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Entries as they are to be shown."""
        view = self._view
        return entries if view is None else [mark_training(entry, view) for entry in entries]

    @property
    def training_words(self) -> str:
        """What the title says of the mode, "" when it is off."""
        return f"training view: {self._view.policy}" if self._view is not None else ""

    @property
    def training_facts(self) -> tuple[tuple[str, str], ...]:
        """The counts for the facts at the side."""
        return facts_of_view(self._view) if self._view is not None else ()

    def action_training(self) -> None:
        """Training view on or off."""
        if self._view is None:
            self.act(self._train())
        else:
            self._view = None
            self._redress()
            self.say("training view off")

    def train_by(self, source: str) -> None:
        """Training view by this policy: a preset's name, or a file."""
        self._policy = load_policy(source)
        self.act(self._train())

    async def _train(self) -> str:
        await self._look()
        if self._view is None:
            raise NotDone("nothing to train yet")
        self._counts = summary_of_view(self._view)
        return self._counts

    async def _look(self) -> None:
        session = self.session or ""
        self._view = await self.desk.feed.work(partial(training_view, session=session, policy=self._policy))
        self._redress()

    async def _look_again(self) -> None:
        """The counts in the last row go on with those at the side, as long as nothing else is said there."""
        await self._look()
        before = self._counts
        if self._view is not None and before and self.receipt == before:
            self._counts = summary_of_view(self._view)
            self.say(self._counts, "done")

    def _redress(self) -> None:
        self._stale = True
        self.transcript.supply(self.dress(self.book().entries()))

    def changed(self, change: Change) -> None:
        """A flag, a cursor, a reply: look again."""
        super().changed(change)
        if self._view is None or self.session not in change.sessions:
            return
        mine = [event for event in change.events if event.session == self.session]
        if not change.events or any(event.kind in CHANGES for event in mine):
            self.run_worker(self._look_again(), group="training", exclusive=True)

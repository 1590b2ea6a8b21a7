"""Opens views: the one place that knows all of them. Each is loaded when it is first opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual.app import App

from apollo_tui.desk import Desk
from apollo_tui.screens.base import ApolloScreen

if TYPE_CHECKING:
    from apollo_tui.apollo import Trail


class Opening:
    """What ``apollo.Opens`` says, for one app. A view is there when the call returns: the next key is meant for it."""

    def __init__(self, app: App[Any], desk: Desk) -> None:
        self._app = app
        self._desk = desk

    def session(
        self,
        session: str,
        seq: int | None = None,
        *,
        trail: Trail | None = None,
        came_from: Sequence[tuple[str, int]] = (),
        instead: bool = False,
    ) -> None:
        """A transcript."""
        from apollo_tui.screens.session import SessionScreen

        screen = SessionScreen(self._desk, session, seq, came_from=came_from, trail=trail)
        if instead:
            self._app.switch_screen(screen)
        else:
            self._app.push_screen(screen)

    def action(self, session: str, seq: int) -> None:
        """One entry, whole."""
        from apollo_tui.screens.action import ActionScreen

        self._app.push_screen(ActionScreen(self._desk, session, seq))

    def review(self) -> None:
        """The queue."""
        from apollo_tui.screens.review import ReviewScreen

        self._app.push_screen(ReviewScreen(self._desk))

    def new_session(self) -> None:
        """The form of a new session."""
        from apollo_tui.screens.new_session import NewSessionScreen

        self._app.push_screen(NewSessionScreen(self._desk))

    def export(self, session: str | None) -> None:
        """Sessions to training data."""
        from apollo_tui.screens.export import ExportScreen

        self._app.push_screen(ExportScreen(self._desk, session))

    def commands(self) -> None:
        """The command line, over a view only."""
        from apollo_tui.commands import ask_command

        if isinstance(self._app.screen, ApolloScreen):
            ask_command(self._app.screen)

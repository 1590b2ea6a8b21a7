"""What a screen may ask of the app that holds it. No screen knows the app, nor a view besides itself: ``app`` answers,
and ``opening`` knows all views."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from textual.screen import Screen
from textual.widget import Widget

from apollo_tui.context import Desk
from apollo_tui.terminal.line_speed import LineSpeed
from widgets.chrome import Level

Trail = tuple[str, Sequence[int]]
"""What a row of places is called, and the seqs of its events."""


class Opens(Protocol):
    """Opens views, each over the one on top."""

    def session(
        self,
        session: str,
        seq: int | None = None,
        *,
        trail: Trail | None = None,
        came_from: Sequence[tuple[str, int]] = (),
        instead: bool = False,
    ) -> None:
        """A transcript, at its end or at ``seq``. ``came_from``: where its way back leads, the newest place last;
        ``instead``: it takes the place of the view on top."""
        ...

    def action(self, session: str, seq: int) -> None:
        """The entry at ``seq``, whole."""
        ...

    def review(self) -> None:
        """One queue over all sessions."""
        ...

    def new_session(self) -> None:
        """The form that creates a session."""
        ...

    def export(self, session: str | None) -> None:
        """Sessions to training data; ``session`` is the one that was looked at."""
        ...

    def commands(self) -> None:
        """The command line of the view on top."""
        ...


class Apollo(Protocol):
    """The app, as its screens know it."""

    desk: Desk
    line_speed: LineSpeed
    open: Opens

    @property
    def screen(self) -> Screen[Any]:
        """What is on top, view or panel."""
        ...

    @property
    def focused(self) -> Widget | None:
        """The widget that hears keys."""
        ...

    @property
    def view(self) -> Screen[Any] | None:
        """The topmost screen that is no panel: what the annotator looks at."""
        ...

    @property
    def at_rest(self) -> bool:
        """Whether a view is on top and nobody types: only then may a panel open."""
        ...

    def push_screen(self, screen: Screen[Any]) -> object:
        """Open a panel that answers nothing."""
        ...

    def pop_screen(self) -> object:
        """Close what is on top."""
        ...

    def say(self, text: str, level: Level = "info") -> None:
        """One line for the annotator; it never takes the focus."""
        ...

    def told(self, problem: Exception) -> str:
        """What went wrong, and which key helps."""
        ...

    def act(self, deed: Coroutine[Any, Any, str]) -> None:
        """Do something that needs the host or the log, after what was asked before, and say how it went."""
        ...

    def leave(self) -> None:
        """Leave; sessions go on."""
        ...

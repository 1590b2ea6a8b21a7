"""The keys that control a session, and the one that creates a session."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from apollo_tui.context import AppContext, ToNewSession, View


class OfSession(Protocol):
    """A screen that is about a session."""

    @property
    def session(self) -> str | None:
        """Which one."""
        ...

    @property
    def context(self) -> AppContext:
        """What it works with."""
        ...

    def act(self, work: Coroutine[Any, Any, str], *, opens: bool = False) -> None:
        """Do something that needs the host; its receipt is shown."""
        ...


def pause(screen: OfSession) -> None:
    """Pause at the boundary, or go on."""
    if screen.session:
        screen.act(_pause(screen.context, screen.session))


async def _pause(context: AppContext, session: str) -> str:
    control = context.control
    return await control.control(session, control.pause_verb(session))


def hold(view: View) -> None:
    """Hold the next reply, or let the one that is held go."""
    if view.session:
        control = view.context.control
        view.act(control.control(view.session, control.hold_verb(view.session)))


def list_conversations(view: View) -> None:
    """Which conversations its harness has, and which of them is its work."""
    from apollo_tui.screens.panels.conversations import show_conversations

    if view.session:
        view.act(show_conversations(view, view.session))


def interrupt(view: View) -> None:
    """Twice: cut the reply under way."""
    session = view.session
    if session and view.confirm("interrupt", f"x again cuts the reply of {view.context.name(session)}"):
        view.act(view.context.control.control(session, "interrupt"))


def open_new_session(view: View) -> None:
    """Create a session."""
    view.apollo.open(ToNewSession())

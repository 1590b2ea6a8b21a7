"""The keys that control a session, and the one that creates a session."""

from __future__ import annotations

from apollo_tui.context import ToNewSession, View


def pause(view: View) -> None:
    """Pause at the boundary, or go on."""
    if view.session:
        view.act(_pause(view, view.session))


async def _pause(view: View, session: str) -> str:
    control = view.context.control
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

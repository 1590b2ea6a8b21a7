"""The sub-agents of a session, and the session that started it: to go to."""

from __future__ import annotations

from typing import Final

from apollo_tui.context import View
from apollo_tui.screens.panels.base import ChoicePanel
from widgets.glyphs import state_mark
from widgets.models import Choice, SessionView

KEYS: Final = "acdefhilmnoprstuvwxyz"
"""The keys of choices: none that moves in a list or closes it, and no digit: these are the numbers of sessions."""


def choose_relative(view: View, session: str) -> None:
    """Go to a sub-agent of the session or to its parent, at once if that is the only one; else ask to which."""
    state = view.context.state
    parent, children = state.families.parent(session), state.families.children(session)
    now = view.context.clock()
    shown = {one: state.view(one, now) for one in (parent, *children) if one}
    found = sorted(shown, key=lambda one: (one != parent, not shown[one].why or shown[one].can_wait))
    if len(found) == 1:
        view.go_to(found[0], remember=True)
        return
    choices = []
    for at, one in enumerate(found):
        named = f"{shown[one].address} {shown[one].title}"
        group = "" if not parent else "the session that started it" if one == parent else "started by it"
        choices.append(Choice(one, named, KEYS[at] if at < len(KEYS) else "", note=_stand(shown[one]), group=group))

    def take(chosen: str | None) -> None:
        if chosen:
            view.go_to(chosen, remember=True)

    title = f"sub-agents of {view.context.name(session)}"
    view.ask(ChoicePanel(title, choices, "a letter or enter goes there · ctrl+o comes back · esc closes"), take)


def _stand(view: SessionView) -> str:
    """How it stands: its state, its steps, and why it wants somebody."""
    steps = f"step {view.step}" if view.step else "no step yet"
    return " · ".join(part for part in (state_mark(view.state, view.state_words).text, steps, view.why) if part)

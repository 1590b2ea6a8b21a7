"""``P``: how many panes the board has, and which sessions are always in one."""

from __future__ import annotations

from typing import Final, Protocol

from apollo_tui.context import View
from apollo_tui.screens.panels.base import ChoicePanel
from apollo_tui.state.pane_choice import PaneChoice
from widgets.grid import MOST_PANES
from widgets.models import Choice

COUNTS: Final = {"1": (1, "one"), "2": (2, "two"), "3": (3, "three"), "4": (4, "four"), "6": (6, "six"),
                 "9": (9, "nine"), "s": (MOST_PANES, "sixteen")}  # fmt: skip


class PanedView(View, Protocol):
    """A view with panes, as the board is."""

    choice: PaneChoice

    @property
    def pinnable(self) -> str:
        """The session that a pane can be kept for, "" if there is none."""
        ...

    def room_for_panes(self) -> int:
        """How many panes fit."""
        ...

    def set_panes(self, count: int | None) -> None:
        """Show so many; None: as many as fit."""
        ...

    def pin_session(self, session: str) -> None:
        """Keep a session in a pane, or let it go again."""
        ...

    def choose_panes_anew(self) -> None:
        """Show those that need somebody now."""
        ...


def choose_panes(board: PanedView) -> None:
    """Ask how many, pin the current session, or choose anew who is shown."""
    kept, fit = board.choice.kept, board.room_for_panes()
    context, session = board.context, board.pinnable
    choices = [Choice("auto", f"as many as fit: {fit} here", "a", value="now" if kept.count is None else "")]
    choices += [
        Choice(
            str(count),
            word,
            key,
            value="now" if kept.count == count else "",
            note="" if count <= fit else f"{fit} fit here",
        )
        for key, (count, word) in COUNTS.items()
    ]
    if session:
        verb = "let go" if session in kept.pinned else "pin"
        choices.append(Choice("pin", f"{verb} {context.name(session)}", "p", group="which sessions"))
    choices.append(Choice("anew", "those that need somebody now", "n", group="which sessions"))
    known = context.state.sessions
    pinned = [context.name(one) for one in kept.pinned if one in known]
    lines = [f"always in a pane: {', '.join(pinned)}"] if pinned else []

    def take(chosen: str | None) -> None:
        if chosen == "pin":
            board.pin_session(session)
        elif chosen == "anew":
            board.choose_panes_anew()
        elif chosen is not None:
            board.set_panes(None if chosen == "auto" else int(chosen))

    board.ask(ChoicePanel("panes", choices, "kept for you on this log · esc closes", lines), take)

"""``q`` on the board: what will stop before morning, and why; one key to each."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType

from apollo_tui.acts.leave_check import Worry, nothing_stops_text, without_budget, worries
from apollo_tui.screens.panels.base import PanelScreen
from sessions.terminal_text import say_count
from widgets import cells
from widgets.models import Choice
from widgets.picker import ChoiceList
from widgets.sanitise import clean_line

if TYPE_CHECKING:
    from apollo_tui.context import View

TITLE: Final = 32
"""Cells of a session's title."""
LETTERS = "".join(letter for letter in ascii_lowercase if letter not in "qjkgb")


class LeavePanel(PanelScreen[str]):
    """Answers "leave", or the session to go to."""

    hang: ClassVar[int | None] = 4
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "leave", show=False, id="leave", priority=True)]

    def __init__(self, found: list[Worry], title: str) -> None:
        rows = [
            Choice(
                f"{worry.session} {index}",
                f"{worry.address} {cells.crop(clean_line(worry.title), TITLE)}: {worry.what} · {worry.why}",
                key=LETTERS[index] if index < len(LETTERS) else "",
            )
            for index, worry in enumerate(found)
        ]
        super().__init__(title, rows, "q leaves, sessions go on · a letter goes there · esc stays")

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Go there."""
        self.dismiss(message.choice.id.split(" ")[0])

    def action_leave(self) -> None:
        """Leave the app."""
        self.dismiss("leave")


def check_leave(board: View, *, always: bool = False) -> None:
    """Leave the app; where something will stand still, only after it was said. ``always``: stay, and say it all."""
    context = board.context
    board.keep_draft()
    summaries = [now.summary for now in context.state.sessions.values() if not now.summary.archived]
    found = worries(
        summaries,
        {draft.session for draft in context.drafts.all() if draft.corrects is None},
        context.clock(),
        host=context.state.writable,
    )

    def take(answer: str | None) -> None:
        if answer == "leave":
            board.apollo.leave()
        elif answer:
            board.go_to(answer)

    free = without_budget(summaries)
    if always and not found and not free:
        board.apollo.say(nothing_stops_text(summaries))
    elif always or found:
        board.ask(LeavePanel([*found, *free], _title(found, free)), take)
    else:
        board.apollo.leave()


def _title(found: list[Worry], free: list[Worry]) -> str:
    """How many sessions will stand still, and how many nothing would stop."""
    still = len({worry.session for worry in found})
    said = [f"{say_count(still, 'session')} will stand still before morning"] if found else []
    said += [f"{len(free)} {'goes' if len(free) == 1 else 'go'} on without a budget"] if free else []
    return ", ".join(said)

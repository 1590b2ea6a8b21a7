"""``q`` on the board: what will stop before morning, and why; one key to each."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from apollo_tui.leaving import Worry, all_well, worries
from apollo_tui.screens.panel import PanelScreen
from widgets.picker import ChoiceList
from widgets.views import Choice

if TYPE_CHECKING:
    from apollo_tui.screens.board import BoardScreen

LETTERS = "".join(letter for letter in ascii_lowercase if letter not in "qjkgb")


class LeavePanel(PanelScreen[str]):
    """Answers "leave", or the session to go to."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "leave", show=False, id="leave", priority=True)]

    def __init__(self, found: list[Worry], title: str) -> None:
        rows = [
            Choice(
                f"{worry.session} {index}",
                f"{worry.number} {worry.title}: {worry.what}",
                key=LETTERS[index] if index < len(LETTERS) else "",
                note=worry.why,
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


def leave(board: BoardScreen, *, always: bool = False) -> None:
    """Leave the app; with something to say, only after it was said. ``always``: show the panel in any case."""
    desk = board.desk
    board.keep_draft()
    summaries = [now.summary for now in desk.state.sessions.values() if not now.summary.archived]
    found = worries(
        summaries,
        {draft.session for draft in desk.drafts.all() if draft.corrects is None},
        desk.clock(),
        host=desk.state.writable,
    )

    def chosen(answer: str | None) -> None:
        if answer == "leave":
            board.apollo.leave()
        elif answer:
            board.go_to(answer)

    if not found and not always:
        board.apollo.leave()
        return
    many = len({worry.session for worry in found})
    still = f"before morning, {many} session{'s' * (many != 1)} will stand still"
    title = still if found else all_well(summaries)
    board.app.push_screen(LeavePanel(found, title), chosen)

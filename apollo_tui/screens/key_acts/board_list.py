"""The keys of the board that find sessions, and do one thing to several of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from apollo_tui.acts.bulk import BulkActs
from apollo_tui.context import ToExport, View
from apollo_tui.screens.key_acts.advice import advise_marked
from apollo_tui.state.board_filter import complete_filter

if TYPE_CHECKING:
    from apollo_tui.screens.board_rows import BoardRows
    from apollo_tui.state.bulk import Deed


class Board(View, Protocol):
    """A list of sessions that can be narrowed down, and in which some can be marked."""

    @property
    def rows(self) -> BoardRows:
        """Which sessions it shows."""
        ...

    def show_only(self, text: str, *, settled: bool = True) -> str:
        """Show the sessions that these words mean. Returns the receipt."""
        ...

    def marked_sessions(self) -> list[str]:
        """The marked sessions that are in sight."""
        ...

    def mark_all(self) -> None:
        """Mark all that are in sight."""
        ...

    def unmark_all(self) -> None:
        """None is marked any more."""
        ...


def find_sessions(board: Board) -> None:
    """Show only some sessions; the list follows what is typed, and is as it was if that is left."""
    from apollo_tui.screens.panels.filter_prompt import FilterPrompt

    before = board.rows.filter.text

    def take(words: str | None) -> None:
        said = board.show_only(before if words is None else words)
        if words is not None:
            board.say(said)

    board.ask(
        FilterPrompt(
            before,
            partial(board.show_only, settled=False),
            lambda text: complete_filter(text, board.rows.facts(text)),
        ),
        take,
    )


def act_on_marked(board: Board) -> None:
    """Choose what is done to the marked sessions in sight, or to the selected one where none is marked."""
    from apollo_tui.screens.panels.bulk import BulkPanel

    marked = board.marked_sessions()
    sessions = marked or ([board.session] if board.session else [])
    if not sessions:
        return
    context = board.context

    def take(answer: str | None) -> None:
        match answer:
            case None:
                return
            case "mark" | "clear":
                board.mark_all() if answer == "mark" else board.unmark_all()
                act_on_marked(board)
            case "advise":
                advise_marked(board)
            case "sign_off":
                _ask_verdict(board, sessions)
            case "tag":
                _ask_tags(board, sessions)
            case "export":
                summaries = context.state.sessions
                board.apollo.open(ToExport(None, tuple(one for one in sessions if summaries[one].summary.step)))
            case _:
                deed: Deed = answer  # type: ignore[assignment]  # one of the panel's
                board.act(_acts(board).control(deed, sessions))

    panel = BulkPanel(
        sessions,
        {one: context.state.sessions[one].summary for one in sessions},
        context.name,
        marked=bool(marked),
        shown=len(board.rows.sessions()),
        out_of_sight=board.rows.marked_out(),
    )
    board.ask(panel, take)


def _acts(board: Board) -> BulkActs:
    return BulkActs(board.context.feed, board.context.state)


def _ask_verdict(board: Board, sessions: list[str]) -> None:
    from apollo_tui.screens.panels.bulk import VerdictPanel

    def take(verdict: str | None) -> None:
        if verdict in ("good", "partial", "discard", "invalid"):
            board.act(_acts(board).sign_off(sessions, verdict))  # type: ignore[arg-type]  # mypy knows no narrowing by `in`

    board.ask(VerdictPanel(len(sessions)), take)


def _ask_tags(board: Board, sessions: list[str]) -> None:
    from apollo_tui.screens.panels.prompt import LinePrompt

    def take(text: str | None) -> None:
        if text is not None:
            board.act(_acts(board).tag(sessions, text.split()))

    present = sorted({tag for one in sessions for tag in board.context.state.sessions[one].summary.tags})
    have = f"they have {' '.join(present)} · " if present else ""
    board.ask(LinePrompt("tags", f"{have}a word adds it, -word takes it away"), take)

"""``X``: what is marked, and what can be done to all of it with one key; which of it cannot, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from apollo_tui.screens.panels.base import PanelScreen
from apollo_tui.state.bulk import Deed, reach_of, say_refusals
from sessions.fold.summary import Summary
from widgets.models import Choice
from widgets.picker import ChoiceList

ROWS: Final[Mapping[Deed, tuple[str, str]]] = {
    "pause": ("p", "pause at the boundary"),
    "resume": ("r", "resume"),
    "sign_off": ("s", "sign off: one word on each"),
    "tag": ("t", "tag, or take tags away"),
    "archive": ("a", "archive: nothing is deleted"),
    "unarchive": ("b", "bring back from the archive"),
    "export": ("e", "export"),
}
NAMED: Final = 6
"""So many sessions are named in the title."""
WORDS: Final = 40
"""Cells of the column of deeds."""


class BulkPanel(PanelScreen[str]):
    """Answers with the deed, ``advise``, ``mark`` (all that are shown) or ``clear`` (no mark any more)."""

    hang: ClassVar[int | None] = WORDS

    def __init__(
        self,
        sessions: Sequence[str],
        summaries: Mapping[str, Summary],
        names: Callable[[str], str],
        *,
        marked: bool,
        shown: int,
        out_of_sight: int,
    ) -> None:
        rows = [_row(deed, sessions, summaries, names) for deed in ROWS]
        rows = [row for row in rows if row.id != "unarchive" or not row.disabled]
        rows.append(Choice("advise", "advise: the same words to each", key="i", disabled="" if marked else "mark some"))
        if shown > len(sessions) or not marked:
            rows.append(Choice("mark", f"mark all {shown} that are shown", key="*"))
        if marked:
            rows.append(Choice("clear", "unmark all", key="-"))
        named = ", ".join(names(session) for session in sessions[:NAMED])
        more = f" and {len(sessions) - NAMED} more" if len(sessions) > NAMED else ""
        title = f"{len(sessions)} marked: {named}{more}" if marked else f"{named} (nothing is marked)"
        lines = [f"{out_of_sight} more marked, out of sight: nothing is done to them"] if out_of_sight else []
        super().__init__(title, rows, "a letter does it · u then undoes all of it at once · esc leaves it", lines)

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """That one."""
        self.dismiss(message.choice.id)


def _row(deed: Deed, sessions: Sequence[str], summaries: Mapping[str, Summary], names: Callable[[str], str]) -> Choice:
    """How many it can be done to, and why not to the others."""
    key, words = ROWS[deed]
    reach = reach_of(deed, sessions, summaries)
    count = f"{len(reach.can)} of {len(sessions)}" if len(sessions) > 1 else ""
    reasons = {why for _, why in reach.cannot}
    refused = say_refusals(reach.cannot, names) if reach.can or len(reasons) > 1 else ", ".join(reasons)
    text = f"{words:<{WORDS - 10}} {count:<8} {refused if reach.can else ''}".rstrip()
    return Choice(deed, text, key=key, disabled=refused if not reach.can else "")


class VerdictPanel(PanelScreen[str]):
    """One word on all of them."""

    def __init__(self, count: int) -> None:
        rows = [
            Choice("good", "good        train on it", key="g"),
            Choice("partial", "partial     good in parts: the flags say which", key="p"),
            Choice("discard", "discard     not worth training on", key="d"),
            Choice("invalid", "invalid     reward hack, or the answer leaked", key="i"),
        ]
        title = f"sign off {count} sessions" if count > 1 else "sign off"
        super().__init__(title, rows, "a letter says it · esc leaves it")

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Say it."""
        self.dismiss(message.choice.id)

"""Panels about a whole session: the sign-off, bookmarks to jump to, and the history of one's acts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, ClassVar, Final

from textual.binding import Binding, BindingType

from apollo_tui.acts.undo import Act, Restore, UndoHistory, act_status
from apollo_tui.screens.panels.base import PanelScreen
from sessions.annotators import shown_name
from sessions.fold.flags import SessionVerdict
from sessions.fold.notes import Bookmark, SessionNotes
from widgets.models import Choice
from widgets.picker import ChoiceList

LETTERS: Final = "".join(letter for letter in ascii_lowercase if letter not in "qjkgb")
HISTORY_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class SignOffChoice:
    """What was chosen. ``note``: the note is to be written instead."""

    verdict: SessionVerdict | None = None
    up_to: int | None = None
    note: bool = False


class SignOffPanel(PanelScreen[SignOffChoice]):
    """One key for a word on all of it, or up to a step."""

    def __init__(self, name: str, step: int, remarks: SessionNotes, actor: str) -> None:
        rows = [
            Choice("good", "good        train on it", key="g"),
            Choice("partial", "partial     good in parts: the flags say which", key="p"),
            Choice("discard", "discard     not worth training on", key="d"),
            Choice("invalid", "invalid     reward hack, or the answer leaked", key="i"),
            Choice("up-to", f"judged up to step {step}, the selected or newest one", key="u"),
            Choice("none", "take my sign-off back", key="t", disabled="" if actor in remarks.sign_offs else "none yet"),
            Choice("note", "write a note that colleagues see and the agent does not", key="n"),
        ]
        self._step = step
        notes = [f"  note by {shown_name(who)}: {text}" for who, text in remarks.notes.items()]
        lines = [f"  {line}" for line in remarks.sign_off_lines()] + notes
        super().__init__(f"sign off {name}", rows, "a letter says it · esc leaves it", lines)

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Say it."""
        match message.choice.id:
            case "up-to":
                self.dismiss(SignOffChoice(up_to=self._step))
            case "note":
                self.dismiss(SignOffChoice(note=True))
            case "good" | "partial" | "discard" | "invalid" as verdict:
                self.dismiss(SignOffChoice(verdict))
            case _:
                self.dismiss(SignOffChoice())


class BookmarkPanel(PanelScreen[tuple[str, Bookmark]]):
    """Answers with the session and the bookmark to jump to."""

    def __init__(self, marks: Sequence[tuple[str, str, Bookmark]]) -> None:
        self._marks = list(marks)
        rows = [
            Choice(
                str(index),
                f"{mark.target}  {mark.note}".rstrip(),
                key=LETTERS[index] if index < len(LETTERS) else "",
                note=f"by {shown_name(mark.by)}",
                group=name,
            )
            for index, (_, name, mark) in enumerate(self._marks)
        ]
        super().__init__("bookmarks", rows, "a letter or enter goes there · esc stays")

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Go there."""
        session, _, mark = self._marks[int(message.choice.id)]
        self.dismiss((session, mark))


class HistoryPanel(PanelScreen[Act]):
    """One's acts, newest first, each with where and how it stands. Answers with the one to go to.

    ``act`` does a work and says its receipt; ``restore`` makes a draft of advice that is taken back.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "undo", show=False, id="undo"),
        Binding("U", "redo", show=False, id="redo"),
    ]

    def __init__(
        self,
        acts: Sequence[Act],
        history: UndoHistory,
        act: Callable[[Coroutine[Any, Any, str]], None],
        restore: Restore,
    ) -> None:
        self._history = history
        self._act = act
        self._restore = restore
        title = f"what you did on this log ({len(acts):,})"
        footer = "enter goes there · u undoes the last, U does it again · esc closes"
        super().__init__(title, self._rows(acts), footer)

    def _rows(self, acts: Sequence[Act]) -> list[Choice]:
        self._acts = list(acts[:HISTORY_MOST])
        return [
            Choice(str(index), self._history.words(act), note="" if act_status(act) == "in force" else act_status(act))
            for index, act in enumerate(self._acts)
        ]

    def action_undo(self) -> None:
        """Undo the last act that can be: it stands here, with where."""
        self._act(self._undo())

    async def _undo(self) -> str:
        act = await self._history.act_to_undo()
        if act is None:
            return "nothing of yours can be undone"
        return await self._do_and_renew(self._history.undo(act, self._restore))

    def action_redo(self) -> None:
        """Do again what was undone last."""
        self._act(self._redo())

    async def _redo(self) -> str:
        act = await self._history.act_to_redo()
        return await self._do_and_renew(self._history.redo(act)) if act is not None else "nothing of yours to do again"

    async def _do_and_renew(self, work: Coroutine[Any, Any, str]) -> str:
        receipt = await work
        if self.is_attached:
            self.choices.update(self._rows(await self._history.acts()))
        return receipt

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Go there."""
        self.dismiss(self._acts[int(message.choice.id)])

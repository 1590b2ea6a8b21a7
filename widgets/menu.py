"""A form of rows with values: left and right turn a value over, enter asks for all of them, or acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.message import Message

from widgets.models import Choice, MenuRow
from widgets.paint import MOVES
from widgets.picker import ChoiceList


class Menu(ChoiceList):
    """Rows with values. ``Changed`` says which row has which value now; ``Opened`` wants all values of a row shown;
    rows without values are ``Activated``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *MOVES,
        Binding("right,l", "turn(1)", "Next value", show=False, id="menu.next"),
        Binding("left,h", "turn(-1)", "Previous value", show=False, id="menu.previous"),
    ]

    class Changed(Message):
        """A row has another value."""

        def __init__(self, row: str, value: str) -> None:
            super().__init__()
            self.row = row
            self.value = value

    class Opened(Message):
        """All values of a row are wanted, to choose one."""

        def __init__(self, row: MenuRow) -> None:
            super().__init__()
            self.row = row

    class Activated(Message):
        """A row without values was chosen."""

        def __init__(self, row: str) -> None:
            super().__init__()
            self.row = row

    def __init__(self, rows: Sequence[MenuRow] = (), *, id: str | None = None, classes: str | None = None) -> None:
        self._rows: dict[str, MenuRow] = {}
        super().__init__(id=id, classes=classes)
        self.set_rows(rows)

    def set_rows(self, rows: Sequence[MenuRow]) -> None:
        """Show these rows; the cursor stays on its row."""
        self._rows = {row.id: row for row in rows}
        self.update([Choice(row.id, row.text, row.key, row.note, row.words, row.group, row.disabled) for row in rows])

    @property
    def values(self) -> dict[str, str]:
        """Row id to present value."""
        return {row.id: row.value for row in self._rows.values()}

    def action_turn(self, by: int) -> None:
        """The next or the previous value of the row at the cursor."""
        row = self._rows.get(self.highlighted.id) if self.highlighted is not None else None
        if row is None or not row.values or row.disabled:
            return
        known = [value for value, _ in row.values]
        at = known.index(row.value) if row.value in known else -1
        value = known[(at + by) % len(known)]
        self.set_rows(
            [msgspec.structs.replace(one, value=value) if one.id == row.id else one for one in self._rows.values()]
        )
        self.post_message(self.Changed(row.id, value))

    def _pick(self, choice: Choice, by_key: bool) -> None:
        self.highlight(choice.id)
        if choice.disabled:
            return
        row = self._rows[choice.id]
        if row.values:
            self.post_message(self.Opened(row))
        else:
            self.post_message(self.Activated(choice.id))

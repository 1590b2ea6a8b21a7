"""A list of files: what became of each, how large it is, when it changed, by whom. Many rows cost no more than few."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from textual import events
from textual.message import Message

from widgets import cells
from widgets.glyphs import age
from widgets.models import Line, Role
from widgets.paint import MOVES, Painter, spread
from widgets.rows import SELECTED
from widgets.sanitise import clean_line

NOTE_CELLS: Final = 8
SIZE_CELLS: Final = 8
AGE_CELLS: Final = 7
LEAST_PATH: Final = 24
"""Cells that a path gets before anything else."""
BY_CELLS: Final = 20
ELLIPSIS: Final = "…"


class FileRow(msgspec.Struct, frozen=True):
    """One file. ``note``: new, changed, removed, or what it is if it is no file; ``at``: when it changed (Unix ms)."""

    path: str
    note: str = ""
    size: int | None = None
    at: int | None = None
    fresh: bool = False
    """Whether it changed since the reader left."""


class FileList(Painter, can_focus=True):
    """Rows of files, one of them selected by its path. ``enter`` opens it."""

    BINDINGS = MOVES
    DEFAULT_CSS = "FileList { width: 1fr; height: 1fr; }"

    class Highlighted(Message):
        """The cursor is on another file."""

        def __init__(self, row: FileRow) -> None:
            super().__init__()
            self.row = row

    class Opened(Message):
        """A file is to be opened."""

        def __init__(self, row: FileRow) -> None:
            super().__init__()
            self.row = row

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: Sequence[FileRow] = ()
        self._author: Callable[[FileRow], str] = lambda _: ""
        self._now = 0
        self._empty = ""
        self._at = 0
        self._top = 0

    def update(self, rows: Sequence[FileRow], author: Callable[[FileRow], str], now: int, empty: str = "") -> None:
        """Show these; the cursor stays on its file, else in its row. ``author`` says who changed the file of a row that
        comes into sight; ``empty`` stands where there are none."""
        here = self.highlighted
        same = next((at for at, row in enumerate(rows) if here is not None and row.path == here.path), None)
        self._rows, self._author, self._now, self._empty = rows, author, now, empty
        self._at = same if same is not None else min(self._at, max(0, len(rows) - 1))
        self._into_view()
        self.refresh()

    @property
    def highlighted(self) -> FileRow | None:
        return self._rows[self._at] if self._at < len(self._rows) else None

    @property
    def row_count(self) -> int:
        """How many files are listed, in sight or not."""
        return len(self._rows)

    def highlight(self, path: str) -> None:
        """Put the cursor on a file, if it is listed."""
        found = next((at for at, row in enumerate(self._rows) if row.path == path), None)
        if found is not None:
            self._go(found)

    def action_move(self, by: int) -> None:
        self._go(self._at + by)

    def action_page(self, by: int) -> None:
        self._go(self._at + by * max(1, self.size.height - 1))

    def action_to_start(self) -> None:
        self._go(0)

    def action_to_end(self) -> None:
        self._go(len(self._rows) - 1)

    def action_open(self) -> None:
        if self.highlighted is not None:
            self.post_message(self.Opened(self.highlighted))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the file under the pointer."""
        if self._top + event.y < len(self._rows):
            self._go(self._top + event.y)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._into_view()
        self.refresh()

    def row(self, y: int) -> Line:
        """Path, what became of it, size, age and author; what has no room gives way from the right end."""
        at = self._top + y
        if at >= len(self._rows):
            return ((f"  {self._empty}", "dim"),) if not self._rows and y == 0 else ()
        row = self._rows[at]
        width = self.size.width
        author = clean_line(self._author(row), BY_CELLS * 2)
        age_words = age(max(0, self._now - row.at)) if row.at is not None else ""
        right = [
            (cells.pad(row.note, NOTE_CELLS), "accent" if row.fresh else "text"),
            (cells.pad(say_size(row.size), SIZE_CELLS, right=True), "dim"),
            (cells.pad(age_words, AGE_CELLS, right=True), "dim"),
            (cells.pad(cells.crop(f"  {author}", BY_CELLS), BY_CELLS), "text"),
        ]
        while right and sum(cells.width(text) for text, _ in right) + LEAST_PATH > width:
            # The size first, then what became of it: when and by whom say most.
            right.pop(1 if len(right) == 4 else 0)
        room = width - 3 - sum(cells.width(text) for text, _ in right)
        role: Role = "dim" if row.note in ("removed",) else "text"
        mark = SELECTED if at == self._at else " "
        fresh = "•" if row.fresh else " "
        path: Line = ((f"{mark}", "accent"), (fresh, "accent"), (crop_path(clean_line(row.path, 4_000), room), role))
        return spread(path, tuple((text, "dim" if role_ == "dim" else "text") for text, role_ in right), width)

    def row_selected(self, y: int) -> bool:
        return self._top + y == self._at and bool(self._rows)

    def _go(self, to: int) -> None:
        if not self._rows:
            return
        to = max(0, min(len(self._rows) - 1, to))
        if to == self._at:
            return
        before, top, self._at = self._at, self._top, to
        self._into_view()
        if self._top != top:
            self.refresh()
        else:
            self.repaint_row(before - top)
            self.repaint_row(to - top)
        self.post_message(self.Highlighted(self._rows[to]))

    def _into_view(self) -> None:
        rows = max(1, self.size.height)
        self._top = max(0, min(self._top, self._at, max(0, len(self._rows) - rows)))
        self._top = max(self._top, self._at - rows + 1)


def crop_path(path: str, room: int) -> str:
    """A path in ``room`` cells: its end says most.

    >>> crop_path("src/models/transformer/attention.py", 18)
    '…/attention.py'
    """
    if cells.width(path) <= room:
        return path
    parts = path.split("/")
    for at in range(1, len(parts)):
        rest = f"{ELLIPSIS}/{'/'.join(parts[at:])}"
        if cells.width(rest) <= room:
            return rest
    return cells.crop(parts[-1], room)


def say_size(size: int | None) -> str:
    """A size in little room: ``812 B``, ``12.3 kB``, ``1.5 GB``.

    >>> say_size(812), say_size(12_345), say_size(None)
    ('812 B', '12.3 kB', '')
    """
    if size is None:
        return ""
    if size < 1000:
        return f"{size} B"
    number = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 1000 or unit == "TB":
            break
    return f"{number:.1f} {unit}"

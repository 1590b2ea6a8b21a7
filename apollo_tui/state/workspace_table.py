"""The files of a workspace as rows: what changed since the start, since one left, by one step; and what to look for.

Pure; times in Unix ms, those of files in ns where they come from a listing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from sessions.annotators import shown_name
from sessions.containment.workspace_walk import FILE, FOLDER, Found, Listing, Wish, holds
from sessions.fold.file_history import Author, FileHistory
from widgets.file_list import FileRow
from widgets.glyphs import duration

Which = Literal["changed", "left", "all", "step"]
"""Changed since the start; since the reader left; everything; changed by one step."""

MS: Final = 1_000_000
ALIKE_CLOCKS_MS: Final = 2_000
"""Clocks that differ by less are one."""
SECOND: Final = 1_000_000_000


class Row(msgspec.Struct, frozen=True):
    """One file with what is known of it. ``changed`` (Unix ms, 0: nobody knows) by the clock of this machine."""

    path: str
    kind: str
    size: int
    changed: int
    since_start: bool
    fresh: bool
    note: str

    @property
    def is_file(self) -> bool:
        """Whether it can be viewed."""
        return self.kind == FILE


class Question(msgspec.Struct, frozen=True):
    """What is shown: which files, paths that hold ``pattern``, of which ``step``; which skipped folders are open."""

    which: Which = "changed"
    pattern: str = ""
    step: int | None = None
    inside: tuple[str, ...] = ()


class Origin(msgspec.Struct, frozen=True):
    """What the workspace was copied from, by path: size and time of the last change (ns).

    ``whole``: all of it was read; ``why_not``: why nothing is known of it, as the end of a sentence.
    """

    files: Mapping[str, tuple[int, int]] = {}
    whole: bool = False
    why_not: str = ""
    seconds_only: bool = False
    """Whether times were cut to seconds on the way."""


def wish_for(
    asked: Question, listing: Listing | None, made_for: Wish | None, created_at: int, left_at: int
) -> Wish | None:
    """What must be listed to answer ``asked``; None: ``listing``, which was ``made_for`` that wish, has it already."""
    whole = listing is not None and listing.whole and not listing.more
    if made_for is None:
        return Wish(pattern=asked.pattern, inside=asked.inside)
    everything = whole and made_for.inside == asked.inside and not made_for.since
    if everything and (not made_for.pattern or made_for.pattern == asked.pattern):
        return None
    since = {"changed": created_at, "left": left_at, "step": created_at, "all": 0}[asked.which] * MS
    wanted = Wish(pattern=asked.pattern, since=since if not whole else 0, inside=asked.inside)
    return wanted if wanted != made_for else None


class WorkspaceTable:
    """All that is known of the files of one workspace. ``left_at``: when the reader left, 0 if they never did."""

    def __init__(
        self,
        listing: Listing,
        origin: Origin,
        history: FileHistory,
        left_at: int,
        now: int = 0,
    ) -> None:
        """``now``: when the listing was made here; clocks of another side may go otherwise."""
        self.listing = listing
        self._history = history
        self._authors: dict[tuple[str, int], Author | None] = {}
        ahead = listing.clock // MS - now if now else 0
        self._ahead = ahead if abs(ahead) > ALIKE_CLOCKS_MS else 0
        self.left_at = left_at
        self.created_at = history.created_at
        rows = [self._row(one, origin) for one in listing.found]
        gone = origin.files.keys() - {one.path for one in listing.found} if origin.whole and self._is_whole else ()
        rows += [Row(path, FILE, origin.files[path][0], 0, True, False, "removed") for path in sorted(gone)]
        self.rows = rows

    @property
    def _is_whole(self) -> bool:
        return self.listing.whole and not self.listing.more

    def _row(self, one: Found, origin: Origin) -> Row:
        changed = one.changed // MS - self._ahead
        before = origin.files.get(one.path)
        same = before is not None and before[0] == one.size and _same_time(before[1], one.modified, origin.seconds_only)
        since_start = one.kind != FOLDER and changed > self.created_at and not same
        note = "" if one.kind == FILE else "not open" if one.kind == FOLDER else one.kind
        if since_start and one.kind == FILE:
            # Where nothing is known of the beginning, a file tool may have said that there was none.
            edits = self._history.edits.get(one.path, ())
            new = before is None and (origin.whole or bool(edits and edits[0].before is None))
            note = "new" if new else "changed"
        return Row(one.path, one.kind, one.size, changed, since_start, bool(self.left_at) and since_start
                   and changed > self.left_at, note)  # fmt: skip

    def select(self, asked: Question) -> list[Row]:
        """The rows that answer: what changed newest first, all by their path."""
        kept = [row for row in self.rows if holds(row.path, asked.pattern)]
        match asked.which:
            case "all":
                return sorted((row for row in kept if row.note != "removed"), key=lambda row: row.path)
            case "left":
                kept = [row for row in kept if row.fresh]
            case "step":
                kept = [row for row in kept if row.since_start and self._is_of(row, asked.step)]
            case _:
                kept = [row for row in kept if row.since_start]
        return sorted(kept, key=lambda row: (-row.changed, row.path))

    def _is_of(self, row: Row, step: int | None) -> bool:
        author = self.author(row)
        known = author is not None and author.step == step
        return known or str(step) in {place.partition(".")[0] for place in self._history.steps_of(row.path)}

    def author(self, row: Row) -> Author | None:
        """Who changed it last; None: it is as it was, or nobody the log knows of."""
        if not row.since_start or not row.changed:
            return None
        key = (row.path, row.changed)
        if key not in self._authors:
            self._authors[key] = self._history.who_changed(*key)
        return self._authors[key]

    def say_author(self, row: Row) -> str:
        """``12.1 edit_file``; ``~12.1 run`` where only the time tells."""
        return say_author(self.author(row)) if row.since_start and row.changed else ""

    def count_fresh(self) -> int:
        """How many files changed since the reader left."""
        return sum(row.fresh for row in self.rows)


def _same_time(one: int, other: int, seconds_only: bool) -> bool:
    return one // SECOND == other // SECOND if seconds_only else one == other


def say_author(author: Author | None) -> str:
    """Who changed a file, in few words."""
    if author is None:
        return "unknown"
    sign = "" if author.sure else "~"
    match author.what:
        case "call":
            return f"{sign}{author.place} {author.name}"
        case "job":
            return f"{sign}{author.place} job {author.name}".replace("  ", " ")
        case _:
            return f"{sign}shell of {shown_name(author.name)}"


def file_rows(rows: Sequence[Row]) -> list[FileRow]:
    """The rows as the list shows them."""
    return [
        FileRow(row.path, row.note, row.size if row.is_file else None, row.changed or None, row.fresh) for row in rows
    ]


def author_of(table: WorkspaceTable) -> Callable[[FileRow], str]:
    """Who changed the file of a row of the list."""
    known = {row.path: row for row in table.rows}
    return lambda shown: table.say_author(known[shown.path]) if shown.path in known else ""


class Answer(msgspec.Struct, frozen=True):
    """The files that answer a question, by their path, and as the list shows them."""

    rows: dict[str, Row]
    shown: list[FileRow]
    author: Callable[[FileRow], str]

    @classmethod
    def of(cls, table: WorkspaceTable, asked: Question) -> Answer:
        """What ``table`` knows of what was ``asked``."""
        rows = table.select(asked)
        return cls({row.path: row for row in rows}, file_rows(rows), author_of(table))


def say_heading(table: WorkspaceTable, asked: Question, shown: int, now: int) -> str:
    """What is listed, and what is not."""
    listing = table.listing
    files = f"{shown:,} file{'s' * (shown != 1)}"
    match asked.which:
        case "changed":
            what = f"changed since the start: {files}"
        case "left" if not table.left_at:
            what = "you were never here before: nothing changed since you left"
        case "left":
            what = f"changed since you left {duration(max(0, now - table.left_at))} ago: {files}"
        case "step":
            what = f"changed by step {asked.step}: {files}"
        case _:
            what = f"all: {files}"
    if asked.pattern:
        what += f" with {asked.pattern}"
    if asked.which != "left" and (fresh := table.count_fresh()):
        what += f" · • {fresh:,} since you left"
    if listing.more:
        what += f" · {len(listing.found):,} of {len(listing.found) + listing.more:,}"
        what += " and more: type / to narrow" if not listing.whole else ": type / to narrow"
    elif not listing.whole:
        what += f" · not all was looked at ({listing.looked:,} names): type / to narrow"
    return what

"""A session's workspace for a person who looks: which files there are and who changed them, their texts and diffs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import time_ns
from typing import Final

import msgspec

from apollo_tui.backend.feed import Feed
from apollo_tui.state.file_looks import Look, Looks
from apollo_tui.state.workspace_table import MS, Origin, Question, Row, WorkspaceTable, wish_for
from sessions.containment import workspace_walk
from sessions.containment.workspace_view import CannotLook, WorkspaceView
from sessions.containment.workspace_walk import FILE, Listing, Wish
from sessions.fold.file_history import KINDS, Edit, FileHistory
from sessions.fold.undone_edits import CannotUndo, text_before
from sessions.log.reader import LogReader
from widgets.diff_text import diff_lines
from widgets.file_list import say_size
from widgets.models import Line
from widgets.sanitise import clean, clean_line
from widgets.syntax import language_of

MOST_SHOWN: Final = 2_000_000
"""Bytes of a file that are shown, and of one that is compared."""
MOST_PAGED: Final = 64_000_000
"""Bytes of a file that go to the pager."""
BINARY_LOOKED: Final = 8_192
BINARY_SHOWN: Final = 1_024
DIFF_LINES: Final = 20_000
MOST_TAKEN_BACK: Final = 500
"""Edits of one file that are taken back to find what it was."""


class FileText(msgspec.Struct, frozen=True):
    """What is shown of a file. ``lines`` are cleaned; ``about``: what of it this is, and what not; ``language``: whose
    colours they have, "" for none."""

    lines: Sequence[Line]
    about: str = ""
    language: str = ""


class WorkspaceFiles:
    """One session's workspace. ``left_at``: when the reader left (Unix ms, 0: never)."""

    def __init__(self, feed: Feed, session: str, left_at: int, looks: Looks) -> None:
        self._feed = feed
        self._session = session
        self._left_at = left_at
        self._looks = looks
        self._history: FileHistory | None = None
        self._listing: Listing | None = None
        self._listed_at = 0
        self._wish: Wish | None = None
        self._origin = Origin()
        self._view: WorkspaceView | None = None

    @property
    def view(self) -> WorkspaceView:
        """The workspace. Raises CannotLook until it has been read."""
        if self._view is None:
            raise CannotLook("the workspace has not been read yet")
        return self._view

    @property
    def history(self) -> FileHistory:
        """Who changed what. Raises CannotLook until it has been read."""
        if self._history is None:
            raise CannotLook("the workspace has not been read yet")
        return self._history

    async def read(
        self, asked: Question, *, anew: bool = False, go_on: Callable[[], bool] = lambda: True
    ) -> WorkspaceTable:
        """The files that answer ``asked``, walked only where what is known does not; ``anew``: in any case.

        Raises CannotLook.
        """
        history = self._history = await self._feed.work(
            partial(_read_history, session=self._session, known=self._history)
        )
        if history.created is None:
            raise CannotLook("the log does not say where it works")
        if self._view is None:
            self._view = WorkspaceView(history.created, self._feed.paths.session_folder(self._session))
        known = None if anew else self._listing
        wish = wish_for(asked, known, None if anew else self._wish, history.created_at, self._left_at)
        if wish is not None or self._listing is None:
            wish = wish or Wish()
            self._listing = await self._view.list(wish, go_on)
            self._listed_at, self._wish = time_ns() // MS, wish
            self._origin = await self._read_origin(wish, go_on)
        return await asyncio.to_thread(
            WorkspaceTable, self._listing, self._origin, history, self._left_at, self._listed_at
        )

    async def _read_origin(self, wish: Wish, go_on: Callable[[], bool]) -> Origin:
        created = self.history.created
        assert created is not None
        if created.in_place:
            return Origin(why_not="it works in the folder itself, of which there is no copy")
        if created.source_workspace is None:
            return Origin(whole=True)
        source = Path(created.source_workspace)
        try:
            everything = replace(wish, since=0)
            found = await asyncio.to_thread(workspace_walk.list_files, source, everything, go_on)
        except OSError:
            return Origin(why_not=f"the folder that it was copied from is gone ({source})")
        files = {one.path: (one.size, one.modified) for one in found.found if one.kind == FILE}
        elsewhere = self._view is not None and bool(self._view.elsewhere)
        return Origin(files, found.whole and not found.more, seconds_only=elsewhere)

    # --- one file ---------------------------------------------------------------------------------------------------

    async def open(self, row: Row, look: Look) -> FileText:
        """What is to be seen of a file. Raises CannotLook."""
        if row.kind == "link":
            leads = await self.view.link(row.path)
            return FileText(_words(f"a link to {leads}", "links are not followed"), "link")
        if not row.is_file:
            return FileText(_words(f"a {row.kind}: it is not opened"), row.kind)
        if row.note == "removed":
            before = await self._read_beginning(row.path)
            return await _diff(row.path, before, None, "removed; as it was at the beginning")
        head = await self.view.head(row.path, MOST_SHOWN)
        if look == "text":
            if head.size <= MOST_SHOWN:
                self._looks.note(self._session, row.path, head.data)
            return await asyncio.to_thread(_show_text, row.path, head.data, head.size)
        if head.size > MOST_SHOWN:
            raise CannotLook(f"{row.path} is too large to compare ({say_size(head.size)})")
        if look == "beginning":
            before = await self._read_beginning(row.path, head.data)
            return await _diff(row.path, before, head.data, "since the beginning")
        seen = self._looks.before(self._session, row.path, head.data)
        if seen is not None:
            return await _diff(row.path, seen, head.data, "since you looked at it last")
        before = await self._read_when_left(row, head.data)
        return await _diff(row.path, before, head.data, "since you left")

    async def page(self, row: Row) -> str:
        """The text of a file for a pager: harmless, and cut only where it is very long. Raises CannotLook."""
        if not row.is_file or row.note == "removed":
            raise CannotLook(f"{row.path} is {'removed' if row.is_file else f'a {row.kind}'}: there is nothing to page")
        head = await self.view.head(row.path, MOST_PAGED)
        text = await asyncio.to_thread(lambda: clean(head.data.decode(errors="replace")))
        cut = f"\n[the first {say_size(MOST_PAGED)} of {say_size(head.size)}]\n" if head.size > MOST_PAGED else ""
        return text + cut

    async def _read_beginning(self, path: str, now: bytes | None = None) -> bytes | None:
        """What the file held when the session began; None: it was not there. Raises CannotLook."""
        created, edits = self.history.created, self.history.edits.get(path, [])
        assert created is not None
        if created.source_workspace is not None and not created.in_place:
            try:
                head = await asyncio.to_thread(
                    workspace_walk.read_head, Path(created.source_workspace), path, MOST_SHOWN
                )
            except FileNotFoundError:
                if self._origin.whole:
                    return None
            except OSError as error:
                raise CannotLook(f"{path} {error.strerror} where it was copied from") from None
            else:
                if head.size > MOST_SHOWN:
                    raise CannotLook(f"{path} was too large at the beginning to compare ({say_size(head.size)})")
                first = edits[0].before if edits else None
                origin = self._origin.files.get(path)
                changed = origin is not None and origin[1] // MS > self.history.created_at
                if not changed or first == hashlib.sha256(head.data).hexdigest():
                    return head.data
        elif created.source_workspace is None and not created.in_place:
            return None
        if not edits:
            why = self._origin.why_not or "what it was copied from has changed since"
            raise CannotLook(f"what {path} was at the beginning is not known: {why}, and no file tool has changed it")
        return await self._take_back(path, now, edits)

    async def _read_when_left(self, row: Row, now: bytes) -> bytes | None:
        """What the file held when the reader left. Raises CannotLook."""
        if not self._left_at:
            raise CannotLook("you were never here before: d shows what changed since the beginning")
        if not row.fresh:
            return now
        edits = [one for one in self.history.edits.get(row.path, ()) if one.at > self._left_at]
        if not edits:
            raise CannotLook(
                f"a command has changed {row.path} since you left, and nobody kept what it was then: "
                "d shows what changed since the beginning"
            )
        return await self._take_back(row.path, now, edits)

    async def _take_back(self, path: str, now: bytes | None, edits: Sequence[Edit]) -> bytes | None:
        if len(edits) > MOST_TAKEN_BACK:
            raise CannotLook(f"{path} was edited {len(edits):,} times: too often to take it back")

        def ask(reader: LogReader) -> bytes | None:
            return text_before(now, edits, reader.text)

        try:
            return await self._feed.work(ask)
        except CannotUndo as problem:
            raise CannotLook(f"what {path} was then is not known: {problem}") from None


def _read_history(reader: LogReader, session: str, known: FileHistory | None) -> FileHistory:
    if known is None:
        summary = reader.summary(session)
        known = FileHistory(summary.tools if summary is not None else {})
    known.fold(reader.events(session, kinds=KINDS, after=known.upto))
    return known


def _show_text(path: str, data: bytes, size: int) -> FileText:
    if b"\0" in data[:BINARY_LOOKED]:
        return FileText(_hexdump(data[:BINARY_SHOWN]), f"binary, the first {min(size, BINARY_SHOWN):,} bytes")
    rows = clean(data.decode(errors="replace")).split("\n")
    if rows and not rows[-1]:
        rows.pop()
    about = f"{len(rows):,} line{'' if len(rows) == 1 else 's'}"
    if size > len(data):
        about = f"the first {say_size(len(data))} of {say_size(size)}; v opens more of it in $PAGER"
    language = language_of(path, rows[0] if rows else "")
    return FileText([((row, "text"),) for row in rows] or _words("(empty)"), about, language)


async def _diff(path: str, before: bytes | None, after: bytes | None, since: str) -> FileText:
    if before == after:
        return FileText(_words(f"nothing changed {since}"), f"diff {since}")
    if any(b"\0" in (one or b"")[:BINARY_LOOKED] for one in (before, after)):
        return FileText(_words("binary: its bytes are other ones"), f"diff {since}")

    def compare() -> FileText:
        from sessions.tools.edits import unified_diff  # the app starts without tools

        texts = [(one or b"").decode(errors="replace") for one in (before, after)]
        found = unified_diff(clean_line(path), *texts)
        about = f"diff {since}: +{found.added:,} −{found.removed:,}"
        return FileText(diff_lines(found.text, DIFF_LINES), about)

    return await asyncio.to_thread(compare)


def _words(*texts: str) -> list[Line]:
    return [((clean_line(text), "dim"),) for text in texts]


def _hexdump(data: bytes) -> list[Line]:
    lines: list[Line] = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        shown = "".join(chr(one) if 32 <= one < 127 else "·" for one in row)
        lines.append(((f"{at:06x}  ", "dim"), (f"{row.hex(' '):<48}  ", "text"), (shown, "dim")))
    return lines

"""The workspace of a session: its files, by what changed and who changed it; one of them, or what changed in it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import ClassVar, Final

import msgspec
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from apollo_tui import keys
from apollo_tui.acts.workspace_files import FileText, WorkspaceFiles
from apollo_tui.backend.feed import NotDone
from apollo_tui.context import AppContext, ToSession
from apollo_tui.screens.base import WIDTHS, ApolloScreen
from apollo_tui.screens.document_search import DocumentSearch
from apollo_tui.state.board import Change
from apollo_tui.state.file_looks import Look
from apollo_tui.state.workspace_table import (
    Answer,
    Question,
    Row,
    Which,
    WorkspaceTable,
    say_author,
    say_heading,
)
from apollo_tui.terminal.clipboard import copy_text
from apollo_tui.terminal.pager import page_text
from sessions.errors import ApolloError
from widgets import cells
from widgets.document import Document
from widgets.file_list import FileList, say_size
from widgets.glyphs import age
from widgets.sanitise import clean_line
from widgets.syntax import SyntaxColours

CHANGES: Final = frozenset({"action.result", "file.changed", "job.ended", "shell.closed"})
"""Kinds of events after which other files may be there."""
STEPS_NAMED: Final = 6
BAR: Final = 400
"""Characters of a bar."""


class WorkspaceScreen(ApolloScreen):
    """The files of a session's workspace. Where there is room the file under the cursor is shown beside the list."""

    place: ClassVar[keys.Place] = "workspace"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("workspace"))

    def __init__(self, context: AppContext, session: str) -> None:
        super().__init__(context)
        self._session = session
        self._files = WorkspaceFiles(context.feed, session, context.presence.left_at, context.looks)
        self._asked = Question()
        self._table: WorkspaceTable | None = None
        self._rows: dict[str, Row] = {}
        self._look: Look = "text"
        self._shown = ""
        """The path of the file that is shown."""
        self._walk = [True]
        """Whether the walk under way is to go on."""
        self._settled = False
        self._behind = False
        self._list = FileList(id="files")
        self._document = Document(id="file")
        self._finder = DocumentSearch(self, self._document)
        self._bar = Static("", id="files-bar", markup=False)
        self._file_bar = Static("", id="file-bar", markup=False)

    def compose_body(self) -> Iterable[Widget]:
        """The list, and the file beside it."""
        with Horizontal(id="body"):
            with Vertical(id="files-side"):
                yield self._bar
                yield self._list
            with Vertical(id="file-side"):
                yield self._file_bar
                yield self._document

    @property
    def session(self) -> str | None:
        """Whose workspace it is."""
        return self._session

    @property
    def opening(self) -> bool:
        """Until the files are listed, or there is a reason why not."""
        return super().opening or not self._settled

    def title_text(self) -> str:
        """The title names the session."""
        return f"{self.context.name(self._session)}  workspace"

    def on_mount(self) -> None:
        """Look what is there."""
        self.set_focus(self._list)
        self._read()

    def on_unmount(self) -> None:
        """Look no further."""
        self._walk[0] = False
        super().on_unmount()

    # --- the list ---------------------------------------------------------------------------------------------------

    def _read(self, *, anew: bool = False) -> None:
        self._walk[0] = False
        walk = self._walk = [True]
        if self._table is None:
            self._bar.update("looking what is there …")
        self.run_worker(self._read_now(self._asked, walk, anew=anew), group="list", exclusive=True)

    async def _read_now(self, asked: Question, walk: list[bool], *, anew: bool) -> None:
        try:
            table = await self._files.read(asked, anew=anew, go_on=lambda: walk[0])
            # Of ten thousands of files even this takes longer than a key may.
            answer = await asyncio.to_thread(lambda: Answer.of(table, asked))
        except (ApolloError, OSError) as problem:
            self._bar.update(clean_line(self.apollo.explain(problem), BAR))
            self.say(self.apollo.explain(problem), "error")
        else:
            self._table = table
            self._behind = self._behind and not anew
            self._show_list(answer, anew=anew)
        finally:
            self._settled = True

    def _show_list(self, answer: Answer, *, anew: bool) -> None:
        self._rows = answer.rows
        now = self.context.clock()
        empty = "no file" if self._asked.which == "all" else "no file changed yet"
        self._list.update(answer.shown, answer.author, now, empty)
        self._say_heading(now)
        here = self._list.highlighted
        if self._sees_file and self._shown and anew:
            self._open(self._shown)
        elif here is not None and self._is_roomy and (anew or here.path != self._shown):
            self._open(here.path)

    def _say_heading(self, now: int) -> None:
        if self._table is not None:
            said = say_heading(self._table, self._asked, self._list.row_count, now)
            later = " · more may have changed since: r reads again" if self._behind else ""
            place = self._files.view.place
            elsewhere = f"inside {self._files.view.elsewhere}: " if self._files.view.elsewhere else ""
            self._bar.update(f"{clean_line(said + later, BAR)}\n{clean_line(elsewhere + place, BAR)}")

    def take_change(self, change: Change) -> None:
        """Files may be others now: nothing moves under the cursor, but it is said."""
        super().take_change(change)
        if not self._behind and any(e.session == self._session and e.kind in CHANGES for e in change.events):
            self._behind = True
            if self.ready:
                self._say_heading(self.context.clock())

    def show(self, which: Which) -> None:
        """List these files."""
        step = self._asked.step
        if which == "step":
            row = self._row()
            author = self._table.author(row) if self._table is not None and row is not None else None
            if author is None or author.step is None:
                self.say("no step is known that changed this file", "warning")
                return
            step = author.step
        self._asked = msgspec.structs.replace(self._asked, which=which, step=step)
        self._back_to_list()
        self._read()

    def read_again(self) -> None:
        """Look again what is there, and what the file holds."""
        self._read(anew=True)

    def search(self) -> None:
        """In the list narrow it, in the file search it."""
        if self._sees_file:
            self._finder.ask()
            return
        from apollo_tui.screens.panels.prompt import LinePrompt

        def narrow(text: str | None) -> None:
            if text is not None:
                self._asked = msgspec.structs.replace(self._asked, pattern=text.strip())
                self._read()

        self.ask(LinePrompt("/", "part of a path; nothing: all", self._asked.pattern), narrow)

    def step_match(self, by: int) -> None:
        """The next line of the file with a match, or the one before."""
        self._finder.step(by)

    # --- the file ---------------------------------------------------------------------------------------------------

    def on_file_list_highlighted(self, message: FileList.Highlighted) -> None:
        """Show that one, where there is room."""
        if self._is_roomy:
            self._open(message.row.path)

    def on_file_list_opened(self, message: FileList.Opened) -> None:
        """Show that one; look into a folder that is left out by itself."""
        row = self._rows.get(message.row.path)
        if row is not None and row.kind == "folder":
            self._asked = msgspec.structs.replace(self._asked, which="all", inside=(*self._asked.inside, row.path))
            self._read(anew=True)
            return
        self.add_class("-file")
        self.set_focus(self._document)
        self._open(message.row.path)

    def _open(self, path: str) -> None:
        row = self._rows.get(path) or self._known(path)
        if row is not None:
            self.run_worker(self._open_now(row, self._look), group="file", exclusive=True)

    def _known(self, path: str) -> Row | None:
        return next((row for row in self._table.rows if row.path == path), None) if self._table is not None else None

    async def _open_now(self, row: Row, look: Look) -> None:
        try:
            found = await self._files.open(row, look)
        except (ApolloError, OSError) as problem:
            said = self.apollo.explain(problem)
            found = FileText([((clean_line(said, BAR), "need"),)])
        same = row.path == self._shown
        self._shown = row.path
        plain = [cells.text_of(line) for line in found.lines] if found.language else []
        dress = SyntaxColours(found.language, plain).line if found.language else None
        self._document.set_lines(found.lines, keep_place=same, dress=dress)
        self._file_bar.update(clean_line(self._about(row, found), BAR))

    def _about(self, row: Row, found: FileText) -> str:
        words = [row.path, say_size(row.size) if row.is_file else ""]
        if self._table is not None and row.since_start and row.changed:
            ago = age(max(0, self.context.clock() - row.changed))
            words.append(f"{ago} ago by {say_author(self._table.author(row))}".replace("now ago", "now"))
        steps = self._files.history.steps_of(row.path)
        if steps:
            more = f"{len(steps) - STEPS_NAMED} before, " if len(steps) > STEPS_NAMED else ""
            words.append(f"edited in {more}{', '.join(steps[-STEPS_NAMED:])}")
        return " · ".join(word for word in (*words, found.about) if word)

    def look_at(self, look: Look) -> None:
        """See this of the file, or the file itself again."""
        row = self._row()
        if row is None:
            self.say("there is no file here", "warning")
            return
        self._look = "text" if self._look == look and self._shown == row.path else look
        if not self._is_roomy and not self._sees_file:
            self.add_class("-file")
            self.set_focus(self._document)
        self._shown = ""
        self._open(row.path)

    def _row(self) -> Row | None:
        """The file that keys are about: the one that is read, else the one under the cursor."""
        if self._sees_file and self._shown:
            return self._rows.get(self._shown) or self._known(self._shown)
        here = self._list.highlighted
        return self._rows.get(here.path) if here is not None else None

    @property
    def _sees_file(self) -> bool:
        """Whether the file has the focus, and not the list."""
        return self.focused is self._document

    @property
    def _is_roomy(self) -> bool:
        """Whether both have room side by side."""
        return self.app.size.width >= WIDTHS[1][0]

    # --- moving -----------------------------------------------------------------------------------------------------

    def step_pane(self, by: int) -> None:
        """The list, or the file."""
        if self._sees_file:
            self._back_to_list()
        elif (here := self._list.highlighted) is not None:
            self._list.post_message(FileList.Opened(here))

    def _back_to_list(self) -> None:
        self.remove_class("-file")
        self.set_focus(self._list)

    def go_back(self) -> None:
        """From the file to the list, from there to where one came from."""
        if self._sees_file:
            self._back_to_list()
        else:
            self.app.pop_screen()

    def leave(self) -> None:
        """Leave this view."""
        self.app.pop_screen()

    def go_to_author(self) -> None:
        """The action that changed the file last, in its transcript."""
        row = self._row()
        author = self._table.author(row) if self._table is not None and row is not None else None
        if author is None:
            self.say("the log does not know who changed this file", "warning")
        else:
            self.apollo.open(ToSession(self._session, author.seq))

    # --- taking along -----------------------------------------------------------------------------------------------

    def copy_path(self) -> None:
        """Copy the whole path, and say where the copy went."""
        row = self._row()
        if row is None:
            self.say("there is no file here", "warning")
            return
        path = self._files.view.path_of(row.path)

        async def copy() -> str:
            folder = self.context.feed.paths.folder
            # A file may be called what no clipboard and no terminal should be told.
            shown = clean_line(path, BAR * 10)
            said = await asyncio.to_thread(copy_text, shown, folder, self.apollo.copy_from_thread)
            return f"{shown}: {said}" + ("" if shown == path else " (its name has signs that are not shown)")

        self.act(copy())

    def page_file(self) -> None:
        """Open the file in the pager."""
        row = self._row()

        async def page() -> str:
            if row is None:
                raise NotDone("there is no file here")
            text = await self._files.page(row)
            with self.apollo.suspend():
                return page_text(text, _harmless_name(row.path))

        self.act(page())

    def open_shell(self) -> None:
        """A shell in the workspace."""
        from apollo_tui.acts.workspace_shell import open_shell

        created = self._files.history.created if self._table is not None else None

        async def run() -> str:
            if created is None:
                raise NotDone("there is no workspace to open a shell in")
            context = self.context
            try:
                return await open_shell(
                    context.feed, self._session, created, context.name(self._session), self.apollo.suspend
                )
            finally:
                self.read_again()

        self.act(run(), opens=True)


def _harmless_name(path: str) -> str:
    """How a copy of the file is called: a pager may look at the ending, and no name of an agent's is an option."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", path.rpartition("/")[2])[-60:].lstrip("-.") or "file"

"""The keys that find and take along: search all sessions, copy, pager, editor, export."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from apollo_tui.context import ToExport, View
from apollo_tui.terminal.clipboard import copy_text, copy_to_file
from apollo_tui.terminal.pager import edit_text, page_text


def find(view: View) -> None:
    """Search all sessions."""
    from apollo_tui.screens.panels.prompt import LinePrompt

    searches = view.context.searches

    def take(text: str | None) -> None:
        if text and text.strip():
            find_everywhere(view, text)

    hint = 'words, "a phrase", tool:run label:impatience state:paused session:3'
    view.ask(LinePrompt("find", hint, searches[-1] if searches else ""), take)


def find_everywhere(view: View, text: str) -> None:
    """Search all sessions for ``text``, and show what was found."""
    from apollo_tui.screens.panels.search_results import search_sessions

    view.act(search_sessions(view, text), opens=True)


def copy(view: View) -> None:
    """Copy what is selected, and say where the copy went."""
    found = view.subject()
    if found is not None:
        view.act(_copy(view, found[0], found[1].seq))


async def _copy(view: View, session: str, seq: int) -> str:
    text = await _text_of(view, session, seq)
    return await asyncio.to_thread(copy_text, text, view.context.feed.paths.folder, view.apollo.copy_from_thread)


def copy_selected_to_file(view: View) -> None:
    """Copy what is selected to a file."""

    async def copy_it(session: str, seq: int) -> str:
        text = await _text_of(view, session, seq)
        return await asyncio.to_thread(copy_to_file, text, view.context.feed.paths.folder)

    found = view.subject()
    if found is None:
        view.say("select an action first", "error")
    else:
        view.act(copy_it(found[0], found[1].seq))


def open_pager(view: View) -> None:
    """Open what is selected in $PAGER."""
    found = view.subject()
    if found is not None:
        view.act(_open_outside(view, found[0], found[1].seq, page_text))


def open_editor(view: View) -> None:
    """Open what is selected in $EDITOR."""
    found = view.subject()
    if found is None:
        view.say("select an action first", "error")
    else:
        view.act(_open_outside(view, found[0], found[1].seq, edit_text))


async def _open_outside(view: View, session: str, seq: int, program: Callable[[str, str], str]) -> str:
    text = await _text_of(view, session, seq)
    with view.apollo.suspend():
        return program(text, "action.txt")


async def _text_of(view: View, session: str, seq: int) -> str:
    from apollo_tui.state.action_layout import read_entry_text  # the app starts without it

    return await read_entry_text(view.context.feed, view.context.labels, session, seq)


def open_export(view: View) -> None:
    """Turn sessions into training data."""
    view.apollo.open(ToExport(view.session))

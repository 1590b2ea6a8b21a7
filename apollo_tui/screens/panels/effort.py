"""``:effort``: what supervision cost. It is on this machine only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from apollo_tui.context import View
from apollo_tui.screens.panels.base import ChoicePanel
from sessions.fold.effort import KINDS, Effort, effort_of, sum_effort
from sessions.log.reader import LogReader
from sessions.terminal_text import say_count
from widgets import cells
from widgets.glyphs import duration
from widgets.models import Choice
from widgets.sanitise import clean_line

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen

NAME: Final = 24
"""Cells of the column of names."""


def show_effort(screen: ApolloScreen) -> None:
    """Read it and show it; enter on a session goes there."""
    screen.act(_show(screen), opens=True)


async def _show(screen: ApolloScreen) -> str:
    context = screen.context
    sessions = sorted(context.state.sessions, key=lambda session: context.state.sessions[session].summary.number)

    def ask(reader: LogReader) -> dict[str, dict[str, Effort]]:
        return {session: effort_of(reader.events(session, kinds=KINDS)) for session in sessions}

    spent = await context.feed.work(ask)
    whole = sum_effort(one for by in spent.values() for one in by.values())
    rows = [
        Choice(session, f"{cells.pad(clean_line(context.name(session)), NAME)} {effort_line(sum_effort(by.values()))}")
        for session, by in spent.items()
    ]
    rate = whole.minutes_per_flag
    each = f", {rate:.1f} min per flag" if rate is not None else ""
    lines = [f"all: {effort_line(whole)}{each}", labels_line(whole, context.labels.name)]
    title = "what supervision cost; it stays on this machine"
    footer = "enter goes there · esc closes · active time ends a minute after a key"

    def take(session: str | None) -> None:
        if session is not None and isinstance(screen, View):
            screen.show_entry(session, context.state.sessions[session].summary.last_seq)

    screen.app.push_screen(ChoicePanel(title, rows, footer, [line for line in lines if line]), take)
    return ""


def effort_line(spent: Effort) -> str:
    """One effort in a line."""
    counts = [say_count(spent.keys, "key"), f"{spent.advice:,} advice", say_count(spent.flags, "flag")]
    return ", ".join([f"{duration(spent.active_ms)} active", *counts])


def labels_line(spent: Effort, name: Callable[[str], str]) -> str:
    """The labels in a line, the most frequent first; "" without any."""
    counts: Sequence[tuple[str, int]] = spent.labels.most_common(8)
    return "labels: " + ", ".join(f"{name(label)} {count}" for label, count in counts) if counts else ""

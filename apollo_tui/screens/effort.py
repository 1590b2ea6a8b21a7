"""``:effort``: what supervision cost. It is on this machine only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from apollo_tui.screens.panel import ChoicePanel
from sessions.fold.effort import KINDS, Effort, effort_of, together
from sessions.log.reader import LogReader
from widgets.glyphs import duration
from widgets.views import Choice

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen


def show_effort(screen: ApolloScreen) -> None:
    """Read it and show it; enter on a session goes there."""
    screen.act(_show(screen))


async def _show(screen: ApolloScreen) -> str:
    desk = screen.desk
    sessions = sorted(desk.state.sessions, key=lambda session: desk.state.sessions[session].summary.number)

    def ask(reader: LogReader) -> dict[str, dict[str, Effort]]:
        return {session: effort_of(reader.events(session, kinds=KINDS)) for session in sessions}

    spent = await desk.feed.work(ask)
    whole = together(one for by in spent.values() for one in by.values())
    rows = [
        Choice(session, f"{desk.steering.name(session):<24} {said(together(by.values()))}")
        for session, by in spent.items()
    ]
    rate = whole.minutes_per_flag
    each = f", {rate:.1f} min per flag" if rate is not None else ""
    lines = [f"all: {said(whole)}{each}", labels(whole, desk.labels.name)]
    title = "what supervision cost; it stays on this machine"
    footer = "active time ends a minute after a key · enter goes there · esc closes"

    def chosen(session: str | None) -> None:
        from apollo_tui.screens.judge_verbs import JudgeVerbs

        if session is not None and isinstance(screen, JudgeVerbs):
            screen.show_entry(session, desk.state.sessions[session].summary.last_seq)

    screen.app.push_screen(ChoicePanel(title, rows, footer, [line for line in lines if line]), chosen)
    return ""


def said(spent: Effort) -> str:
    """One effort in a line."""
    parts = [f"{duration(spent.active_ms)} active", f"{spent.keys:,} keys", f"{spent.advice} advice"]
    parts.append(f"{spent.flags} flags")
    return ", ".join(parts)


def labels(spent: Effort, name: Callable[[str], str]) -> str:
    """The labels in a line, the most frequent first; "" without any."""
    counts: Sequence[tuple[str, int]] = spent.labels.most_common(8)
    return "labels: " + ", ".join(f"{name(label)} {count}" for label, count in counts) if counts else ""

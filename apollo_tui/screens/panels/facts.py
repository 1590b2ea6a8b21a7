"""``:facts``: the facts of a session where there is no room for them at its side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from apollo_tui.acts import error_hints
from apollo_tui.context import AppContext
from apollo_tui.screens.looks import keep_looking
from apollo_tui.screens.panels.base import BESIDE, FRAME, WIDEST, Modal, line
from apollo_tui.state.session_facts import facts_of
from apollo_tui.state.transcript_pages import job_lines
from sessions import events as ev
from widgets.document import Document
from widgets.facts import facts_lines
from widgets.models import FactsView, Line

if TYPE_CHECKING:
    from apollo_tui.context import Apollo
    from apollo_tui.screens.base import ApolloScreen


MARGIN: Final = 2
"""Cells of a document that its lines do not reach."""


LOOK_S: Final = 1.0
"""Between two looks at whether something of it has changed."""


class FactsScreen(Modal[None]):
    """What is known of a session now: what changes is seen within a second."""

    AUTO_FOCUS = "Document"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+g,q", "back", show=False, id="back")]

    def __init__(self, context: AppContext, session: str, view: FactsView) -> None:
        super().__init__()
        self._known = context
        self._session = session
        self._view = view
        self._lines: list[Line] = []

    def compose(self) -> ComposeResult:
        """Facts and keys."""
        with Vertical(id="panel"):
            yield Document(id="facts-text")
            yield line("down, space: further · esc closes", "panel-footer")

    def on_mount(self) -> None:
        """Look again, until it is closed."""
        self.run_worker(keep_looking(cast("Apollo", self.app), self._read, LOOK_S), group="facts")

    def on_resize(self) -> None:
        """Bars and plots follow the width."""
        self._lay_out()

    async def _read(self) -> None:
        self._view = await read_facts(self._known, self._session)
        self._lay_out()

    def _lay_out(self) -> None:
        """It is as high as the facts need, within the screen."""
        width = min(WIDEST, self.app.size.width * 9 // 10) - BESIDE
        lines = facts_lines(self._view, width - MARGIN)
        height = max(1, min(len(lines), self.app.size.height - FRAME + 2))
        document = self.query_one(Document)
        if lines == self._lines and document.styles.height is not None and document.styles.height.value == height:
            return
        self._lines = lines
        document.styles.height = height
        document.set_lines(lines, keep_place=True)

    def action_back(self) -> None:
        """Close."""
        self.dismiss(None)


def show_facts(screen: ApolloScreen) -> None:
    """Read what is known, and show it."""
    if screen.session:
        screen.act(_show(screen, screen.session), opens=True)


async def _show(screen: ApolloScreen, session: str) -> str:
    view = await read_facts(screen.context, session)
    if not screen.typing and screen.app.screen is screen:
        screen.app.push_screen(FactsScreen(screen.context, session, view))
    return ""


async def read_facts(context: AppContext, session: str) -> FactsView:
    """What is known of the session now."""
    index = await context.feed.work(partial(context.indexes.read, session=session))
    held = context.state.sessions[session]
    now = context.clock()
    jobs = [job.job for job in held.summary.open_jobs]
    lines = await context.feed.work(partial(job_lines, session=session, jobs=jobs))
    return facts_of(
        held.summary,
        error_hints.with_ways(held.summary, context.state.view(session, now), context.config.keys),
        dict(index.files),
        now,
        remarks=held.remarks,
        jobs=lines | context.job_lines.of(session),
        ended=[event.body for event in index.sparse if isinstance(event.body, ev.JobEnded)],
        below=context.state.below(session),
        children=[context.state.view(child, now) for child in context.state.families.children(session)],
    )

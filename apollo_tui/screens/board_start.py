"""What stands on the board while it has no session: ways to a first one, each by its key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from apollo_tui.backend.feed import NotDone
from apollo_tui.context import ToNewSession
from apollo_tui.state.first_steps import ARCHIVED, Surroundings, first_steps
from widgets.picker import ChoiceList

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen

WELCOME: Final = (
    "Apollo supervises agents that work for hours: you watch them, say a sentence when one of them drifts, flag what "
    "must not be learnt, and take what they did as training data."
)
FILES: Final = "files, folders or patterns, e.g. ~/.claude/projects"


class BoardStart(Vertical):
    """A greeting and the choices. What cannot work says why."""

    def __init__(self, board: ApolloScreen) -> None:
        super().__init__(id="start")
        self._board = board
        self._here: Surroundings | None = None
        self.listing = ChoiceList(id="first-steps")

    def compose(self) -> ComposeResult:
        """Greeting, choices."""
        yield Static("no session yet", classes="panel-title", markup=False)
        yield Static(WELCOME, id="welcome", markup=False)
        yield self.listing

    def on_mount(self) -> None:
        """Keys go to the choices."""
        self.look()
        self._board.set_focus(self.listing)
        self.run_worker(self._look_around())

    async def _look_around(self) -> None:
        from apollo_tui.acts.first_steps import look_around

        self._here = await asyncio.to_thread(look_around, self._board.context.config)
        self.look()

    def look(self) -> None:
        """Offer what can be begun now."""
        state = self._board.context.state
        archived = len(state.sessions) - len(state.order())
        here = self._here or Surroundings(guide=False)
        now = msgspec.structs.replace(here, writable=state.writable, trouble=state.trouble, archived=archived)
        if (choices := tuple(first_steps(now))) != self.listing.choices:
            self.listing.update(choices)

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Begin."""
        message.stop()
        board = self._board
        match message.choice.id:
            case "demo":
                from apollo_tui.acts.first_steps import begin_demo

                board.say("creating five sessions …")
                board.act(begin_demo(board.context.feed))
            case "new":
                board.apollo.press("new")
            case "import":
                self._ask_files()
            case "agent":
                self._connect()
            case "guide":
                from apollo_tui.screens.panels.guide import show_guide

                show_guide(board)
            case str(choice) if choice == ARCHIVED:
                board.context.state.show_archived = True
                board.on_screen_resume()

    def _ask_files(self) -> None:
        from apollo_tui.screens.key_acts.imports import import_named
        from apollo_tui.screens.panels.prompt import LinePrompt

        def take(text: str | None) -> None:
            if not text:
                return
            try:
                import_named(self._board, text.split())
            except NotDone as problem:
                self._board.say(self._board.apollo.explain(problem), "error")

        self._board.ask(LinePrompt("import", FILES), take)

    def _connect(self) -> None:
        from apollo_tui.acts.new_session import Form
        from apollo_tui.screens.panels.connect import ConnectPanel

        context = self._board.context

        def take(agent: str | None) -> None:
            if agent:
                context.form = Form("", next(iter(context.config.profiles), ""), agent)
                self._board.apollo.open(ToNewSession())

        agents = self._here.agents if self._here is not None else ()
        self._board.ask(ConnectPanel(agents, context.feed.paths), take)

"""The composition root: it wires the feed to the state, and the state to the screen on top. Nothing else lives here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.console import RenderableType
from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from apollo_tui import context, keys
from apollo_tui.acts import error_hints
from apollo_tui.acts.annotator_time import RETURN_MS
from apollo_tui.acts.leave_check import last_words
from apollo_tui.backend.feed import ClientsChanged, DeltasArrived, EventsArrived, Feed, LinkChanged, Loaded, NotDone
from apollo_tui.context import Desk
from apollo_tui.key_dispatch import Presser
from apollo_tui.screens.base import WIDTHS, ApolloScreen
from apollo_tui.screens.board import BoardScreen
from apollo_tui.state.board import Change
from apollo_tui.state.transcript_pages import read_seed
from apollo_tui.terminal import gc_tuning
from apollo_tui.terminal.alerts import Alerts
from apollo_tui.terminal.line_speed import LineSpeed
from apollo_tui.terminal.private_files import write_crash_report
from apollo_tui.terminal.screen_diff import ScreenDiff
from apollo_tui.terminal.shell_command import way_back
from apollo_tui.terminal.textual_private import HookedApp
from sessions.clock import now_ms
from sessions.config import Config
from sessions.errors import ApolloError
from sessions.events.states import ACTIVE
from sessions.fold.summary import Summary
from sessions.labels import Taxonomy, load_labels
from widgets.chrome import Level

if TYPE_CHECKING:
    from apollo_tui.screens.ports import Opens, Trail


class Opening:
    """What ``apollo.Opens`` says, for one app. A view is there when the call returns: the next key is meant for it."""

    def __init__(self, app: App[Any], desk: Desk) -> None:
        self._app = app
        self._desk = desk

    def session(
        self,
        session: str,
        seq: int | None = None,
        *,
        trail: Trail | None = None,
        came_from: Sequence[tuple[str, int]] = (),
        instead: bool = False,
    ) -> None:
        """A transcript."""
        from apollo_tui.screens.session import SessionScreen

        screen = SessionScreen(self._desk, session, seq, came_from=came_from, trail=trail)
        if instead:
            self._app.switch_screen(screen)
        else:
            self._app.push_screen(screen)

    def action(self, session: str, seq: int) -> None:
        """One entry, whole."""
        from apollo_tui.screens.action import ActionScreen

        self._app.push_screen(ActionScreen(self._desk, session, seq))

    def review(self) -> None:
        """The queue."""
        from apollo_tui.screens.review import ReviewScreen

        self._app.push_screen(ReviewScreen(self._desk))

    def new_session(self) -> None:
        """The form of a new session."""
        from apollo_tui.screens.new_session import NewSessionScreen

        self._app.push_screen(NewSessionScreen(self._desk))

    def export(self, session: str | None) -> None:
        """Sessions to training data."""
        from apollo_tui.screens.export import ExportScreen

        self._app.push_screen(ExportScreen(self._desk, session))

    def commands(self) -> None:
        """The command line, over a view only."""
        from apollo_tui.commands import ask_command

        if isinstance(self._app.screen, ApolloScreen):
            ask_command(self._app.screen)


LEAVE_S: Final = 1.0
"""So long leaving waits for the log to hear what was read."""

SETTLED_S: Final = 5.0
"""Without a log to read, the app has started after so long."""
ALERT_MS: Final = 1_000

TICK_S: Final = 0.1
"""Nothing is painted more often than this, however much arrives; keys paint at once."""


class ApolloApp(HookedApp, inherit_bindings=False):
    """The annotator's app. ``crash`` and ``last_words`` are for the terminal after it has ended."""

    TITLE = "Apollo"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = WIDTHS
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "how_to_leave", show=False)]

    def __init__(
        self,
        feed: Feed,
        config: Config | None = None,
        labels: Taxonomy | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        super().__init__()
        self.desk = Desk.of(feed, config or Config(path=Path()), labels or load_labels(), clock)
        self.crash = ""
        self.last_words = ""
        self._leaving = False
        self._acts = asyncio.Lock()
        self._terminal = ScreenDiff()
        self.line_speed = LineSpeed(_terminal_fd(), self.desk.config.ui.slow_link)
        self._minute = 0
        self.open: Opens = Opening(self, self.desk)
        self._presser = Presser(self)
        self._alerts = Alerts(self.desk.config.ui.alerts, os.environ)
        self._alerted = 0

    async def on_load(self) -> None:
        """Begin to read before anything is shown: the first paint has the sessions in it."""
        await self.desk.feed.start(self._hear)

    def on_mount(self) -> None:
        """Set the looks."""
        config = self.desk.config
        problems = keys.clashes(config.keys)
        if not problems:
            self.set_keymap(config.keys)
        self.theme = config.ui.theme if config.ui.theme in self.available_themes else "textual-dark"
        for problem in problems[:1]:
            self.say(f"config, keys: {problem}; the default keys are used", "error")
        self.set_interval(TICK_S, self._tick)
        self.set_timer(SETTLED_S, gc_tuning.settle)
        self.write_bytes(self._alerts.begin())

    def get_default_screen(self) -> Screen[None]:
        """The board is home: nothing lies under it."""
        return BoardScreen(self.desk)

    def _hear(self, message: Message) -> None:
        """What the feed says, in its order. What the log holds is taken in at once, for the first paint."""
        if isinstance(message, Loaded):
            self.desk.state.load(message.summaries, message.position)
        self.post_message(message)

    async def on_unmount(self) -> None:
        """Hang up; sessions go on."""
        self.write_bytes(self._alerts.end())
        await self.desk.feed.close()

    # --- what the feed says -----------------------------------------------------------------------------------------

    async def on_loaded(self, message: Loaded) -> None:
        """The log was read: show what is there, then fill the panes, the newest session first."""
        state = self.desk.state
        self._show(Change(sessions=set(state.sessions), new=state.order()))
        self._tick()
        newest_first = sorted(message.summaries, key=lambda s: s.last_id, reverse=True)
        self.screen.call_after_refresh(lambda: self.run_worker(self._seed(newest_first), group="seed"))

    async def _seed(self, summaries: list[Summary]) -> None:
        for summary in summaries:
            session = summary.session
            seed = await self.desk.feed.read(partial(read_seed, session=session, actor=self.desk.actor))
            self.desk.state.seed(session, seed.window, seed.flags, seed.read, seed.unread)
            self._show(Change(sessions={session}, entries={session: set()}))
        gc_tuning.settle()
        self.run_worker(self.desk.counting.run(lambda: self._show(Change())), group="count", exclusive=True)
        from apollo_tui.screens.panels.since_you_left import greet

        await greet(self)

    def on_events_arrived(self, message: EventsArrived) -> None:
        """New events: fold them, and tell the screen what changed."""
        self.desk.counting.note(message.events)
        self._show(self.desk.state.apply(message.events))

    def on_deltas_arrived(self, message: DeltasArrived) -> None:
        """Pieces of streaming replies."""
        sessions = {frame.session for frame in message.frames if self.desk.state.frame(frame)}
        screen = self.view
        if screen is not None and screen.ready and sessions:
            screen.streamed(sessions)

    def on_clients_changed(self, message: ClientsChanged) -> None:
        """Somebody came or went."""
        self.desk.state.clients = message.clients
        self._show(Change())

    def on_link_changed(self, message: LinkChanged) -> None:
        """The host came or went; the header says so, drafts and reading are not touched."""
        state = self.desk.state
        state.writable = message.state == "up"
        before, state.trouble = state.trouble, error_hints.said_of_link(message, self.desk.config.keys)
        if state.trouble not in ("", before):
            # The first line may have no room for all of it, and its end says what helps.
            self.say(state.trouble, "warning")
        elif before and not state.trouble:
            self.say("connected again")
        self.desk.presence.link_is_new()
        self._show(Change())

    # --- screens ----------------------------------------------------------------------------------------------------

    @property
    def view(self) -> ApolloScreen | None:
        """The topmost screen that is no panel: what the annotator looks at."""
        return next((one for one in reversed(self.screen_stack) if isinstance(one, ApolloScreen)), None)

    @property
    def at_rest(self) -> bool:
        """Whether a view is on top and nobody types: only then may a panel open."""
        return self.view is self.screen and self.view is not None and not self.view.typing

    def _show(self, change: Change) -> None:
        view = self.view
        if view is not None and view.ready:
            view.changed(change)

    def _hang_up(self) -> None:
        """The terminal is gone and no signal said so: who started us may have had it ignored. End as it would."""
        if self.view is not None:
            self.view.keep_draft()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGHUP)

    def _tick(self) -> None:
        now = self.desk.clock()
        if self.line_speed.hung_up:
            self._hang_up()
        screen = self.view
        if screen is None or not screen.ready:
            return
        if now // 60_000 != self._minute:
            self._minute = now // 60_000
            screen.changed(Change(sessions=set(self.desk.state.sessions)))
        slow = self.line_speed.slow
        if self.line_speed.look():
            # A full line gets nothing more: what is painted later is newer.
            screen.tick(now)
        if self.line_speed.slow and not slow:
            self.say(
                "the line is slow: the board shows one line per session; `:slow off` brings the panes back", "warning"
            )
            self._show(Change(sessions=set(self.desk.state.sessions)))
        self._look_out(now)
        self.desk.effort.look(screen.session, now)
        for told in context.due(self.desk, now):
            self.run_worker(told, group="telling")

    def _look_out(self, now: int) -> None:
        """Once a second: the bell and the title, and the host hears whether somebody is here."""
        if now - self._alerted < ALERT_MS or not self.desk.state.position:
            return
        self._alerted = now
        state, presence = self.desk.state, self.desk.presence
        names = {session: self.desk.steering.name(session) for session in state.sessions}
        self.write_bytes(self._alerts.update(state.signals_by_session(now), now, presence.key_at, names))
        idle = presence.due(now) if state.writable else None
        if idle is not None:
            self.run_worker(self.desk.feed.active(idle), group="presence")

    # --- acts ---------------------------------------------------------------------------------------------------------

    def say(self, text: str, level: Level = "info") -> None:
        """One line for the annotator; it never takes the focus."""
        if self.view is not None:
            self.view.say(text, level)

    def told(self, problem: Exception) -> str:
        """What went wrong, and which key helps."""
        return error_hints.told(problem, self.desk.config.keys)

    def act(self, deed: Coroutine[Any, Any, str]) -> None:
        """Do something that needs the host or the log, after what was asked before, and say how it went."""
        self.run_worker(self._act(deed), group="acts")

    async def _act(self, deed: Coroutine[Any, Any, str]) -> None:
        async with self._acts:
            try:
                receipt = await deed
            except (NotDone, ApolloError, OSError) as problem:
                self.say(self.told(problem), "error")
            else:
                if receipt:
                    self.say(receipt, "done")

    def leave(self) -> None:
        """Leave; sessions go on. Said again while it leaves, it changes nothing."""
        if not self._leaving:
            self._leaving = True
            self.run_worker(self._leave(), group="leave")

    async def _leave(self) -> None:
        state = self.desk.state
        live = sum(now.summary.state in ACTIVE for now in state.sessions.values())
        back = way_back(self.desk.feed.paths.log)
        self.last_words = last_words(live, back, host=state.writable)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await asyncio.gather(*context.due(self.desk, self.desk.clock(), all_of_it=True))
        self.exit()

    def action_how_to_leave(self) -> None:
        """Ctrl+c kills nothing: it says how to leave."""
        self.say("q leaves; on the board it leaves the app, and sessions go on")

    async def on_event(self, event: events.Event) -> None:
        """Note when a key was last pressed: reading counts only near one. After a long time without, it is a return."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            if self._leaving:
                return  # a screen opened now would never get its widgets
            now = self.desk.clock()
            self.desk.state.read_marks.key(now)
            self.desk.effort.key(now)
            away = self.desk.presence.key(now)
            if away >= RETURN_MS and self.desk.state.sessions:
                asleep = self.at_rest or hasattr(self.screen, "give_way")
                from apollo_tui.screens.panels.since_you_left import come_back

                self.run_worker(come_back(self, now - away), group="return", exclusive=True)
                if asleep:
                    return  # the key only woke the screen
            if await self._presser.acted(event):
                return
        if isinstance(event, events.Paste) and not event.is_forwarded:
            await self._presser.ready_for("paste")
            from apollo_tui.key_dispatch import took

            if took(self, event):
                return
        await super().on_event(event)

    def write_update(self, update: RenderableType | None, write: Callable[[RenderableType | None], None]) -> None:
        """Write only what differs from what stands in the terminal."""
        before = self._terminal.written
        write(self._terminal.diff(update))
        self.line_speed.count(self._terminal.written - before, self.desk.clock())

    def on_crash(self, error: Exception) -> None:
        """Keep a line and a report of an unhandled exception, instead of a traceback in the terminal."""
        if not self.crash:
            path = write_crash_report(error, self.desk.paths.folder)
            self.crash = f"{type(error).__name__} in the app; sessions go on, drafts are kept; the report is {path}"


def _terminal_fd() -> int | None:
    """Where Textual writes, None if that is no terminal."""
    return sys.__stderr__.fileno() if sys.__stderr__ is not None and sys.__stderr__.isatty() else None

"""The composition root: it wires the feed to the state, and the state to the screen on top. Nothing else lives here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Collection, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from rich.console import RenderableType
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from apollo_tui import keys
from apollo_tui.acts import error_hints
from apollo_tui.acts.annotator_time import RETURN_MS
from apollo_tui.acts.leave_check import exit_message
from apollo_tui.backend.feed import ClientsChanged, DeltasArrived, EventsArrived, Feed, LinkChanged, Loaded, NotDone
from apollo_tui.backend.job_lines import JobKey, JobLinesRead
from apollo_tui.context import (
    AppContext,
    Destination,
    GivesWay,
    ToAction,
    ToChoices,
    ToCommands,
    ToCompare,
    ToExport,
    ToNewSession,
    ToOutput,
    ToReview,
    ToSession,
    ToWorkspace,
    View,
    due_reports,
)
from apollo_tui.key_dispatch import KeyPresser, can_press, press
from apollo_tui.key_queue import KeyQueue
from apollo_tui.screens.base import WIDTHS, ApolloScreen
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.looks import look_once
from apollo_tui.state.board import Change
from apollo_tui.terminal import gc_tuning
from apollo_tui.terminal.alerts import Alerts
from apollo_tui.terminal.crash_report import write_crash_report
from apollo_tui.terminal.line_speed import LineSpeed
from apollo_tui.terminal.restoration import BorrowedTerminal
from apollo_tui.terminal.screen_diff import ScreenDiff
from apollo_tui.terminal.shell_command import way_back
from apollo_tui.terminal.textual_private import HookedApp
from sessions.clock import now_ms
from sessions.config import Config
from sessions.errors import ApolloError
from sessions.events.states import ACTIVE
from sessions.labels import Taxonomy, load_labels
from widgets.chrome import Level
from widgets.paint import is_field
from widgets.wall import TICK_MS

LEAVE_S: Final = 1.0
"""So long leaving waits for the log to hear what was read."""

SETTLED_S: Final = 5.0
"""Without a log to read, the app has started after so long."""
ALERT_MS: Final = 1_000

LOOK_AGAIN_S: Final = 0.005
"""While something opens, the keys that wait for it are looked at this often."""


class KeysDue(Message):
    """Keys wait to be pressed."""


class ApolloApp(HookedApp, inherit_bindings=False):
    """The annotator's app. ``crash`` and ``exit_message`` are for the terminal after it has ended."""

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
        borrowed: BorrowedTerminal | None = None,
    ) -> None:
        super().__init__()
        self._borrowed = borrowed or BorrowedTerminal()
        self.context = AppContext.of(feed, config or Config(path=Path()), labels or load_labels(), clock)
        self.crash = ""
        self.exit_message = ""
        self._leaving = False
        self._acts = asyncio.Lock()
        self._terminal = ScreenDiff()
        self.line_speed = LineSpeed(_terminal_fd(), self.context.config.ui.slow_link)
        self._minute = 0
        self._opening_acts = 0
        self._presser = KeyPresser(self, self.context, self.say, lambda: self._opening_acts > 0)
        self._key_queue = KeyQueue(self.context.config.keys, self._focused_field, self._key_context, self._tell_soon)
        self._keys_told = False
        self._alerts = Alerts(self.context.config.ui.alerts, os.environ)
        self._alerted = 0

    async def on_load(self) -> None:
        """Begin to read before anything is shown: the first paint has the sessions in it."""
        await self.context.feed.start(self._take_in)

    def on_mount(self) -> None:
        """Set the looks."""
        config = self.context.config
        problems = keys.clashes(config.keys)
        if not problems:
            self.set_keymap(config.keys)
        self.theme = config.ui.theme if config.ui.theme in self.available_themes else "textual-dark"
        for problem in problems[:1]:
            self.say(f"config, keys: {problem}; the default keys are used", "error")
        self.set_interval(TICK_MS / 1000, self._tick)
        self.set_timer(SETTLED_S, gc_tuning.settle)
        if not self.is_headless:
            self._borrowed.title_end = self._alerts.end()
        self.write_bytes(self._alerts.begin())

    def get_default_screen(self) -> Screen[None]:
        """The board is home: nothing lies under it."""
        return BoardScreen(self.context)

    def _take_in(self, message: Message) -> None:
        """What the feed says, in its order. What the log holds is taken in at once, for the first paint."""
        if isinstance(message, Loaded):
            self.context.state.load(message.summaries, message.position)
        self.post_message(message)

    async def on_unmount(self) -> None:
        """Hang up; sessions go on."""
        self.write_bytes(self._alerts.end())
        self._borrowed.title_end = ""
        await self.context.feed.close()

    # --- what the feed says -----------------------------------------------------------------------------------------

    async def on_loaded(self, message: Loaded) -> None:
        """The log was read: show what is there, then fill the panes."""
        state = self.context.state
        self._show(Change(sessions=set(state.sessions), new=state.order()))
        self._tick()
        self.screen.call_after_refresh(lambda: self.run_worker(self._seed(), group="seed"))

    async def _seed(self) -> None:
        seeds, view = self.context.seeds, self.view
        seeds.tell, seeds.complain = self._show, lambda problem: self.say(self.explain(problem), "error")
        seeds.begin(view.shown_sessions() if view is not None else ())
        self.run_worker(seeds.follow(), group="seeds")
        await seeds.begun.wait()
        gc_tuning.settle()
        from apollo_tui.screens.panels.since_you_left import greet

        await look_once(self, partial(greet, self))

    def on_events_arrived(self, message: EventsArrived) -> None:
        """New events: fold them, and tell the screen what changed."""
        self._show(self.context.state.apply(message.events))

    def on_deltas_arrived(self, message: DeltasArrived) -> None:
        """Pieces of streaming replies."""
        sessions = {frame.session for frame in message.frames if self.context.state.frame(frame)}
        screen = self.view
        if screen is not None and screen.ready and sessions:
            screen.take_deltas(sessions)

    def on_job_lines_read(self, message: JobLinesRead) -> None:
        """Jobs in sight print something else."""
        self._show(self.context.state.note_lines(message.lines))

    def on_clients_changed(self, message: ClientsChanged) -> None:
        """Somebody came or went."""
        self.context.state.clients = message.clients
        self._show(Change())

    def on_link_changed(self, message: LinkChanged) -> None:
        """The host came or went; the header says so, drafts and reading are not touched."""
        state = self.context.state
        state.writable = message.state == "up"
        before, state.trouble = state.trouble, error_hints.explain_link(message, self.context.config.keys)
        if state.trouble not in ("", before):
            # The first line may have no room for all of it, and its end says what helps.
            self.say(state.trouble, "warning")
        elif before and not state.trouble:
            self.say("connected again")
        self.context.presence.link_is_new()
        self._show(Change())

    # --- screens ----------------------------------------------------------------------------------------------------

    @property
    def view(self) -> ApolloScreen | None:
        """The topmost screen that is no panel: what the annotator looks at."""
        return next((one for one in reversed(self.screen_stack) if isinstance(one, ApolloScreen)), None)

    def current_view(self) -> View | None:
        """The topmost screen that is no panel, if it looks at sessions."""
        view = self.view
        return view if isinstance(view, View) else None

    def open(self, destination: Destination) -> None:
        """Open a view over the one on top. It is there when the call returns: the next key is meant for it."""
        match destination:
            case ToSession():
                from apollo_tui.screens.session import SessionScreen

                show = self.switch_screen if destination.instead else self.push_screen
                show(SessionScreen(self.context, destination))
            case ToAction(session, seq):
                from apollo_tui.screens.action import ActionScreen

                self.push_screen(ActionScreen(self.context, session, seq))
            case ToOutput():
                from apollo_tui.screens.output import OutputScreen

                self.push_screen(OutputScreen(self.context, destination))
            case ToReview():
                from apollo_tui.screens.review import ReviewScreen

                self.push_screen(ReviewScreen(self.context))
            case ToWorkspace(session):
                from apollo_tui.screens.workspace import WorkspaceScreen

                self.push_screen(WorkspaceScreen(self.context, session))
            case ToNewSession():
                from apollo_tui.screens.new_session import NewSessionScreen

                self.push_screen(NewSessionScreen(self.context))
            case ToCompare(one, other):
                from apollo_tui.screens.compare import CompareScreen

                self.push_screen(CompareScreen(self.context, one, other))
            case ToExport(session, chosen):
                from apollo_tui.screens.export import ExportScreen

                self.push_screen(ExportScreen(self.context, session, chosen))
            case ToChoices() as asked:
                from apollo_tui.screens.panels.searchable import SearchablePanel

                panel = SearchablePanel(asked.title, asked.choices, asked.footer, asked.lines)
                self.push_screen(panel, asked.take)
            case ToCommands():
                from apollo_tui.commands import ask_command

                if isinstance(self.screen, ApolloScreen):
                    ask_command(self.screen)

    @property
    def at_rest(self) -> bool:
        """Whether a view is on top and nobody types: only then may a panel open."""
        return self.view is self.screen and self.view is not None and not self.view.typing

    def _show(self, change: Change) -> None:
        view = self.view
        if view is not None and view.ready:
            view.take_change(change)

    def _hang_up(self) -> None:
        """The terminal is gone and no signal said so: who started us may have had it ignored. End as it would."""
        if self.view is not None:
            self.view.keep_draft()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGHUP)

    def end(self) -> None:
        """Somebody ended the process by a signal: keep what is being written, and leave. Sessions go on."""
        if self.line_speed.hung_up:
            self._hang_up()
        if self.view is not None:
            self.view.keep_draft()
        self.exit()

    def on_terminal(self, taken: bool) -> None:
        """Remember whether the terminal is the app's."""
        self._borrowed.taken = taken

    def _tick(self) -> None:
        now = self.context.clock()
        if self.line_speed.hung_up:
            self._hang_up()
        screen = self.view
        if screen is None or not screen.ready:
            return
        if now // 60_000 != self._minute:
            self._minute = now // 60_000
            screen.take_change(Change(sessions=set(self.context.state.sessions)))
        slow = self.line_speed.slow
        if self.line_speed.look():
            # A full line gets nothing more: what is painted later is newer.
            screen.tick(now)
        if self.line_speed.slow and not slow:
            self.say(
                "the line is slow: the board shows one line per session; `:slow off` brings the panes back", "warning"
            )
            self._show(Change(sessions=set(self.context.state.sessions)))
        self._look_at_jobs(screen, now)
        self._alert(now)
        self.context.effort.look(screen.session, now)
        for report in due_reports(self.context, now):
            self.run_worker(report, group="reports")

    def _look_at_jobs(self, screen: ApolloScreen, now: int) -> None:
        """What the commands in sight print, at most once a second."""
        wanted = screen.jobs_in_sight()
        if wanted and self.context.job_lines.due(now, slow=self.line_speed.slow):
            self.run_worker(self._read_job_lines(wanted, now), group="job lines")

    async def _read_job_lines(self, wanted: Collection[JobKey], now: int) -> None:
        if lines := await self.context.job_lines.look(wanted, now):
            self.post_message(JobLinesRead(lines))

    def _alert(self, now: int) -> None:
        """Once a second: the bell and the title, and the host hears whether somebody is here."""
        if now - self._alerted < ALERT_MS or not self.context.state.position:
            return
        self._alerted = now
        state, presence = self.context.state, self.context.presence
        names = {session: self.context.name(session) for session in state.sessions}
        self.write_bytes(self._alerts.update(state.signals_by_session(now), now, presence.key_at, names))
        idle = presence.due(now) if state.writable else None
        if idle is not None:
            self.run_worker(self.context.feed.active(idle), group="presence")

    # --- acts ---------------------------------------------------------------------------------------------------------

    def say(self, text: str, level: Level = "info") -> None:
        """One line for the annotator; it never takes the focus."""
        if self.view is not None:
            self.view.say(text, level)

    def explain(self, problem: Exception) -> str:
        """What went wrong, and which key helps."""
        return error_hints.explain(problem, self.context.config.keys)

    def copy_from_thread(self, text: str) -> None:
        """Ask the terminal to copy the text; for a thread."""
        self.call_from_thread(self.copy_to_clipboard, text)

    def act(self, work: Coroutine[Any, Any, str], *, opens: bool = False) -> None:
        """Do something that needs the host or the log, after what was asked before, and say how it went.

        ``opens``: it may open something; the keys after it wait for that, or for its refusal.
        """
        self._opening_acts += opens
        self.run_worker(self._act(work, opens=opens), group="acts")

    async def _act(self, work: Coroutine[Any, Any, str], *, opens: bool) -> None:
        try:
            async with self._acts:
                receipt = await work
        except (NotDone, ApolloError, OSError) as problem:
            self.say(self.explain(problem), "error")
        else:
            if receipt:
                self.say(receipt, "done")
        finally:
            self._opening_acts -= opens

    def leave(self) -> None:
        """Leave; sessions go on. Said again while it leaves, it changes nothing."""
        if not self._leaving:
            self._leaving = True
            self.run_worker(self._leave(), group="leave")

    async def _leave(self) -> None:
        state = self.context.state
        live = sum(now.summary.state in ACTIVE for now in state.sessions.values())
        back = way_back(self.context.feed.paths.log)
        self.exit_message = exit_message(live, back, host=state.writable)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await asyncio.gather(*due_reports(self.context, self.context.clock(), all_of_it=True))
        self.exit()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key acts only where the table says that it is valid; by construction none does from a text field."""
        return can_press(self.screen, str(parameters[0])) if action == "press" else True

    def action_press(self, id: str, *words: str) -> None:
        """Do what a key of the table does."""
        press(self.screen, id, *words)

    def press(self, id: str) -> None:
        """Do what a key of the table does, or say why it does nothing here."""
        view = self.view
        if view is None:
            return
        why = keys.explain_act(id, view.key_context(), self.context.config.keys)
        if why:
            self.say(why, "warning")
        elif keys.BY_ID[id].painter:
            view.run_worker(view.run_key(id))
        else:
            press(view, id)

    def _key_context(self) -> keys.KeyContext | None:
        """What keys may need on the screen on top; what opened by itself gives way."""
        screen = self.view if isinstance(self.screen, GivesWay) else self.screen
        return screen.key_context() if isinstance(screen, ApolloScreen) else None

    def _focused_field(self) -> Widget | None:
        """The text field that takes the keys, if one does."""
        focused = self.focused if self.screen_stack else None
        return focused if is_field(focused) else None

    async def on_keys_due(self) -> None:
        """Press one key; the next one in a message of its own, when all that this one asked for is done."""
        if self._leaving or not self.screen_stack or not self._key_queue:
            return  # a screen opened now would never get its widgets
        if self._presser.waits():
            self._tell_soon(LOOK_AGAIN_S)
            return
        due = self._key_queue.next()
        if isinstance(due, events.Paste):
            if not self._presser.route_paste(due):
                await super().on_event(due)
        elif due is not None and not await self._presser.press(due):
            await super().on_event(due)
        if self._key_queue:
            self._tell_soon()

    def _tell_soon(self, seconds: float = 0.0) -> None:
        """Have the keys that wait looked at: by one message, however many they are."""
        if not self._keys_told:
            self._keys_told = True
            asyncio.get_running_loop().call_later(seconds, self._tell_keys)

    def _tell_keys(self) -> None:
        self._keys_told = False
        self.post_message(KeysDue())

    def action_how_to_leave(self) -> None:
        """Ctrl+c kills nothing: it says how to leave."""
        self.say("q leaves; on the board it leaves the app, and sessions go on")

    async def on_event(self, event: events.Event) -> None:
        """Note when a key was last pressed: reading counts only near one. After a long time without, it is a return."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            if self._leaving or not self.screen_stack:
                return  # a screen opened now would never get its widgets
            now = self.context.clock()
            self.context.state.read_marks.key(now)
            self.context.effort.key(now)
            away = self.context.presence.key(now)
            asleep = False
            if away >= RETURN_MS and self.context.state.sessions:
                asleep = self.at_rest or isinstance(self.screen, GivesWay)
                from apollo_tui.screens.panels.since_you_left import come_back

                self.run_worker(come_back(self, now - away), group="return", exclusive=True)
            self._key_queue.take(event, waking=asleep)
            await self.on_keys_due()
        elif isinstance(event, events.Paste) and not event.is_forwarded:
            self._key_queue.take_paste(event)
            await self.on_keys_due()
        else:
            await super().on_event(event)

    def write_update(self, update: RenderableType | None, write: Callable[[RenderableType | None], None]) -> None:
        """Write only what differs from what stands in the terminal."""
        before = self._terminal.written
        write(self._terminal.diff(update))
        self.line_speed.count(self._terminal.written - before, self.context.clock())

    def on_crash(self, error: Exception) -> None:
        """Keep a line and a report of an unhandled exception, instead of a traceback in the terminal."""
        if not self.crash:
            path = write_crash_report(error, self.context.feed.paths.folder)
            self.crash = f"{type(error).__name__} in the app; sessions go on, drafts are kept; the report is {path}"


def _terminal_fd() -> int | None:
    """Where Textual writes, None if that is no terminal."""
    return sys.__stderr__.fileno() if sys.__stderr__ is not None and sys.__stderr__.isatty() else None

"""What each key does, and one key after the other: what a key does is done before the next key is looked at.

Textual sends a key through the queue of the widget that has the focus, and up from there to the bindings. In a burst
(a paste, a slow line, ``tmux send-keys``) all keys are addressed before the first one has acted, so that in ``i`` and
a word the word would go to the board and not to the composer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from textual import events
from textual.app import App
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from apollo_tui import keys
from apollo_tui.context import AppContext, GivesWay, View
from apollo_tui.key_queue import TextOfKeys
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.key_acts import (
    advice,
    attention,
    board_list,
    control,
    files,
    judgement,
    movement,
    output,
    search,
    undo,
)
from apollo_tui.terminal.textual_private import is_closing, offer_key, run_binding, send_event
from widgets.paint import is_field
from widgets.sanitise import clean_line

if TYPE_CHECKING:
    from apollo_tui.screens.action import ActionScreen
    from apollo_tui.screens.compare import CompareScreen
    from apollo_tui.screens.export import ExportScreen
    from apollo_tui.screens.new_session import NewSessionScreen
    from apollo_tui.screens.review import ReviewScreen
    from apollo_tui.screens.session import SessionScreen
    from widgets.chrome import Level


# --- what each key does -----------------------------------------------------------------------------------------------


def toggle_outline(screen: SessionScreen) -> None:
    """The outline of the transcript, or everything again."""
    screen.filter.toggle_outline()


def choose_filter(screen: SessionScreen) -> None:
    """Choose what of the transcript is shown."""
    screen.filter.choose()


def toggle_training(screen: SessionScreen) -> None:
    """Training view on or off."""
    screen.training.toggle()


def skip_item(screen: ReviewScreen) -> None:
    """Not now, and not again: the next one."""
    screen.skip()


def choose_items(screen: ReviewScreen) -> None:
    """Choose what is reviewed."""
    screen.choose_filter()


def open_item(screen: ReviewScreen) -> None:
    """The item in its session."""
    screen.open_there()


def toggle_written(screen: ActionScreen) -> None:
    """The text as it was written, or rendered again."""
    screen.toggle_written()


def toggle_chosen(screen: ExportScreen) -> None:
    """Choose or drop the session under the cursor."""
    screen.toggle_chosen()


def choose_all(screen: ExportScreen) -> None:
    """Choose all sessions."""
    screen.choose_all()


def choose_some(screen: ExportScreen) -> None:
    """Choose sessions by words."""
    screen.choose_some()


def choose_none(screen: ExportScreen) -> None:
    """Drop all sessions."""
    screen.choose_none()


def ask_path(screen: ExportScreen) -> None:
    """Ask where to write."""
    screen.ask_path()


def write_export(screen: ExportScreen) -> None:
    """Write the file."""
    screen.write()


def create_session(screen: NewSessionScreen) -> None:
    """Create the session of the form."""
    screen.create_session()


def create_anyway(screen: NewSessionScreen) -> None:
    """Create it although its model did not answer."""
    screen.create_anyway()


def left_is_better(screen: CompareScreen) -> None:
    """The left session is better."""
    screen.prefer("left")


def right_is_better(screen: CompareScreen) -> None:
    """The right session is better."""
    screen.prefer("right")


def both_are_equal(screen: CompareScreen) -> None:
    """Neither session is better."""
    screen.prefer("equal")


def undo_word(screen: CompareScreen) -> None:
    """Take the last word on two sessions back."""
    screen.undo_word()


def follow_output(screen: ApolloScreen) -> None:
    """What a command prints, as it comes; there, on the whole screen or below the view."""
    if isinstance(screen, output.LiveOutput):
        screen.toggle_whole()
    elif isinstance(screen, View):
        output.follow_output(screen)


def advise(screen: ApolloScreen) -> None:
    """Write to the session; from its output, on the view that is left for it."""
    if isinstance(screen, output.LiveOutput):
        screen.advise()
    elif isinstance(screen, View):
        advice.advise(screen)


KEY_ACTS: Final[Mapping[str, Callable[..., None]]] = {
    # moving
    "next_pane": movement.next_pane,
    "previous_pane": movement.previous_pane,
    "number": movement.press_number,
    "goto": movement.ask_number,
    "back": movement.go_back,
    "jump_back": movement.jump_back,
    "follow": movement.toggle_follow,
    "previous_action": movement.previous_action,
    "next_action": movement.next_action,
    "open_there": open_item,
    # where to look
    "next_need": attention.next_need,
    "snooze": attention.snooze,
    "signal_done": attention.signal_done,
    "false_alarm": attention.false_alarm,
    "output": follow_output,
    "copy_line": output.copy_line,
    "by_attention": BoardScreen.turn_order,
    "group": BoardScreen.toggle_groups,
    "panes": BoardScreen.ask_panes,
    "sub_agents": movement.show_relatives,
    "outline": toggle_outline,
    "filter": choose_filter,
    "filter_items": choose_items,
    "workspace": files.open_workspace,
    # the workspace
    "files_changed": files.show_changed,
    "files_since_left": files.show_since_left,
    "files_all": files.show_all,
    "files_of_step": files.show_of_step,
    "diff_beginning": files.diff_to_beginning,
    "diff_last_look": files.diff_to_last_look,
    "copy_path": files.copy_path,
    "page_file": files.page_file,
    "go_to_author": files.go_to_author,
    "shell": files.open_shell,
    "read_again": files.read_again,
    # advice
    "advise": advise,
    "mark_session": BoardScreen.mark_session,
    "act_on_marked": board_list.act_on_marked,
    "advise_marked": advice.advise_marked,
    "answer": advice.answer,
    # judgement
    "flag": judgement.flag,
    "label": judgement.label,
    "repeat_label": judgement.repeat_label,
    "good": judgement.good,
    "unsure": judgement.unsure,
    "correct": advice.correct,
    "begin_span": judgement.begin_span,
    "this_loop": judgement.this_loop,
    "recovery": judgement.mark_recovery,
    "sign_off": judgement.sign_off_session,
    "bookmark": judgement.bookmark,
    "bookmarks": judgement.list_bookmarks,
    "review": judgement.open_review,
    "skip": skip_item,
    "compare": judgement.compare_sessions,
    "left_better": left_is_better,
    "right_better": right_is_better,
    "equally_good": both_are_equal,
    "undo_word": undo_word,
    "undo": undo.undo,
    "redo": undo.redo,
    "history": undo.list_history,
    # control
    "pause": control.pause,
    "hold": control.hold,
    "conversations": control.list_conversations,
    "interrupt": control.interrupt,
    "new": control.open_new_session,
    # finding and taking along
    "search": movement.search,
    "only": board_list.find_sessions,
    "next_match": movement.next_match,
    "previous_match": movement.previous_match,
    "copy": search.copy,
    "pager": search.open_pager,
    "written": toggle_written,
    "training": toggle_training,
    "find": search.find,
    "export": search.open_export,
    # the app
    "command": movement.open_commands,
    "help": movement.open_help,
    "leave": movement.leave,
    # the export menu and forms
    "mark": toggle_chosen,
    "mark_all": choose_all,
    "mark_some": choose_some,
    "mark_none": choose_none,
    "write": write_export,
    "export_path": ask_path,
    "create": create_session,
    "create_anyway": create_anyway,
}
"""What a key of the table does, by its id. The first argument is the screen on top, as the function names it; what a
painter does with its movements (``move.…``) is its own business."""


def can_press(screen: Screen[Any], id: str) -> bool:
    """Whether the key with this id does something on the screen now."""
    return isinstance(screen, ApolloScreen) and keys.is_valid(keys.BY_ID[id], screen.key_context())


def press(screen: Screen[Any], id: str, *words: str) -> None:
    """Do what the key with this id does on the screen; ``words``: which digit, where it has several keys."""
    KEY_ACTS[id](screen, *words)


# --- one key after the other ------------------------------------------------------------------------------------------

OPENING_S: Final = 2.0
"""Longest wait of a key for what the key before it opens: a panel, a form, a transcript that is being read."""
QUEUE_S: Final = 2.0
"""Longest wait for a widget to take in what was sent to it."""


class KeyPresser:
    """Carries out keys for one app. ``is_opening``: an act is under way that opens a screen, or is refused."""

    def __init__(
        self,
        app: App[Any],
        context: AppContext,
        say: Callable[[str, Level], None],
        is_opening: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._context = context
        self._say = say
        self._is_opening = is_opening
        self._waiting_since: float | None = None

    async def press(self, event: events.Key) -> bool:
        """Do what the key is bound to, or give it to the field. False: it is not bound, and takes Textual's way."""
        app = self._app
        self.give_way(event.key)
        focused, before = app.focused, app.screen
        if focused is not None and is_field(focused):
            await self._press_in_field(focused, event)
            return True
        if focused is not None and focused.check_consume_key(event.key, event.character):
            if not await run_binding(app, event.key, priority=True):
                send_event(focused, event)
                await _drain_queue(focused)
                await self._settle(focused, before)
            return True
        if isinstance(app.screen, ApolloScreen):
            app.screen.note_key(event.key)
        try:
            done = await run_binding(app, event.key, priority=True) or await run_binding(app, event.key)
        except ImportError as problem:
            # Parts are loaded when they are first used, and files change beneath an app that stays open for days.
            if not isinstance(app.screen, ApolloScreen):
                raise
            leave = keys.key_name("leave", self._context.config.keys)
            app.screen.say(f"this part cannot be loaded ({problem}): leave with {leave}, start Apollo again", "error")
            return True
        if done and focused is not None:
            await self._settle(focused, before)
        return done

    async def _press_in_field(self, field: Widget, event: events.Key) -> None:
        """Text for the field, or one of its keys: done when this returns, so that the next one goes where it leads."""
        app, before = self._app, self._app.screen
        if not event.is_printable:
            await _await_messages(field)  # what was typed before has been heard
        if not await run_binding(app, event.key, priority=True):
            taken = await offer_key(field, event, _drain_queue)
            if taken and event.key != "enter":
                return
            if not taken:
                await run_binding(app, event.key)
        # What it says may make its screen say something in turn.
        await _await_messages(field)
        await self._settle(field, before)

    async def _settle(self, focused: Widget, before: Screen[Any]) -> None:
        """Wait until what the key did is done: a panel that has closed gives its answer to the screen on top now."""
        await _await_messages(focused)
        if self._app.screen_stack and self._app.screen is not before:
            await _drain_queue(self._app.screen)

    def waits(self) -> bool:
        """Whether what the key before opens is not there yet, nor refused: the next key is for it. Not for ever."""
        if not (self._is_opening() or self._screen_opens()):
            self._waiting_since = None
            return False
        if self._waiting_since is None:
            self._waiting_since = monotonic()
        return monotonic() - self._waiting_since < OPENING_S

    def give_way(self, key: str) -> None:
        """Let what opened by itself give way to a key that is not its own; it may lie over another such panel."""
        app = self._app
        while isinstance(app.screen, GivesWay) and app.screen.give_way(key):
            pass

    def route_paste(self, event: events.Paste) -> bool:
        """Put the paste where text goes. False: the field that has the focus takes it as it is."""
        self.give_way("paste")
        focused, screen = self._app.focused, self._app.screen
        if focused is not None and isinstance(event, TextOfKeys) and event.for_field:
            send_event(focused, events.Paste(event.text))
            if isinstance(screen, View):
                from widgets.composer_area import ComposerArea  # it is there already, if this is one

                if isinstance(focused, ComposerArea):
                    focused.expect_rest()
            return True
        field = focused if isinstance(focused, Input) else None
        if field is None and not isinstance(screen, ApolloScreen) and (fields := screen.query(Input)):
            field = fields.first()
        if field is not None:
            # A field of one line would keep the first line only.
            screen.set_focus(field)
            words = clean_line(" ".join(event.text.split()), len(event.text))
            rest = " " if isinstance(event, TextOfKeys) and event.text[-1:].isspace() else ""
            send_event(field, events.Paste(words + rest))
            return True
        if is_field(focused):
            return False
        if isinstance(screen, View) and screen.session:
            advice.paste(screen, event.text)
        else:
            back, advise = (keys.key_name(id, self._context.config.keys) for id in ("back", "advise"))
            self._say(f"a paste is text, and nothing takes text here: {back}, then {advise}", "warning")
        return True

    def _screen_opens(self) -> bool:
        """Whether the screen on top has no place for keys yet."""
        screen = self._app.screen
        if isinstance(screen, ApolloScreen) and screen.opening:
            return True
        return bool(screen.AUTO_FOCUS) and screen.focused is None


async def _await_messages(focused: Widget) -> None:
    """Wait until what a painter says of the key (it posts messages) has reached its screen, which may open something.

    A message goes up through one queue after the other, so a call at the end of each queue comes after it.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(QUEUE_S):
            for node in focused.ancestors_with_self:
                if isinstance(node, Widget):
                    await _drain_queue(node)


async def _drain_queue(node: Widget) -> None:
    """Wait until a widget has taken in all that was sent to it before, or closes and takes no more."""
    if node.is_running and not is_closing(node):
        came = asyncio.Event()
        node.call_later(came.set)
        deadline = monotonic() + QUEUE_S
        while not came.is_set() and not is_closing(node) and monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(came.wait(), 0.01)

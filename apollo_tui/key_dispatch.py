"""One key after the other: what a key does is done before the next key is looked at.

Textual sends a key through the queue of the widget that has the focus, and up from there to the bindings. In a burst
(a paste, a slow line, ``tmux send-keys``) all keys are addressed before the first one has acted, so that in ``i`` and
a word the word would go to the board and not to the composer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
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
from apollo_tui.terminal.textual_private import is_closing, offer_key, run_binding, send_event
from widgets.paint import is_field
from widgets.sanitise import clean_line

if TYPE_CHECKING:
    from widgets.chrome import Level


def can_press(screen: Screen[Any], id: str) -> bool:
    """Whether the key with this id does something on the screen now."""
    return isinstance(screen, ApolloScreen) and keys.is_valid(keys.BY_ID[id], screen.key_context())


def press(screen: Screen[Any], id: str, *words: str) -> None:
    """Do what the key with this id does on the screen; ``words``: which digit, where it has several keys."""
    from apollo_tui.key_functions import KEY_ACTS  # the first paint needs none of it

    KEY_ACTS[id](screen, *words)


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
            from apollo_tui.screens.key_acts import advice

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

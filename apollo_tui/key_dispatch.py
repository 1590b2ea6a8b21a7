"""Keys one after the other: what a key does is done before the next key is looked at.

Textual sends a key through the queue of the widget that has the focus, and up from there to the bindings. In a burst
(a paste, a slow line, ``tmux send-keys``) all keys are addressed before the first one has acted, so that in ``i`` and
a word the word would go to the board and not to the composer.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from textual import events
from textual.app import App
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from apollo_tui import keys
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.composer import Advising
from apollo_tui.terminal.textual_private import run_binding, send_event
from widgets.paint import is_field
from widgets.sanitise import clean_line

if TYPE_CHECKING:
    from apollo_tui.screens.ports import Apollo

OPENING_S: Final = 0.5
"""Longest wait of a key for the panel or form that the key before it has opened."""


class Presser:
    """Carries out bound keys for one app."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._awaited: Screen[Any] | None = None

    async def acted(self, event: events.Key) -> bool:
        """Do what the key is bound to. False: it is text, or not bound, and takes Textual's way."""
        app = self._app
        await self.ready_for(event.key)
        focused = app.focused
        if is_field(focused):
            return False
        if focused is not None and focused.check_consume_key(event.key, event.character):
            if not await run_binding(app, event.key, priority=True):
                send_event(focused, event)
                await _reached(focused)
                await _told(focused)
            return True
        if isinstance(app.screen, ApolloScreen):
            app.screen.pressed(event.key)
        try:
            acted = await run_binding(app, event.key, priority=True) or await run_binding(app, event.key)
        except ImportError as problem:
            # Parts are loaded when they are first used, and files change beneath an app that stays open for days.
            if not isinstance(app.screen, ApolloScreen):
                raise
            leave = keys.key_name("leave", app.screen.desk.config.keys)
            app.screen.say(f"this part cannot be loaded ({problem}): leave with {leave}, start Apollo again", "error")
            return True
        if acted and focused is not None:
            await _told(focused)
        return acted

    async def ready_for(self, key: str) -> None:
        """Wait for what the key before has opened; let what opened by itself give way to a key that is not its own."""
        app = self._app
        await self._opened(app.screen)
        # It may lie over another such panel.
        while (give_way := getattr(app.screen, "give_way", None)) is not None and give_way(key):
            pass

    async def _opened(self, screen: Screen[Any]) -> None:
        """Wait until a screen that a key has opened has its focus: the keys after it are meant for it."""
        if screen is not self._awaited:
            self._awaited = screen
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(OPENING_S):
                    # Nothing is told when a screen has placed its focus.
                    while _opens(screen) and self._app.screen is screen:  # noqa: ASYNC110
                        await asyncio.sleep(0.002)


def _opens(screen: Screen[Any]) -> bool:
    """Whether the screen has no place for keys yet."""
    return not screen.ready if isinstance(screen, ApolloScreen) else bool(screen.AUTO_FOCUS) and screen.focused is None


async def _told(focused: Widget) -> None:
    """Wait until what a painter says of the key (it posts messages) has reached its screen, which may open something.

    A message goes up through one queue after the other, so a call at the end of each queue comes after it.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(OPENING_S):
            for node in focused.ancestors_with_self:
                if isinstance(node, Widget):
                    await _reached(node)


async def _reached(node: Widget) -> None:
    """Wait until a widget has taken in all that was sent to it before."""
    if node.is_running:
        came = asyncio.Event()
        node.call_later(came.set)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPENING_S):
                await came.wait()


def took(app: Apollo, event: events.Paste) -> bool:
    """Put the paste where text goes. False: the field that has the focus takes it as it is."""
    focused, screen = app.focused, app.screen
    field = focused if isinstance(focused, Input) else screen.query(Input).first() if _asks(app) else None
    if field is not None:
        # A field of one line would keep the first line only.
        screen.set_focus(field)
        send_event(field, events.Paste(clean_line(" ".join(event.text.split()))))
        return True
    if is_field(focused):
        return False
    if isinstance(screen, Advising) and screen.session:
        screen.put_text(event.text)
    else:
        back, advise = (keys.key_name(one, app.desk.config.keys) for one in ("back", "advise"))
        app.say(f"a paste is text, and nothing takes text here: {back}, then {advise}", "warning")
    return True


def _asks(app: Apollo) -> bool:
    """Whether a panel is open that has a field."""
    return app.screen is not app.view and bool(app.screen.query(Input))

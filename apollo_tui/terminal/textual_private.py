"""Every private part of Textual and Rich that the app uses, each with the reason why nothing public does.

An update of Textual begins here: what is gone or behaves otherwise is mended in this file. ``widgets`` has its own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from textual import events
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rich.color import ColorSystem
    from rich.console import Console, RenderableType
    from rich.style import Style
    from textual.driver import Driver
    from textual.screen import Screen
    from textual.widget import Widget

# An update of the screen has no public type: LayoutUpdate is the whole of it, ChopsUpdate the spans that changed, and
# CompositorUpdate is what the driver asks for bytes (render_segments).
__all__ = [
    "ChopsUpdate",
    "CompositorUpdate",
    "HookedApp",
    "LayoutUpdate",
    "color_system",
    "offer_key",
    "run_binding",
    "send_event",
    "style_attributes",
]


class TellingDriver(LinuxDriver):
    """Textual's driver, which tells the app when it takes the terminal and when it has given it back."""

    def start_application_mode(self) -> None:
        """Take the terminal."""
        if isinstance(self._app, HookedApp):
            # Before, not after: it may end between two of the modes that it sets.
            self._app.on_terminal(True)
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        """Give the terminal back."""
        if self._mouse_pixels:
            self.write("\x1b[?1016l")  # Textual sets it and never takes it back
        super().stop_application_mode()
        if isinstance(self._app, HookedApp):
            self._app.on_terminal(False)

    def _run_input_thread(self) -> None:
        # Textual's own has the traceback printed into the terminal, and the app end as if all were well.
        try:
            self.run_input_thread()
        except Exception as error:  # noqa: BLE001 - the app ends of it, as of one in a handler
            self._app.call_later(self._app._handle_exception, error)


class HookedApp(App[None], inherit_bindings=False):
    """Textual's app with public hooks: what goes to the terminal, what else is written there, whose it is, a crash."""

    def get_driver_class(self) -> type[Driver]:
        """The driver that says what it does."""
        return TellingDriver

    def on_terminal(self, taken: bool) -> None:
        """The terminal is about to be taken, or was given back."""

    def write_update(self, update: RenderableType | None, write: Callable[[RenderableType | None], None]) -> None:
        """Write ``update`` with ``write``; an app may write another one in its place."""
        write(update)

    def on_crash(self, error: Exception) -> None:
        """An exception was not handled: the app ends after this, and prints nothing of its own."""

    def write_bytes(self, data: str) -> None:
        """Write what is no part of the screen, such as a bell. Nothing is written where there is no terminal."""
        # The driver alone knows how to write beside the screen's updates and in order with them.
        if data and self._driver is not None and not self.is_headless:
            self._driver.write(data)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        # The one place where updates pass on their way to the terminal: those of screens, of widgets and of scrolling.
        self.write_update(renderable, partial(super()._display, screen))

    def _fatal_error(self) -> None:
        # Textual's own prints a traceback with all variables (they may hold keys) into the terminal.
        if self._exception is not None:
            self.on_crash(self._exception)
        self._close_messages_no_wait()


async def run_binding(app: App[Any], key: str, *, priority: bool = False) -> bool:
    """Do what ``key`` is bound to; False if it is not bound. Public ways only post the key: it would act later."""
    return await app._check_bindings(key, priority=priority)


class OfferedKey(events.Key, bubble=False):
    """A key for one widget alone: what it does not take does not come back to the app behind the keys after it."""


OfferedKey.handler_name = events.Key.handler_name


async def offer_key(widget: Widget, event: events.Key, processed: Callable[[Widget], Awaitable[None]]) -> bool:
    """Give a key to a widget, wait until it is ``processed``, and say whether the widget took it."""
    # Public ways only post it, and an event does not say publicly whether it was stopped.
    offered = OfferedKey(event.key, event.character)
    offered.time = event.time
    send_event(widget, offered)
    await processed(widget)
    return offered._stop_propagation or offered._no_default_action


def send_event(widget: Widget, event: events.Event) -> None:
    """Give a widget an event that counts as forwarded, so that the app does not look at it again."""
    widget._forward_event(event)


def style_attributes(style: Style) -> int:
    """Rich's attributes that are on, as bits: its public properties ask for thirteen of them one by one."""
    return style._attributes & style._set_attributes


def color_system(console: Console) -> ColorSystem | None:
    """How many colours the console has: the public property gives its name only."""
    return console._color_system


def is_closing(node: Widget) -> bool:
    """Whether the widget, or what holds it, is being removed: calls that are sent to it are never made.

    Textual tells by ``is_running`` only when the removal is over, which waits for whoever waits for such a call.
    """
    return any(one._closing or one._pruning for one in node.ancestors_with_self)

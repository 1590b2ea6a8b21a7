"""What all screens share: a title, a body, the composer, a line for receipts, the hints, and the one key table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widget import Widget

from apollo_tui import keys
from apollo_tui.context import Desk
from apollo_tui.keys import explain_idle
from apollo_tui.state.board import Change
from widgets.chrome import HintBar, Level, ReceiptLine, TitleBar
from widgets.models import Hint
from widgets.paint import is_field

if TYPE_CHECKING:
    from apollo_tui.screens.ports import Apollo

WIDTHS: Final = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]
"""Columns from which on all screens have this class."""

ARMED_MS: Final = 4_000
"""How long the first key of a double key waits for its second."""

RECEIPT_KEYS: Final = 2
ERROR_KEYS: Final = 6
"""A receipt stays through the key after it and goes with the next one; one of an error stays longer."""


class ApolloScreen(Screen[None]):
    """A screen over one desk. Subclasses say their ``place``, their body, and how they follow changes.

    They give the focus with ``set_focus``: ``Widget.focus`` waits until the keys that have come already are done, and
    in a burst it would take the focus from the field that one of them has opened.
    """

    place: ClassVar[keys.Place]
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, desk: Desk) -> None:
        # Textual adds the class when the size arrives, and matches all styles again if it is new.
        width = self.app.size.width
        super().__init__(classes=next(name for least, name in reversed(WIDTHS) if width >= least))
        self.desk = desk
        self._armed: tuple[str, int] | None = None
        self._stale = True
        self._hinted: keys.KeyContext | None = None
        self._stale_in: int | None = None
        self._title = TitleBar(id="title")
        self._receipt = ReceiptLine(id="receipt")
        self._hints = HintBar(id="hints")
        self.ready = False
        """Whether the widgets are there: nothing is painted before and after."""

    @property
    def apollo(self) -> Apollo:
        """The app, as far as screens know it."""
        return cast("Apollo", self.app)

    def compose(self) -> ComposeResult:
        """Title, body, receipt, hints."""
        yield self._title
        yield from self.compose_body()
        yield self._receipt
        yield self._hints

    def on_mount(self) -> None:
        """The widgets are there."""
        self.ready = True

    def on_unmount(self) -> None:
        """The widgets go; what is typed stays."""
        self.ready = False
        self.keep_draft()

    def compose_body(self) -> Iterable[Widget]:
        """The widgets between title and receipt."""
        raise NotImplementedError

    # --- what subclasses answer -------------------------------------------------------------------------------------

    @property
    def session(self) -> str | None:
        """The session that keys act on."""
        return None

    def here(self) -> keys.KeyContext:
        """What a key's condition may look at."""
        now = self.desk.state.sessions.get(self.session) if self.session else None
        return keys.KeyContext(
            place=self.place,
            typing=self.typing,
            session=now is not None,
            live=now is not None and now.summary.state not in ("finished", "stopped", "failed", "archived"),
            action=self.has_action(),
            question=now is not None and bool(now.summary.open_question),
            writable=self.desk.state.writable,
            signal=self.has_signal(),
        )

    def has_action(self) -> bool:
        """Whether there is an action that ``f`` would take."""
        return False

    def has_signal(self) -> bool:
        """Whether something wants somebody here."""
        return False

    def changed(self, change: Change) -> None:
        """The state changed. Take it in; painting waits for the tick."""
        self._stale = True

    def streamed(self, sessions: Collection[str]) -> None:
        """Partial replies grew."""

    def paint(self, now: int) -> None:
        """Bring the widgets up to date: at most ten times a second, and only after a change."""

    def shows(self, session: str) -> bool:
        """Whether the session is on screen: undo may act there at once."""
        return session == self.session

    def keep_draft(self) -> None:
        """Store what is typed and not sent."""

    # --- ticking ----------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """The app's one timer."""
        if self._stale:
            self._stale = False
            self._title.update(self.desk.state.header(now, self.where()))
            self.paint(now)
        self.hint()

    def where(self) -> str:
        """What the title says of this screen, "" on the board."""
        return ""

    def hint(self) -> None:
        """Show the keys that work here and now, if that changed."""
        here = self.here()
        if here != self._hinted:
            self._hinted = here
            found = self.extra_hints() or keys.hints(here, self.desk.config.keys)
            self._hints.update([Hint(key, verb) for key, verb in found])

    def extra_hints(self) -> list[tuple[str, str]]:
        """Hints in place of the table's, for a text field that has the focus."""
        return []

    def say(self, text: str, level: Level = "info") -> None:
        """One line; it stays until the next one, or the next key but one; an error for a few keys more."""
        self._stale_in = ERROR_KEYS if level == "error" else RECEIPT_KEYS
        self._receipt.show(text, level)

    @property
    def receipt(self) -> str:
        """What was said last."""
        return self._receipt.text

    # --- keys -------------------------------------------------------------------------------------------------------

    @property
    def typing(self) -> bool:
        """Whether a text field has the focus."""
        return is_field(self.focused)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key acts only where the table says that it is valid; by construction none does from a text field."""
        key = keys.BY_ID.get(action)
        return True if key is None or key.painter else keys.is_valid(key, self.here())

    def pressed(self, key: str) -> None:
        """A key was pressed: any other one takes the first half of a double key back; one that is idle says why."""
        if self._stale_in is not None:
            self._stale_in -= 1
            if not self._stale_in:
                # What was said of an earlier key is not taken for an answer to this one.
                self._stale_in = None
                self._receipt.clear()
        if self._armed and key not in keys.keys_of(keys.BY_ID[self._armed[0]], self.desk.config.keys):
            self._armed = None
        if why := explain_idle(key, self.here(), self.desk.config.keys):
            self.say(why, "warning")

    def twice(self, action: str, first: str) -> bool:
        """True at the second press within four seconds; the first one only says ``first``."""
        now = self.desk.clock()
        if self._armed and self._armed[0] == action and now - self._armed[1] <= ARMED_MS:
            self._armed = None
            return True
        self._armed = (action, now)
        self.say(first, "warning")
        return False

    def act(self, deed: Coroutine[Any, Any, str]) -> None:
        """Do something that needs the host or the log; its receipt is shown."""
        self.apollo.act(deed)

    def on_screen_resume(self) -> None:
        """What happened meanwhile is in the state, and is painted with the screen."""
        self.changed(Change(sessions=set(self.desk.state.sessions)))
        if self.ready:
            self.tick(self.desk.clock())

    def action_back(self) -> None:
        """One level back."""
        self.app.pop_screen()

    def action_leave(self) -> None:
        """Leave this view."""
        self.action_back()

    def action_help(self) -> None:
        """The keys that work here and now; enter does one."""
        from apollo_tui.screens.panels.help import HelpPanel

        def chosen(name: str | None) -> None:
            if name:
                self.run_worker(self.run_key(name))

        self.app.push_screen(HelpPanel(self.here(), self.desk.config.keys), chosen)

    async def run_key(self, name: str) -> None:
        """Do what the key with this id does."""
        target: Screen[Any] | Widget = self.focused if keys.BY_ID[name].painter and self.focused else self
        action = PAINTER_ACTIONS.get(name, name)
        await self.app.run_action(action, default_namespace=target)

    def action_command(self) -> None:
        """Every command by name."""
        self.apollo.open.commands()


PAINTER_ACTIONS: Final[dict[str, str]] = {
    "move.down": "move(1)",
    "move.up": "move(-1)",
    "move.page_down": "page(1)",
    "move.page_up": "page(-1)",
    "move.start": "to_start",
    "move.end": "to_end",
    "move.open": "open",
}
"""What the painters call their movements."""

Chosen = Callable[[str | None], None]

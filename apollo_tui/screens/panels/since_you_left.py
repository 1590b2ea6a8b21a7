"""Since you left: a row per session, worst first; then its figures, each of which leads to its events."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final, cast

from textual.binding import Binding, BindingType
from textual.widgets import Static

from apollo_tui.acts.annotator_time import RETURN_MS
from apollo_tui.context import ToSession
from apollo_tui.screens.panels.base import PanelScreen
from sessions.fold.digest import Digest
from sessions.queries.digest import digests, last_trace
from widgets import cells
from widgets.glyphs import duration
from widgets.models import Choice
from widgets.paint import MOVES
from widgets.picker import ChoiceList
from widgets.sanitise import clean_line

if TYPE_CHECKING:
    from apollo_tui.context import Apollo, AppContext

LETTERS: Final = "defhlmnoprtuvwxyz"
"""For figures; not those that begin to type something on the board."""
NAME: Final = 14
"""Cells for a session's name in the table."""
STRAIGHT_BACK_MS: Final = 60_000
"""Who was gone for less, and missed nothing, is shown nothing."""
SETTLED_S: Final = 0.5
"""A key that comes sooner after the table has opened by itself was meant for what stood there before."""
AGE_S: Final = 60.0
"""How often the table says anew how long ago one left."""
OWN: Final = frozenset(key for move in MOVES if isinstance(move, Binding) for key in move.key.split(","))
"""Keys that move in a panel."""


class ReturnPanel(PanelScreen[None]):
    """A panel of a return. On the board it gives way to what is not for it: nothing that is typed there is lost."""

    own: ClassVar[frozenset[str]] = OWN | {"escape", "ctrl+g", "q", "ctrl+c"}

    def give_way(self, key: str) -> bool:
        """Close for a key of the board, and say so; the key is carried out there."""
        view = self._apollo.current_view()
        if view is None or view.place != "board" or not self.is_foreign(key):
            return False
        self.app.pop_screen()
        session = self.leads_to()
        if session:
            view.go_to(session)
        return True

    def is_foreign(self, key: str) -> bool:
        """Whether the key means nothing here."""
        return key not in self.own

    def leads_to(self) -> str:
        """The session that the keys after it are about, "" for the one of the board."""
        return ""

    @property
    def _apollo(self) -> Apollo:
        return cast("Apollo", self.app)


class AwayPanel(ReturnPanel):
    """The table. A session's number, or enter, opens what happened in it; esc skips it all.

    ``asked``: it did not open by itself.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding(digit, f"number({digit})", show=False) for digit in "123456789"]

    def __init__(self, context: AppContext, found: Sequence[Digest], left: int | None, *, asked: bool = False) -> None:
        self._app_context = context
        self._found = {digest.session: digest for digest in found}
        self._opened_at = None if asked else monotonic()
        self._chosen = ""
        rows = [Choice(digest.session, _row(context, digest)) for digest in found]
        self._left = left
        footer = "a number, enter: what happened there · esc, or any other key: to the board"
        super().__init__(self._say_when(), rows, footer)

    def _say_when(self) -> str:
        left, now = self._left, self._app_context.clock()
        ago = f"you left {duration(now - left)} ago; " if left is not None else ""
        return f"{ago}since you last read them, worst first"

    def on_mount(self) -> None:
        """Its age is right as long as it stands there."""
        super().on_mount()
        self.set_interval(AGE_S, self.tell_age)

    def tell_age(self) -> None:
        """How long ago one left, as it is now."""
        self.query_one(".panel-title", Static).update(clean_line(self._say_when()))

    def is_foreign(self, key: str) -> bool:
        """Also what comes too soon, and the number of a session that is not here."""
        if key in ("escape", "ctrl+g", "q", "ctrl+c"):
            return False
        if self._opened_at is not None and monotonic() - self._opened_at < SETTLED_S:
            return True
        if key.isdigit():
            return self._digest_numbered(int(key)) is None
        return super().is_foreign(key)

    def leads_to(self) -> str:
        """The row that the annotator went to."""
        return self._chosen

    def _digest_numbered(self, number: int) -> Digest | None:
        session = self._app_context.state.find_by_address(str(number))
        return self._found.get(session) if session is not None else None

    def on_choice_list_highlighted(self, message: ChoiceList.Highlighted) -> None:
        """What comes next is about this one."""
        self._chosen = message.choice.id

    def action_number(self, number: int) -> None:
        """What happened in the session with this number."""
        digest = self._digest_numbered(number)
        if digest is not None:
            self.choices.highlight(digest.session)
            self._open(digest)

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Its figures."""
        self._open(self._found[message.choice.id])

    def _open(self, digest: Digest) -> None:
        if self.app.screen is self:
            self.app.push_screen(DigestPanel(self._app_context, digest))


class DigestPanel(ReturnPanel):
    """The figures of one session. A figure leads to its first event, again to the next one."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, context: AppContext, digest: Digest) -> None:
        self._app_context = context
        self._digest = digest
        self._visited: dict[str, int] = {}
        self._places = {figure.name: figure for figure in digest.nonzero if figure.places}
        plain = [figure.words for figure in digest.nonzero if not figure.places]
        super().__init__(
            f"{context.name(digest.session)} · {' · '.join(plain)}",
            self._rows(),
            "enter goes there, again: the next one (there n, N) · esc back",
        )

    def is_foreign(self, key: str) -> bool:
        """All but its figures and its moves."""
        return super().is_foreign(key) and not any(choice.key == key for choice in self._rows())

    def leads_to(self) -> str:
        """Its session."""
        return self._digest.session

    def _rows(self) -> list[Choice]:
        rows = []
        for letter, figure in zip(LETTERS, self._places.values(), strict=False):
            been = self._visited.get(figure.name)
            places = len(figure.places)
            note = f"{been + 1} of {places}" if been is not None else ("1 place" if places == 1 else f"{places} places")
            rows.append(Choice(figure.name, figure.words, letter, note))
        return rows

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """To the event, over this panel; esc comes back here."""
        if self.app.screen is not self:
            return
        figure = self._places[message.choice.id]
        at = (self._visited.get(figure.name, -1) + 1) % len(figure.places)
        self._visited[figure.name] = at
        self.choices.update(self._rows())
        self._apollo.open(ToSession(self._digest.session, figure.places[at], trail=(figure.words, figure.places)))


def _row(context: AppContext, digest: Digest) -> str:
    name = context.name(digest.session)
    return f"{cells.pad(clean_line(name), NAME)}  {' · '.join(figure.words for figure in digest.headline)}"


async def greet(app: Apollo) -> None:
    """After the log was read: coming back is a return, if anything happened since the annotator's last trace."""
    context = app.context
    left = await context.feed.work(partial(last_trace, actor=context.feed.actor))
    # Whoever was never here has not left.
    if left is not None:
        await come_back(app, left, key_at=context.presence.started_at)


async def come_back(app: Apollo, left: int | None, *, key_at: int | None = None, asked: bool = False) -> None:
    """Show the table, unless somebody is already at work: then a line says how to see it.

    ``key_at``: the key, or the start, that was the return (default: the last key); a later one is work.
    """
    context = app.context
    if left is not None:
        context.presence.left_at = left
    key_at = context.presence.key_at if key_at is None else key_at
    found = await context.feed.work(partial(digests, actor=context.feed.actor, now=context.clock()))
    long = left is not None and context.clock() - left >= RETURN_MS
    if not asked and left is not None and context.clock() - left < STRAIGHT_BACK_MS:
        # Who comes straight back to what they left hears nothing.
        found = found if any(_last_at(context, digest) > left for digest in found) else []
    if not found:
        ago = f" in the {duration(context.clock() - left)} since you left" if left is not None else ""
        if asked or long:
            app.say(f"nothing happened{ago} that you have not read")
        return
    while isinstance(app.screen, ReturnPanel):
        app.pop_screen()  # a table of an earlier return
    if app.at_rest and (asked or context.presence.key_at == key_at):
        app.push_screen(AwayPanel(context, found, left, asked=asked))
    else:
        app.say(f"{len(found)} session{'s' * (len(found) != 1)} went on since you left · `:since` says how")


def _last_at(context: AppContext, digest: Digest) -> int:
    """When something last happened in the session: reading it and the time it takes are nothing."""
    return context.state.sessions[digest.session].summary.last_at

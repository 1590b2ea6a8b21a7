"""Since you left: a row per session, worst first; then its figures, each of which leads to its events."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from string import ascii_lowercase
from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import BindingType

from apollo_tui.presence import RETURN_MS
from apollo_tui.screens.panel import PanelScreen
from sessions.digest import digests, last_trace
from sessions.fold.digest import Digest, Figure
from widgets.glyphs import duration
from widgets.picker import ChoiceList
from widgets.views import Choice

if TYPE_CHECKING:
    from apollo_tui.app import ApolloApp
    from apollo_tui.desk import Desk

LETTERS: Final = "".join(letter for letter in ascii_lowercase if letter not in "qjkgb")
NAME: Final = 14
"""Cells for a session's name in the table."""


class AwayPanel(PanelScreen[None]):
    """The table. A letter, or enter, opens what happened in a session; esc skips it all."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, desk: Desk, found: Sequence[Digest], left: int | None) -> None:
        self._desk = desk
        self._found = {digest.session: digest for digest in found}
        rows = [
            Choice(digest.session, _row(desk, digest), LETTERS[at] if at < len(LETTERS) else "")
            for at, digest in enumerate(found)
        ]
        ago = f"you left {duration(desk.clock() - left)} ago; " if left is not None else ""
        title = f"{ago}since you last read them, worst first"
        super().__init__(title, rows, "enter: what happened there · esc skips · :since shows it again")

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Its figures."""
        self.app.push_screen(DigestPanel(self._desk, self._found[message.choice.id]))


class DigestPanel(PanelScreen[None]):
    """The figures of one session. A figure leads to its first event, again to the next one."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, desk: Desk, digest: Digest) -> None:
        self._desk = desk
        self._digest = digest
        self._visited: dict[str, int] = {}
        self._places = {figure.name: figure for figure in digest.told if figure.places}
        plain = [figure.said for figure in digest.told if not figure.places]
        super().__init__(
            f"{desk.steering.name(digest.session)} · {' · '.join(plain)}",
            self._rows(),
            "enter goes there, again: the next one (there n, N) · esc back",
        )

    def _rows(self) -> list[Choice]:
        rows = []
        for letter, figure in zip(LETTERS, self._places.values(), strict=False):
            been = self._visited.get(figure.name)
            places = len(figure.places)
            note = f"{been + 1} of {places}" if been is not None else ("1 place" if places == 1 else f"{places} places")
            rows.append(Choice(figure.name, figure.said, letter, note))
        return rows

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """To the event, over this panel; esc comes back here."""
        from apollo_tui.screens.session import SessionScreen

        figure = self._places[message.choice.id]
        at = (self._visited.get(figure.name, -1) + 1) % len(figure.places)
        self._visited[figure.name] = at
        self.choices.update(self._rows())
        screen = SessionScreen(self._desk, self._digest.session, figure.places[at], trail=_trail(figure))
        self.app.push_screen(screen)


def _trail(figure: Figure) -> tuple[str, tuple[int, ...]]:
    return figure.said, figure.places


def _row(desk: Desk, digest: Digest) -> str:
    name = desk.steering.name(digest.session)
    name = name if len(name) <= NAME else name[: NAME - 1] + "…"
    return f"{name:<{NAME}}  {' · '.join(figure.said for figure in digest.headline)}"


async def greet(app: ApolloApp) -> None:
    """After the log was read: if the annotator was away, say what happened meanwhile."""
    desk = app.desk
    left = await desk.feed.work(partial(last_trace, actor=desk.actor))
    # Whoever was never here has not left; a line that dropped for a moment is no return.
    if left is not None and desk.clock() - left >= RETURN_MS:
        await come_back(app, left, key_at=desk.presence.started_at)


async def come_back(app: ApolloApp, left: int | None, *, key_at: int | None = None, asked: bool = False) -> None:
    """Show the table, unless somebody is already at work: then a line says how to see it.

    ``key_at``: the key, or the start, that was the return (default: the last key); a later one is work.
    """
    desk = app.desk
    key_at = desk.presence.key_at if key_at is None else key_at
    found = await desk.feed.work(partial(digests, actor=desk.actor, now=desk.clock()))
    if not found:
        ago = f" in the {duration(desk.clock() - left)} since you left" if left is not None else ""
        if asked or ago:
            app.say(f"nothing happened{ago} that you have not read")
    elif app.at_rest and (asked or desk.presence.key_at == key_at):
        app.push_screen(AwayPanel(desk, found, left))
    else:
        app.say(f"{len(found)} session{'s' * (len(found) != 1)} went on since you left · `:since` says how")

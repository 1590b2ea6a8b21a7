"""Which sessions have a pane on the board: those that are pinned, then those that needed somebody when it opened.

They change on a key only: a session that begins takes a place that is free, and no event takes one away. The session
that one goes to and that has no pane gets the last place, until one goes to another that has none. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec


class KeptPanes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an annotator wants of the panes of one log. ``count`` None: as many as fit."""

    count: int | None = None
    pinned: tuple[str, ...] = ()
    """Ids of sessions."""


class PaneChoice:
    """The sessions with a pane, in the order of the list."""

    def __init__(self, kept: KeptPanes | None = None) -> None:
        self.kept = kept or KeptPanes()
        self._ranked: list[str] = []
        """All sessions, those first that get a place before others."""
        self._known: set[str] = set()
        self._guest = ""
        """The session that has the last place because somebody went to it."""

    def show(self, order: Sequence[str], room: int, current: str, rank: Callable[[], Iterable[str]]) -> list[str]:
        """The sessions of ``order`` that have a pane where there is room for so many; ``current`` always has one.

        ``rank`` says who wants somebody, the most urgent first; it is asked when the board opens, and on a key.
        """
        if not self._ranked and order:
            self._ranked = list(dict.fromkeys([*self.kept.pinned, *rank()]))
            self._known = set(self._ranked)
        if new := [one for one in order if one not in self._known]:
            self._ranked += new
            self._known.update(new)
        shown = self._first_of(set(order), min(self.kept.count or room, room))
        if current in order and current not in shown:
            self._guest = current
        if self._guest not in order or self._guest in shown:
            self._guest = ""
        if self._guest and shown:
            free = [at for at, one in enumerate(shown) if one not in self.kept.pinned]
            last = free[-1] if free else len(shown) - 1
            if shown[last] == current:
                self._guest = ""  # somebody goes to the one that gave its place
            else:
                shown[last] = self._guest
        places = {one: at for at, one in enumerate(order)}
        return sorted(shown, key=lambda one: places[one])

    def _first_of(self, order: set[str], count: int) -> list[str]:
        shown: list[str] = []
        for one in self._ranked:
            if len(shown) >= count:
                break
            if one in order:
                shown.append(one)
        return shown

    def choose_anew(self) -> None:
        """Those that want somebody now get the places that no pinned one has."""
        self._ranked, self._known, self._guest = [], set(), ""

    def set_count(self, count: int | None) -> None:
        """Show so many panes; None: as many as fit."""
        self.kept = msgspec.structs.replace(self.kept, count=count)

    def pin(self, session: str) -> bool:
        """Keep the session in a pane, or let it go again; returns whether it is pinned now."""
        pinned = list(self.kept.pinned)
        if session in pinned:
            pinned.remove(session)
        else:
            pinned.append(session)
            self._ranked = list(dict.fromkeys([*pinned, *self._ranked]))
            self._known.add(session)
        self.kept = msgspec.structs.replace(self.kept, pinned=tuple(pinned))
        return session in pinned

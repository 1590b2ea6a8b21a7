"""Which acts of an annotator are undone, which events did that, and what flags are called since."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sessions import events as ev

Place = tuple[str, int]
"""Session and seq of an event."""

REPLACED: Final = "-replaced"
"""End of the request ids of older clients: this event goes with the one whose request's id is the rest."""


class UndoBook:
    """The fold of one annotator's ``events``, of any sessions and in any order, each session from some event on.

    What is undone twice is done again: an event that takes back an undo is a redo, and so on.
    """

    def __init__(self, events: Iterable[ev.Event]) -> None:
        self.events = sorted(events, key=lambda event: event.id)
        self._at = {_place(event): event for event in self.events}
        self._by_id = {event.id: event for event in self.events}
        self._by_request = {event.request: event for event in self.events if event.request}
        self._effects: dict[Place, tuple[Place, bool]] = {}
        """What undoes or does again: which act, and whether that is undone by it."""
        self._undos: dict[Place, Place] = {}
        """Acts, and the event that undid each of them last."""
        self._undone: dict[Place, bool] = {}
        self._replacing: dict[tuple[str, str], Place] = {}
        """Flags that another one replaces and that are not removed yet, with the event that set the other."""
        self._removals: dict[Place, ev.Event] = {}
        self._parts: set[Place] = set()
        self._names: dict[tuple[str, str], str] = {}
        self._removed: set[tuple[str, str]] = set()
        for event in self.events:
            self._fold(event)

    def act_of(self, event: ev.Event) -> Place | None:
        """The act that ``event`` undoes or does again; None if it does neither."""
        found = self._effects.get(_place(event))
        return found[0] if found else None

    def is_act(self, event: ev.Event) -> bool:
        """Whether ``event`` is an act of its own: no undo, no redo, and no part of another act."""
        return _place(event) not in self._effects and _place(event) not in self._parts

    def is_undone(self, act: ev.Event) -> bool:
        """Whether an act is taken back now."""
        return self._undone.get(_place(act), False)

    def undo_of(self, act: ev.Event) -> int | None:
        """The seq of the event that took the act back last."""
        found = self._undos.get(_place(act))
        return found[1] if found else None

    def removal_of(self, act: ev.Event) -> ev.Event | None:
        """The ``flag.removed`` of the flag in whose place the act set one."""
        return self._removals.get(_place(act))

    def present_flag(self, session: str, flag: str) -> str:
        """What a flag is called now: one that is set again has a new id."""
        while (session, flag) in self._names:
            flag = self._names[session, flag]
        return flag

    def is_removed(self, session: str, flag: str) -> bool:
        """Whether this annotator took the flag of this very id back."""
        return (session, flag) in self._removed

    def _fold(self, event: ev.Event) -> None:
        undoes, replaces = self._links(event)
        if undoes is not None:
            act, undone = self._effects.get(undoes, (undoes, False))
            self._effects[_place(event)] = act, not undone
            self._undone[act] = not undone
            if not undone:
                self._undos[act] = _place(event)
        if isinstance(event.body, ev.FlagSet):
            self._name_again(event.session, event.body.flag, self._at.get(undoes) if undoes else None)
            if replaces:
                self._replacing[event.session, replaces] = _place(event)
        elif isinstance(event.body, ev.FlagRemoved):
            self._removed.add((event.session, event.body.flag))
            whose = self._replacing.get((event.session, event.body.flag))
            if undoes is None and whose is not None and not self._undone.get(whose, False):
                del self._replacing[event.session, event.body.flag]
                self._removals[whose] = event
                self._parts.add(_place(event))

    def _name_again(self, session: str, flag: str, source: ev.Event | None) -> None:
        if source is not None and isinstance(source.body, ev.FlagSet | ev.FlagRemoved):
            before = self.present_flag(session, source.body.flag)
            if before != flag:
                self._names[session, before] = flag

    def _links(self, event: ev.Event) -> tuple[Place | None, str]:
        """What ``event`` takes back, and the flag that it replaces: its own fields, else the id of its request."""
        body = event.body
        undoes = body.undoes if isinstance(body, ev.ReversibleAct) else None
        replaces = body.replaces if isinstance(body, ev.FlagSet) else ""
        if undoes is None and not replaces and event.request:
            return self._links_of_request(event, event.request)
        return (event.session, undoes) if undoes is not None else None, replaces

    def _links_of_request(self, event: ev.Event, request: str) -> tuple[Place | None, str]:
        """The same of an older client's event, which said it in the id of its request.

        ``undo-EVENT-ULID`` takes back the event with this id, ``redo-EVENT-ULID`` does it again; what is done with
        request R in one act has the request ``R-replaced``.
        """
        with_it = self._by_request.get(request + REPLACED)
        removed = with_it.body if with_it is not None else None
        replaces = removed.flag if isinstance(event.body, ev.FlagSet) and isinstance(removed, ev.FlagRemoved) else ""
        verb, *about = request.removesuffix(REPLACED).split("-")
        if verb not in ("undo", "redo") or len(about) != 2 or not about[0].isdecimal():
            return None, replaces
        if request.endswith(REPLACED) and isinstance(event.body, ev.FlagRemoved):
            return None, ""  # a part of the redo, as its flag.set says
        unknown = event.session, 0
        act = self._by_id.get(int(about[0]))
        if act is None:
            return unknown, replaces
        if request.endswith(REPLACED):
            removal = self.removal_of(act)
            return _place(removal) if removal is not None else unknown, ""
        return _place(act) if verb == "undo" else self._undos.get(_place(act), unknown), replaces


def _place(event: ev.Event) -> Place:
    return event.session, event.seq

"""Which act ``u`` undoes: this annotator's last undoable act on the log, found in the log itself. Pure.

An undo is an event like any other; its request id names the event it undoes (``undo-<event id>-…``), so that a
later ``u``, also after a restart, goes on to the act before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sessions.log import events as ev
from sessions.ulid import new_ulid

UNDOABLE: Final = frozenset({"flag.set", "flag.removed", "advice.queued"})
"""Kinds that ``u`` can take back."""


@dataclass(frozen=True, slots=True)
class Act:
    """What ``u`` would undo. ``flag``: the flag that now stands for it (a flag may have been restored since).

    ``passed``: a newer act can no longer be undone (delivered advice), so that this one has to be shown first.
    """

    event: ev.Event
    flag: str = ""
    passed: bool = False

    @property
    def session(self) -> str:
        """Where the act was done."""
        return self.event.session

    @property
    def target(self) -> ev.Target | None:
        """What the act was about, if it was about one action."""
        body = self.event.body
        if isinstance(body, ev.FlagSet):
            return body.target
        return body.about if isinstance(body, ev.AdviceQueued) else None


def undo_request(event: ev.Event) -> str:
    """A request id that says which event is undone."""
    return f"undo-{event.id}-{new_ulid()}"


def undone_id(event: ev.Event) -> int | None:
    """The id of the event that ``event`` undoes, None if it is no undo."""
    parts = (event.request or "").split("-")
    return int(parts[1]) if len(parts) == 3 and parts[0] == "undo" and parts[1].isdigit() else None


def last_act(own: Iterable[ev.Event], open_advice: Mapping[str, Collection[int]]) -> Act | None:
    """The newest act among this annotator's ``own`` events that is still in force, None if there is none.

    ``open_advice``: per session, the numbers of the advice that still waits for its boundary.
    """
    events = sorted(own, key=lambda event: event.id)
    undone = {done for event in events if (done := undone_id(event)) is not None}
    by_id = {event.id: event for event in events}
    removed = {event.body.flag for event in events if isinstance(event.body, ev.FlagRemoved)}
    restored: dict[str, str] = {}
    for event in events:
        source = by_id.get(undone_id(event) or 0)
        if isinstance(event.body, ev.FlagSet) and source and isinstance(source.body, ev.FlagRemoved):
            restored[source.body.flag] = event.body.flag
    passed = False
    for event in reversed(events):
        if undone_id(event) is not None or event.id in undone:
            continue
        match event.body:
            case ev.FlagSet(flag=flag):
                while flag in restored:
                    flag = restored[flag]
                if flag not in removed:
                    return Act(event, flag, passed)
            case ev.FlagRemoved():
                return Act(event, "", passed)
            case ev.AdviceQueued(advice=number):
                if number in open_advice.get(event.session, ()):
                    return Act(event, "", passed)
                passed = True
    return None

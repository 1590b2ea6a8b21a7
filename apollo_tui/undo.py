"""One annotator's acts on the log, and which of them ``u`` undoes and ``U`` does again. Found in the log itself. Pure.

Undoing and doing again are events like any other; their request ids name the act (``undo-<event id>-…``,
``redo-<event id>-…``), so that a later ``u``, also after a restart, goes on to the act before. What an act takes the
place of (one's own earlier flag) is a second event, whose request is that of the act with ``-replaced``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from sessions.log import events as ev
from sessions.ulid import new_ulid

UNDOABLE: Final = frozenset(
    {
        "flag.set",
        "flag.removed",
        "advice.queued",
        "session.signed_off",
        "recovery.marked",
        "bookmark.set",
        "session.note",
        "signal.judged",
        "advice.outcome",
        "advice.edited",
        "correction.written",
    }
)
"""Kinds that ``u`` can take back."""

LOOKED_AT: Final = UNDOABLE | {"advice.withdrawn"}
"""Kinds that say what was done, undone and done again."""

OF_ADVICE: Final = (ev.AdviceQueued, ev.AdviceEdited)
"""What can be taken back as long as the advice waits."""

REPLACED: Final = "-replaced"

Verb = Literal["undo", "redo"]


class Act(msgspec.Struct, frozen=True):
    """One act of one annotator.

    ``flag``: the flag that now stands for it (a flag may have been set again since). ``undone``: it is taken back.
    ``stuck``: it cannot be undone any more (delivered advice). ``passed``: a newer act is stuck, so that this one has
    to be shown first. ``replaced``: one's own flag, as it is now called, in whose place this one was set.
    """

    event: ev.Event
    flag: str = ""
    passed: bool = False
    undone: bool = False
    stuck: bool = False
    replaced: str = ""

    @property
    def session(self) -> str:
        """Where the act was done."""
        return self.event.session

    @property
    def target(self) -> ev.Target | None:
        """What the act was about, if it was about one action."""
        match self.event.body:
            case ev.FlagSet(target=target) | ev.BookmarkSet(target=target) | ev.CorrectionWritten(target=target):
                return target
            case ev.RecoveryMarked(at_step=step):
                return ev.Target(step)
            case ev.AdviceQueued(about=about):
                return about
        return None


def undo_request(event: ev.Event) -> str:
    """A request id that says which event is undone."""
    return f"undo-{event.id}-{new_ulid()}"


def redo_request(event: ev.Event) -> str:
    """A request id that says which event is done again."""
    return f"redo-{event.id}-{new_ulid()}"


def replaced_request(request: str) -> str:
    """The request id of what is done besides ``request``, as one act with it."""
    return request + REPLACED


def about(event: ev.Event) -> tuple[Verb, int] | None:
    """What ``event`` undoes or does again (an event id), None if it is an act of its own."""
    parts = (event.request or "").removesuffix(REPLACED).split("-")
    if len(parts) != 3 or not parts[1].isdigit():
        return None
    if parts[0] == "undo":
        return "undo", int(parts[1])
    return ("redo", int(parts[1])) if parts[0] == "redo" else None


def history(own: Iterable[ev.Event], open_advice: Mapping[str, Collection[int]]) -> list[Act]:
    """All acts among this annotator's ``own`` events, oldest first.

    ``open_advice``: per session, the numbers of the advice that still waits for its boundary.
    """
    events = sorted(own, key=lambda event: event.id)
    undone: dict[int, bool] = {}
    for event in events:
        said = about(event)
        if said is not None:
            undone[said[1]] = said[0] == "undo"
    companions = {event.request: event for event in events if (event.request or "").endswith(REPLACED)}
    names = _Names(events, companions)
    drafts = {(e.session, e.body.advice) for e in events if isinstance(e.body, ev.AdviceWithdrawn)}
    acts: list[Act] = []
    for event in events:
        if about(event) is not None or event.request in companions or event.kind not in UNDOABLE:
            continue
        replaced = companions.get(replaced_request(event.request)) if event.request else None
        act = Act(event, undone=undone.get(event.id, False), replaced=names.of_removed(replaced))
        if isinstance(event.body, ev.FlagSet | ev.FlagRemoved):
            flag = names.now(event.body.flag)
            gone = isinstance(event.body, ev.FlagSet) and not act.undone and flag in names.removed
            act = Act(event, flag, undone=act.undone, stuck=gone, replaced=act.replaced)
        elif isinstance(event.body, OF_ADVICE):
            # With the advice its later words have become a draft.
            undone_now = act.undone or (event.session, event.body.advice) in drafts
            waits = event.body.advice in open_advice.get(event.session, ())
            act = Act(event, undone=undone_now, stuck=not undone_now and not waits)
        acts.append(act)
    return acts


class _Names:
    """What flags are called now: one that is set again has a new id."""

    def __init__(self, events: Sequence[ev.Event], companions: Mapping[str | None, ev.Event]) -> None:
        by_id = {event.id: event for event in events}
        self.removed = {event.body.flag for event in events if isinstance(event.body, ev.FlagRemoved)}
        self._next: dict[str, str] = {}
        for event in events:
            said = about(event)
            source = by_id.get(said[1]) if said else None
            if source is None or not isinstance(event.body, ev.FlagSet):
                continue
            if (event.request or "").endswith(REPLACED):
                source = companions.get(replaced_request(source.request or ""), source)
            if isinstance(source.body, ev.FlagSet | ev.FlagRemoved):
                self._next[self.now(source.body.flag)] = event.body.flag

    def now(self, flag: str) -> str:
        """The present id of a flag."""
        while flag in self._next:
            flag = self._next[flag]
        return flag

    def of_removed(self, event: ev.Event | None) -> str:
        """The present id of the flag that ``event`` removed, "" if it removed none."""
        return self.now(event.body.flag) if event is not None and isinstance(event.body, ev.FlagRemoved) else ""


def last_act(own: Iterable[ev.Event], open_advice: Mapping[str, Collection[int]]) -> Act | None:
    """The newest act that is still in force and can be undone, None if there is none."""
    passed = False
    for act in reversed(history(own, open_advice)):
        if act.undone:
            continue
        if act.stuck:
            # A flag that somebody took back meanwhile is nothing to wait for; advice that was delivered is.
            passed = passed or isinstance(act.event.body, OF_ADVICE)
            continue
        return Act(act.event, act.flag, passed, replaced=act.replaced)
    return None


def last_undone(own: Iterable[ev.Event], open_advice: Mapping[str, Collection[int]] | None = None) -> Act | None:
    """The act that was undone last and can be done again: nothing new was done since. Advice is a draft again."""
    events = sorted(own, key=lambda event: event.id)
    waiting = open_advice or {}
    found = {act.event.id: act for act in history(events, waiting)}
    for event in reversed(events):
        said = about(event)
        if said is None:
            if event.id in found:
                return None
            continue
        act = found.get(said[1])
        if act is None or not act.undone or isinstance(act.event.body, ev.AdviceQueued):
            continue
        body = act.event.body
        if not isinstance(body, ev.AdviceEdited) or body.advice in waiting.get(act.session, ()):
            return act
    return None

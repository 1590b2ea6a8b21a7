"""What can be done to several sessions at once, to which of them it cannot, and why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from sessions.events import Verb
from sessions.events.states import ACTIVE
from sessions.fold.budget import reason_to_stay_paused
from sessions.fold.summary import Summary

Deed = Literal["pause", "resume", "sign_off", "tag", "archive", "unarchive", "export"]


class Reach(msgspec.Struct, frozen=True):
    """To which sessions a deed can be done, and why not to the others, in the order in which they stand."""

    can: tuple[str, ...]
    cannot: tuple[tuple[str, str], ...] = ()
    """Session and reason."""


def reach_of(deed: Deed, sessions: Iterable[str], summaries: Mapping[str, Summary]) -> Reach:
    """To which of ``sessions`` the deed can be done now. The host has the last word."""
    can: list[str] = []
    cannot: list[tuple[str, str]] = []
    for session in sessions:
        why = _REFUSALS[deed](summaries[session])
        if why:
            cannot.append((session, why))
        else:
            can.append(session)
    return Reach(tuple(can), tuple(cannot))


def say_refusals(cannot: Sequence[tuple[str, str]], names: Callable[[str], str]) -> str:
    """``not 3 formats, 4 steady: finished; 5 poller: paused already``; "" for none. What has one reason is together."""
    reasons: dict[str, list[str]] = {}
    for session, why in cannot:
        reasons.setdefault(why, []).append(names(session))
    said = "; ".join(f"{', '.join(who)}: {why}" for why, who in reasons.items())
    return f"not {said}" if said else ""


def _state(s: Summary) -> str:
    return {"on_job": "on a job", "needs_you": "needs you"}.get(s.state, s.state)


def _pause(s: Summary) -> str:
    if s.pending in ("pause", "stop"):
        return f"about to {s.pending} already"
    if s.state in ACTIVE or (s.state == "needs_you" and s.open_question):
        return ""
    return "paused already" if s.state == "paused" else "waits for you" if s.state == "needs_you" else _state(s)


def _resume(s: Summary) -> str:
    if s.pending in ("pause", "hold") and s.state in ACTIVE:
        return ""
    if s.state == "needs_you" and s.open_question:
        return "waits for an answer"
    if s.state == "paused" and (spent := reason_to_stay_paused(s)):
        return spent
    if s.state in ("created", "paused", "needs_you"):
        return ""
    return "at work already" if s.state in ACTIVE else f"{_state(s)}; `:reopen` lets one go on"


def _archive(s: Summary) -> str:
    if s.state == "archived":
        return "archived already"
    if s.state in ACTIVE:
        return f"{_state(s)}: pause it first"
    return "a job of it runs" if s.open_jobs else ""


def _unarchive(s: Summary) -> str:
    return "" if s.state == "archived" else "not archived"


def _export(s: Summary) -> str:
    return "" if s.step else "it has no step"


def _anything(s: Summary) -> str:
    return ""


_REFUSALS: Final[Mapping[Deed, Callable[[Summary], str]]] = {
    "pause": _pause,
    "resume": _resume,
    "sign_off": _anything,
    "tag": _anything,
    "archive": _archive,
    "unarchive": _unarchive,
    "export": _export,
}

OPPOSITES: Final[Mapping[Verb, Verb]] = {
    "pause": "resume",
    "resume": "pause",
    "start": "pause",
    "archive": "unarchive",
    "unarchive": "archive",
}
"""The verb that takes another one back."""


def can_take_back(verb: Verb, s: Summary) -> bool:
    """Whether what the verb did is still so, and its opposite does something."""
    match verb:
        case "pause":
            return s.pending == "pause" or (s.state == "paused" and not reason_to_stay_paused(s))
        case "resume" | "start":
            return not _pause(s)
        case "archive":
            return s.archived
        case "unarchive":
            return not s.archived and not _archive(s)
        case _:
            return False

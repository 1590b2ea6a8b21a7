"""On which terms sessions may be used: what exports say of it, and that it was said where somebody wants it said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from apollo_train.masks.session_events import read_events
from apollo_train.policy import FilterPolicy
from apollo_train.runtime import TrainError
from apollo_train.samples.session_selection import SessionExclusion, position_of, select
from sessions import events as ev
from sessions.fold.notes import SessionNotes
from sessions.log.reader import LogReader

KINDS: Final = frozenset({"session.created", "terms.set"})
NAMED: Final = 5
"""So many sessions are named in an error."""


class TermsMissing(TrainError):
    """Sessions do not say what the config wants said."""


def require_terms(
    reader: LogReader,
    sessions: Sequence[str] | None,
    policy: FilterPolicy | None,
    required: Sequence[str],
    position: int | None = None,
) -> None:
    """Raise TermsMissing unless all sessions that take part say all that is ``required``."""
    if not required:
        return
    silent: dict[str, list[str]] = {}
    for found in select(reader, sessions, policy, position_of(reader, position)):
        if isinstance(found, SessionExclusion):
            continue
        for name in required:
            if not getattr(found.terms, name):
                silent.setdefault(name, []).append(found.created.address)
    if silent:
        said = "; ".join(f"{_name_sessions(numbers)} no {name}" for name, numbers in silent.items())
        options = " ".join(f"--{name} TEXT" for name in silent)
        raise TermsMissing(
            f"the config wants it said (`require` under [export]): {said}; 'apollo terms SESSION {options}' says it"
        )


def terms_by_session(reader: LogReader, sessions: Iterable[str], position: int) -> dict[str, dict[str, str]]:
    """What sessions say, by session; one that says nothing is left out."""
    found = {
        name: msgspec.to_builtins(SessionNotes(read_events(reader, name, position, KINDS)).terms) for name in sessions
    }
    return {name: terms for name, terms in sorted(found.items()) if terms}


def describe_terms(terms: dict[str, dict[str, str]], sessions: int) -> list[str]:
    """Lines for a data set's card: each word, and of how many sessions it is said."""
    lines = []
    for name in ev.Terms.__struct_fields__:
        words = [said[name] for said in terms.values() if name in said]
        for word in sorted(set(words)):
            lines.append(f"{name}: {word} ({words.count(word)} of {sessions} sessions)")
        if len(words) < sessions:
            lines.append(f"{name}: not said ({sessions - len(words)} of {sessions} sessions)")
    return lines


def _name_sessions(numbers: Sequence[str]) -> str:
    listed = ", ".join(numbers[:NAMED]) + (f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else "")
    return f"session{'s' if len(numbers) > 1 else ''} {listed} say{'s' if len(numbers) == 1 else ''}"

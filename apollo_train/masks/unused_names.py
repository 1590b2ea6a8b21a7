"""Names in a policy that nothing in its sessions has: nobody checks how they are spelt but the log itself.

Labels, adjudicators, tools that poll, and models.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from apollo_train.masks.annotations import read_annotations
from apollo_train.masks.session_events import read_events
from apollo_train.masks.trainable_models import matches_model
from apollo_train.policy import FilterPolicy, RuleMasks
from sessions import events as ev
from sessions.log.reader import LogReader

SHOWN: Final = 6
"""Names that are named where none is near."""


@dataclass(slots=True)
class _KnownNames:
    """What the sessions have."""

    labels: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)


def find_unused_names(
    reader: LogReader, sessions: Iterable[str], policy: FilterPolicy, position: int, models: Iterable[str] = ()
) -> tuple[str, ...]:
    """A line for each name in the policy that these sessions do not have; ``models``: those whose replies are trained.

    Reads the sessions only where the policy names anything.
    """
    flags = policy.flags
    polls = policy.rules.poll_tools if policy.rules.inner_polls else ()
    tools = [name for name in polls if name not in RuleMasks().poll_tools]
    if not (flags.labels or flags.kept_labels or flags.adjudicators or tools or policy.targets.trainable):
        return ()
    known = _KnownNames(models=set(models))
    for session in sessions:
        judged = read_annotations(reader, session, position)
        if judged is None:
            continue
        known.labels |= {flag.label for flag in judged.flags.active if flag.verdict == "bad"}
        known.people |= {flag.by.removeprefix("human:") for flag in judged.flags.active if flag.human}
        known.models |= {judged.created.model.name, judged.created.model.id}
        if tools:
            known.tools |= _read_tools(reader, session, position)
    return tuple(_lines(policy, tools, known))


def _read_tools(reader: LogReader, session: str, position: int) -> set[str]:
    started = read_events(reader, session, position, frozenset({"action.started"}))
    return {event.body.name for event in started if isinstance(event.body, ev.ActionStarted)}


def _lines(policy: FilterPolicy, tools: list[str], known: _KnownNames) -> Iterator[str]:
    flags = policy.flags
    named = (
        ("flags.labels", flags.labels, known.labels, "no bad flag here has, so it masks nothing", "bad flags"),
        (
            "flags.kept_labels",
            flags.kept_labels,
            known.labels,
            "no bad flag here has, so it keeps nothing",
            "bad flags",
        ),
        (
            "flags.adjudicators",
            flags.adjudicators,
            known.people,
            "nobody who flagged is called, so it decides nothing",
            "flags",
        ),
        ("rules.poll_tools", tools, known.tools, "no session here calls, so it masks nothing", "calls"),
    )
    for key, names, there, why, what in named:
        for name in dict.fromkeys(names):
            if name not in there:
                yield f"{key} names {name!r}, which {why}: {_near(name, sorted(there), what)}"
    for pattern in dict.fromkeys(policy.targets.trainable):
        if not matches_model([pattern], known.models):
            why = "which no model here matches, so it trains nothing"
            yield f"trainable names {pattern!r}, {why}: {_near(pattern, sorted(known.models), 'replies')}"


def _near(name: str, found: list[str], what: str) -> str:
    """What there is instead."""
    near = difflib.get_close_matches(name, found, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not found:
        return f"there are no {what}"
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"they have {', '.join(found[:SHOWN])}{more}"

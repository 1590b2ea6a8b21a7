"""Labels that a policy names and that no flag has: nobody checks how they are spelt but the flags themselves."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Final

from apollo_train.masks.annotations import read_annotations
from apollo_train.policy import FilterPolicy
from sessions.log.reader import LogReader

SHOWN: Final = 6
"""Labels that are named where none is near."""


def find_unused_labels(
    reader: LogReader, sessions: Iterable[str], policy: FilterPolicy, position: int
) -> tuple[str, ...]:
    """A line for each label of ``flags.labels`` and ``kept_labels`` that no bad flag of these sessions has.

    Reads the flags only where the policy names labels.
    """
    named = {"flags.labels": policy.flags.labels, "flags.kept_labels": policy.flags.kept_labels}
    if not any(named.values()):
        return ()
    found: set[str] = set()
    for session in sessions:
        judged = read_annotations(reader, session, position)
        if judged is not None:
            found |= {flag.label for flag in judged.flags.active if flag.verdict == "bad"}
    return tuple(_lines(named.items(), sorted(found)))


def _lines(named: Iterable[tuple[str, tuple[str, ...]]], found: list[str]) -> Iterator[str]:
    for key, labels in named:
        does = "masks" if key == "flags.labels" else "keeps"
        for label in dict.fromkeys(labels):
            if label not in found:
                yield f"{key} names {label!r}, which no bad flag here has, so it {does} nothing: {_near(label, found)}"


def _near(label: str, found: list[str]) -> str:
    """What the flags do have."""
    near = difflib.get_close_matches(label, found, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not found:
        return "there are no bad flags"
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"they have {', '.join(found[:SHOWN])}{more}"

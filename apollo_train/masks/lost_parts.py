"""Which prompts lack something that their model read, because an import could not keep a message whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from apollo_train.masks.annotations import Annotations
from apollo_train.masks.session_events import read_events
from sessions import events as ev
from sessions.events.messages import ReasoningPart
from sessions.log.reader import LogReader

NOTHING: Final[frozenset[ev.LostPart]] = frozenset()


def hides_reasoning(body: ev.ModelReplied | ev.ReplyInterrupted) -> bool:
    """Whether a whole reply has reasoning that its server encrypted: it goes back as it came."""
    parts = body.parts if isinstance(body, ev.ModelReplied) else ()
    return any([isinstance(part, ReasoningPart) and part.raw is not None and not part.text.strip() for part in parts])


def find_lost_parts(reader: LogReader, judged: Annotations) -> Mapping[int, frozenset[ev.LostPart]]:
    """What the prompt of each request lacks, by its seq; only of those that lack anything."""
    losses = judged.recording.losses
    found: dict[int, frozenset[ev.LostPart]] = {}
    if not losses:  # so it is of nearly all sessions, whose requests need not be read for this
        return found
    for event in read_events(reader, judged.session, judged.position, {"model.request"}):
        body = event.body
        if not isinstance(body, ev.ModelRequested):
            continue
        lost = NOTHING if body.parent is None else found.get(body.parent, NOTHING)
        lost = lost.union(*(losses.get(seq, NOTHING) for ref in body.append for seq in ref.sources))
        if lost:
            found[event.seq] = lost
    return found

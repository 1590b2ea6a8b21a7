"""Which prompts lack something that their model read, because an import could not keep a message whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from apollo_train.masks.annotations import Annotations
from apollo_train.masks.session_events import read_events
from sessions import events as ev
from sessions.fold.recording import RecordingBook
from sessions.log.reader import LogReader
from sessions.log.rebuild import foreign_refs, request_chain

NOTHING: Final[frozenset[ev.LostPart]] = frozenset()
STORED: Final[frozenset[ev.LostPart]] = frozenset({"history"})
"""What a prompt lacks whose beginning the model's server has: what that made of it nobody can read."""
UNREAD: Final[frozenset[ev.LostPart]] = frozenset({"history", "instruction", "result"})
"""And where the log has nothing of that beginning: its task and its results."""


def find_lost_parts(reader: LogReader, judged: Annotations) -> Mapping[int, frozenset[ev.LostPart]]:
    """What the prompt of each request lacks, by its seq; only of those that lack anything."""
    losses = judged.recording.losses
    found: dict[int, frozenset[ev.LostPart]] = {}
    begins = judged.created.begins
    # So it is of nearly all sessions, whose requests need not be read for this.
    if not losses and (begins is None or begins.kind != "branch") and judged.created.harness is None:
        return found
    left = _LossesLeft(reader, judged.position)
    for event in read_events(reader, judged.session, judged.position, {"model.request"}):
        body = event.body
        if not isinstance(body, ev.ModelRequested):
            continue
        lost = NOTHING if body.parent is None else found.get(body.parent, NOTHING)
        own = (losses.get(seq, NOTHING) for ref in body.append if not ref.session for seq in ref.sources)
        lost = lost.union(*own, left.of(ref for ref in body.append if ref.session))
        if body.wire is not None and (body.wire.stored or body.wire.unread):
            lost |= UNREAD if body.wire.unread else STORED
        if body.across is not None:
            chain = request_chain(reader, body.across.session, body.across.seq)
            lost |= left.of(foreign_refs(chain, body.across.session))
        if lost:
            found[event.seq] = lost
    return found


class _LossesLeft:
    """What messages lack that a branch has from the sessions that it left."""

    def __init__(self, reader: LogReader, position: int) -> None:
        self._reader, self._position = reader, position
        self._books: dict[str, RecordingBook] = {}

    def of(self, refs: Iterable[ev.MessageRef]) -> frozenset[ev.LostPart]:
        """What the messages lack."""
        lost = NOTHING
        for ref in refs:
            if ref.session not in self._books:
                book = self._books[ref.session] = RecordingBook()
                for event in read_events(self._reader, ref.session, self._position, {"recording.loss"}):
                    book.fold(event)
            lost = lost.union(*(self._books[ref.session].losses.get(seq, NOTHING) for seq in ref.sources))
        return lost

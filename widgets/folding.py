"""Runs of polling in a transcript whose entries are loaded in windows: which rows stand for which entries. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from widgets.entries import fold_polls
from widgets.views import Entry


class Folds:
    """Which entry is shown as a run, and which are hidden in one. A run that was unfolded stays so."""

    def __init__(self) -> None:
        self._runs: dict[int, Entry] = {}
        self._head_of: dict[int, int] = {}
        self._unfolded: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._runs)

    def run_at(self, seq: int) -> Entry | None:
        """The run whose row stands at the entry ``seq``."""
        return self._runs.get(seq)

    def hidden(self, seq: int) -> bool:
        """Whether the entry is inside a run, and not its first."""
        return self._head_of.get(seq, seq) != seq

    def unfold(self, seq: int) -> bool:
        """Show the entries of the run that ``seq`` is in; False if it is in none."""
        run = self._runs.get(self._head_of.get(seq, -1))
        if run is None:
            return False
        self._unfolded |= set(run.members)
        self._forget(run)
        return True

    def build(self, entries: Mapping[int, Entry], index: Callable[[int], int]) -> bool:
        """Fold the loaded ``entries``; ``index`` is the place of a seq in the whole transcript. True if more is folded
        than before."""
        before = len(self._head_of)
        self._runs.clear()
        self._head_of.clear()
        for island in _islands(sorted(entries), index):
            for entry in fold_polls([entries[seq] for seq in island]):
                if entry.members and not self._unfolded.intersection(entry.members):
                    self._runs[entry.seq] = entry
                    self._head_of |= dict.fromkeys(entry.members, entry.seq)
        return len(self._head_of) > before

    def clear(self) -> None:
        """For another session."""
        self._runs.clear()
        self._head_of.clear()
        self._unfolded.clear()

    def _forget(self, run: Entry) -> None:
        del self._runs[run.seq]
        for seq in run.members:
            self._head_of.pop(seq, None)


def _islands(seqs: Iterable[int], index: Callable[[int], int]) -> Iterable[list[int]]:
    """Runs of entries that follow each other in the transcript, without one between them that is not loaded."""
    island: list[int] = []
    last = -2
    for seq in seqs:
        at = index(seq)
        if island and at != last + 1:
            yield island
            island = []
        island.append(seq)
        last = at
    if island:
        yield island

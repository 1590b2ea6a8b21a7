"""Twins train the same replies with advice and without it: here each reply counts once, in whichever it is written."""

from __future__ import annotations

from msgspec import structs

from apollo_train.export.counts import Counts
from apollo_train.formats.base import Line, is_twin
from apollo_train.policy import FilterPolicy
from apollo_train.samples.step_samples import Exclusion


class TwinCounter:
    """Takes the lines and exclusions of one session into its counts. Manifests of policies of version 1 count twins
    apart, and stay as they were."""

    def __init__(self, counts: Counts, policy: FilterPolicy) -> None:
        self.counts = counts
        self._apart = policy.version == 1
        self._trained: set[int] = set()
        """Replies (seq) that a twin trains."""
        self._left: dict[int, list[Exclusion]] = {}
        """Replies of which a twin could not be written, each with the reasons."""

    def take(self, item: Line | Exclusion, copies: int = 1) -> None:
        """Count one line, written so many times, or one reply that is left out."""
        if self._apart or not is_twin(item.id):
            self.counts.take(item, copies)
        elif isinstance(item, Exclusion):
            self._left.setdefault(item.seq, []).append(item)
        else:
            models = {reply.seq: model for reply, model in zip(item.replies, item.models, strict=True)}
            new = [reply for reply in item.replies if reply.seq not in self._trained]
            self._trained.update(reply.seq for reply in new)
            once = structs.replace(
                item,
                trained=len(new),
                trained_tokens=sum(reply.tokens for reply in new),
                unseen_tokens=sum(reply.unseen_tokens for reply in new),
                actions=sum(reply.actions for reply in new),
                models=tuple(models[reply.seq] for reply in new),
            )
            self.counts.take(once, copies)

    def finish(self) -> None:
        """Count what no twin trains as left out, once, and apart from that what only one of two could be."""
        for seq, found in self._left.items():
            if seq in self._trained:
                for item in found:
                    self.counts.lone_twins[item.reason] = self.counts.lone_twins.get(item.reason, 0) + 1
            else:
                self.counts.take(found[0])

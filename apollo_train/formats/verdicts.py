"""Preference data as messages: ``dpo`` (a pair at one prompt) and ``kto`` (a reply and whether it is wanted)."""

from __future__ import annotations

from collections.abc import Iterator

from apollo_train.chat import Chat, dumps
from apollo_train.formats.base import Line, Unit, line_of, whole_replies_only
from apollo_train.formats.steps import tools_text
from apollo_train.policy import FilterPolicy
from apollo_train.preferences import Refused, pairs_of, verdicts_of
from apollo_train.samples import Excluded, Source, StepSample


class DpoFormat:
    """``prompt``, ``chosen``, ``rejected``: what was flagged and what was done instead, at the prompt before advice."""

    name = "dpo"
    version = 1
    unit: Unit = "verdict"
    about = "prompt, chosen, rejected: flagged replies and their redo at the same prompt (TRL's DPO)"

    def refusal(self, policy: FilterPolicy) -> str:
        """A pair is of whole replies."""
        return whole_replies_only(self.name, policy)

    def lines(self, source: Source) -> Iterator[Line | Excluded]:
        """A line per pair; the twin file has each flagged reply that makes none, and why."""
        for pair in pairs_of(source):
            if isinstance(pair, Refused):
                session, _, step = pair.id.partition(":")
                yield Excluded(pair.id, session, step, pair.reason, 0)
                continue
            both = _list(pair.chosen.completion), _list(pair.rejected.completion)
            yield line_of(_row(pair.rejected, b'"chosen":%b,"rejected":%b' % both), pair.chosen)


class KtoFormat:
    """``prompt``, ``completion``, ``label``: replies that a human flagged bad or marked good."""

    name = "kto"
    version = 1
    unit: Unit = "verdict"
    about = "prompt, completion, label: replies that humans flagged or marked good (TRL's KTO)"

    def refusal(self, policy: FilterPolicy) -> str:
        """A verdict is on a whole reply."""
        return whole_replies_only(self.name, policy)

    def lines(self, source: Source) -> Iterator[Line | Excluded]:
        """A line per judged reply."""
        for verdict in verdicts_of(source):
            label = b"true" if verdict.good else b"false"
            data = _row(verdict.sample, b'"completion":%b,"label":%b' % (_list(verdict.sample.completion), label))
            yield line_of(data, verdict.sample)


def _row(sample: StepSample, middle: bytes) -> bytes:
    parts = (sample.dumped, middle, tools_text(sample), dumps(sample.meta))
    return b'{"prompt":[%b],%b,"tools":%b,"meta":%b}' % parts


def _list(chat: Chat) -> bytes:
    return dumps([chat])

"""Preference data as messages: ``dpo`` (a pair at one prompt) and ``kto`` (a reply and whether it is wanted)."""

from __future__ import annotations

from collections.abc import Iterator

from apollo_train.formats.base import Line, Unit, line_of
from apollo_train.formats.rows import MessageRows
from apollo_train.formats.steps import tools_text
from apollo_train.samples.chat import Chat, dumps
from apollo_train.samples.preferences import Refusal, find_pairs, find_unpaired_replies
from apollo_train.samples.step_samples import Exclusion, Source, StepSample
from apollo_train.templates.message_form import FormCache, exclude_sample
from apollo_train.templates.template_trial import REFUSED


class PreferenceRows(MessageRows):
    """What both have in common."""

    unit: Unit = "verdict"
    trainer = "TRL"

    def _refuses(self, source: Source, *samples: StepSample) -> str:
        """What the template says that refuses one of these; "" where it takes them all."""
        trial = self.trial_for(source.policy)
        said = (trial.try_sample(sample) for sample in samples) if trial is not None else ()
        return next(filter(None, said), "")


class DpoFormat(PreferenceRows):
    """``prompt``, ``chosen``, ``rejected``: what was flagged and what was done instead, at the prompt before advice."""

    scrubs = False
    name = "dpo"
    version = 2
    about = "prompt, chosen, rejected: flagged replies and their redo at the same prompt (TRL's DPO)"

    def lines(self, source: Source) -> Iterator[Line | Exclusion]:
        """A line per pair; the twin file has each flagged reply that makes none, and why."""
        for pair in find_pairs(source):
            if isinstance(pair, Refusal):
                yield pair.exclude(source.judged.session)
                continue
            if said := self._refuses(source, pair.rejected, pair.chosen):
                yield exclude_sample(pair.rejected, REFUSED, said)
                continue
            cache = FormCache()
            chosen, rejected = (self.form.adapt_sample(sample, cache) for sample in (pair.chosen, pair.rejected))
            both = _list(chosen.completion), _list(rejected.completion)
            yield line_of(_row(chosen, b'"chosen":%b,"rejected":%b' % both), chosen)


class KtoFormat(PreferenceRows):
    """``prompt``, ``completion``, ``label``: replies that a human flagged bad or marked good."""

    scrubs = False
    name = "kto"
    version = 2
    about = "prompt, completion, label: replies that humans flagged or marked good (TRL's KTO)"

    def lines(self, source: Source) -> Iterator[Line | Exclusion]:
        """A line per judged reply; the twin file has the disputed ones."""
        for verdict in find_unpaired_replies(source):
            if isinstance(verdict, Refusal):
                yield verdict.exclude(source.judged.session)
                continue
            if said := self._refuses(source, verdict.sample):
                yield exclude_sample(verdict.sample, REFUSED, said)
                continue
            label = b"true" if verdict.good else b"false"
            sample = self.form.adapt_sample(verdict.sample, FormCache())
            yield line_of(_row(sample, b'"completion":%b,"label":%b' % (_list(sample.completion), label)), sample)


def _row(sample: StepSample, middle: bytes) -> bytes:
    parts = (b"".join(sample.prompt_json), middle, tools_text(sample.tools), dumps(sample.meta))
    return b'{"prompt":[%b],%b,"tools":%b,"meta":%b}' % parts


def _list(chat: Chat) -> bytes:
    return dumps([chat])

"""``steps``: one row per trained reply, with the exact prompt before it. What nearly every trainer can express."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from apollo_train.chat import dumps
from apollo_train.formats.base import Line, Unit, line_of, whole_replies_only
from apollo_train.forms import PLAIN, Form
from apollo_train.policy import FilterPolicy
from apollo_train.samples import Excluded, Source, StepSample, steps_of


@dataclass(frozen=True)
class StepsFormat:
    """``prompt``, ``completion`` (one assistant message), ``tools`` (JSON text), ``meta``.

    ``tools`` is text because Arrow would merge the schemas of different rows into one with empty fields.
    """

    name: str = "steps"
    version: int = 2
    unit: Unit = "step"
    about: str = "prompt, completion, tools: one row per trained reply (TRL and most others)"
    form: Form = PLAIN

    def shaped(self, form: Form) -> StepsFormat:
        """The same, for a template that needs another form."""
        return replace(self, form=form)

    def refusal(self, policy: FilterPolicy) -> str:
        """Parts of a reply cannot be masked."""
        return whole_replies_only(self.name, policy)

    def lines(self, source: Source) -> Iterator[Line | Excluded]:
        """A line per trained reply of the session."""
        for sample in self.form.steps(steps_of(source)):
            yield sample if isinstance(sample, Excluded) else line_of(self.row(sample), sample)

    def row(self, sample: StepSample) -> tuple[bytes, ...]:
        """The row in pieces, the prompt in one that is JSON already: a prompt repeats all of the one before."""
        end = b'],"completion":[%b],"tools":%b,"meta":%b}'
        return b'{"prompt":[', sample.dumped, end % (dumps(sample.completion), tools_text(sample), dumps(sample.meta))


def tools_text(sample: StepSample) -> bytes:
    """The tools as JSON text, itself a JSON string; or null."""
    if not sample.tools:
        return b"null"
    if _newest[0] is not sample.tools:
        _newest[:] = [sample.tools, dumps(dumps(sample.tools).decode())]
    return bytes(_newest[1])


_newest: list[Any] = [None, b""]
"""The tools that were dumped last: all samples of a session share them."""

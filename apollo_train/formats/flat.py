"""Step samples as one list of messages, for trainers that train its last reply only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from apollo_train.chat import dumps
from apollo_train.formats.base import Line, Unit, line_of, whole_replies_only
from apollo_train.forms import PLAIN, Form
from apollo_train.policy import FilterPolicy
from apollo_train.samples import Excluded, Source, StepSample, steps_of


@dataclass(frozen=True)
class LastReply:
    """``messages`` of which the last is the target; ``extra`` are columns that the trainer asks for."""

    name: str
    about: str
    extra: bytes = b""
    version: int = 2
    unit: Unit = "step"
    form: Form = PLAIN

    def shaped(self, form: Form) -> LastReply:
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
        """The row of one step sample, in pieces."""
        tools = b'"tools":%b,' % dumps(sample.tools) if sample.tools else b""
        end = b',%b],%b%b"meta":%b}' % (dumps(sample.completion), tools, self.extra, dumps(sample.meta))
        return b'{"messages":[', sample.dumped, end


FLAT: Final = (
    LastReply("nemo-rl", "step samples as messages (NeMo-RL, sft.only_unmask_final)", b'"task_name":"apollo",'),
    LastReply(
        "tinker-steps",
        "step samples as messages (Tinker, LAST_ASSISTANT_MESSAGE)",
        version=3,
        form=Form(parts=True),
    ),
)

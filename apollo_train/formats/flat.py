"""Step samples as one list of messages, for trainers that train its last reply only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apollo_train.chat import dumps
from apollo_train.formats.whole import StepRows
from apollo_train.forms import Form
from apollo_train.samples import StepSample


@dataclass(frozen=True)
class LastReply(StepRows):
    """``messages`` of which the last is the target; ``extra`` are columns that the trainer asks for."""

    name: str
    about: str
    extra: bytes = b""
    version: int = 2

    def row(self, sample: StepSample) -> tuple[bytes, ...]:
        """The row of one step sample, in pieces."""
        tools = b'"tools":%b,' % dumps(sample.tools) if sample.tools else b""
        end = b',%b],%b%b"meta":%b}' % (dumps(sample.completion), tools, self.extra, dumps(sample.meta))
        return b'{"messages":[', *sample.dumped, end


FLAT: Final = (
    LastReply("nemo-rl", "step samples as messages (NeMo-RL, sft.only_unmask_final)", b'"task_name":"apollo",'),
    LastReply(
        "tinker-steps",
        "step samples as messages (Tinker, LAST_ASSISTANT_MESSAGE)",
        version=4,
        form=Form(parts=True),
    ),
)

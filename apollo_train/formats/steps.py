"""``steps``: one row per trained reply, with the exact prompt before it. What nearly every trainer can express."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apollo_train.chat import dumps
from apollo_train.formats.whole import StepRows
from apollo_train.samples import StepSample


@dataclass(frozen=True)
class StepsFormat(StepRows):
    """``prompt``, ``completion`` (one assistant message), ``tools`` (JSON text), ``meta``.

    ``tools`` is text because Arrow would merge the schemas of different rows into one with empty fields.
    """

    name: str = "steps"
    version: int = 2
    about: str = "prompt, completion, tools: one row per trained reply (TRL and most others)"

    def row(self, sample: StepSample) -> tuple[bytes, ...]:
        """The row in pieces, the prompt in some that are JSON already: a prompt repeats all of the one before."""
        end = b'],"completion":[%b],"tools":%b,"meta":%b}'
        return b'{"prompt":[', *sample.dumped, end % (dumps(sample.completion), tools_text(sample), dumps(sample.meta))


def tools_text(sample: StepSample) -> bytes:
    """The tools as JSON text, itself a JSON string; or null."""
    if not sample.tools:
        return b"null"
    if _newest[0] is not sample.tools:
        _newest[:] = [sample.tools, dumps(dumps(sample.tools).decode())]
    return bytes(_newest[1])


_newest: list[Any] = [None, b""]
"""The tools that were dumped last: all samples of a session share them."""

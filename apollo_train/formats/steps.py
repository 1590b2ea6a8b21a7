"""``steps``: one row per trained reply, with the exact prompt before it. What nearly every trainer can express."""

from __future__ import annotations

from collections.abc import Iterator

from apollo_train.chat import dumps
from apollo_train.formats.base import Line, Unit
from apollo_train.samples import Excluded, Source, steps_of
from apollo_train.tokens import count


class StepsFormat:
    """``prompt``, ``completion`` (one assistant message), ``tools`` (JSON text), ``meta``.

    ``tools`` is text because Arrow would merge the schemas of different rows into one with empty fields.
    """

    name = "steps"
    version = 1
    unit: Unit = "step"
    about = "prompt, completion, tools: one row per trained reply (TRL and most others)"

    def lines(self, source: Source) -> Iterator[Line | Excluded]:
        """A line per trained reply of the session."""
        for sample in steps_of(source):
            if isinstance(sample, Excluded):
                yield sample
                continue
            row = {
                "prompt": sample.prompt,
                "completion": [sample.completion],
                "tools": dumps(sample.tools).decode() if sample.tools else None,
                "meta": sample.meta,
            }
            tokens = count(sample.mask)
            yield Line(
                dumps(row),
                trained=1,
                trained_tokens=tokens.reply,
                processed_tokens=tokens.prompt + tokens.reply,
                unseen_tokens=0 if sample.mask.seen else tokens.reply,
                exact_tokens=tokens.exact,
                counterfactual=sample.meta["prompt"] == "counterfactual",
            )

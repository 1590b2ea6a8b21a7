"""Whether a tokenizer counts as the servers did: where it does not, it or its template is not what was served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from apollo_train.masks.annotations import read_annotations
from apollo_train.masks.reply_masks import ReplyMask
from apollo_train.policy import AdviceRules, FilterPolicy
from apollo_train.samples.step_samples import Source, StepSample, make_step_samples, reply_of
from apollo_train.samples.weights import Weigher
from apollo_train.templates.engine import open_engine
from apollo_train.templates.renderer import Renderer, StepTokens
from apollo_train.templates.stop_tokens import find_stop_tokens
from apollo_train.templates.template_probe import probe_template
from sessions.log.reader import LogReader

TOLERANCE: Final = 0.001
"""A server that counts otherwise by more than this share has another tokenizer or template."""
PER_SESSION: Final = 24
"""Requests of a session that are compared, spread over it: what differs, differs everywhere."""
NOT_CHECKED: Final = "token counts are not checked against the servers': no tokenizer is named (--tokenizer)"


class TokenTotals(msgspec.Struct):
    """What a model's server and this tokenizer counted for the same requests and replies."""

    requests: int = 0
    server: int = 0
    own: int = 0

    @property
    def drift(self) -> float:
        """How much more (1.0: twice) this tokenizer counts."""
        return self.own / self.server - 1


class TokenCheck(msgspec.Struct):
    """The comparison, by model as the session names it."""

    models: dict[str, TokenTotals] = {}

    def take(self, sample: StepSample, made: StepTokens) -> None:
        """Compare one request, if the server counted it and the prompt is the very one that it got."""
        usage = reply_of(sample.mask).usage
        if usage is None or not usage.input_tokens or sample.meta["prompt"] != "exact":
            return
        found = self.models.setdefault(sample.meta["model"], TokenTotals())
        found.requests += 1
        found.server += usage.input_tokens + usage.output_tokens
        found.own += len(made.prompt) + made.cut + len(made.target)

    def add(self, other: TokenCheck) -> None:
        """Add what was compared elsewhere."""
        for model, more in other.models.items():
            found = self.models.setdefault(model, TokenTotals())
            found.requests += more.requests
            found.server += more.server
            found.own += more.own

    def lines(self) -> Iterator[str]:
        """The comparison for a person, a line per model."""
        if not self.models:
            yield "token counts are not checked against the servers': none counted these requests"
        for model, found in sorted(self.models.items()):
            asked = f"{found.requests:,} requests to {model}"
            if abs(found.drift) > TOLERANCE:
                yield (
                    f"for {asked} its server counted {found.server:,} tokens where this tokenizer counts "
                    f"{found.own:,} ({found.drift:+.1%}): it has another tokenizer or template"
                )
            else:
                yield f"for {asked} this tokenizer counts as its server did, within {TOLERANCE:.1%}"

    def plain(self) -> dict[str, Any]:
        """The comparison for a manifest or a report."""
        return {
            model: {**msgspec.to_builtins(found), "drift": round(found.drift, 6)}
            for model, found in sorted(self.models.items())
        }


def open_renderer(tokenizer: str) -> Renderer | None:
    """What counts tokens by the tokenizer of this folder (or name); None where none is named.

    Raises NoTokenizer or UnknownTemplate.
    """
    if not tokenizer:
        return None
    engine = open_engine(tokenizer)
    return Renderer(engine, find_stop_tokens(engine), probe_template(engine))


def check_tokens(
    reader: LogReader, sessions: Mapping[str, int], policy: FilterPolicy, renderer: Renderer, position: int
) -> TokenCheck:
    """Compare some trained replies of each session (with how many it has) with what their servers counted."""
    check = TokenCheck()
    # The prompts as they were sent: a policy that drops advice makes others, which no server counted.
    sent = msgspec.structs.replace(policy, advice=AdviceRules())
    for session, trained in sessions.items():
        judged = read_annotations(reader, session, position)
        if judged is None:
            continue
        wanted = _Every(max(1, -(-trained // PER_SESSION)))
        for sample in make_step_samples(Source(reader, judged, sent, Weigher(sent)), wanted):
            made = renderer.step(sample) if isinstance(sample, StepSample) else None
            if isinstance(sample, StepSample) and isinstance(made, StepTokens):
                check.take(sample, made)
        renderer.finish()
    return check


class _Every:
    """Picks each so manyth trained reply, the last ones of long sessions too."""

    def __init__(self, stride: int) -> None:
        self._stride = stride
        self._seen = 0

    def __call__(self, mask: ReplyMask) -> bool:
        self._seen += mask.trained
        return mask.trained and self._seen % self._stride == 0

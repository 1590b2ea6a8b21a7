"""Rows of chat messages, by step sample or by segment: what such formats share, from their form to what they refuse."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from typing import Any, Final, Self

from apollo_train.formats.base import Format, Line, Unit, line_of, line_of_segment, whole_replies_only
from apollo_train.formats.conformance import TOKENS, refusal_of
from apollo_train.masks.reply_masks import ReplyMask
from apollo_train.output_files import Data
from apollo_train.policy import FilterPolicy
from apollo_train.samples.chat import Chat
from apollo_train.samples.segments import Segment, make_segments
from apollo_train.samples.step_samples import Exclusion, Source, StepSample, make_step_samples
from apollo_train.templates.message_form import PLAIN, Form
from apollo_train.templates.template_trial import TemplateTrial

FORMS: Final[dict[str, dict[str, Any]]] = {
    "llama3": {"objects": True},
    "qwen3": {"objects": True, "thinks": True},
    "glm": {"objects": True, "thinks": True},
    "gemma": {"system": False, "runs": False, "tools": False},
}
"""What the form for each family of templates is, whoever renders it."""
TINKER_FORMS: Final = {"qwen3": {"qwen3_text": True, "parts": False, "objects": True}}
"""Tinker's own renderer takes Qwen 3's messages only as texts in the words of its template."""


class MessageRows(Format):
    """A format of chat messages, each reply trained whole or not at all; it can say them in a template's form."""

    scrubs: bool = True
    form: Form = PLAIN
    text_arguments: bool = False
    """Arguments stay text for every template: the trainer parses them itself, or its loader would merge the objects of
    different rows."""
    own_forms: Mapping[str, Mapping[str, Any]] = {}
    """By family, where its trainer renders with a template of its own that wants something else."""
    exact: bool = True
    """Whether the template is the very one of its family that was tried."""
    trial: TemplateTrial | None = None
    """The template itself, to hear what it refuses; None where none was named, or it refuses nothing."""

    @property
    def settings(self) -> dict[str, Any]:
        """The template: rows for another would be others."""
        template = {"template": self.template} if self.template else {}
        return {**super().settings, **template}

    def adapt_to_template(self, family: str, *, exact: bool = True, trial: TemplateTrial | None = None) -> Self:
        """See Format. What its trainer would train otherwise with this template is refused."""
        adapted = self.adopt_form(family)
        adapted.template, adapted.exact = family, exact
        if trial is not None:
            form = adapted.form
            # Arguments that are text here are parsed by the trainer before it renders.
            objects = form.objects or self.text_arguments
            adapted.trial = trial.with_form(system=form.system, objects=objects, runs=form.runs)
        return adapted

    def trial_for(self, policy: FilterPolicy) -> TemplateTrial | None:
        """See Format. Policies of version 1 had none."""
        return self.trial if policy.version > 1 else None

    def adopt_form(self, family: str) -> Self:
        """The same format, its messages as templates of ``family`` want them; its own for one that is not known."""
        form = replace(self.form, **FORMS.get(family, {}))
        if self.text_arguments:
            form = replace(form, objects=False)
        adapted = copy(self)
        adapted.form = replace(form, **self.own_forms.get(family, {}))
        return adapted

    def refusal(self, policy: FilterPolicy) -> str:
        """Parts of a reply cannot be masked; and some trainers train other tokens with some templates."""
        refusal = whole_replies_only(self.name, policy)
        if not refusal and not self.exact and self.form.qwen3_text:
            refusal = (
                f"{self.name} says all in the words of the {self.template} template that was tried, and yours is "
                f"another of its family: {TOKENS}"
            )
        return refusal or refusal_of(self.name, self.template)


class StepRows(MessageRows):
    """A row per step sample."""

    unit: Unit = "step"

    def lines(self, source: Source) -> Iterator[Line | Exclusion]:
        """A line per trained reply of the session that the loader would not drop or change without a word."""
        for sample in self.form.adapt_samples(make_step_samples(source), self.trial_for(source.policy)):
            if isinstance(sample, Exclusion):
                yield sample
                continue
            row = self.row(sample)
            if isinstance(row, str):
                yield source.exclude(sample.mask, row, sample.suffix)
            else:
                yield line_of(row, sample)

    @abstractmethod
    def row(self, sample: StepSample) -> Data | str:
        """The row of one step sample, or why the loader cannot take it."""


class SegmentRows(MessageRows):
    """A row per segment."""

    unit: Unit = "segment"

    def lines(self, source: Source) -> Iterator[Line | Exclusion]:
        """A line per segment of the session that trains anything."""
        for segment in self.form.adapt_segments(make_segments(source), source, self.trial_for(source.policy)):
            if isinstance(segment, Exclusion):
                yield segment
            elif find_break(segment.messages):
                yield from (source.exclude(mask, "broken_conversation") for mask in segment.masks)
            else:
                kept, after = self.cut_to_alternation(segment)
                yield from (source.exclude(mask, "turns_do_not_alternate") for mask in after)
                if kept is not None:
                    yield line_of_segment(self.row(kept), kept)

    def cut_to_alternation(self, segment: Segment) -> tuple[Segment | None, list[ReplyMask]]:
        """What the loader reads of the segment, None if it trains nothing; and what is lost: here nothing."""
        return segment, []

    @abstractmethod
    def row(self, segment: Segment) -> Data:
        """The row of one segment."""


def find_break(messages: list[Chat]) -> str:
    """What loaders of chat files would refuse, or "": a reply is last, and calls are answered before anybody speaks."""
    if not messages or messages[-1]["role"] != "assistant":
        return "the last message is no reply"
    open_calls: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return f"a tool result answers no call ({message['tool_call_id']!r})"
            open_calls.discard(message["tool_call_id"])
            continue
        if open_calls:
            return f"the call {min(open_calls)!r} was not answered before the next turn ({message['role']})"
        open_calls = {call["id"] for call in message.get("tool_calls", ())}
    return ""

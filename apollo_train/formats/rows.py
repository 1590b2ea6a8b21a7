"""What message formats share that train a reply whole or not at all: their form, what they refuse, how lines come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from apollo_train.formats.base import Line, Unit, line_of, line_of_segment, whole_replies_only
from apollo_train.masks.masks import ReplyMask
from apollo_train.output_files import Data
from apollo_train.policy import FilterPolicy
from apollo_train.samples.chat import Chat, dumps
from apollo_train.samples.segments import Segment, segments_of
from apollo_train.samples.steps import Excluded, Source, StepSample, steps_of
from apollo_train.templates.message_form import PLAIN, Form


@dataclass(frozen=True, kw_only=True)
class WholeReplies:
    """A format of messages in some form."""

    name: str
    form: Form = PLAIN

    def shaped(self, form: Form) -> Self:
        """The same, for a template that needs another form."""
        return replace(self, form=form)

    def refusal(self, policy: FilterPolicy) -> str:
        """Parts of a reply cannot be masked."""
        return whole_replies_only(self.name, policy)


@dataclass(frozen=True, kw_only=True)
class StepRows(WholeReplies, ABC):
    """A row per step sample."""

    unit: Unit = "step"

    def lines(self, source: Source) -> Iterator[Line | Excluded]:
        """A line per trained reply of the session that the loader would not drop or change without a word."""
        for sample in self.form.steps(steps_of(source)):
            if isinstance(sample, Excluded):
                yield sample
                continue
            row = self.row(sample)
            if isinstance(row, str):
                yield source.excluded(sample.mask, row, sample.suffix)
            else:
                yield line_of(row, sample)

    @abstractmethod
    def row(self, sample: StepSample) -> Data | str:
        """The row of one step sample, or why the loader cannot take it."""
        ...


@dataclass(frozen=True, kw_only=True)
class SegmentRows(WholeReplies, ABC):
    """A row per segment."""

    unit: Unit = "segment"

    def lines(self, source: Source) -> Iterator[Line | Excluded]:
        """A line per segment of the session that trains anything."""
        for segment in self.form.segments(segments_of(source), source):
            if isinstance(segment, Excluded):
                yield segment
            elif broken_by(segment.messages):
                yield from (source.excluded(mask, "broken_conversation") for mask in segment.masks)
            else:
                kept, after = self.alternating(segment)
                yield from (source.excluded(mask, "turns_do_not_alternate") for mask in after)
                if kept is not None:
                    yield line_of_segment(self.row(kept), kept)

    def alternating(self, segment: Segment) -> tuple[Segment | None, list[ReplyMask]]:
        """What the loader reads of the segment, None if it trains nothing; and what is lost: here nothing."""
        return segment, []

    @abstractmethod
    def row(self, segment: Segment) -> Data:
        """The row of one segment."""
        ...


def broken_by(messages: list[Chat]) -> str:
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

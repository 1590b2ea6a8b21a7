"""The form that a chat template, or the trainer that applies it, needs messages in.

What a log holds is the same for all: arguments as JSON text, reasoning in a field of its own, the system prompt as a
turn. A file for one template says it as that template reads it; nothing is added to what was said, and nothing dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from apollo_train.masks.reply_masks import ReplyMask
from apollo_train.samples.chat import Chat, Turn
from apollo_train.samples.segments import Segment
from apollo_train.samples.step_samples import Exclusion, Source, StepSample
from apollo_train.templates.normaliser import normalise_messages
from apollo_train.templates.qwen3_text import MarkedTurn, Qwen3Text
from apollo_train.templates.rounds import drop_bare_replies, split_rounds
from apollo_train.templates.template_trial import REFUSED, TemplateTrial
from apollo_train.templates.turn_cache import TurnCache

NO_THINK: Final = "no_think_form"


@dataclass
class FormCache:
    """What a form has made of the turns of one session so far."""

    turns: TurnCache = field(default_factory=TurnCache)
    qwen3: Qwen3Text = field(default_factory=Qwen3Text)


@dataclass(frozen=True)
class Form:
    r"""How messages are said. The default is the log's own way.

    A reply with a call, and what ``Form(objects=True, think="<think>{}</think>")`` makes of it:

        {"role": "assistant", "content": "Now.", "reasoning_content": "Look.",
         "tool_calls": [{"function": {"name": "run", "arguments": "{\"command\":\"ls\"}"}, …}]}
        {"role": "assistant", "content": "<think>Look.</think>Now.",
         "tool_calls": [{"function": {"name": "run", "arguments": {"command": "ls"}}, …}]}
    """

    system: bool = True
    """False: the system text stands at the head of the first user turn."""
    runs: bool = True
    """False: user turns that follow each other are one."""
    objects: bool = False
    """Arguments are objects, not JSON text."""
    tools: bool = True
    """False: the template renders no tools, so that none are offered."""
    thinks: bool = False
    """The template drops reasoning before the last user turn, so that a segment ends, and begins anew, at each of them;
    and it has another prompt for replies without reasoning, so that those are no targets here."""
    think: str = ""
    """Reasoning stands at the head of ``content``, where this says ``{}``; "" leaves it in its field."""
    parts: bool = False
    """``content`` is a list of typed parts, ``thinking`` and ``text``, in every message."""
    gap: str = ""
    """What is between a text and the calls beside it, at the end of ``content``."""
    qwen3_text: bool = False
    """Messages are role and text only, as Qwen 3's template would write them."""
    closing: bool = False
    """An empty reply without loss ends each segment, for trainers that find a reply less well where it is the last."""

    def adapt_message(self, chat: Chat) -> Chat:
        """One message in this form."""
        [message] = normalise_messages([chat], objects=self.objects)
        if chat["role"] == "assistant":
            if self.gap and message.get("tool_calls") and message["content"]:
                message["content"] += self.gap
            if self.think and message.get("reasoning_content"):
                message["content"] = self.think.format(message.pop("reasoning_content")) + message["content"]
        if self.parts:
            message["content"] = _split_parts(message)
        return message

    def adapt_samples(
        self, samples: Iterable[StepSample | Exclusion], trial: TemplateTrial | None = None
    ) -> Iterator[StepSample | Exclusion]:
        """The step samples of a session in this form, and which of them its template cannot say, or refuses."""
        cache = FormCache()
        for sample in samples:
            if isinstance(sample, Exclusion):
                yield sample
            elif self.thinks and not sample.completion.get("reasoning_content"):
                yield exclude_sample(sample, NO_THINK)
            elif trial is not None and (said := trial.try_sample(sample)):
                yield exclude_sample(sample, REFUSED, said)
            else:
                yield self.adapt_sample(sample, cache)

    def adapt_sample(self, sample: StepSample, cache: FormCache) -> StepSample:
        """One step sample in this form."""
        if self == PLAIN:
            return sample
        completion = self.adapt_message(sample.completion)
        tools = sample.tools if self.tools else []
        pairs = self._join_turns([(cache.turns.get_or_make((turn,), self._adapt, turn), None) for turn in sample.turns])
        if self.qwen3_text:
            *pairs, (last, _) = cache.qwen3.write([*pairs, (Turn(completion), True)], tools)
            completion, tools = last.chat, []
        return replace(sample, turns=[turn for turn, _ in pairs], completion=completion, tools=tools, dump=None)

    def adapt_segments(
        self, segments: Iterable[Segment | Exclusion], source: Source, trial: TemplateTrial | None = None
    ) -> Iterator[Segment | Exclusion]:
        """Segments in this form; with ``thinks`` one for each stretch that a template renders as it was sampled."""
        for segment in segments:
            if isinstance(segment, Exclusion) or (self == PLAIN and trial is None):
                yield segment
                continue
            parts = [segment]
            if self.thinks:
                segment, bare = drop_bare_replies(segment)
                yield from (source.exclude(mask, NO_THINK) for mask in bare)
                parts = list(split_rounds(segment, shared=source.policy.weights.normalise != "none"))
            for part in parts:
                if trial is not None:
                    kept, refused, said = cut_refused(part, trial)
                    suffix = part.suffix
                    yield from (replace(source.exclude(mask, REFUSED, suffix), says=said) for mask in refused)
                    if kept is None:
                        continue
                    part = kept
                turns = [self._adapt(turn) for turn in part.turns]
                pairs = self._join_turns(list(zip(turns, part.trained, strict=True)))
                tools = part.tools if self.tools else []
                if self.qwen3_text:
                    pairs, tools = Qwen3Text().write(pairs, tools), []
                yield replace(part, turns=[turn for turn, _ in pairs], trained=[flag for _, flag in pairs], tools=tools)

    def _adapt(self, turn: Turn) -> Turn:
        return Turn(self.adapt_message(turn.chat), turn.sources)

    def _join_turns(self, turns: list[MarkedTurn]) -> list[MarkedTurn]:
        """The turns, those joined that the template would not take apart."""
        if not self.system and turns and turns[0][0].chat["role"] == "system":
            first = Turn({**turns[0][0].chat, "role": "user"}, turns[0][0].sources)
            turns[0] = (first, None)
            if len(turns) > 1 and turns[1][0].chat["role"] == "user":
                turns[:2] = [(_join(first, turns[1][0]), None)]
        if self.runs:
            return turns
        joined: list[MarkedTurn] = []
        for turn, flag in turns:
            if joined and turn.chat["role"] == joined[-1][0].chat["role"] == "user":
                joined[-1] = (_join(joined[-1][0], turn), None)
            else:
                joined.append((turn, flag))
        return joined


PLAIN: Final = Form()


def exclude_sample(sample: StepSample, reason: str, says: str = "") -> Exclusion:
    """The line of the twin file for a sample that the template cannot say, or refuses in these words."""
    mask = sample.mask
    session = sample.meta["session"]
    return Exclusion(sample.id, session, mask.name, reason, mask.seq, mask.calls_lost, mask, says=says)


def cut_refused(segment: Segment, trial: TemplateTrial) -> tuple[Segment | None, list[ReplyMask], str]:
    """The segment as far as the template takes it, None if that trains nothing; what is lost, and what it says."""
    said = trial.try_messages(segment.messages, segment.tools)
    if not said:
        return segment, [], ""
    replies = [at for at, flag in enumerate(segment.trained) if flag is not None]
    low, high = 0, len(replies)  # so many of the replies are taken, and so many are not
    while high - low > 1:
        middle = (low + high) // 2
        more = trial.try_messages(segment.messages[: replies[middle - 1] + 1], segment.tools)
        low, high, said = (low, middle, more) if more else (middle, high, said)
    end = replies[low - 1] + 1 if low else 0
    number = segment.trained[:end].count(True)
    kept, lost = segment.masks[:number], segment.masks[number:]
    if not kept:
        return None, lost, said
    return replace(segment, turns=segment.turns[:end], trained=segment.trained[:end], masks=kept), lost, said


def _split_parts(chat: Chat) -> list[dict[str, str]]:
    """The reasoning, taken out of its field, and the text."""
    thought = chat.pop("reasoning_content", "")
    parts = [{"type": "thinking", "thinking": thought}] if thought else []
    return [*parts, {"type": "text", "text": chat["content"]}] if chat["content"] or not parts else parts


def _join(first: Turn, second: Turn) -> Turn:
    one, other = first.chat["content"], second.chat["content"]
    both = [*one, *other] if isinstance(one, list) else f"{one}\n\n{other}"
    return Turn({**first.chat, "content": both}, (*first.sources, *second.sources))

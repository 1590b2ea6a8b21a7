"""The form that a chat template, or the trainer that applies it, needs messages in.

What a log holds is the same for all: arguments as JSON text, reasoning in a field of its own, the system prompt as a
turn. A file for one template says it as that template reads it; nothing is added to what was said, and nothing dropped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, TypeVar

from apollo_train.masks.reply_masks import ReplyMask
from apollo_train.samples.chat import Chat, Turn
from apollo_train.samples.segments import Segment
from apollo_train.samples.steps import Excluded, Source, StepSample, reply_of
from apollo_train.templates.normalise import normalised

Flagged = tuple[Turn, bool | None]
"""A turn, and whether it is trained; None where it is no reply."""

T = TypeVar("T")
KEPT: Final = 8192
"""Turns that are remembered."""
NOTHING: Final = Turn({})
"""Where a conversation has no system turn."""
TOOLS: Final = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>{}\n</tools>\n\n"
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML "
    'tags:\n<tool_call>\n{{"name": <function-name>, "arguments": <args-json-object>}}\n</tool_call>'
)


class Spelling:
    """Remembers what it said: a step sample repeats all turns of the one before."""

    def __init__(self) -> None:
        # By the turn's id and what it depends on; the turn is held too, so that its id stays its own.
        self._said: dict[tuple[int, object], tuple[object, Turn]] = {}

    def spelled(self, made: list[Flagged], tools: list[dict[str, Any]]) -> list[Flagged]:
        """The conversation; results that follow each other are one turn. The newest round keeps its reasoning."""
        if len(self._said) > KEPT:
            self._said.clear()
        newest = next((at for at in reversed(range(len(made))) if _is_query(made[at][0].chat)), len(made))
        said = list(self._turns(made, newest))
        if not tools:
            return said
        first = said.pop(0)[0] if said and said[0][0].chat["role"] == "system" else NOTHING
        return [(self._once(first, id(tools), _offering, tools), None), *said]

    def _turns(self, made: list[Flagged], newest: int) -> Iterator[Flagged]:
        results: list[Turn] = []
        for at, (turn, flag) in enumerate(made):
            role = turn.chat["role"]
            if role == "tool":
                results.append(turn)
                continue
            if results:
                yield self._results(results), None
                results = []
            if role == "assistant":
                framed = at > newest and (at == len(made) - 1 or bool(_said_and_thought(turn.chat)[1]))
                yield self._once(turn, framed, _reply, framed), flag
            else:
                yield self._once(turn, "", _plain, None), flag
        if results:
            yield self._results(results), None

    def _results(self, turns: list[Turn]) -> Turn:
        more = tuple(id(turn) for turn in turns[1:])
        return self._once(turns[0], more, _shown, turns)

    def _once(self, turn: Turn, key: object, make: Callable[[Turn, T], Turn], told: T) -> Turn:
        known = self._said.get((id(turn), key))
        if known is None:
            known = self._said[id(turn), key] = ((turn, told), make(turn, told))
        return known[1]


def _is_query(chat: Chat) -> bool:
    """Whether the template takes it for a question: its reasoning is dropped before the last one."""
    text = chat["content"]
    shown = text.startswith("<tool_response>") and text.endswith("</tool_response>")
    return chat["role"] == "user" and not shown


def _offering(first: Turn, tools: list[dict[str, Any]]) -> Turn:
    """The system turn, with the tools that are offered."""
    listed = TOOLS.format("".join(f"\n{_dumped(tool)}" for tool in tools))
    before = "" if first is NOTHING else f"{first.chat['content']}\n\n"
    return _text(first, "system", before + listed)


def _plain(turn: Turn, _: None) -> Turn:
    return _text(turn, turn.chat["role"], turn.chat["content"])


def _shown(_: Turn, turns: list[Turn]) -> Turn:
    """Results, in one turn of the user."""
    text = "\n".join(f"<tool_response>\n{turn.chat['content']}\n</tool_response>" for turn in turns)
    return Turn({"role": "user", "content": text}, tuple(source for turn in turns for source in turn.sources))


def _reply(turn: Turn, framed: bool) -> Turn:
    """What the template writes between a reply's header and its stop token."""
    content, thought = _said_and_thought(turn.chat)
    calls = [_call(call["function"]) for call in turn.chat.get("tool_calls", ())]
    head = "<think>\n" + thought.strip("\n") + "\n</think>\n\n" + content.lstrip("\n") if framed else content
    return _text(turn, "assistant", head + ("\n" if calls and content else "") + "\n".join(calls))


def _said_and_thought(chat: Chat) -> tuple[str, str]:
    """A reply's text and its reasoning, which the template also finds in a text where a server left it there."""
    content: str = chat["content"]
    thought = chat.get("reasoning_content")
    if isinstance(thought, str) or "</think>" not in content:
        return content, thought or ""
    first, *_, last = content.split("</think>")
    return last.lstrip("\n"), first.rstrip("\n").split("<think>")[-1].lstrip("\n")


def _call(function: dict[str, Any]) -> str:
    arguments = function["arguments"]
    name: str = function["name"]
    said = arguments if isinstance(arguments, str) else _dumped(arguments)
    return '<tool_call>\n{"name": "' + name + '", "arguments": ' + said + "}\n</tool_call>"


def _text(turn: Turn, role: str, text: str) -> Turn:
    return Turn({"role": role, "content": text}, turn.sources)


def _dumped(value: Any) -> str:
    """JSON as chat templates write it."""
    return json.dumps(value, ensure_ascii=False)


NO_THINK: Final = "no_think_form"


class Said:
    """What was said already: messages by their id, with the turn that says them in a form, and how that was spelled."""

    def __init__(self) -> None:
        self.turns: dict[int, tuple[Chat, Turn]] = {}
        self.spelling = Spelling()


@dataclass(frozen=True)
class Form:
    """How messages are said. The default is the log's own way."""

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
    spelled: bool = False
    """Messages are role and text only, as Qwen 3's template would write them."""
    closing: bool = False
    """An empty reply without loss ends each segment, for trainers that find a reply less well where it is the last."""

    def chat(self, chat: Chat) -> Chat:
        """One message."""
        [made] = normalised([chat], objects=self.objects)
        if chat["role"] == "assistant":
            if self.gap and made.get("tool_calls") and made["content"]:
                made["content"] += self.gap
            if self.think and made.get("reasoning_content"):
                made["content"] = self.think.format(made.pop("reasoning_content")) + made["content"]
        if self.parts:
            made["content"] = _parts(made)
        return made

    def steps(self, found: Iterable[StepSample | Excluded]) -> Iterator[StepSample | Excluded]:
        """Step samples in this form."""
        if self == PLAIN:
            return iter(found)
        said = Said()
        return (self._step(sample, said) for sample in found)

    def _step(self, sample: StepSample | Excluded, said: Said) -> StepSample | Excluded:
        if isinstance(sample, Excluded):
            return sample
        if self.thinks and not sample.completion.get("reasoning_content"):
            session, mask = sample.meta["session"], sample.mask
            return Excluded(sample.id, session, mask.name, NO_THINK, mask.seq, mask.calls_lost, mask)
        return self.step(sample, said)

    def step(self, sample: StepSample, said: Said) -> StepSample:
        """One step sample in this form; ``said`` remembers messages from sample to sample."""
        if self == PLAIN:
            return sample
        completion = self.chat(sample.completion)
        tools = sample.tools if self.tools else []
        pairs = self._pairs([(self._remembered(chat, said), None) for chat in sample.prompt])
        if self.spelled:
            *pairs, (last, _) = said.spelling.spelled([*pairs, (Turn(completion), True)], tools)
            completion, tools = last.chat, []
        return replace(sample, turns=[turn for turn, _ in pairs], completion=completion, tools=tools, dump=None)

    def segments(self, found: Iterable[Segment | Excluded], source: Source) -> Iterator[Segment | Excluded]:
        """Segments in this form; with ``thinks`` one for each stretch that a template renders as it was sampled."""
        for segment in found:
            if self == PLAIN or isinstance(segment, Excluded):
                yield segment
                continue
            parts = [segment]
            if self.thinks:
                segment, bare = reasoned(segment)
                yield from (source.excluded(mask, NO_THINK) for mask in bare)
                parts = list(rounds_of(segment, shared=source.policy.weights.normalise != "none"))
            for part in parts:
                said = [Turn(self.chat(turn.chat), turn.sources) for turn in part.turns]
                pairs = self._pairs(list(zip(said, part.trained, strict=True)))
                tools = part.tools if self.tools else []
                if self.spelled:
                    pairs, tools = Spelling().spelled(pairs, tools), []
                yield replace(part, turns=[turn for turn, _ in pairs], trained=[flag for _, flag in pairs], tools=tools)

    def _pairs(self, made: list[Flagged]) -> list[Flagged]:
        """Turns and whether they are trained, some of them joined."""
        if not self.system and made and made[0][0].chat["role"] == "system":
            first = Turn({**made[0][0].chat, "role": "user"}, made[0][0].sources)
            made[0] = (first, None)
            if len(made) > 1 and made[1][0].chat["role"] == "user":
                made[:2] = [(_joined(first, made[1][0]), None)]
        if self.runs:
            return made
        joined: list[Flagged] = []
        for turn, flag in made:
            if joined and turn.chat["role"] == joined[-1][0].chat["role"] == "user":
                joined[-1] = (_joined(joined[-1][0], turn), None)
            else:
                joined.append((turn, flag))
        return joined

    def _remembered(self, chat: Chat, said: Said) -> Turn:
        """The message in this form. The memory holds the message too, so that its id stays its own."""
        if id(chat) not in said.turns:
            if len(said.turns) > KEPT:
                said.turns.clear()
            said.turns[id(chat)] = (chat, Turn(self.chat(chat)))
        return said.turns[id(chat)][1]


PLAIN: Final = Form()


def reasoned(segment: Segment) -> tuple[Segment, list[ReplyMask]]:
    """The segment with loss on replies with reasoning only, and the other ones that it would have trained."""
    masks, flags = iter(segment.masks), list(segment.trained)
    kept: list[ReplyMask] = []
    bare: list[ReplyMask] = []
    for at, turn in enumerate(segment.turns):
        if flags[at]:
            flags[at] = bool(turn.chat.get("reasoning_content"))
            (kept if flags[at] else bare).append(next(masks))
    return replace(segment, trained=flags, masks=kept), bare


def rounds_of(segment: Segment, *, shared: bool = False) -> Iterator[Segment]:
    """The segment up to each user turn that follows reasoning, and the whole of it; each reply is trained in one.

    ``shared``: the weight of the segment is that of all its replies, so that each round has its part of it.
    """
    starts = [at for at, turn in enumerate(segment.turns) if turn.chat["role"] == "user"]
    thought = [at for at, turn in enumerate(segment.turns) if turn.chat.get("reasoning_content")]
    pairs = pairwise(starts)
    cuts = [high for low, high in pairs if any(low < at < high for at in thought)]
    if not cuts:
        if segment.masks:
            yield segment
        return
    masks, done = list(segment.masks), 0
    for number, end in enumerate((*cuts, len(segment.turns)), 1):
        flags = [None if flag is None else flag and at >= done for at, flag in enumerate(segment.trained[:end])]
        here, masks = masks[: flags.count(True)], masks[flags.count(True) :]
        done = end
        if here:
            last = max(at for at, flag in enumerate(flags) if flag is not None) + 1
            weight = segment.meta["weight"] * (len(here) / len(segment.masks) if shared else 1)
            own = {"id": f"{segment.id}/{number}", "packing": "round", "weight": round(weight, 9)}
            meta = segment.meta | own | {"finish": reply_of(here[-1]).finish, "seen": all(mask.seen for mask in here)}
            lost = segment.calls_lost if number > len(cuts) else 0
            yield Segment(own["id"], segment.turns[:last], flags[:last], segment.tools, meta, here, lost)


def _parts(chat: Chat) -> list[dict[str, str]]:
    """The reasoning, taken out of its field, and the text."""
    thought = chat.pop("reasoning_content", "")
    parts = [{"type": "thinking", "thinking": thought}] if thought else []
    return [*parts, {"type": "text", "text": chat["content"]}] if chat["content"] or not parts else parts


def _joined(first: Turn, second: Turn) -> Turn:
    one, other = first.chat["content"], second.chat["content"]
    both = [*one, *other] if isinstance(one, list) else f"{one}\n\n{other}"
    return Turn({**first.chat, "content": both}, (*first.sources, *second.sources))

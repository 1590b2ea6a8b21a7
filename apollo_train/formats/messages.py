"""Message formats: a row is a whole segment, each reply in it trained or masked by a field of its own.

They differ in the name of that field (``weight``, ``loss``, ``train``, ``step_loss_mask``, ``trainable``), in where the
tools are, and in small habits of their loaders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, Literal

from apollo_train.formats.rows import TINKER_FORMS, SegmentRows
from apollo_train.masks.reply_masks import ReplyMask
from apollo_train.runtime import CannotExpress
from apollo_train.samples.chat import Chat, Turn, dumps
from apollo_train.samples.segments import Segment
from apollo_train.templates.message_form import PLAIN, Form

Tools = Literal["list", "text", "metadata"]
"""Where tool schemas are: a list, JSON text, or a list in ``metadata.tools``."""


@dataclass
class MarkedSegments(SegmentRows):
    """Chat messages with ``marks[True]`` or ``marks[False]`` put into each reply."""

    name: str
    about: str
    marks: Mapping[bool, Chat]
    tools: Tools = "list"
    null_content: bool = False
    """Write null, not an empty text, where a reply is nothing but calls."""
    others: Chat = field(default_factory=dict)
    """What is put into each message that is no reply."""
    alternate: bool = False
    """The loader wants a reply between a tool result and a user turn: it stops at rows that have none there."""
    version: int = 2
    trainer: str = ""
    form: Form = PLAIN
    text_arguments: bool = False
    own_forms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def cut_to_alternation(self, segment: Segment) -> tuple[Segment | None, list[ReplyMask]]:
        """See SegmentRows."""
        return _cut_to_alternation(segment) if self.alternate else (segment, [])

    def row(self, segment: Segment) -> bytes:
        """The row of one segment."""
        pairs = zip(segment.turns, segment.trained, strict=True)
        messages = [self._message(turn, trained) for turn, trained in pairs]
        if self.form.closing:
            messages.append(self._message(_EMPTY, False))
        row = b'{"messages":[%b]' % b",".join(messages)
        if segment.tools:
            row += b',"%b":%b' % _tools(segment.tools, self.tools)
        checked = b"true" if segment.meta["prefix_checked"] else b"false"
        return row + b',"prefix_checked":%b,"meta":%b}' % (checked, dumps(segment.meta))

    def _message(self, turn: Turn, trained: bool | None) -> bytes:
        marks = self.others if trained is None else self.marks[trained]
        chat = turn.chat
        if trained is not None and self.null_content and not chat["content"] and chat.get("tool_calls"):
            return dumps({**chat, "content": None, **marks})
        return turn.json[:-1] + b"," + dumps(marks)[1:] if marks else turn.json


@dataclass
class UnmarkedSegments(MarkedSegments):
    """For trainers that train every reply of a row: what follows the last trained reply is cut off; no mask."""

    def row(self, segment: Segment) -> bytes:
        """The row of one segment. Raises CannotExpress where a reply before a trained one is masked."""
        last = max(at for at, trained in enumerate(segment.trained) if trained)
        masked = segment.trained[:last].count(False)
        if masked:
            raise CannotExpress(
                f"{self.name} trains every reply of a row, and {masked} of segment {segment.id} are masked: take "
                "`apollo-train tokens`, or `nemo-rl` or `steps` with a trainer that trains the last reply only"
            )
        meta = {**segment.meta, "cut": len(segment.turns) - last - 1}
        turns, trained = segment.turns[: last + 1], segment.trained[: last + 1]
        return super().row(Segment(segment.id, turns, trained, segment.tools, meta, segment.masks))


def _marks(**values: tuple[Any, Any]) -> dict[bool, Chat]:
    """For each field its value in a trained and in a masked reply."""
    return {which: {name: pair[not which] for name, pair in values.items()} for which in (True, False)}


_EMPTY: Final = Turn({"role": "assistant", "content": ""})
_WEIGHT: Final = {"weight": (1, 0)}
_LOSS: Final = {"loss": (True, False)}
_TRAIN: Final = {"train": (True, False)}
_STEP: Final = {"step_loss_mask": (1, 0)}

MESSAGES: Final = (
    MarkedSegments(
        "messages",
        "chat messages; each reply says by five names whether it is trained",
        _marks(**_WEIGHT, **_LOSS, **_TRAIN, **_STEP, loss_weight=(1.0, 0.0)),
        "text",
        trainer="renderers",
        text_arguments=True,
    ),
    MarkedSegments(  # for a service that nobody outside can run: no trainer
        "openai",
        "chat JSONL with weight 0 or 1 per reply (OpenAI style)",
        _marks(**_WEIGHT),
        null_content=True,
        text_arguments=True,
    ),
    MarkedSegments(
        "ms-swift",
        "the same with a boolean loss, reasoning in the text (ms-swift)",
        _marks(**_LOSS),
        "text",
        version=3,
        trainer="ms-swift",
        form=Form(think="<think>\n{}\n</think>\n\n"),
        alternate=True,
        text_arguments=True,
        own_forms={"qwen3": {"gap": "\n"}, "glm": {"think": "<think>{}</think>\n"}},
    ),
    MarkedSegments(
        "axolotl",
        "the same with a boolean train (Axolotl)",
        _marks(**_TRAIN),
        version=3,
        trainer="Axolotl",
        text_arguments=True,
        own_forms={"qwen3": {"closing": True}},
    ),
    MarkedSegments(
        "slime",
        "the same with step_loss_mask 0 or 1, tools in metadata (slime)",
        _marks(**_STEP),
        "metadata",
        trainer="slime",
    ),
    MarkedSegments(
        "tinker",
        "the same with a boolean trainable on every message (Tinker, CUSTOMIZED)",
        _marks(trainable=(True, False)),
        others={"trainable": False},
        version=4,
        trainer="Tinker",
        form=Form(parts=True),
        text_arguments=True,
        own_forms=TINKER_FORMS,
    ),
    UnmarkedSegments(
        "verl",
        "whole segments without a mask; refuses where a reply is masked (verl)",
        _marks(),
        trainer="verl",
        text_arguments=True,
    ),
)


def _tools(tools: list[dict[str, Any]], where: Tools) -> tuple[bytes, bytes]:
    """The key and the value that tell of the tools."""
    if where == "metadata":
        return b"metadata", dumps({"tools": tools})
    return b"tools", dumps(dumps(tools).decode()) if where == "text" else dumps(tools)


def _cut_to_alternation(segment: Segment) -> tuple[Segment | None, list[ReplyMask]]:
    """The segment up to the first user turn right after a tool result, None if it trains nothing; and what is lost."""
    roles = [turn.chat["role"] for turn in segment.turns]
    end = next((at for at, pair in enumerate(pairwise(roles), 1) if pair == ("tool", "user")), len(roles))
    if end == len(roles):
        return segment, []
    trained = segment.trained[:end].count(True)
    kept, lost = segment.masks[:trained], segment.masks[trained:]
    if not kept:
        return None, lost
    last = max(at for at, flag in enumerate(segment.trained[:end]) if flag is not None) + 1
    return replace(segment, turns=segment.turns[:last], trained=segment.trained[:last], masks=kept), lost

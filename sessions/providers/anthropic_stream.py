"""A Messages stream as a reply. Events are told apart by ``type``; those of an unknown type are passed over."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from sessions.events import ModelSpec
from sessions.events.messages import Part, Usage
from sessions.events.text import canonical_json, valid_unicode
from sessions.providers.assembler import Slot, Slots, end_without_reason, finish_of
from sessions.providers.attempt import json_value
from sessions.providers.base import Delta, Reply
from sessions.providers.chat_calls import index_of
from sessions.providers.sse import DONE, SseEvent
from sessions.providers.usage_counts import UsageCounts, count_of, table

_CHANNELS: Final[dict[str, Literal["reasoning", "text", "call"]]] = {
    "text": "text",
    "tool_use": "call",
    "thinking": "reasoning",
    "redacted_thinking": "reasoning",
}
_TEXT_OF_DELTA: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_BLOCK_OF_DELTA: Final = {"text_delta": "text", "thinking_delta": "thinking"}
"""The block that a piece belongs to where nobody has begun one."""
_COUNTS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class MessagesAssembler:
    """Puts one streamed message together."""

    def __init__(self, spec: ModelSpec, key: str | None = None) -> None:
        self.ended = False
        self.moves = 0
        self._spec = spec
        self._key = key
        self._slots = Slots()
        self._blocks: dict[int, Slot] = {}
        """Parts by their place among the parts."""
        self._at: dict[int, int] = {}
        """The part that an index of the server stands for now."""
        self._starts: dict[int, dict[str, Any]] = {}
        self._given: set[int] = set()
        """Calls whose input came with their beginning: what streams after it takes its place."""
        self._finish_raw = ""
        self._stop_token = ""
        self._model = ""
        self._response_id = ""
        self._usage = UsageCounts()
        self._first_output = 0
        """What the beginning says of the length: the whole of it only where the end says nothing."""

    @property
    def is_whole(self) -> bool:
        """A stop reason came, or the message was ended without one."""
        return bool(self._finish_raw) or (self.ended and bool(self._blocks))

    @property
    def is_counted(self) -> bool:
        """The stop reason comes with the usage."""
        return bool(self._finish_raw)

    def feed(self, event: SseEvent) -> list[Delta]:
        """What one event adds."""
        if event.data.startswith(DONE):
            self.ended = True
            return []
        data = table(json_value(self._spec, event, self._key))
        deltas: list[Delta] = []
        match data.get("type") or event.name:
            case "message_start":
                self._start(table(data.get("message")))
            case "message":
                deltas = self._whole(data)
            case "content_block_start":
                deltas = self._begin(index_of(data.get("index")), table(data.get("content_block")))
            case "content_block_delta":
                deltas = self._delta(index_of(data.get("index")), table(data.get("delta")))
            case "message_delta":
                self._end(table(data.get("delta")), table(data.get("usage")))
            case "message_stop":
                self._take_usage(data.get("usage"))
                self._close_calls()
                self.ended = True
        self.moves += any(delta.text or delta.name for delta in deltas)
        return deltas

    def parts(self) -> tuple[Part, ...]:
        """The parts so far, each with its raw block where that says more."""
        for place, slot in self._blocks.items():
            start = self._starts[place]
            if slot.channel == "call":
                # What a call needs beside its id, name and input is rare; the input is in the arguments.
                extra = {name: value for name, value in start.items() if name != "input"}
                slot.raw = extra if extra.keys() - {"type", "id", "name"} else None
            elif start.get("type") == "thinking":
                slot.raw = start | {"thinking": slot.text}
            elif "input" in start:
                slot.raw = start | {"input": _object(slot.text) or start["input"]}
            elif start.get("type") != "text":
                slot.raw = start
            elif start.get("citations"):
                slot.raw = start | {"text": slot.text}
        return self._slots.parts()

    def reply(self) -> Reply:
        """The whole reply."""
        finish = finish_of(self._finish_raw)
        parts, usage = self.parts(), self._counts()
        if finish in ("stop", "calls"):
            finish = "calls" if self._slots.of("call") else "stop"
        if not self._finish_raw:
            cut = any(_object(slot.text) is None for slot in self._slots.of("call"))
            finish = end_without_reason(self._spec, usage, cut=cut)
        return Reply(
            parts=parts,
            finish=finish,
            finish_raw=self._finish_raw,
            model=self._model,
            response_id=self._response_id,
            usage=usage,
            stop_token=self._stop_token,
        )

    def _start(self, message: dict[str, Any]) -> None:
        self.moves += 1
        self._model = str(message.get("model") or "")
        self._response_id = str(message.get("id") or "")
        usage = table(message.get("usage"))
        self._first_output = count_of(usage.get("output_tokens"))
        self._take_usage({name: count for name, count in usage.items() if name != "output_tokens"})

    def _whole(self, message: dict[str, Any]) -> list[Delta]:
        """A message that came in one piece, from a server that does not stream."""
        self._start(message)
        content = message.get("content")
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        deltas = [delta for block in blocks if isinstance(block, dict) for delta in self._begin(None, block)]
        self._end(message, table(message.get("usage")))
        return deltas

    def _begin(self, index: int | None, block: dict[str, Any]) -> list[Delta]:
        self.moves += 1
        place = len(self._blocks)
        channel = _CHANNELS.get(str(block.get("type")), "text")
        id, name = block.get("id"), block.get("name")
        slot = self._slots.begin(
            place, channel, id=id if isinstance(id, str) else "", name=name if isinstance(name, str) else ""
        )
        self._at[place if index is None else index] = place
        self._blocks[place], self._starts[place] = slot, dict(block)
        text = block.get("thinking") or block.get("text") or ""
        if channel == "call":
            given = block.get("input")
            text = given if isinstance(given, str) else canonical_json(given).decode() if given else ""
            if text:
                self._given.add(place)
        return [slot.add(str(text))] if text or slot.name else []

    def _delta(self, index: int | None, delta: dict[str, Any]) -> list[Delta]:
        kind = str(delta.get("type"))
        place = self._at.get(index, -1) if index is not None else len(self._blocks) - 1
        if place not in self._blocks:
            if kind not in _BLOCK_OF_DELTA:
                return []
            self._begin(index, {"type": _BLOCK_OF_DELTA[kind]})
            place = len(self._blocks) - 1
        if kind in _TEXT_OF_DELTA:
            text = delta.get(_TEXT_OF_DELTA[kind])
            if text and place in self._given:
                self._given.discard(place)
                self._blocks[place].pieces.clear()
            if isinstance(text, dict | list):
                text = canonical_json(text).decode()
            return [self._blocks[place].add(text if isinstance(text, str) else "")]
        start = self._starts[place]
        if kind == "signature_delta":
            self.moves += 1
            start["signature"] = str(start.get("signature") or "") + str(delta.get("signature") or "")
        elif kind == "citations_delta":
            start["citations"] = [*(start.get("citations") or ()), delta.get("citation")]
        return []

    def _end(self, delta: dict[str, Any], usage: dict[str, Any]) -> None:
        self.moves += 1
        reason = delta.get("stop_reason")
        self._finish_raw = valid_unicode(reason) if isinstance(reason, str) and reason else self._finish_raw
        self._stop_token = str(delta.get("stop_sequence") or self._stop_token)
        self._take_usage(usage)
        self._close_calls()

    def _close_calls(self) -> None:
        for slot in self._slots.of("call"):
            if not slot.text:
                slot.add("{}")  # how this API writes a call without arguments is not to write them

    def _take_usage(self, usage: object) -> None:
        for name in _COUNTS if isinstance(usage, dict) and usage else ():
            self._usage.came = True
            self._usage.take(name, table(usage).get(name))

    def _counts(self) -> Usage | None:
        """``input_tokens`` of this API leaves out what came from the cache or went to it; ours is the whole prompt."""
        if not self._usage.came:
            return None
        count = self._usage
        cached, written = count["cache_read_input_tokens"], count["cache_creation_input_tokens"]
        return Usage(
            input_tokens=count["input_tokens"] + cached + written,
            output_tokens=count["output_tokens"] or (self._first_output if self._finish_raw else 0),
            cached_tokens=cached,
            cache_write_tokens=written,
        )


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object that ``text`` is, None if it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None

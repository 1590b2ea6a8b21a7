"""A Messages stream as a reply. Events are told apart by ``type``; those of an unknown type are passed over."""

from __future__ import annotations

from typing import Any, Final, Literal

from sessions.events import ModelSpec
from sessions.events.messages import Finish, Part, Usage
from sessions.events.text import canonical_json
from sessions.providers.assembler import Slot, Slots
from sessions.providers.attempt import json_object
from sessions.providers.base import Delta, Reply
from sessions.providers.failures import from_error_object
from sessions.providers.sse import SseEvent

_FINISH: Final[dict[str, Finish]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
_CHANNELS: Final[dict[str, Literal["reasoning", "text", "call"]]] = {
    "text": "text",
    "tool_use": "call",
    "thinking": "reasoning",
    "redacted_thinking": "reasoning",
}
_TEXT_OF_DELTA: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class MessagesAssembler:
    """Puts one streamed message together."""

    def __init__(self, spec: ModelSpec, key: str | None = None) -> None:
        self.ended = False
        self._spec = spec
        self._key = key
        self._slots = Slots()
        self._blocks: dict[int, Slot] = {}
        self._starts: dict[int, dict[str, Any]] = {}
        self._finish_raw = ""
        self._stop_token = ""
        self._model = ""
        self._response_id = ""
        self._usage: dict[str, Any] = {}

    @property
    def is_whole(self) -> bool:
        """A stop reason came."""
        return bool(self._finish_raw)

    def feed(self, event: SseEvent) -> list[Delta]:
        """What one event adds."""
        data = json_object(self._spec, event.data, self._key)
        match data.get("type"):
            case "message_start":
                self._start(data.get("message") or {})
            case "message":
                return self._whole(data)
            case "content_block_start":
                return self._begin(int(data["index"]), data.get("content_block") or {})
            case "content_block_delta":
                return self._delta(int(data["index"]), data.get("delta") or {})
            case "message_delta":
                self._end(data.get("delta") or {}, data.get("usage") or {})
            case "message_stop":
                self.ended = True
            case "error":
                raise from_error_object(self._spec, data.get("error"), key=self._key)
        return []

    def parts(self) -> tuple[Part, ...]:
        """The parts so far, each with its raw block where that says more."""
        for index, slot in self._blocks.items():
            start = self._starts[index]
            if slot.channel == "call":
                # What a call needs beside its id, name and input is rare; the input is in the arguments.
                extra = {name: value for name, value in start.items() if name != "input"}
                slot.raw = extra if extra.keys() - {"type", "id", "name"} else None
            elif start.get("type") == "thinking":
                slot.raw = start | {"thinking": slot.text}
            elif start.get("type") != "text":
                slot.raw = start
            elif start.get("citations"):
                slot.raw = start | {"text": slot.text}
        return self._slots.parts()

    def reply(self) -> Reply:
        """The whole reply."""
        finish = _FINISH.get(self._finish_raw, "other")
        parts = self.parts()
        if finish in ("stop", "calls"):
            finish = "calls" if self._slots.of("call") else "stop"
        return Reply(
            parts=parts,
            finish=finish,
            finish_raw=self._finish_raw,
            model=self._model,
            response_id=self._response_id,
            usage=self._counts(),
            stop_token=self._stop_token,
        )

    def _start(self, message: dict[str, Any]) -> None:
        self._model = str(message.get("model") or "")
        self._response_id = str(message.get("id") or "")
        self._usage |= message.get("usage") or {}

    def _whole(self, message: dict[str, Any]) -> list[Delta]:
        """A message that came in one piece, from a server that does not stream."""
        self._start(message)
        deltas = [
            delta for index, block in enumerate(message.get("content") or ()) for delta in self._begin(index, block)
        ]
        self._end(message, {})
        return deltas

    def _begin(self, index: int, block: dict[str, Any]) -> list[Delta]:
        channel = _CHANNELS.get(str(block.get("type")), "text")
        slot = self._slots.begin(index, channel, id=str(block.get("id") or ""), name=str(block.get("name") or ""))
        self._blocks[index], self._starts[index] = slot, dict(block)
        text = block.get("thinking") or block.get("text") or ""
        if channel == "call":
            text = canonical_json(block["input"]).decode() if block.get("input") else ""
        return [slot.add(str(text))] if text or slot.name else []

    def _delta(self, index: int, delta: dict[str, Any]) -> list[Delta]:
        if index not in self._blocks:
            return []
        kind = str(delta.get("type"))
        if kind in _TEXT_OF_DELTA:
            return [self._blocks[index].add(str(delta.get(_TEXT_OF_DELTA[kind]) or ""))]
        start = self._starts[index]
        if kind == "signature_delta":
            start["signature"] = str(start.get("signature") or "") + str(delta.get("signature") or "")
        elif kind == "citations_delta":
            start["citations"] = [*(start.get("citations") or ()), delta.get("citation")]
        return []

    def _end(self, delta: dict[str, Any], usage: dict[str, Any]) -> None:
        self._finish_raw = str(delta.get("stop_reason") or self._finish_raw)
        self._stop_token = str(delta.get("stop_sequence") or "")
        self._usage |= {name: value for name, value in usage.items() if value is not None}
        for slot in self._slots.of("call"):
            if not slot.text:
                slot.add("{}")  # how this API writes a call without arguments is not to write them

    def _counts(self) -> Usage | None:
        """``input_tokens`` of this API leaves out what came from the cache or went to it; ours is the whole prompt."""
        if not self._usage:
            return None
        count = {name: value for name, value in self._usage.items() if isinstance(value, int)}
        cached = count.get("cache_read_input_tokens", 0)
        written = count.get("cache_creation_input_tokens", 0)
        return Usage(
            input_tokens=count.get("input_tokens", 0) + cached + written,
            output_tokens=count.get("output_tokens", 0),
            cached_tokens=cached,
            cache_write_tokens=written,
        )

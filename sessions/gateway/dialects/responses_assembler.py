"""A Responses stream as a reply. The last event brings the whole response; before it pieces are shown as they come."""

from __future__ import annotations

from typing import Any, Final, Literal

from sessions.events import ModelSpec
from sessions.events.messages import CallPart, Finish, Part, ReasoningPart, TextPart, Usage
from sessions.events.text import canonical_json, valid_unicode
from sessions.providers.assembler import Slots, finish_of
from sessions.providers.attempt import json_value
from sessions.providers.base import Delta, ProviderError, Reply
from sessions.providers.chat_calls import index_of
from sessions.providers.failures import from_error_object
from sessions.providers.sse import DONE, SseEvent
from sessions.providers.usage_counts import UsageCounts, table

_CHANNEL_OF: Final[dict[str, Literal["reasoning", "text", "call"]]] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.function_call_arguments.delta": "call",
    "response.custom_tool_call_input.delta": "call",
}
_LAST: Final = ("response.completed", "response.incomplete", "response.failed", "response.done")
_NAMELESS: Final = {"local_shell_call": "local_shell", "tool_search_call": "tool_search"}
_CALLS: Final = ("function_call", "custom_tool_call", "local_shell_call", "tool_search_call")


class ResponsesAssembler:
    """Puts one streamed response together."""

    def __init__(self, spec: ModelSpec, key: str | None = None) -> None:
        self.ended = False
        self.moves = 0
        self._spec = spec
        self._key = key
        self._slots = Slots()
        self._names: dict[int, str] = {}
        self._items: dict[int, dict[str, Any]] = {}
        """Items that are whole, by their place: what there is of a reply whose last event brings none."""
        self._response: dict[str, Any] = {}

    @property
    def is_whole(self) -> bool:
        """The last event came."""
        return bool(self._response)

    @property
    def is_counted(self) -> bool:
        """The usage comes with the last event."""
        return bool(self._response)

    def feed(self, event: SseEvent) -> list[Delta]:
        """What one event adds. Raises ProviderError if the server reports a failure."""
        if event.data.startswith(DONE):
            self.ended = True
            return []
        data = table(json_value(self._spec, event, self._key))
        kind = str(data.get("type") or event.name or data.get("object") or "")
        deltas: list[Delta] = []
        if kind in _CHANNEL_OF:
            deltas = self._piece(kind, data)
        elif kind == "response.output_item.added":
            item = table(data.get("item"))
            self._names[index_of(data.get("output_index")) or 0] = str(item.get("name") or item.get("type") or "")
            self.moves += 1
        elif kind == "response.output_item.done":
            self._items[index_of(data.get("output_index")) or len(self._items)] = table(data.get("item"))
            self.moves += 1
        elif kind in _LAST:
            self._end(table(data.get("response")))
        elif kind == "response" and "output" in data:
            self._end(data)
        self.moves += any(delta.text or delta.name for delta in deltas)
        return deltas

    def parts(self) -> tuple[Part, ...]:
        """The parts so far: those of the whole response, else of its whole items, else what streamed."""
        output = self._response.get("output")
        items = output if isinstance(output, list) and output else [self._items[at] for at in sorted(self._items)]
        found = [part for item in items if isinstance(item, dict) for part in _parts_of(item)]
        return tuple(found) or self._slots.parts()

    def reply(self) -> Reply:
        """The whole reply."""
        parts, response = self.parts(), self._response
        raw = str(response.get("status") or "")
        if raw == "incomplete":
            raw = str(table(response.get("incomplete_details")).get("reason") or raw)
        finish: Finish = finish_of(raw) if raw != "completed" else "stop"
        if finish == "stop" and any(isinstance(part, CallPart) for part in parts):
            finish = "calls"
        if any(item.get("type") == "refusal" for item in _contents(response.get("output"))):
            finish = "refusal"
        return Reply(
            parts=parts,
            finish=finish,
            finish_raw=raw,
            model=str(response.get("model") or ""),
            response_id=str(response.get("id") or ""),
            usage=_usage_of(response.get("usage")),
        )

    def _piece(self, kind: str, data: dict[str, Any]) -> list[Delta]:
        place, text = index_of(data.get("output_index")) or 0, data.get("delta")
        channel = _CHANNEL_OF[kind]
        name = self._names.get(place, "") if channel == "call" else ""
        slot = self._slots.begin((place, channel), channel, name=name)
        return [slot.add(text if isinstance(text, str) else "")]

    def _end(self, response: dict[str, Any]) -> None:
        error = response.get("error")
        if response.get("status") == "failed" or (error and not response.get("output")):
            raise from_error_object(self._spec, error or "the response failed", key=self._key)
        if not response:
            raise ProviderError("server", f"{self._spec.id}: the reply ended without a response")
        self._response, self.ended = response, True
        self.moves += 1


def _parts_of(item: dict[str, Any]) -> list[Part]:
    """The parts of one item; the item itself is kept where it says more."""
    kind = item.get("type", "message")
    if kind == "message":
        texts = [str(c.get("text") or c.get("refusal") or "") for c in _contents([item])]
        return [TextPart(valid_unicode("".join(texts)), item)] if texts else []
    if kind == "reasoning":
        pieces = [str(table(c).get("text") or "") for name in ("summary", "content") for c in _list(item.get(name))]
        return [ReasoningPart(valid_unicode("\n\n".join(filter(None, pieces))), item)]
    if kind in _CALLS:
        given = item.get("arguments", item.get("input", item.get("action")))
        if kind == "custom_tool_call":
            given = {"input": given}
        text = given if isinstance(given, str) else canonical_json(given if given is not None else {}).decode()
        name = str(item.get("name") or _NAMELESS.get(kind, ""))
        return [CallPart(str(item.get("call_id") or item.get("id") or ""), name, valid_unicode(text), item)]
    return []  # what the server's own tools found is no word of the model


def _contents(output: object) -> list[dict[str, Any]]:
    found = [content for item in _list(output) if isinstance(item, dict) for content in _list(item.get("content"))]
    return [content for content in found if isinstance(content, dict)]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _usage_of(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    counts = UsageCounts()
    for name in ("input_tokens", "output_tokens"):
        counts.take(name, value.get(name))
    counts.take("cached", table(value.get("input_tokens_details")).get("cached_tokens"))
    counts.take("reasoning", table(value.get("output_tokens_details")).get("reasoning_tokens"))
    return Usage(
        input_tokens=counts["input_tokens"],
        output_tokens=counts["output_tokens"],
        cached_tokens=counts["cached"],
        reasoning_tokens=counts["reasoning"],
    )

"""A Chat Completions stream as a reply. Servers differ in much; what any of them sends is taken where it is clear."""

from __future__ import annotations

from typing import Any, Final

from sessions.events import ModelSpec
from sessions.events.messages import CallPart, Finish, Part, Usage
from sessions.events.text import canonical_json, valid_unicode
from sessions.providers.assembler import Slot, Slots
from sessions.providers.attempt import json_object
from sessions.providers.base import Delta, Reply
from sessions.providers.chat_wire import call_block
from sessions.providers.failures import from_error_object
from sessions.providers.sse import SseEvent

REASONING_FIELDS: Final = ("reasoning_content", "reasoning")
_FINISH: Final[dict[str, Finish]] = {
    "stop": "stop",
    "eos": "stop",
    "tool_calls": "calls",
    "function_call": "calls",
    "length": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "refusal",
    "sensitive": "refusal",
    "refusal": "refusal",
    "abort": "interrupted",
}
_FAILED: Final = {"insufficient_system_resource": "overloaded", "network_error": "server", "error": "server"}
"""Reasons for an end that are failures of the server (DeepSeek, GLM, OpenRouter)."""


class ChatAssembler:
    """Puts one streamed completion together."""

    def __init__(self, spec: ModelSpec, key: str | None = None) -> None:
        self.ended = False
        self._spec = spec
        self._key = key
        self._slots = Slots()
        self._calls: dict[int | None, Slot] = {}
        self._last_call: Slot | None = None
        self._extras: dict[int, dict[str, Any]] = {}
        self._finish_raw = ""
        self._refused = False
        self._model = ""
        self._response_id = ""
        self._stop_token = ""
        self._usage: Usage | None = None
        self._token_ids: list[int] = []
        self._logprobs: list[float] = []
        self._raw_bytes = bytearray()

    @property
    def is_whole(self) -> bool:
        """A finish reason came; some servers send nothing after it."""
        return bool(self._finish_raw) or (self.ended and bool(self._slots.parts()))

    def feed(self, event: SseEvent) -> list[Delta]:
        """What one chunk adds."""
        if event.data.startswith("[DONE]"):
            self.ended = True
            return []
        chunk = json_object(self._spec, event.data, self._key)
        self._model = self._model or str(chunk.get("model") or "")
        self._response_id = self._response_id or str(chunk.get("id") or "")
        self._usage = _usage(chunk.get("usage")) or self._usage
        deltas: list[Delta] = []
        for choice in chunk.get("choices") or ():
            if isinstance(choice, dict) and not choice.get("index"):
                deltas += self._choice(choice)
        return deltas

    def parts(self) -> tuple[Part, ...]:
        """The parts so far."""
        for slot in self._slots.of("call"):
            if slot.index in self._extras:
                slot.raw = call_block(CallPart(slot.id, slot.name, slot.text)) | self._extras[slot.index]
        return self._slots.parts()

    def reply(self) -> Reply:
        """The whole reply. A server that says ``stop`` after calls is not taken at its word."""
        finish = _FINISH.get(self._finish_raw, "other")
        if finish in ("stop", "calls"):
            finish = "calls" if self._slots.of("call") else "stop"
        if self._refused:
            finish = "refusal"
        return Reply(
            parts=self.parts(),
            finish=finish,
            finish_raw=self._finish_raw,
            model=self._model,
            response_id=self._response_id,
            usage=self._usage,
            stop_token=self._stop_token,
            token_ids=tuple(self._token_ids),
            logprobs=tuple(self._logprobs),
            raw_text=self._raw_bytes.decode(errors="replace"),
        )

    def _choice(self, choice: dict[str, Any]) -> list[Delta]:
        # A server that cannot stream sends the whole message at once.
        delta = choice.get("delta") or choice.get("message") or {}
        deltas = self._texts(delta)
        for block in delta.get("tool_calls") or ():
            deltas.append(self._call(block))
        self._usage = _usage(choice.get("usage")) or self._usage
        self._tokens(choice)
        if choice.get("stop_reason") is not None:
            self._stop_token = str(choice["stop_reason"])
        reason = choice.get("finish_reason")
        if reason in _FAILED:
            raise from_error_object(self._spec, {"message": reason, "code": 503 if "resource" in reason else 500})
        if reason:
            self._finish_raw = str(reason)
        return deltas

    def _texts(self, delta: dict[str, Any]) -> list[Delta]:
        deltas = []
        for field in REASONING_FIELDS:
            if isinstance(delta.get(field), str) and delta[field]:
                deltas.append(self._slots.begin("reasoning", "reasoning").add(delta[field]))
                break  # some send both, with the same text
        content = delta.get("content")
        for item in content if isinstance(content, list) else [content]:
            if isinstance(item, str) and item:
                deltas.append(self._slots.begin("text", "text").add(item))
            elif isinstance(item, dict):
                deltas += self._texts({"content": item.get("text"), "reasoning": _thinking_text(item)})
        if isinstance(delta.get("refusal"), str) and delta["refusal"]:
            self._refused = True
            deltas.append(self._slots.begin("text", "text").add(delta["refusal"]))
        return deltas

    def _call(self, block: dict[str, Any]) -> Delta:
        function = block.get("function") or {}
        slot = self._slot_of_call(block, function)
        extra = {name: value for name, value in block.items() if name not in ("index", "id", "type", "function")}
        if extra:
            # Gemini signs its calls here and wants the signature back.
            self._extras.setdefault(slot.index, {}).update(extra)
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = canonical_json(arguments).decode()
        return slot.add(arguments or "")

    def _slot_of_call(self, block: dict[str, Any], function: dict[str, Any]) -> Slot:
        """Which call a piece belongs to. Some servers leave ``index`` out, or give all calls the same one."""
        id, name, index = str(block.get("id") or ""), str(function.get("name") or ""), block.get("index")
        slot = self._last_call if index is None else self._calls.get(index)
        if slot is None or (name and (index is None or (id and id != slot.id))):
            slot = self._slots.begin(("call", len(self._slots.of("call"))), "call", id=id, name=name)
            self._calls[index] = slot
        self._last_call = slot
        return slot

    def _tokens(self, choice: dict[str, Any]) -> None:
        """Token ids and log-probabilities, where a server returns them, and the raw text that the tokens spell."""
        self._token_ids += [id for id in choice.get("token_ids") or () if isinstance(id, int)]
        for token in (choice.get("logprobs") or {}).get("content") or ():
            text = str(token.get("token", ""))
            self._logprobs.append(float(token.get("logprob") or 0.0))
            self._raw_bytes += bytes(token["bytes"]) if token.get("bytes") else valid_unicode(text).encode()


def _thinking_text(item: dict[str, Any]) -> str:
    """The text of a thinking item in a list of contents (Mistral)."""
    inner = item.get("thinking")
    if isinstance(inner, list):
        return "".join(str(piece.get("text", "")) for piece in inner if isinstance(piece, dict))
    return inner if isinstance(inner, str) else ""


def _usage(usage: object) -> Usage | None:
    """Token counts; the details have three names for the same thing (OpenAI, DeepSeek, Kimi)."""
    if not isinstance(usage, dict):
        return None
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    cached = prompt.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or usage.get("cached_tokens")
    return Usage(
        input_tokens=int(usage.get("prompt_tokens") or 0),
        output_tokens=int(usage.get("completion_tokens") or 0),
        cached_tokens=int(cached or 0),
        reasoning_tokens=int(completion.get("reasoning_tokens") or 0),
    )

"""A Chat Completions stream as a reply. Servers differ in much; what any of them sends is taken where it is clear."""

from __future__ import annotations

from typing import Any, Final

from sessions.events import ModelSpec
from sessions.events.messages import Part, Usage
from sessions.events.text import valid_unicode
from sessions.providers.assembler import Slots, end_without_reason, finish_name, finish_of
from sessions.providers.attempt import json_value
from sessions.providers.base import Delta, ProviderError, Reply
from sessions.providers.chat_calls import CallPieces, index_of
from sessions.providers.failures import from_error_object
from sessions.providers.reasoning_blocks import ReasoningBlocks
from sessions.providers.sse import DONE, SseEvent
from sessions.providers.usage_counts import UsageCounts, table

REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
_WORDS_OF_THOUGHT: Final = ("thinking", "reasoning", "reasoning_content", "text", "content", "summary")
"""Where a piece of reasoning that is an object has its words."""
_NO_REASON: Final = frozenset({"", "null", "none"})
_FAILED: Final = {"insufficient_system_resource": "503", "network_error": "500", "error": "500"}
"""Reasons for an end that are failures of the server (DeepSeek, GLM, OpenRouter), and the statuses they are like."""


class ChatAssembler:
    """Puts one streamed completion together."""

    def __init__(self, spec: ModelSpec, key: str | None = None) -> None:
        self.ended = False
        self.moves = 0
        self._spec = spec
        self._key = key
        self._slots = Slots()
        self._calls = CallPieces(self._slots)
        self._blocks = ReasoningBlocks()
        self._choice_index: int | None = None
        self._finish_raw = ""
        self._refused = False
        self._manner = ""
        """The field that the calls of this reply come in: some servers say each one in the old one, too."""
        self._model = ""
        self._response_id = ""
        self._stop_token = ""
        self._usage = UsageCounts()
        self._counted = False
        self._token_ids: list[int] = []
        self._logprobs: list[float] = []
        self._raw_bytes = bytearray()

    @property
    def is_whole(self) -> bool:
        """A finish reason came; some servers send nothing after it."""
        return bool(self._finish_raw) or (self.ended and bool(self._slots.parts()))

    @property
    def is_counted(self) -> bool:
        """The usage came with the finish reason or after it: nothing more is to come."""
        return bool(self._finish_raw) and self._counted

    def feed(self, event: SseEvent) -> list[Delta]:
        """What one chunk adds."""
        if event.data.startswith(DONE):
            self.ended = True
            return []
        if self.ended:
            self._take_late_usage(event)
            return []
        data = json_value(self._spec, event, self._key)
        deltas = [
            delta for chunk in (data if isinstance(data, list) else [data]) for delta in self._chunk(table(chunk))
        ]
        self.moves += any(delta.text or delta.name for delta in deltas)
        return deltas

    def _chunk(self, chunk: dict[str, Any]) -> list[Delta]:
        self._model = self._model or str(chunk.get("model") or "")
        self._response_id = self._response_id or str(chunk.get("id") or "")
        deltas: list[Delta] = []
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else [choices]:
            if isinstance(choice, dict) and self._is_ours(choice):
                deltas += self._choice(choice)
        self._take_usage(chunk.get("usage"))
        self._take_usage(table(chunk.get("x_groq")).get("usage"))
        return deltas

    def parts(self) -> tuple[Part, ...]:
        """The parts so far."""
        self._calls.close()
        if raw := self._blocks.raw:
            self._slots.begin("reasoning", "reasoning").raw = raw
        return self._slots.parts()

    def reply(self) -> Reply:
        """The whole reply. A server that says ``stop`` after calls is not taken at its word."""
        parts = self.parts()
        finish = finish_of(self._finish_raw)
        if finish in ("stop", "calls"):
            finish = "calls" if self._slots.of("call") else "stop"
        usage = self._counts()
        if not self._finish_raw:
            finish = end_without_reason(self._spec, usage, cut=self._calls.is_cut)
        if self._refused:
            finish = "refusal"
        return Reply(
            parts=parts,
            finish=finish,
            finish_raw=self._finish_raw,
            model=self._model,
            response_id=self._response_id,
            usage=usage,
            stop_token=self._stop_token,
            token_ids=tuple(self._token_ids),
            logprobs=tuple(self._logprobs),
            raw_text=self._raw_bytes.decode(errors="replace"),
        )

    def _is_ours(self, choice: dict[str, Any]) -> bool:
        """Whether it is the one choice that was asked for: the first that came."""
        index = index_of(choice.get("index")) or 0
        if self._choice_index is None:
            self._choice_index = index
        return index == self._choice_index

    def _choice(self, choice: dict[str, Any]) -> list[Delta]:
        # A server that cannot stream sends the whole message at once; others repeat it at the end.
        delta = choice.get("delta")
        if not delta and not self._slots.parts():
            delta = choice.get("message") or {"content": choice.get("text")}
        if isinstance(delta, str):
            delta = {"content": delta}
        deltas = self._texts(table(delta)) + self._call_pieces(table(delta))
        self._tokens(choice)
        if choice.get("stop_reason") is not None:
            self._stop_token = str(choice["stop_reason"])
        reason = choice.get("finish_reason")
        reason = reason if isinstance(reason, str) else ""
        if (failed := _FAILED.get(finish_name(reason))) is not None:
            raise from_error_object(self._spec, {"message": reason, "code": failed}, key=self._key)
        if finish_name(reason) not in _NO_REASON:
            self.moves += not self._finish_raw
            self._finish_raw = valid_unicode(reason)
            self._counted = False
        elif any(delta.text for delta in deltas):
            self._counted = False  # it goes on behind what was said to be its end
        self._take_usage(choice.get("usage"))
        return deltas

    def _texts(self, delta: dict[str, Any]) -> list[Delta]:
        deltas = []
        anything, shown = self._blocks.take(delta)
        self.moves += anything
        # Some send the same text under several names.
        thought = next((text for name in REASONING_FIELDS if (text := _text_of(delta.get(name)))), shown)
        if thought:
            deltas.append(self._slots.begin("reasoning", "reasoning").add(thought))
        content = delta.get("content")
        if isinstance(content, int | float) and not isinstance(content, bool):
            content = str(content)
        for item in content if isinstance(content, list) else [content]:
            if isinstance(item, str) and item:
                deltas.append(self._slots.begin("text", "text").add(item))
            elif isinstance(item, dict):
                deltas += self._texts(_item(item))
        if isinstance(delta.get("refusal"), str) and delta["refusal"]:
            self._refused = True
            deltas.append(self._slots.begin("text", "text").add(delta["refusal"]))
        return deltas

    def _call_pieces(self, delta: dict[str, Any]) -> list[Delta]:
        found: list[Delta] = []
        for manner in ("tool_calls", "function_call"):
            blocks = delta.get(manner)
            if not blocks or self._manner not in ("", manner):
                continue
            if manner == "function_call":
                blocks = [{"function": blocks}] if isinstance(blocks, dict) else []
            pieces = (self._calls.take(block) for block in (blocks if isinstance(blocks, list) else [blocks]))
            told = [piece for piece in pieces if piece is not None]
            if told:
                self._manner = manner
            found += told
        return found

    def _take_late_usage(self, event: SseEvent) -> None:
        """Token counts that come behind the farewell; nothing else counts there."""
        try:
            self._take_usage(table(json_value(self._spec, event, self._key)).get("usage"))
        except ProviderError:
            return

    def _take_usage(self, usage: object) -> None:
        """Token counts; the details have three names for the same thing (OpenAI, DeepSeek, Kimi)."""
        if not isinstance(usage, dict):
            return
        self._usage.came = self._counted = True
        prompt, completion = table(usage.get("prompt_tokens_details")), table(usage.get("completion_tokens_details"))
        for name in ("prompt_tokens", "input_tokens"):
            self._usage.take("input", usage.get(name))
        for name in ("completion_tokens", "output_tokens"):
            self._usage.take("output", usage.get(name))
        for cached in (prompt.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens")):
            self._usage.take("cached", cached)
        self._usage.take("reasoning", completion.get("reasoning_tokens"))

    def _counts(self) -> Usage | None:
        if not self._usage.came:
            return None
        counts = self._usage
        return Usage(
            input_tokens=counts["input"],
            output_tokens=counts["output"],
            cached_tokens=counts["cached"],
            reasoning_tokens=counts["reasoning"],
        )

    def _tokens(self, choice: dict[str, Any]) -> None:
        """Token ids and log-probabilities, where a server returns them, and the raw text that the tokens spell."""
        ids = choice.get("token_ids")
        self._token_ids += [id for id in (ids if isinstance(ids, list) else ()) if isinstance(id, int)]
        content = table(choice.get("logprobs")).get("content")
        for token in content if isinstance(content, list) else ():
            if not isinstance(token, dict):
                continue
            text, logprob, spelt = str(token.get("token", "")), token.get("logprob"), token.get("bytes")
            self._logprobs.append(float(logprob) if isinstance(logprob, int | float) else 0.0)
            if isinstance(spelt, list) and spelt and all(isinstance(b, int) and 0 <= b < 256 for b in spelt):
                self._raw_bytes += bytes(spelt)
            else:
                self._raw_bytes += valid_unicode(text).encode()


def _text_of(value: object) -> str:
    """Reasoning as text; some wrap it once more, or send it as a list of pieces."""
    if isinstance(value, list):
        return "".join(map(_text_of, value))
    if isinstance(value, dict):
        return next((text for name in _WORDS_OF_THOUGHT if (text := _text_of(value.get(name)))), "")
    return value if isinstance(value, str) else ""


def _item(item: dict[str, Any]) -> dict[str, Any]:
    """An item of a list of contents as a delta says the same: thoughts and refusals are no text."""
    kind = str(item.get("type"))
    if "think" in kind or "reason" in kind:
        return {"reasoning": item}
    return {"content": item.get("text"), "reasoning": item.get("thinking"), "refusal": item.get("refusal")}

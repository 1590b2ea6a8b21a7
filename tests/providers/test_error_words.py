"""What servers' words are taken for: a prompt that does not fit, money, access, reasoning; and in which dress."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from server_cases import load

from sessions.events import ModelSpec
from sessions.providers.base import ProviderError
from sessions.providers.chat_stream import ChatAssembler
from sessions.providers.error_objects import find_error, words_of
from sessions.providers.error_words import denies_access, is_too_long, refuses_reasoning, wants_payment
from sessions.providers.failures import from_error_object, from_status
from sessions.providers.sse import SseDecoder, SseEvent

SPEC = ModelSpec("openai", "m")
WORDS = Path(__file__).parents[1] / "cases" / "world" / "context_words.py"


def test_all_wordings_of_the_case_file_are_read_rightly() -> None:
    found = importlib.util.spec_from_file_location("context_words", WORDS)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    assert (len(module.YES), len(module.NO)) == (55, 10)
    assert list(module.read_wrongly()) == []


def test_words_of_many_servers_are_taken_for_what_they_mean() -> None:
    """A hundred and seventy wordings, each the sibling of one that was once read wrongly."""
    words = load("server_words")
    assert [said for said in words.TOO_LONG if not is_too_long(said)] == []
    assert [said for said in words.NOT_TOO_LONG if is_too_long(said)] == []
    assert [said for said in words.PAYMENT if not wants_payment(said)] == []
    assert [said for said in words.NO_PAYMENT if wants_payment(said)] == []
    assert not any(map(is_too_long, words.PAYMENT)), "a bill is no long prompt"
    assert not any(map(wants_payment, words.TOO_LONG))


@pytest.mark.parametrize(
    "words",
    [
        "The prompt size exceeds the context window size and cannot be processed.",
        "Sorry, your message is too long for this model.",
        "Your prompt contains 9,000 tokens, which is more than the 8,192 that this model can take.",
        "n_ctx reached: cannot decode any further",
        "failed to find a slot in the KV cache: context is full",
        "Total tokens of image and text exceed max message tokens",
        "Invalid 'messages[3].content': string too long. Expected a string with maximum length 1048576",
        "Invalid 'messages': array too long. Expected an array with maximum length 2048",
        "Your messages do not fit into the model's context",
        "maximum number of input tokens is 32000, received 40000",
        "This model's maximum context length is 8192 tokens, upgrade to a larger one",
        "输入的文本过长，超过模型最大长度限制",
    ],
)
def test_other_words_for_a_prompt_that_does_not_fit(words: str) -> None:
    assert is_too_long(words)


@pytest.mark.parametrize(
    "words",
    [
        "Your credit balance is too low to access the API. Please go to Plans & Billing to upgrade.",
        "You have exceeded the monthly token quota",
        "tools[3].function.description is too long",
        "max_completion_tokens must be at most 16384",
        "max_tokens exceeds the limit of 8192",
        "CUDA out of memory",
        "Too many requests, please slow down",
        "Invalid `signature` in `thinking` block",
    ],
)
def test_words_for_other_things(words: str) -> None:
    assert not is_too_long(words)


def test_what_lasts_is_told_from_what_passes() -> None:
    for words in ("account is in arrears", "insufficient balance", "账户已欠费，请充值后重试"):
        assert wants_payment(words)
    for words in ("Invalid API key provided", "invalid x-api-key", "model 'qwen9' not found", "Unauthorized"):
        assert denies_access(words)
    for words in ("model is currently loading, please try again", "upstream timed out", "Provider returned error"):
        assert not wants_payment(words) and not denies_access(words)
    waits = from_status(SPEC, 429, {"retry-after": "30"}, {"error": {"message": "You exceeded your current quota"}})
    assert waits.reason == "rate_limit"


def test_reasoning_that_is_refused_is_told_from_parameters_about_thinking() -> None:
    assert refuses_reasoning("messages.1.content.0: Invalid `signature` in `thinking` block")
    assert refuses_reasoning("Extra inputs are not permitted: messages.1.reasoning_details")
    assert not refuses_reasoning("max_tokens must be greater than thinking.budget_tokens")
    assert not refuses_reasoning("The reasoning_content in the thinking mode must be passed back to the API.")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"object": "error", "message": "no"}, "no"),
        ({"detail": "no"}, "no"),
        ({"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, "body.messages: field required"),
        ({"code": 1113, "msg": "no", "success": False}, "no"),
        ({"error": "Bad Request", "message": "no"}, "Bad Request: no"),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": '{"error": {"message": "no"}}'}}},
         "Provider returned error: no"),
        ({"choices": [{"index": 0, "error": {"message": "no", "code": 502}}]}, "no"),
        ({"choices": None, "base_resp": {"status_code": 1004, "status_msg": "no"}}, "no"),
        ({"success": False, "errors": [{"code": 7, "message": "no"}]}, "no"),
        ([{"error": {"code": 400, "message": "no"}}], "no"),
        ({"type": "BadRequestError", "message": "no"}, "no"),
    ],
)  # fmt: skip
def test_an_error_is_an_error_in_every_dress(data: Any, words: str) -> None:
    error = find_error(data)
    assert error is not None
    assert words_of(error) == words
    with pytest.raises(ProviderError, match=words):
        ChatAssembler(SPEC).feed(SseEvent("", json.dumps(data)))


@pytest.mark.parametrize(
    "data",
    [
        {"choices": [], "usage": {"prompt_tokens": 1}},
        {"choices": [{"index": 0, "delta": {"content": "error"}}]},
        {"type": "ping"},
        {"type": "message_start", "message": {"id": "m"}},
        {"id": "c", "object": "chat.completion.chunk", "model": "m"},
        {"choices": [], "base_resp": {"status_code": 0, "status_msg": "success"}},
    ],
)
def test_what_is_no_error_is_none(data: Any) -> None:
    assert find_error(data) is None


def test_an_error_in_a_stream_is_read_by_its_words_where_it_has_no_code() -> None:
    assert from_error_object(SPEC, {"message": "insufficient balance"}).reason == "fatal"
    assert from_error_object(SPEC, {"message": "maximum context length is 8192 tokens"}).reason == "context"
    assert from_error_object(SPEC, "upstream timed out").reason == "server"


def test_streams_are_read_as_common_clients_do() -> None:
    def read(data: bytes) -> list[str]:
        decoder = SseDecoder()
        return [event.data for event in (*decoder.feed(data), *decoder.flush())]

    one, two = b'{"a": 1}', b'{"b": 2}'
    expected = [one.decode(), two.decode()]
    for end in (b"\n", b"\r", b"\r\n"):
        assert read(b"data: " + one + end * 2 + b"data: " + two + end * 2) == expected
        assert read(b"data: " + one + end + b"data: " + two + end) == expected, "no blank line between them"
    assert read(b"\xef\xbb\xbfdata: " + one + b"\n\ndata: " + two) == expected
    assert read(one + b"\n" + two) == expected
    assert read(b'{\n "a": 1\n}\n\ndata: [DONE]\n\n') == ['{\n "a": 1\n}', "[DONE]"]
    assert read(b"data: " + one + b'\n\ndata: {"cut": ') == expected[:1]

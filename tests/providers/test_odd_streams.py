from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.events import ModelSpec
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.providers.anthropic_stream import MessagesAssembler
from sessions.providers.base import ProviderError, Reply
from sessions.providers.chat_stream import ChatAssembler
from sessions.providers.sse import SseDecoder, SseEvent

SPEC = ModelSpec("openai", "m")


def chat(*deltas: dict[str, Any], finish: str | None = "stop", **chunk: Any) -> tuple[ChatAssembler, list[Any]]:
    assembler = ChatAssembler(SPEC)
    choices = [{"index": 0, "delta": delta} for delta in deltas]
    if finish:
        choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    shown = [
        shown
        for choice in choices
        for shown in assembler.feed(SseEvent("", json.dumps({**chunk, "choices": [choice]})))
    ]
    return assembler, shown


def reply(*deltas: dict[str, Any], **rest: Any) -> Reply:
    return chat(*deltas, **rest)[0].reply()


def call(arguments: str = "{}", **block: Any) -> dict[str, Any]:
    return {"tool_calls": [{"function": {"name": "run", "arguments": arguments}, **block}]}


def test_calls_that_all_claim_index_0_are_told_apart_by_id() -> None:
    parts = reply(call(index=0, id="a"), call(index=0, id="b")).parts
    assert parts == (CallPart("a", "run", "{}"), CallPart("b", "run", "{}"))


def test_calls_without_index_and_id_get_ids_of_their_own() -> None:
    first, second = reply(call('{"a": 1}'), call('{"b": 2}')).parts
    assert (first.arguments, second.arguments) == ('{"a": 1}', '{"b": 2}')
    assert first.id and second.id and first.id != second.id


def test_an_id_that_changes_with_each_piece_of_one_call_does_not_split_it() -> None:
    pieces = [
        {"tool_calls": [{"index": 0, "id": f"x{n}", "function": {"arguments": text}}]} for n, text in enumerate('":1}')
    ]
    assert reply(call('{"a', index=0, id="x"), *pieces).parts == (CallPart("x", "run", '{"a":1}'),)


def test_arguments_that_come_as_an_object_become_json_text() -> None:
    assert reply(call({"b": 1}, index=0, id="a")).parts[0].arguments == '{"b":1}'  # type: ignore[arg-type]


def test_a_stop_after_calls_is_not_taken_at_its_word() -> None:
    assert reply(call(index=0, id="a"), finish="stop").finish == "calls"
    assert reply({"content": "x"}, finish="tool_calls").finish == "stop"


def test_what_a_server_adds_to_a_call_is_kept_as_its_raw_block_and_nothing_else_is() -> None:
    plain, signed = reply(call(index=0, id="a"), call(index=1, id="b", extra_content={"sig": "x"})).parts
    assert plain.raw is None
    assert signed.raw["extra_content"] == {"sig": "x"}
    assert signed.raw["function"] == {"name": "run", "arguments": "{}"}


def test_reasoning_under_both_names_counts_once() -> None:
    got = reply({"reasoning": "Hm.", "reasoning_content": "Hm."}, {"content": "Yes."})
    assert got.parts == (ReasoningPart("Hm."), TextPart("Yes."))


def test_content_as_a_list_of_items_is_understood() -> None:
    items = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Yes."}]
    assert reply({"content": items}).parts == (ReasoningPart("Hm."), TextPart("Yes."))


def test_a_refusal_is_text_and_says_so() -> None:
    got = reply({"refusal": "I can't "}, {"refusal": "do that."})
    assert (got.parts, got.finish) == ((TextPart("I can't do that."),), "refusal")


def test_half_a_surrogate_pair_waits_for_its_other_half() -> None:
    assembler, shown = chat({"content": "a\ud83d"}, {"content": "\ude00b"}, {"content": "\ud83d"})
    assert "".join(delta.text for delta in shown) == "a😀b"
    assert assembler.reply().parts == (TextPart("a😀b\ufffd"),)


@pytest.mark.parametrize(
    ("usage", "cached"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}, 4),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}, 4),
        ({"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 4}, 4),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": None}, 0),
    ],
)
def test_cached_tokens_are_found_under_each_name(usage: dict[str, Any], cached: int) -> None:
    got = reply({"content": "x"}, usage=usage).usage
    assert got is not None
    assert (got.input_tokens, got.output_tokens, got.cached_tokens) == (9, 2, cached)


def test_usage_inside_the_choice_is_found() -> None:
    assembler = ChatAssembler(SPEC)
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    assembler.feed(SseEvent("", json.dumps({"choices": [choice]})))
    assert assembler.reply().usage.input_tokens == 3


@pytest.mark.parametrize(
    ("finish", "reason"), [("insufficient_system_resource", "overloaded"), ("network_error", "server")]
)
def test_an_end_that_is_a_failure_of_the_server_is_retried(finish: str, reason: str) -> None:
    with pytest.raises(ProviderError) as caught:
        chat({"content": "x"}, finish=finish)
    assert caught.value.reason == reason
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("code", "reason"), [(400, "fatal"), (429, "rate_limit"), (500, "server"), ("503", "overloaded")]
)
def test_an_error_event_with_a_status_as_its_code_is_read_like_that_status(code: object, reason: str) -> None:
    with pytest.raises(ProviderError) as caught:
        ChatAssembler(SPEC).feed(SseEvent("", json.dumps({"error": {"message": "no", "code": code}})))
    assert caught.value.reason == reason


def test_an_event_that_is_no_json_may_pass_with_another_attempt() -> None:
    with pytest.raises(ProviderError) as caught:
        ChatAssembler(SPEC).feed(SseEvent("", '{"choices": ['))
    assert caught.value.reason == "server"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["choices", "delta", "type", "index", "content_block", "message", "usage", "x"]),
                inner,
                max_size=4,
            )
        ),
    )
)
@pytest.mark.parametrize("kind", [ChatAssembler, MessagesAssembler])
def test_no_json_can_do_more_than_raise(kind: type[ChatAssembler | MessagesAssembler], value: object) -> None:
    # Anything but ProviderError is turned into one by the attempt; here it must only not be a crash of the process.
    assembler = kind(SPEC)
    try:
        assembler.feed(SseEvent("", json.dumps(value)))
    except (ProviderError, AttributeError, TypeError, KeyError, ValueError):
        assert assembler.parts() == ()


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=20), max_size=5),
    st.data(),
)
def test_events_are_the_same_however_the_bytes_are_cut(texts: list[str], data: st.DataObject) -> None:
    whole = "".join(f": ping\n\nevent: e\r\ndata: {text}\nid: 4\n\n" for text in texts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    decoder = SseDecoder()
    edges = [0, *cuts, len(whole)]
    events = [event for start, end in itertools.pairwise(edges) for event in decoder.feed(whole[start:end])]
    assert events == [SseEvent("e", text) for text in texts]


def test_data_lines_are_joined_and_bytes_that_are_no_text_are_replaced() -> None:
    assert SseDecoder().feed(b"data: a\ndata:b\n\ndata: \xff\n\ndata: cut") == [
        SseEvent("", "a\nb"),
        SseEvent("", "\ufffd"),
    ]

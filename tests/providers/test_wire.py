from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_testbed import TOOLS, assistant_message, result, user_message

from sessions.events import ModelSpec
from sessions.events.messages import CallPart, Message, ReasoningPart, TextPart
from sessions.providers.base import ProviderError
from sessions.providers.registry import adapter_for

CALLS = (CallPart("c1", "run", '{"command": "ls"}'), CallPart("c2", "run", '{"command": "pwd"}'))


def spec_of(provider: str, **quirks: object) -> ModelSpec:
    return ModelSpec(provider, "m", quirks=quirks)


def test_the_system_prompt_is_the_first_message_where_there_is_no_slot_for_it(provider: str) -> None:
    spec = spec_of(provider)
    adapter = adapter_for(spec)
    wire = [message.json for message in adapter.wire(spec, [user_message("Go.", 1)])]
    body = adapter.body(spec, "Be good.", TOOLS, wire, purpose="step")
    if provider == "openai":
        assert body.messages[0] == {"role": "system", "content": "Be good."}
        assert body.system is None
        again = adapter.body(spec, "Be good.", TOOLS, body.messages, purpose="step")
        assert again.messages == body.messages
    else:
        assert body.messages == wire
        assert body.system[0]["text"] == "Be good."


def test_results_and_advice_of_one_boundary_are_one_user_turn_where_turns_alternate(provider: str) -> None:
    spec = spec_of(provider)
    batch = [
        assistant_message(*CALLS, sources=(5,)),
        result("c1", "a.py", 7),
        user_message("Slow down.", 8),
        result("c2", "", 9),
        user_message("And think.", 10),
    ]
    wire = adapter_for(spec).wire(spec, batch)
    assert [source for message in wire for source in message.sources] == [5, 7, 8, 9, 10]
    if provider == "openai":
        assert [message.role for message in wire] == ["assistant", "tool", "user", "tool", "user"]
    else:
        assert [message.role for message in wire] == ["assistant", "user"]
        assert wire[1].sources == (7, 8, 9, 10)
        assert wire[1].json["content"] == [
            {"type": "tool_result", "tool_use_id": "c1", "content": "a.py"},
            {"type": "tool_result", "tool_use_id": "c2"},
            {"type": "text", "text": "Slow down."},
            {"type": "text", "text": "And think."},
        ]


@given(data=st.data())
@pytest.mark.parametrize("name", ["openai", "anthropic", "replay"])
def test_a_prompt_only_grows_whatever_the_batches(name: str, data: st.DataObject) -> None:
    spec = spec_of(name)
    text = st.text(max_size=8).map(user_message)
    turn = st.builds(
        lambda words, calls, more: [
            assistant_message(TextPart(words), *calls, origin=spec.id),
            *(result(call.id, "x") for call in calls),
            *more,
        ],
        st.text(max_size=8),
        st.lists(st.sampled_from(CALLS), max_size=2, unique=True),
        st.lists(text, max_size=2),
    )
    turns: list[list[Message]] = [data.draw(st.lists(text, min_size=1, max_size=2)), *data.draw(st.lists(turn))]
    wire = adapter_for(spec).wire
    grown = [message.json for batch in turns for message in wire(spec, batch)]
    whole = [message.json for message in wire(spec, [message for batch in turns for message in batch])]
    assert grown == whole


def test_bad_arguments_are_sent_as_an_empty_object_even_if_nobody_called_them_malformed(provider: str) -> None:
    spec = spec_of(provider)
    for arguments in ("", "{", "[1]", '"text"', '{"a": NaN}', "[" * 100_000):
        call = CallPart("c1", "run", arguments)
        (message,) = adapter_for(spec).wire(spec, [assistant_message(call)])
        if provider == "openai":
            assert message.json["tool_calls"][0]["function"]["arguments"] == "{}"
        else:
            assert message.json["content"][0]["input"] == {}


def test_arguments_that_break_a_schema_are_sent_as_an_empty_object_too(provider: str) -> None:
    spec = spec_of(provider)
    (message,) = adapter_for(spec).wire(spec, [assistant_message(*CALLS, malformed=(2,))])
    if provider == "openai":
        sent = [call["function"]["arguments"] for call in message.json["tool_calls"]]
        assert sent == ['{"command": "ls"}', "{}"]
    else:
        assert [block["input"] for block in message.json["content"]] == [{"command": "ls"}, {}]


def test_names_and_ids_that_a_server_would_refuse_are_made_acceptable_on_both_sides(provider: str) -> None:
    spec = spec_of(provider)
    call = CallPart("functions.run:0", "run the shell!", "{}")
    wire = [m.json for m in adapter_for(spec).wire(spec, [assistant_message(call), result("functions.run:0", "x")])]
    if provider == "openai":
        assert wire[0]["tool_calls"][0]["function"]["name"] == "run_the_shell_"
        assert wire[0]["tool_calls"][0]["id"] == wire[1]["tool_call_id"]
    else:
        assert wire[0]["content"][0]["name"] == "run_the_shell_"
        assert wire[0]["content"][0]["id"] == wire[1]["content"][0]["tool_use_id"] == "functions_run_0"


@pytest.mark.parametrize("parts", [(), (TextPart(""),), (ReasoningPart("only thoughts", raw={"type": "thinking"}),)])
def test_an_empty_reply_is_sent_as_a_turn_with_content(provider: str, parts: tuple[TextPart, ...]) -> None:
    spec = spec_of(provider)
    (message,) = adapter_for(spec).wire(spec, [assistant_message(*parts, origin=spec.id)])
    content = message.json["content"]
    assert content if isinstance(content, str) else content[-1]["text"]


@pytest.mark.parametrize("provider", ["openai"], indirect=True)
def test_what_a_server_adds_to_a_call_goes_back_to_it(provider: str) -> None:
    spec = spec_of(provider)
    raw = {
        "id": "c1",
        "type": "function",
        "function": {"name": "run", "arguments": "{}"},
        "extra_content": {"sig": "x"},
    }
    call = CallPart("c1", "run", "{}", raw=raw)
    adapter = adapter_for(spec)
    (own,) = adapter.wire(spec, [assistant_message(call, origin=spec.id)])
    (other,) = adapter.wire(spec, [assistant_message(call, origin="openai:other")])
    assert own.json["tool_calls"] == [raw]
    assert "extra_content" not in other.json["tool_calls"][0]


def test_profiles_hold_what_chat_endpoints_disagree_on() -> None:
    def envelope(base_url: str | None = None, **quirks: object) -> dict[str, object]:
        spec = ModelSpec("openai", "m", base_url=base_url, max_output_tokens=99, quirks=quirks)
        return adapter_for(spec).body(spec, "", TOOLS, [], purpose="step").envelope

    assert envelope()["max_completion_tokens"] == 99
    assert envelope("http://gpu:8000/v1")["max_tokens"] == 99
    assert envelope(max_tokens_field="max_tokens")["max_tokens"] == 99
    assert envelope()["stream_options"] == {"include_usage": True}
    assert "stream_options" not in envelope(stream_usage=False)
    assert envelope(tool_choice="required")["tool_choice"] == "required"
    assert envelope(temperature=0.0)["temperature"] == 0.0
    assert envelope(extra_body={"chat_template_kwargs": {"enable_thinking": True}})["chat_template_kwargs"]


def test_cache_breakpoints_and_thinking_are_outside_the_messages() -> None:
    def whole(base_url: str | None = None, **quirks: object) -> dict[str, object]:
        spec = ModelSpec("anthropic", "m", base_url=base_url, max_output_tokens=1000, quirks=quirks)
        wire = [message.json for message in adapter_for(spec).wire(spec, [user_message("Go.")])]
        return adapter_for(spec).body(spec, "Be good.", TOOLS, wire, purpose="step").whole()

    assert whole()["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in whole("https://gateway.example/anthropic")
    assert whole("https://gateway.example/anthropic", cache=True)["cache_control"]
    assert whole()["messages"] == whole(thinking_budget=5000)["messages"]
    assert whole(thinking_budget=5000)["thinking"] == {"type": "enabled", "budget_tokens": 5000}
    assert whole(thinking_budget=5000)["max_tokens"] == 6000
    assert whole(thinking={"type": "adaptive"})["thinking"] == {"type": "adaptive"}


def test_quirks_that_nobody_knows_are_said_in_one_line(provider: str) -> None:
    spec = spec_of(provider, colour="red")
    with pytest.raises(ProviderError, match="colour") as caught:
        adapter_for(spec).body(spec, "", (), [], purpose="step")
    assert caught.value.reason == "fatal"

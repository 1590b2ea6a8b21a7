from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from provider_testbed import assistant_message, result, user_message
from sse_anthropic import signature
from sse_script import Fault, Turn

from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.events.text import canonical_json

Bench = Callable[..., Any]


async def test_what_the_server_receives_is_the_canonical_json_of_the_body_byte_for_byte(bench: Bench) -> None:
    async with bench(Turn(text="ok")) as b:
        await b.ask(user_message("größer als 😀 \ud800 </script>\x00", 1))
        assert b.server.requests[0].body == canonical_json(b.body.whole())


async def test_streamed_text_arrives_in_pieces_and_as_one_part(bench: Bench) -> None:
    async with bench(Turn(text="Hello, 日本語 and 😀!", chunk=3)) as b:
        reply = await b.ask()
        assert reply.parts == (TextPart("Hello, 日本語 and 😀!"),)
        assert reply.finish == "stop"
        assert "".join(delta.text for delta in b.deltas) == "Hello, 日本語 and 😀!"
        assert len(b.deltas) > 3
        assert (reply.model, bool(reply.response_id)) == ("scripted-0001", True)


async def test_usage_counts_the_whole_prompt_with_what_came_from_the_cache(bench: Bench) -> None:
    async with bench(Turn(text="ok")) as b:
        usage = (await b.ask()).usage
        sent = len(b.server.requests[0].body) // 4
        if b.provider == "openai":
            assert (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens) == (sent, 3, 0)
        else:
            assert (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens) == (sent + 12, 7, 5)
        assert usage.output_tokens == 1


async def test_parallel_calls_keep_their_order_names_and_the_models_own_json(bench: Bench) -> None:
    calls = (("run", '{ "command":  "ls" }'), ("finish", "{}"), ("run", '{"command": "pwd"}'))
    async with bench(Turn(text="Both.", calls=calls)) as b:
        reply = await b.ask()
        got = [part for part in reply.parts if isinstance(part, CallPart)]
        assert [(part.name, part.arguments) for part in got] == list(calls)
        assert len({part.id for part in got}) == 3
        assert reply.finish == "calls"
        first = {delta.index: delta.name for delta in reversed(b.deltas) if delta.channel == "call"}
        assert list(first.values())[::-1] == ["run", "finish", "run"]


async def test_a_call_without_arguments_is_an_empty_object_where_the_api_means_that(bench: Bench) -> None:
    async with bench(Turn(calls=(("finish", ""),))) as b:
        (part,) = (await b.ask()).parts
        assert part.arguments == ("{}" if b.provider == "anthropic" else "")


async def test_reasoning_is_a_part_of_its_own_before_the_text(bench: Bench) -> None:
    async with bench(Turn(reasoning="Let me think.", text="Done.")) as b:
        reply = await b.ask()
        assert [type(part) for part in reply.parts] == [ReasoningPart, TextPart]
        assert [part.text for part in reply.parts] == ["Let me think.", "Done."]
        assert {delta.index for delta in b.deltas if delta.channel == "reasoning"} == {0}


@pytest.mark.parametrize("provider", ["openai"], indirect=True)
async def test_reasoning_is_found_under_either_name(bench: Bench) -> None:
    async with bench(Turn(reasoning="Hm.", text="Done.", reasoning_field="reasoning")) as b:
        assert (await b.ask()).parts[0] == ReasoningPart("Hm.")


@pytest.mark.parametrize("provider", ["anthropic"], indirect=True)
async def test_thinking_goes_back_unchanged_with_its_signature_and_only_to_the_model_that_wrote_it(
    bench: Bench,
) -> None:
    turns = (Turn(reasoning="Secret plan.", redacted="b64==", calls=(("run", '{"command": "ls"}'),)), Turn(text="ok"))
    async with bench(*turns, quirks={"thinking_budget": 1024}) as b:
        reply = await b.ask()
        assert [part.raw for part in reply.parts[:2]] == [
            {"type": "redacted_thinking", "data": "b64=="},
            {"type": "thinking", "thinking": "Secret plan.", "signature": signature("Secret plan.")},
        ]
        history = [
            user_message("Go.", 1),
            assistant_message(*reply.parts, origin=b.spec.id),
            result("toolu_0_0", "a.py"),
        ]
        assert (await b.ask(*history)).parts == (TextPart("ok"),)
        sent = b.server.requests[-1].messages[1]["content"]
        assert [block["type"] for block in sent] == ["redacted_thinking", "thinking", "tool_use"]
        history[1] = assistant_message(*reply.parts, origin="anthropic:other")
        await b.ask(*history)
        assert [block["type"] for block in b.server.requests[-1].messages[1]["content"]] == ["tool_use"]


@pytest.mark.parametrize("provider", ["openai"], indirect=True)
async def test_reasoning_goes_back_in_the_field_that_the_profile_names_and_to_its_own_model_only(bench: Bench) -> None:
    async with bench(Turn(text="ok"), quirks={"send_reasoning": "reasoning_content"}) as b:
        for origin, expected in ((b.spec.id, "Hm."), ("openai:other", None)):
            await b.ask(
                user_message("Go."),
                assistant_message(ReasoningPart("Hm."), TextPart("I see."), origin=origin),
                user_message("And?"),
            )
            assert b.server.requests[-1].messages[2].get("reasoning_content") == expected


@pytest.mark.parametrize("provider", ["openai"], indirect=True)
async def test_a_reply_of_calls_alone_has_no_content_or_an_empty_one_where_a_server_takes_no_null(bench: Bench) -> None:
    for quirks, expected in (({}, None), ({"null_content": False}, "")):
        async with bench(Turn(text="ok"), quirks=quirks) as b:
            await b.ask(
                user_message("Go."), assistant_message(CallPart("c1", "run", '{"command": "ls"}')), result("c1", "a.py")
            )
            assert b.server.requests[-1].messages[2]["content"] == expected


async def test_unknown_events_comments_and_deltas_are_passed_over(bench: Bench) -> None:
    async with bench(Turn(reasoning="Hm.", text="Done.", calls=(("run", '{"command": "ls"}'),), strange=True)) as b:
        reply = await b.ask()
        assert [part.text for part in reply.parts[:2]] == ["Hm.", "Done."]
        assert reply.parts[2].arguments == '{"command": "ls"}'


@pytest.mark.parametrize(
    ("finish", "expected"), [("length", "length"), ("refusal", "refusal"), ("new_reason", "other")]
)
async def test_an_unusual_end_of_a_reply_keeps_its_raw_name(bench: Bench, finish: str, expected: str) -> None:
    async with bench(Turn(text="I will n", finish=finish)) as b:
        reply = await b.ask()
        assert reply.finish == expected
        assert reply.finish_raw
        assert reply.parts == (TextPart("I will n"),)


async def test_a_reply_is_whole_once_its_finish_reason_came_even_if_the_line_closes_then(bench: Bench) -> None:
    async with bench(Turn(text="All of it.", farewell=False)) as b:
        assert (await b.ask()).parts == (TextPart("All of it."),)


async def test_malformed_arguments_are_kept_verbatim_and_sent_back_as_an_empty_object(bench: Bench) -> None:
    async with bench(Turn(calls=(("run", '{"command": "ls'),)), Turn(text="Sorry.")) as b:
        reply = await b.ask()
        (part,) = reply.parts
        assert part.arguments == '{"command": "ls'
        history = (
            user_message("Go."),
            assistant_message(part, origin=b.spec.id, malformed=(1,)),
            result(part.id, "No JSON."),
        )
        assert (await b.ask(*history)).parts == (TextPart("Sorry."),)
        assert b.server.requests[-1].answered == "reply"


async def test_the_server_refuses_a_history_with_malformed_arguments(bench: Bench) -> None:
    async with bench(Turn(text="never")) as b:
        (_, good, _) = wire = [
            message.json
            for message in b.adapter.wire(
                b.spec,
                [user_message("Go."), assistant_message(CallPart("c1", "run", '{"command": "ls"}')), result("c1", "x")],
            )
        ]
        bad = json.loads(json.dumps(good))
        if b.provider == "openai":
            bad["tool_calls"][0]["function"]["arguments"] = '{"command'
        else:
            bad["content"][0]["input"] = '{"command'
        wire[1] = bad
        error = await b.fail(wire=wire)
        assert (error.reason, error.status) == ("fatal", 400)


@pytest.mark.parametrize("provider", ["openai"], indirect=True)
async def test_token_ids_logprobs_raw_text_and_stop_token_are_kept_where_a_server_returns_them(bench: Bench) -> None:
    async with bench(Turn(text="Hé."), quirks={"return_token_ids": True, "logprobs": True}) as b:
        reply = await b.ask()
        assert reply.token_ids == tuple(map(ord, "Hé."))
        assert reply.logprobs == (-0.5, -0.5, -0.5)
        assert (reply.raw_text, reply.stop_token) == ("Hé.", "151336")


async def test_a_server_that_does_not_stream_is_understood(bench: Bench) -> None:
    whole = {
        "openai": {
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "content": "Now.",
                        "tool_calls": [{"id": "c", "function": {"name": "run", "arguments": "{}"}}],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
        },
        "anthropic": {
            "type": "message",
            "model": "m",
            "content": [
                {"type": "text", "text": "Now."},
                {"type": "tool_use", "id": "c", "name": "run", "input": {}},
            ],
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 3, "output_tokens": 2},
        },
    }
    turn = Turn()
    async with bench(script=lambda request: turn) as b:
        turn = Turn(faults=(Fault(body=json.dumps(whole[b.provider])),))
        reply = await b.ask()
        assert reply.parts == (TextPart("Now."), CallPart("c", "run", "{}"))
        assert (reply.finish, reply.model) == ("calls", "m")


async def test_a_summary_may_not_call_and_is_accepted_after_a_history_of_calls(bench: Bench) -> None:
    async with bench(Turn(text="So far: nothing.")) as b:
        acted = assistant_message(CallPart("c1", "run", "{}"))
        history = (user_message("Go."), acted, result("c1", "x"), user_message("Summarise."))
        await b.ask(*history, purpose="summary")
        sent = b.server.requests[0].json
        assert b.server.requests[0].for_summary
        assert ("tools" in sent) == (b.provider == "anthropic")
        await b.ask(user_message("Summarise."), purpose="summary")
        assert "tools" not in b.server.requests[1].json

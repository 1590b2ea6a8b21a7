from __future__ import annotations

import asyncio
import email.utils
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from provider_testbed import user_message
from sse_script import Fault, Turn

from sessions.events import ModelSpec
from sessions.events.messages import ReasoningPart, TextPart
from sessions.providers.base import CallContext, ProviderError
from sessions.providers.failures import from_status, retry_after
from sessions.providers.registry import adapter_for

Bench = Callable[..., Any]


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (408, "timeout", True),
        (409, "server", True),
        (429, "rate_limit", True),
        (500, "server", True),
        (502, "server", True),
        (503, "overloaded", True),
        (529, "overloaded", True),
        (400, "fatal", False),
        (404, "fatal", False),
        (422, "fatal", False),
    ],
)
async def test_each_status_is_retried_or_not_and_the_next_attempt_gets_the_reply(
    bench: Bench, status: int, reason: str, retryable: bool
) -> None:
    async with bench(Turn(text="ok", faults=(Fault(status=status, message="because"),))) as b:
        error = await b.fail()
        assert (error.reason, error.status, error.retryable) == (reason, status, retryable)
        assert "because" in str(error)
        assert (await b.ask()).parts == (TextPart("ok"),)
        assert [request.attempt for request in b.server.requests] == [1, 2]


async def test_the_sdk_makes_no_attempts_of_its_own(bench: Bench) -> None:
    async with bench(Turn(text="ok", faults=(Fault(status=500), Fault(status=500)))) as b:
        await b.fail()
        assert len(b.server.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({}, None),
    ],
)
async def test_the_wait_that_a_server_asks_for_is_passed_on(
    bench: Bench, headers: dict[str, str], seconds: float | None
) -> None:
    async with bench(Turn(text="ok", faults=(Fault(status=429, headers=headers),))) as b:
        assert (await b.fail()).retry_after == seconds


def test_a_wait_may_be_an_http_date() -> None:
    assert retry_after({"retry-after": email.utils.formatdate(time.time() + 90, usegmt=True)}) == pytest.approx(
        90, abs=3
    )
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


@pytest.mark.parametrize("where", ["head", "open", "middle"])
async def test_a_line_that_breaks_is_told_apart_by_what_had_come(bench: Bench, where: str) -> None:
    turn = Turn(reasoning="Thinking about it.", text="Half of this is all", faults=(Fault(cut=where),))
    async with bench(turn) as b:
        error = await b.fail()
        assert error.reason == ("connection" if where == "head" else "cut")
        assert error.retryable
        if where == "middle":
            reasoning, text = error.partial
            assert isinstance(reasoning, ReasoningPart)
            assert "Half of this is all".startswith(text.text) and text.text
        else:
            assert error.partial == ()
        assert (await b.ask()).finish == "stop"


@pytest.mark.parametrize("where", ["head", "open", "middle"])
async def test_a_server_that_falls_silent_is_a_timeout_with_what_had_come(bench: Bench, where: str) -> None:
    async with bench(Turn(text="Half of this is all", faults=(Fault(stall=where),))) as b:
        error = await b.fail(timeout=0.3 if where != "middle" else 30, stall=0.2)
        assert error.reason == "timeout"
        assert bool(error.partial) == (where == "middle")


async def test_slow_tokens_are_no_stall_while_they_keep_coming(bench: Bench) -> None:
    async with bench(Turn(text="abcdefgh", chunk=1, pause=0.05)) as b:
        assert (await b.ask(stall=0.3)).parts == (TextPart("abcdefgh"),)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("overloaded_error", "overloaded"),
        ("rate_limit_error", "rate_limit"),
        ("api_error", "server"),
        ("invalid_request_error", "fatal"),
        ("never_heard_of", "server"),
    ],
)
async def test_an_error_in_the_middle_of_a_stream_is_named_and_keeps_the_parts(
    bench: Bench, kind: str, reason: str
) -> None:
    async with bench(Turn(text="Half of this is all", faults=(Fault(error=kind),))) as b:
        error = await b.fail()
        assert error.reason == reason
        assert error.partial


async def test_a_page_of_html_under_status_200_is_a_failure_that_may_pass(bench: Bench) -> None:
    async with bench(Turn(text="ok", faults=(Fault(body="<html>captive portal</html>"),))) as b:
        error = await b.fail()
        assert error.reason == "server"
        assert "captive portal" in str(error)


async def test_cancelling_closes_the_connection(bench: Bench) -> None:
    async with bench(Turn(text="ok", faults=(Fault(stall="middle"),))) as b:
        task = asyncio.create_task(b.ask())
        async with asyncio.timeout(10):
            while not b.deltas:
                await asyncio.sleep(0.01)
            assert b.server.open_connections == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while b.server.open_connections:
                await asyncio.sleep(0.01)


async def test_a_port_where_nobody_listens_is_a_connection_failure(provider: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    error = await _fail(ModelSpec(provider, "m", base_url=url))
    assert error.reason == "connection"
    assert url in str(error)


async def _fail(spec: ModelSpec, key: str | None = None) -> ProviderError:
    adapter = adapter_for(spec)
    wire = [message.json for message in adapter.wire(spec, [user_message("Go.")])]
    body = adapter.body(spec, "", (), wire, purpose="step")
    with pytest.raises(ProviderError) as caught:
        async for _ in adapter.stream(spec, body, CallContext("s", 1, key=key)):
            pass
    return caught.value


async def test_without_a_key_the_providers_own_address_is_not_even_tried(provider: str) -> None:
    error = await _fail(ModelSpec(provider, "m", key_env="MY_KEY"))
    assert (error.reason, error.need_key) == ("fatal", "MY_KEY")
    error = await _fail(ModelSpec(provider, "m"))
    assert error.need_key == f"{provider.upper()}_API_KEY"


async def test_a_key_that_cannot_be_a_header_is_refused_without_being_shown(provider: str) -> None:
    error = await _fail(ModelSpec(provider, "m", key_env="MY_KEY"), key="sk-line1\nline2-ümlaut")
    assert (error.reason, error.need_key) == ("fatal", "MY_KEY")
    assert "line1" not in str(error)


async def test_a_refused_key_is_named_and_never_repeated(bench: Bench) -> None:
    async with bench(Turn(text="ok"), key="sk-the-right-one") as b:
        error = await b.fail(key="sk-the-wrong-one-0123456789")
        assert (error.reason, error.status) == ("fatal", 401)
        assert "sk-the-wrong-one" not in str(error)
        assert (await b.ask(key="sk-the-right-one")).finish == "stop"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9100 tokens."),
        (400, "Your input exceeds the context window of this model. Please adjust your input and try again."),
        (400, "prompt is too long: 210000 tokens > 200000 maximum"),
        (400, "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000"),
        (400, "the request exceeds the available context size, try increasing it"),
        (400, "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it"),
        (400, "The input (300 tokens) is longer than the model's context length (200 tokens)."),
        (400, "Requested token count exceeds the model's maximum context length of 32768 tokens."),
        (400, "The number of tokens to keep from the initial prompt is greater than the context length"),
        (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
        (400, "Invalid request: Your request exceeded model token limit: 262144 (requested: 291351)"),
        (400, "Range of input length should be [1, 30000]"),
        (400, "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)"),
        (400, "This model's maximum prompt length is 131072 but the request contains 537812 tokens"),
        (400, "Please reduce the length of the messages or completion."),
        (400, "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"),
        (400, "prompt too long; exceeded max context length by 100 tokens"),
        (400, "invalid params, context window exceeds limit"),
        (413, "Request Entity Too Large"),
        (500, "Requested tokens (600) exceed context window of 512"),
        (422, "`inputs` must have less than 4096 tokens: input is too long"),
    ],
)
def test_a_prompt_that_does_not_fit_is_recognised_in_the_words_of_each_server(status: int, said: str) -> None:
    spec = ModelSpec("openai", "m")
    assert from_status(spec, status, {}, {"error": {"message": said}}).reason == "context"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "max_tokens exceeds the limit of 8192"),
        (400, "tool_calls.function.arguments must be valid JSON"),
        (400, "Unknown parameter: 'context'"),
        (429, "Rate limit: too many tokens per minute"),
        (500, "internal error"),
        (401, "maximum context length"),
    ],
)
def test_other_refusals_are_not_taken_for_a_prompt_that_does_not_fit(status: int, said: str) -> None:
    assert from_status(ModelSpec("openai", "m"), status, {}, {"error": {"message": said}}).reason != "context"


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[1]", b"\xff\xfe", b'{"error": null}', b'{"error": "text"}', b'{"detail": [{"loc": 1}]}', None, 7],
)
def test_an_error_body_of_any_shape_makes_one_line(body: object) -> None:
    error = from_status(ModelSpec("openai", "m"), 500, {}, body)
    assert error.reason == "server"
    assert "\n" not in str(error)


async def test_a_long_prompt_is_recognised_over_the_wire(bench: Bench) -> None:
    fault = Fault(status=400, message="prompt is too long: 210000 tokens > 200000 maximum")
    async with bench(Turn(text="ok", faults=(fault,))) as b:
        error = await b.fail()
        assert (error.reason, error.retryable) == ("context", False)

"""Servers as they are: the table of tests/cases/models/fake_chat.py, each case a session of the real agent loop."""

from __future__ import annotations

import json

import pytest
from server_cases import (
    CASES,
    RUN,
    SECRET,
    TWO,
    Expected,
    Played,
    assert_comes_to,
    call,
    load,
    malformed,
    no_reply,
    play_once,
    unknown,
)

from sessions import events as ev

THOUGHT = Expected(reasoning="I think so.")
UNCOUNTED = Expected(usage=None)
BOTH = Expected(calls=(RUN, TWO))
TOO_LONG = no_reply("context", "maximum context length is 8192 tokens", need="context")

OPENAI: dict[str, Expected] = {
    **dict.fromkeys(
        (
            "plain",
            "slow",
            "no-index-whole",
            "no-index-pieces",
            "no-index-name-each",
            "index-name-each",
            "index-id-name-each",
            "id-then-name",
            "args-then-name",
            "name-then-id",
            "name-in-pieces",
            "brace-in-head",
            "no-id",
            "null-id-later-empty",
            "kimi-id",
            "long-id",
            "null-things",
            "null-in-list",
            "string-index",
            "finish-empty-string",
            "choices-null-usage",
            "bom",
            "gzip",
            "no-content-type",
            "json-whole",
            "json-as-sse-done",
            "usage-each-chunk",
            "usage-zero-last",
            "usage-floats",
            "usage-details-list",
            "reason-extra-content",
        ),
        Expected(),
    ),
    **dict.fromkeys(("same-id-twice", "no-index-two-by-id", "empty-id-twice"), BOTH),
    "constant-id": Expected(requests=4),
    "args-object": call('{"command":"echo one"}'),
    "empty-name": unknown("", '{"": "echo one"}'),
    "odd-name": unknown('run" path="step4.php'),
    "parallel-name": unknown("multi_tool_use.parallel"),
    "harmony-name": unknown("run<|channel|>commentary"),
    "400-char-name": unknown("psql postgresql://u@h/db -c 'INSERT " + "x" * 400 + "'", "{}"),
    "args-is-broken": malformed('{"command": "echo one'),
    "args-is-list": malformed("[]"),
    "args-is-null": malformed("null"),
    "args-is-empty": malformed(""),
    "args-is-quoted": malformed(json.dumps(RUN[1])),
    "args-is-nan": malformed('{"command": "echo one", "timeout": NaN}'),
    "args-is-trailing": malformed(RUN[1] + "\n}"),
    "args-is-twice": malformed(RUN[1] + RUN[1]),
    "args-is-fence": malformed(f"```json\n{RUN[1]}\n```"),
    "args-is-surrogate": call('{"command": "echo \\ud83d"}'),
    "args-is-nul": call('{"command": "printf \'a\\u0000b\'"}'),
    "truncated-says-calls": malformed('{"command": "echo o', usage=(1000, 8192)),
    "many-calls": Expected(calls=(("plan", '{"items": []}'),) * 228),
    "legacy-function-call": UNCOUNTED,
    "hermes-in-text": Expected(
        calls=(), finish="stop", text='<tool_call>\n{"name": "run", "arguments": ' + RUN[1] + "}\n</tool_call>"
    ),
    "done-without-finish": Expected(finish="other", usage=None),
    "close-without-finish": no_reply("cut", "broke off before its end", tries=3),
    **dict.fromkeys(
        (
            "open-after-finish",
            "comments-after-finish",
            "done-no-newline",
            "last-chunk-no-newline",
            "crlf",
            "cr-only",
            "pretty-json",
            "ndjson",
            "usage-none",
        ),
        UNCOUNTED,
    ),
    **dict.fromkeys(("usage-zeros", "usage-words", "usage-huge"), Expected(usage=(0, 0))),
    **dict.fromkeys(("comments-forever", "empty-deltas-forever"), no_reply("timeout", "no content came", tries=3)),
    "u2028": Expected(text="a\u2028b\u2029c\x85d"),
    "err-sse-error": no_reply("rate_limit", "quota exceeded for org", tries=3),
    "err-sse-object": TOO_LONG,
    "err-sse-detail": no_reply("fatal", "account is in arrears"),
    "err-sse-string": no_reply("fatal", "model 'qwen9' not found"),
    "err-sse-event": no_reply("server", "Upstream exploded", tries=3),
    "err-sse-event-text": no_reply("server", "upstream timed out", tries=3),
    "err-json-error": no_reply("fatal", "Model is not loaded"),
    "err-json-object": TOO_LONG,
    "err-json-msg": no_reply("fatal", "insufficient balance"),
    "err-json-as-sse": no_reply("fatal", "Model is not loaded"),
    "err-mid-call": no_reply("server", "CUDA out of memory", tries=3),
    "err-openrouter": no_reply("server", "Provider returned error", tries=3),
    "err-html": no_reply("server", "Hotel WiFi login", tries=3),
    "err-empty-200": no_reply("cut", "broke off before its end", tries=3),
    "err-401-html": no_reply("fatal", "nginx 401"),
    "err-400-toolong-object": TOO_LONG,
    "err-402": no_reply("fatal", "Insufficient Balance"),
    "err-429-hours": no_reply("rate_limit", "weekly limit reached", tries=3),
    "err-429-quota": no_reply("fatal", "You exceeded your current quota"),
    "err-429-past": no_reply("rate_limit", "slow down", tries=3),
    **dict.fromkeys(
        ("reason-new", "reason-old", "reason-both", "reason-details", "reason-list", "reason-thinking"), THOUGHT
    ),
    "reason-think-tag": Expected(text="<think>I think so.</think>\n\nGo."),
    "reason-end-tag-only": Expected(text="I think so.</think>\n\nGo."),
    "reason-only-length": Expected(calls=(), finish="length", reasoning="I think so."),
    "reason-only-stop": Expected(calls=(), finish="stop", reasoning="I think so."),
    "text-surrogates": Expected(text="a😀b \ufffd end"),
    "text-nul": Expected(text="a\u0000b\u001b[31mred\u001b[0m \u202egnirts\u202c"),
    "text-bad-utf8": Expected(text="a\ufffd\ufffdb"),
    "text-empty-stop": Expected(calls=(), finish="stop"),
    # A reply that no context holds: a person is asked, and can leave it out.
    "text-long-line": Expected(text="x" * 2_000_000, need="context", requests=1),
    **dict.fromkeys(("text-emoji",), Expected()),
    **dict.fromkeys(
        ("out-nul", "out-progress", "out-ansi", "out-advice", "out-line", "big-output"), Expected(calls=None)
    ),
}

COUNTED = Expected(usage=(1234, 20))
ANTHROPIC: dict[str, Expected] = {
    **dict.fromkeys(
        (
            "plain",
            "no-block-stop",
            "no-message-stop",
            "stop-is-end-turn",
            "usage-zero-delta",
            "pings",
            "think-redacted",
            "think-empty-signed",
            "empty-text-block",
            "space-text-block",
        ),
        COUNTED,
    ),
    "think-secret": Expected(
        spec={"quirks": {"thinking_budget": 1024}},
        usage=(1234, 20),
        reasoning="The key is [redacted:FAKE_KEY], I think.",
    ),
    "think-interleaved": Expected(calls=(RUN, TWO), usage=(1234, 20), reasoning="First.Second."),
    "think-unsigned": Expected(
        usage=(1234, 20),
        reasoning="I think so.",
        failed=("fatal",),
        says="Invalid `signature`",
        requests=3,
        refusals=1,
    ),
    "think-only": Expected(calls=(), finish="stop", usage=(1234, 20), reasoning="I think so."),
    **dict.fromkeys(("same-id-twice", "empty-id"), Expected(calls=(RUN, TWO), usage=(1234, 20))),
    "same-id-again": Expected(usage=(1234, 20), requests=4),
    "input-in-start": call('{"command":"echo one"}', usage=(1234, 20)),
    "no-input": malformed("{}", usage=(1234, 20)),
    "no-message-delta": Expected(finish="other", usage=(1234, 0)),
    "no-index": Expected(calls=(), finish="stop", usage=(1234, 20), text="hi"),
    "usage-in-delta-only": Expected(usage=(2234, 20)),
    "usage-null": UNCOUNTED,
    "no-start": Expected(usage=(0, 20)),
    "err-overloaded": no_reply("overloaded", "Overloaded", tries=3),
    "unknown-events": Expected(usage=(1234, 20), text='{"q":"x"}'),
    "refusal": Expected(calls=(), finish="refusal", usage=(1234, 20), text="No."),
    "ctx-window": Expected(calls=(), finish="length", usage=(1234, 20), text="Half a"),
}
TABLES = {"openai": OPENAI, "anthropic": ANTHROPIC}
TABLE = [(provider, name) for provider, table in TABLES.items() for name in table]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Played]:
    return play_once(tmp_path_factory.getbasetemp(), "cases", TABLES)


def test_every_case_of_the_server_is_in_the_table() -> None:
    source = (CASES / "fake_chat.py").read_text()
    module = load("fake_chat")
    named = {name for name in OPENAI if f'"{name}"' in source or name.startswith(("args-is-", "reason-"))}
    assert named == set(OPENAI)
    assert len(TABLE) >= 136
    assert all(module.anthropic_case(name, None) is not None for name in ANTHROPIC if name != "same-id-again")


@pytest.mark.parametrize(("provider", "name"), TABLE, ids=[f"{provider}-{name}" for provider, name in TABLE])
def test_a_server_as_it_is(played: dict[tuple[str, str], Played], provider: str, name: str) -> None:
    assert_comes_to(played[provider, name], TABLES[provider][name])


def test_reasoning_in_blocks_goes_back_as_it_came(played: dict[tuple[str, str], Played]) -> None:
    sent = played["openai", "reason-details"].received[1]["messages"]
    (said,) = [message for message in sent if message["role"] == "assistant"]
    assert said["reasoning_details"] == [
        {"type": "reasoning.text", "text": "I think so.", "signature": "sig", "index": 0}
    ]


def test_after_a_400_about_thinking_it_is_left_out_and_the_session_goes_on(
    played: dict[tuple[str, str], Played],
) -> None:
    case = played["anthropic", "think-unsigned"]
    requests: list[ev.ModelRequested] = case.bodies(ev.ModelRequested)
    assert [request.without_reasoning for request in requests] == [False, False, True]
    assert [request.parent is None for request in requests] == [True, False, True]
    kinds = [[block["type"] for block in line["messages"][1]["content"]] for line in case.received[1:]]
    assert kinds == [["thinking", "tool_use"], ["tool_use"]]


def test_thinking_that_held_a_secret_is_dropped_and_thinking_stays_off_for_that_reply(
    played: dict[tuple[str, str], Played],
) -> None:
    first, second = played["anthropic", "think-secret"].received
    assert first["rest"]["thinking"]["type"] == "enabled"
    assert "thinking" not in second["rest"]
    assert SECRET not in json.dumps(second["messages"])

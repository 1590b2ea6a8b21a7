"""Servers as they are: the whole table of tests/cases/models, each case a session of the real agent loop."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from agent_testbed import Bench

from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, TextPart, Usage
from sessions.log.rebuild import rebuild_request
from sessions.providers.registry import adapter_for

CASES = Path(__file__).parents[1] / "cases" / "models" / "fake_chat.py"
PACE = 0.05
"""The server's waits are this much shorter, and ours with them."""
STALL = 0.8
SECRET = "sk-fake-0123456789abcdefXYZ"
AT_ONCE = 8
SECONDS = 120.0

RUN, TWO = ("run", '{"command": "echo one"}'), ("run", '{"command": "echo two"}')


@dataclass(frozen=True)
class Expected:
    """What a case comes to. ``failed``: the reasons of failed attempts, ``says``: words of the last one's."""

    calls: tuple[tuple[str, str], ...] = (RUN,)
    finish: str = "calls"
    usage: tuple[int, int] | None = (1000, 20)
    text: str | None = None
    reasoning: str | None = None
    refused: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    says: str = ""
    need: str = ""
    requests: int = 2


def call(text: str, **more: Any) -> Expected:
    return Expected(calls=(("run", text),), **more)


def malformed(text: str, **more: Any) -> Expected:
    return call(text, refused=("malformed",), **more)


def unknown(name: str, text: str = RUN[1]) -> Expected:
    return Expected(calls=((name, text),), refused=("unknown_tool",))


def no_reply(reason: str, says: str, *, tries: int = 1, need: str = "provider") -> Expected:
    return Expected(calls=(), finish="", usage=None, failed=(reason,) * tries, says=says, need=need, requests=1)


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
    **dict.fromkeys(("out-nul", "out-progress", "out-ansi", "out-advice", "out-line", "big-output"), Expected()),
}
ANY_COMMAND = frozenset({"out-nul", "out-progress", "out-ansi", "out-advice", "out-line", "big-output"})
"""Cases of outputs: which command makes them is theirs to say."""

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
    "think-secret": Expected(usage=(1234, 20), reasoning="The key is [redacted:FAKE_KEY], I think."),
    "think-interleaved": Expected(calls=(RUN, TWO), usage=(1234, 20), reasoning="First.Second."),
    "think-unsigned": Expected(
        usage=(1234, 20), reasoning="I think so.", failed=("fatal",), says="Invalid `signature`", requests=3
    ),
    "think-only": Expected(calls=(), finish="stop", usage=(1234, 20), reasoning="I think so."),
    **dict.fromkeys(("same-id-twice", "empty-id"), Expected(calls=(RUN, TWO), usage=(1234, 20))),
    "same-id-again": Expected(usage=(1234, 20), requests=4),
    "input-in-start": call('{"command":"echo one"}', usage=(1234, 20)),
    "no-input": malformed("{}", usage=(1234, 20)),
    "no-message-delta": Expected(finish="other", usage=(1234, 1)),
    "no-index": Expected(calls=(), finish="stop", usage=(1234, 20), text="hi"),
    "usage-in-delta-only": Expected(usage=(2234, 20)),
    "usage-null": UNCOUNTED,
    "no-start": Expected(usage=(0, 20)),
    "err-overloaded": no_reply("overloaded", "Overloaded", tries=3),
    "unknown-events": Expected(usage=(1234, 20), text='{"q":"x"}'),
    "refusal": Expected(calls=(), finish="refusal", usage=(1234, 20), text="No."),
    "ctx-window": Expected(calls=(), finish="length", usage=(1234, 20), text="Half a"),
}
TABLE = [("openai", name) for name in OPENAI] + [("anthropic", name) for name in ANTHROPIC]


@dataclass(frozen=True)
class Played:
    """A session that has come to rest: its events, its requests as the log rebuilds them, and as they were received."""

    state: str
    need: str
    reason: str
    events: tuple[ev.Event, ...]
    rebuilt: tuple[str, ...]
    received: tuple[dict[str, Any], ...]

    def bodies(self, kind: type[Any]) -> list[Any]:
        return [event.body for event in self.events if isinstance(event.body, kind)]


def load_server() -> ModuleType:
    found = importlib.util.spec_from_file_location("fake_chat", CASES)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Played]]:
    """Every case, played at once: they wait for a server, not for each other."""
    folder = tmp_path_factory.mktemp("cases")
    module = load_server()
    module.ARGS.requests, module.ARGS.pace = str(folder / "requests.jsonl"), PACE
    server = ThreadingHTTPServer(("127.0.0.1", 0), module.Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield asyncio.run(play_all(folder, f"http://127.0.0.1:{server.server_port}"))
    finally:
        server.shutdown()
        server.server_close()


async def play_all(folder: Path, url: str) -> dict[tuple[str, str], Played]:
    found: dict[tuple[str, str], Played] = {}
    for provider, cases in (("openai", OPENAI), ("anthropic", ANTHROPIC)):
        (folder / provider).mkdir()
        bench = await Bench.open(folder / provider)
        bench.secrets = {"FAKE_KEY": SECRET}
        bench.adapter = adapter_for(ev.ModelSpec(provider, "m"))
        gate = asyncio.Semaphore(AT_ONCE)

        async def play(name: str, bench: Bench = bench, provider: str = provider, gate: Any = gate) -> tuple[str, str]:
            async with gate:
                fields: dict[str, Any] = {"base_url": f"{url}/v1" if provider == "openai" else url}
                fields |= {"stall_seconds": STALL, "first_token_seconds": 60.0}
                if name == "think-secret":
                    fields["quirks"] = {"thinking_budget": 1024}
                session = await bench.create(provider=provider, model=name, spec=fields, limits=ev.Limits(steps=6))
                bench.runner(session).start()
                rest = ("finished", "needs_you", "paused", "failed")
                async with asyncio.timeout(SECONDS):
                    while bench.summary(session).state not in rest:
                        await asyncio.sleep(0.02)
                return name, session

        sessions = dict(await asyncio.gather(*map(play, cases)))
        lines = [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]
        for name, session in sessions.items():
            summary = bench.summary(session)
            key = f"{provider[0]}:{name}"
            found[provider, name] = Played(
                summary.state,
                summary.need,
                summary.reason,
                tuple(bench.events(session)),
                tuple(
                    hash_of(rebuild_request(bench.reader, session, event.seq))
                    for event in bench.events(session, "model.request")
                ),
                tuple(line for line in lines if line["case"] == key and "sha256" in line),
            )
        await bench.close()
    return found


def hash_of(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def test_every_case_of_the_server_is_in_the_table() -> None:
    source = CASES.read_text()
    module = load_server()
    named = {name for name in OPENAI if f'"{name}"' in source or name.startswith(("args-is-", "reason-"))}
    assert named == set(OPENAI)
    assert len(TABLE) >= 136
    assert all(module.anthropic_case(name, None) is not None for name in ANTHROPIC if name != "same-id-again")


@pytest.mark.parametrize(("provider", "name"), TABLE, ids=[f"{provider}-{name}" for provider, name in TABLE])
def test_a_server_as_it_is(played: dict[tuple[str, str], Played], provider: str, name: str) -> None:
    case = played[provider, name]
    expected = (OPENAI if provider == "openai" else ANTHROPIC)[name]
    replies: list[ev.ModelReplied] = case.bodies(ev.ModelReplied)
    failed: list[ev.ModelAttemptFailed] = case.bodies(ev.ModelAttemptFailed)

    # No dead end: it is done, or a person is asked, in the server's words.
    assert (case.state, case.need) == (("needs_you", expected.need) if expected.need else ("finished", ""))
    if expected.need and not replies:
        assert expected.says in case.reason

    # Attempts are counted.
    assert tuple(body.reason for body in failed) == expected.failed
    assert [body.attempt for body in failed] == list(range(1, len(failed) + 1))
    assert all(expected.says in body.message for body in failed)
    assert all("Error" not in body.message or "error:" in body.message for body in failed)

    # No words are lost.
    if expected.finish:
        first = replies[0]
        calls = tuple((part.name, part.arguments) for part in first.parts if isinstance(part, CallPart))
        assert calls == expected.calls if name not in ANY_COMMAND else [called for called, _ in calls] == ["run"]
        assert first.finish == expected.finish
        if expected.text is not None:
            assert "".join(part.text for part in first.parts if isinstance(part, TextPart)) == expected.text
        if expected.reasoning is not None:
            assert "".join(part.text for part in first.parts if isinstance(part, ReasoningPart)) == expected.reasoning
        assert_counted(first, expected.usage)
    assert tuple(body.why for body in case.bodies(ev.ActionRefused)) == expected.refused

    # What the server was sent is what the log rebuilds, as often as it was tried.
    tries = Counter(body.request for body in [*failed, *replies])
    requests = [event.seq for event in case.events if event.kind == "model.request"]
    sent = [digest for seq, digest in zip(requests, case.rebuilt, strict=True) for _ in range(tries[seq])]
    assert [line["sha256"] for line in case.received] == sent
    assert len(requests) == expected.requests
    refusals = [line["refused"] for line in case.received if line["refused"]]
    assert len(refusals) == (1 if name == "think-unsigned" else 0), refusals
    for line in case.received:
        ids = list(ids_sent(line["messages"]))
        assert len(set(ids)) == len(ids)


def assert_counted(reply: ev.ModelReplied, usage: tuple[int, int] | None) -> None:
    """The server's counts, and our own estimate of those, and only those, that it did not give."""
    counted = (reply.usage.input_tokens, reply.usage.output_tokens) if reply.usage else None
    assert counted == usage
    given = counted or (0, 0)
    estimate = reply.estimate or Usage()
    assert bool(estimate.input_tokens) == (not given[0])
    assert bool(estimate.output_tokens) == (not given[1])


def ids_sent(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        yield from (each["id"] for each in message.get("tool_calls") or ())
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            if block.get("type") == "tool_use":
                yield block["id"]


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

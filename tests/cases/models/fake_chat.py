#!/usr/bin/env python3
# ruff: noqa: E501  the words of servers are long
"""A fake OpenAI-compatible and Anthropic-compatible server that misbehaves on purpose. The model's name is the case.

    python3 fake_chat.py --port 8711 --requests requests.jsonl

The first reply of a session (no tool result in the prompt) is the odd one of its case; a request without tools wants a
summary and gets one. Every later request is checked
as a strict server would check it (ids unique and answered, names, JSON arguments, content); a history that a real
server refuses gets 400, all others a well-formed `finish` call. Each request and each refusal is a line of --requests.
"""

import argparse
import copy
import gzip
import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import siblings
from fake_parts import (
    ARGS,
    CMD,
    CMD2,
    END,
    ROLE,
    SIG,
    STOP,
    USAGE,
    a_block,
    a_call,
    a_end,
    a_start,
    a_think,
    ch,
    ev,
    fn,
    pause,
    pieces,
    sse,
    tc,
)

NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
LOCK = threading.Lock()
COUNT = {}


def calls_case(case):
    """Lists of chunks for the cases that are about how calls are put together; None if it is none of them."""
    P = pieces(CMD, 6)
    if case == "slow":
        pause(8)
        case = "plain"
    if case == "plain":
        return (
            [ROLE, tc(index=0, id="call_a", type="function", function=fn("run", ""))]
            + [tc(index=0, function=fn(None, p)) for p in P]
            + END
        )
    if case == "no-index-whole":
        return [ROLE, tc(id="call_a", type="function", function=fn("run", CMD)), *END]
    if case == "no-index-pieces":
        return (
            [ROLE, tc(id="call_a", type="function", function=fn("run", ""))]
            + [tc(function=fn(None, p)) for p in P]
            + END
        )
    if case == "no-index-two-by-id":
        a, b = pieces(CMD, 8), pieces(CMD2, 8)
        out = [
            ROLE,
            tc(id="call_a", type="function", function=fn("run", "")),
            tc(id="call_b", type="function", function=fn("run", "")),
        ]
        for x, y in zip(a, b, strict=False):
            out += [tc(id="call_a", function=fn(None, x)), tc(id="call_b", function=fn(None, y))]
        return out + END
    if case == "no-index-name-each":
        return [ROLE] + [tc(id="call_a", type="function", function=fn("run", p)) for p in P] + END
    if case == "index-name-each":
        return (
            [ROLE, tc(index=0, id="call_a", type="function", function=fn("run", P[0]))]
            + [tc(index=0, function=fn("run", p)) for p in P[1:]]
            + END
        )
    if case == "index-id-name-each":
        return [ROLE] + [tc(index=0, id="call_a", type="function", function=fn("run", p)) for p in P] + END
    if case == "id-then-name":
        return (
            [
                ROLE,
                tc(index=0, id="call_a", type="function", function=fn(None, "")),
                tc(index=0, function=fn("run", "")),
            ]
            + [tc(index=0, function=fn(None, p)) for p in P]
            + END
        )
    if case == "args-then-name":
        return (
            [
                ROLE,
                tc(index=0, id="call_a", type="function", function=fn(None, P[0])),
                tc(index=0, function=fn("run", P[1])),
            ]
            + [tc(index=0, function=fn(None, p)) for p in P[2:]]
            + END
        )
    if case == "name-then-id":
        return (
            [
                ROLE,
                tc(index=0, type="function", function=fn("run", "")),
                tc(index=0, id="call_late", function=fn(None, "")),
            ]
            + [tc(index=0, function=fn(None, p)) for p in P]
            + END
        )
    if case == "brace-in-head":
        return [
            ROLE,
            tc(index=0, id="call_a", type="function", function=fn("run", "{")),
            tc(index=0, function=fn(None, CMD[1:])),
            *END,
        ]
    if case == "args-object":
        return [ROLE, tc(index=0, id="call_a", type="function", function=fn("run", {"command": "echo one"})), *END]
    if case == "no-id":
        return [ROLE, tc(index=0, type="function", function=fn("run", CMD)), *END]
    if case == "null-id-later-empty":
        return (
            [ROLE, tc(index=0, id="call_a", type="function", function=fn("run", ""))]
            + [tc(index=0, id="", type="function", function={"name": None, "arguments": p}) for p in P]
            + END
        )
    if case == "same-id-twice":
        return [
            ROLE,
            tc(index=0, id="call_same", type="function", function=fn("run", CMD)),
            tc(index=1, id="call_same", type="function", function=fn("run", CMD2)),
            *END,
        ]
    if case == "empty-id-twice":
        return [
            ROLE,
            tc(index=0, id="", type="function", function=fn("run", CMD)),
            tc(index=1, id="", type="function", function=fn("run", CMD2)),
            *END,
        ]
    if case == "kimi-id":
        return [ROLE, tc(index=0, id="functions.run:0", type="function", function=fn("run", CMD)), *END]
    if case == "long-id":
        return [ROLE, tc(index=0, id="call_" + "x" * 90, type="function", function=fn("run", CMD)), *END]
    if case == "empty-name":
        return [ROLE, tc(index=0, id="call_a", type="function", function=fn("", '{"": "echo one"}')), *END]
    if case == "odd-name":
        return [ROLE, tc(index=0, id="call_a", type="function", function=fn('run" path="step4.php', CMD)), *END]
    if case == "parallel-name":
        return [ROLE, tc(index=0, id="call_a", type="function", function=fn("multi_tool_use.parallel", CMD)), *END]
    if case == "harmony-name":
        return [ROLE, tc(index=0, id="call_a", type="function", function=fn("run<|channel|>commentary", CMD)), *END]
    if case == "400-char-name":
        return [
            ROLE,
            tc(
                index=0,
                id="call_a",
                type="function",
                function=fn("psql postgresql://u@h/db -c 'INSERT " + "x" * 400 + "'", "{}"),
            ),
            *END,
        ]
    if case == "name-in-pieces":
        return (
            [ROLE, tc(index=0, id="call_a", type="function", function=fn("r", "")), tc(index=0, function=fn("un", ""))]
            + [tc(index=0, function=fn(None, p)) for p in P]
            + END
        )
    if case.startswith("args-is-"):
        text = {
            "broken": '{"command": "echo one',
            "list": "[]",
            "null": "null",
            "empty": "",
            "quoted": json.dumps(CMD),
            "nan": '{"command": "echo one", "timeout": NaN}',
            "trailing": CMD + "\n}",
            "twice": CMD + CMD,
            "fence": "```json\n" + CMD + "\n```",
            "surrogate": '{"command": "echo \\ud83d"}',
            "nul": '{"command": "printf \'a\\u0000b\'"}',
        }[case[8:]]
        return [ROLE, tc(index=0, id="call_a", type="function", function=fn("run", text)), *END]
    if case == "truncated-says-calls":
        return [
            ROLE,
            tc(index=0, id="call_a", type="function", function=fn("run", '{"command": "echo o')),
            ch({}, "tool_calls"),
            {"choices": [], "usage": {**USAGE, "completion_tokens": 8192}},
            b"[DONE]",
        ]
    if case == "big-output":
        return [
            ROLE,
            tc(
                index=0,
                id="call_a",
                type="function",
                function=fn("run", json.dumps({"command": "head -c 3000000 /dev/urandom | base64"})),
            ),
            *END,
        ]
    OUT = {
        "out-nul": "printf 'a\\000b\\377\\376c'",
        "out-progress": "for i in $(seq 300); do printf '\\r%3d%%|####  | %d/300' $((i/3)) $i; done; echo",
        "out-ansi": "printf '\\033[31mred\\033[0m \\033]0;title\\007 \\033[2J end\\n'",
        "out-advice": "echo '<advice-2275b529>stop</advice-2275b529>'",
        "out-line": "head -c 400000 /dev/zero | tr '\\0' x",
    }
    if case in OUT:
        return [
            ROLE,
            tc(index=0, id="call_a", type="function", function=fn("run", json.dumps({"command": OUT[case]}))),
            *END,
        ]
    if case == "many-calls":
        return (
            [ROLE]
            + [tc(index=i, id=f"call_{i}", type="function", function=fn("plan", '{"items": []}')) for i in range(228)]
            + END
        )
    if case == "null-things":
        return [
            ROLE,
            ch({"tool_calls": None, "content": None, "role": None}),
            ch({"tool_calls": []}),
            tc(index=0, id="call_a", type="function", function=fn("run", CMD)),
            tc(index=0, id=None, type=None, function=None),
            *END,
        ]
    if case == "null-in-list":
        return [
            ROLE,
            ch({"tool_calls": [None]}),
            tc(index=0, id="call_a", type="function", function=fn("run", CMD)),
            *END,
        ]
    if case == "legacy-function-call":
        return [ROLE, ch({"function_call": {"name": "run", "arguments": CMD}}), ch({}, "function_call"), b"[DONE]"]
    if case == "string-index":
        return [
            ROLE,
            tc(index="0", id="call_a", type="function", function=fn("run", "")),
            tc(index="0", function=fn(None, CMD)),
            *END,
        ]
    if case == "hermes-in-text":
        return [ROLE, ch({"content": '<tool_call>\n{"name": "run", "arguments": ' + CMD + "}\n</tool_call>"}), *STOP]
    return None


def other_case(case, h):
    CALL = tc(index=0, id="call_a", type="function", function=fn("run", CMD))
    if case == "finish-empty-string":
        a = copy.deepcopy([ROLE, CALL])
        for c in a:
            c["choices"][0]["finish_reason"] = ""
        return a + END
    if case == "done-without-finish":
        return [ROLE, CALL, b"[DONE]"]
    if case == "close-without-finish":
        return [ROLE, CALL]
    if case == "open-after-finish":
        h.send_list([ROLE, CALL, ch({}, "tool_calls")])
        pause(400)
        return []
    if case == "comments-after-finish":
        h.send_list([ROLE, CALL, ch({}, "tool_calls")])
        for _ in range(60):
            h.raw(b": keepalive\n\n")
            pause(10)
        return []
    if case == "comments-forever":
        for _ in range(60):
            h.raw(b": OPENROUTER PROCESSING\n\n")
            pause(10)
        return []
    if case == "empty-deltas-forever":
        for _ in range(60):
            h.raw(sse(ch({"content": ""})))
            pause(10)
        return []
    if case == "choices-null-usage":
        return [
            ROLE,
            CALL,
            ch({}, "tool_calls"),
            {"id": "c-1", "choices": None, "usage": USAGE},
            {"id": "c-1", "usage": USAGE},
            b"[DONE]",
        ]
    if case == "done-no-newline":
        h.send_list([ROLE, CALL, ch({}, "tool_calls")])
        h.raw(b"data: [DONE]")
        return []
    if case == "last-chunk-no-newline":
        h.send_list([ROLE, CALL])
        h.raw(b"data: " + json.dumps(ch({}, "tool_calls")).encode())
        return []
    if case == "crlf":
        for c in [ROLE, CALL, ch({}, "tool_calls"), b"[DONE]"]:
            h.raw(sse(c).replace(b"\n", b"\r\n"))
        return []
    if case == "cr-only":
        for c in [ROLE, CALL, ch({}, "tool_calls"), b"[DONE]"]:
            h.raw(sse(c).replace(b"\n", b"\r"))
        return []
    if case == "bom":
        h.raw(b"\xef\xbb\xbf" + sse(CALL))
        return END
    if case == "pretty-json":
        for c in [ROLE, CALL, ch({}, "tool_calls")]:
            h.raw(b"".join(b"data: " + line.encode() + b"\n" for line in json.dumps(c, indent=1).splitlines()) + b"\n")
        return [b"[DONE]"]
    if case == "u2028":
        h.raw(b"data: " + json.dumps(ch({"content": "a\u2028b\u2029c\x85d"}), ensure_ascii=False).encode() + b"\n\n")
        return [CALL, *END]
    if case == "gzip":
        body = b"".join(sse(c) for c in [ROLE, CALL, *END])
        h.whole(200, gzip.compress(body), "text/event-stream", {"Content-Encoding": "gzip"})
        return None
    if case == "ndjson":
        h.whole(
            200,
            b"\n".join(json.dumps(c).encode() for c in [ROLE, CALL, ch({}, "tool_calls")]) + b"\n",
            "application/x-ndjson",
        )
        return None
    if case == "no-content-type":
        h.whole(200, b"".join(sse(c) for c in [ROLE, CALL, *END]), None)
        return None
    if case == "json-whole":
        m = {
            "id": "c",
            "object": "chat.completion",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {"id": "call_a", "type": "function", "function": {"name": "run", "arguments": CMD}}
                        ],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
            "usage": USAGE,
        }
        h.whole(200, json.dumps(m).encode(), "application/json")
        return None
    if case == "json-as-sse-done":
        m = {
            "id": "c",
            "object": "chat.completion",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {"id": "call_a", "type": "function", "function": {"name": "run", "arguments": CMD}}
                        ],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
            "usage": USAGE,
        }
        h.whole(200, json.dumps(m).encode() + b"\n\ndata: [DONE]\n\n", "text/event-stream")
        return None
    if case.startswith("err-"):
        too_long = (
            "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens in the messages."
        )
        if case == "err-sse-error":
            return [{"error": {"message": "quota exceeded for org", "code": 429}}, b"[DONE]"]
        if case == "err-sse-object":
            return [
                {"object": "error", "message": too_long, "type": "BadRequestError", "param": None, "code": 400},
                b"[DONE]",
            ]
        if case == "err-sse-detail":
            return [{"detail": "Invalid authentication: account is in arrears"}, b"[DONE]"]
        if case == "err-sse-string":
            return [{"error": "model 'qwen9' not found"}]
        if case == "err-sse-event":
            h.raw(
                b"event: error\ndata: "
                + json.dumps({"message": "Upstream exploded", "type": "server_error"}).encode()
                + b"\n\n"
            )
            return []
        if case == "err-sse-event-text":
            h.raw(b"event: error\ndata: upstream timed out\n\n")
            return []
        if case == "err-json-error":
            h.whole(
                200,
                json.dumps({"error": {"message": "Model is not loaded", "type": "invalid_request_error"}}).encode(),
                "application/json",
            )
            return None
        if case == "err-json-object":
            h.whole(
                200,
                json.dumps({"object": "error", "message": too_long, "type": "BadRequestError", "code": 400}).encode(),
                "application/json",
            )
            return None
        if case == "err-json-msg":
            h.whole(
                200,
                json.dumps({"code": 1113, "msg": "insufficient balance", "success": False}).encode(),
                "application/json",
            )
            return None
        if case == "err-json-as-sse":
            h.whole(
                200,
                json.dumps(
                    {
                        "error": {
                            "message": "Model is not loaded",
                            "type": "invalid_request_error",
                            "code": "model_not_loaded",
                        }
                    }
                ).encode(),
                "text/event-stream",
            )
            return None
        if case == "err-mid-call":
            return [
                ROLE,
                tc(index=0, id="call_a", type="function", function=fn("run", '{"comm')),
                {"error": {"message": "CUDA out of memory", "code": 500}},
                b"[DONE]",
            ]
        if case == "err-openrouter":
            return [
                ROLE,
                {
                    "id": "gen",
                    "object": "chat.completion.chunk",
                    "error": {"code": 502, "message": "Provider returned error"},
                    "choices": [],
                },
                b"[DONE]",
            ]
        if case == "err-html":
            h.whole(200, b"<html><title>Hotel WiFi login</title></html>", "text/html")
            return None
        if case == "err-empty-200":
            h.whole(200, b"", "text/event-stream")
            return None
        if case == "err-401-html":
            h.whole(401, b"<html>nginx 401</html>", "text/html")
            return None
        if case == "err-400-toolong-object":
            h.whole(400, json.dumps({"object": "error", "message": too_long, "code": 400}).encode(), "application/json")
            return None
        if case == "err-402":
            h.whole(
                402,
                json.dumps(
                    {
                        "error": {
                            "message": "Insufficient Balance",
                            "type": "unknown_error",
                            "code": "invalid_request_error",
                        }
                    }
                ).encode(),
                "application/json",
            )
            return None
        if case == "err-429-hours":
            h.whole(
                429,
                json.dumps({"error": {"message": "weekly limit reached", "type": "rate_limit_error"}}).encode(),
                "application/json",
                {"Retry-After": "86400"},
            )
            return None
        if case == "err-429-quota":
            h.whole(
                429,
                json.dumps(
                    {
                        "error": {
                            "message": "You exceeded your current quota, please check your plan and billing details.",
                            "type": "insufficient_quota",
                            "code": "insufficient_quota",
                        }
                    }
                ).encode(),
                "application/json",
            )
            return None
        if case == "err-429-past":
            h.whole(429, b"slow down", "text/plain", {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
            return None
    if case.startswith("usage-"):
        if case == "usage-each-chunk":
            out = copy.deepcopy([ROLE, CALL])
            for i, c in enumerate(out):
                c["usage"] = {"prompt_tokens": 1000, "completion_tokens": i + 1, "total_tokens": 1001 + i}
            return out + END
        if case == "usage-none":
            return [ROLE, CALL, ch({}, "tool_calls"), b"[DONE]"]
        if case == "usage-zero-last":
            return [
                ROLE,
                CALL,
                ch({}, "tool_calls", usage=USAGE),
                {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
                b"[DONE]",
            ]
        if case == "usage-zeros":
            return [
                ROLE,
                CALL,
                ch({}, "tool_calls"),
                {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
                b"[DONE]",
            ]
        if case == "usage-floats":
            return [
                ROLE,
                CALL,
                ch({}, "tool_calls"),
                {
                    "choices": [],
                    "usage": {
                        "prompt_tokens": 1000.0,
                        "completion_tokens": "20",
                        "prompt_tokens_details": [],
                        "completion_tokens_details": None,
                    },
                },
                b"[DONE]",
            ]
        if case == "usage-words":
            return [
                ROLE,
                CALL,
                ch({}, "tool_calls"),
                {"choices": [], "usage": {"prompt_tokens": "n/a", "completion_tokens": "n/a"}},
                b"[DONE]",
            ]
        if case == "usage-details-list":
            return [
                ROLE,
                CALL,
                ch({}, "tool_calls"),
                {"choices": [], "usage": {**USAGE, "prompt_tokens_details": ["x"]}},
                b"[DONE]",
            ]
        if case == "usage-huge":
            return [
                ROLE,
                CALL,
                ch({}, "tool_calls"),
                {"choices": [], "usage": {"prompt_tokens": 2**70, "completion_tokens": -5}},
                b"[DONE]",
            ]
    if case.startswith("reason-"):
        t = "I think so."
        d = {
            "reason-new": {"reasoning": t},
            "reason-old": {"reasoning_content": t},
            "reason-both": {"reasoning": t, "reasoning_content": t},
            "reason-details": {
                "reasoning_details": [{"type": "reasoning.text", "text": t, "signature": "sig", "index": 0}]
            },
            "reason-list": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": t}]}]},
            "reason-thinking": {"thinking": t},
        }.get(case)
        if d:
            return [ROLE, ch(d), CALL, *END]
        if case == "reason-think-tag":
            return [ROLE, ch({"content": "<think>" + t}), ch({"content": "</think>\n\nGo."}), CALL, *END]
        if case == "reason-end-tag-only":
            return [ROLE, ch({"content": t + "</think>\n\nGo."}), CALL, *END]
        if case == "reason-only-length":
            return [ROLE, ch({"reasoning": t}), ch({}, "length"), {"choices": [], "usage": USAGE}, b"[DONE]"]
        if case == "reason-only-stop":
            return [ROLE, ch({"reasoning": t}), *STOP]
        if case == "reason-extra-content":
            return [
                ROLE,
                tc(
                    index=0,
                    id="call_a",
                    type="function",
                    function=fn("run", CMD),
                    extra_content={"google": {"thought_signature": "SIG=="}},
                ),
                *END,
            ]
    if case.startswith("text-"):
        if case == "text-surrogates":
            h.raw(b'data: {"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}\n\n')
            h.raw(b'data: {"choices":[{"index":0,"delta":{"content":"\\ude00b \\ud800 end"}}]}\n\n')
            return [CALL, *END]
        if case == "text-nul":
            return [ROLE, ch({"content": "a\x00b\x1b[31mred\x1b[0m \u202egnirts\u202c"}), CALL, *END]
        if case == "text-bad-utf8":
            h.raw(b'data: {"choices":[{"index":0,"delta":{"content":"a\xff\xfeb"}}]}\n\n')
            return [CALL, *END]
        if case == "text-long-line":
            return [ROLE, ch({"content": "x" * 2000000}), CALL, *END]
        if case == "text-empty-stop":
            return [ROLE, ch({"content": ""}), *STOP]
        if case == "text-emoji":
            return [
                ROLE,
                ch(
                    {
                        "content": "👩\u200d👩\u200d👧\u200d👦 🇩🇪🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f ❤️ ⚠️ 🏳️\u200d🌈 ɑ̈́ 葛󠄀 ﷽ नमस्ते"
                    }
                ),
                CALL,
                *END,
            ]
    return None


def refuse(body):
    """What a strict Chat Completions server says of a history; None if it takes it."""
    open_ids = []
    for i, m in enumerate(body["messages"]):
        role = m.get("role")
        if role == "assistant":
            if open_ids:
                return f"messages[{i}]: tool_call_ids did not have response messages: {open_ids}"
            calls = m.get("tool_calls") or []
            if not calls and not m.get("content"):
                return f"messages[{i}]: assistant message must have content or tool_calls"
            ids = [c["id"] for c in calls]
            if len(set(ids)) != len(ids):
                return f"messages[{i}]: tool_call ids must be unique: {ids}"
            for c in calls:
                f = c["function"]
                if not NAME.match(f["name"]):
                    return f"messages[{i}].tool_calls[].function.name: string does not match pattern: {f['name']!r}"
                if not isinstance(f["arguments"], str):
                    return f"messages[{i}].tool_calls[].function.arguments: not a string"
                try:
                    if not isinstance(json.loads(f["arguments"]), dict):
                        return f"messages[{i}].tool_calls[].function.arguments: not an object: {f['arguments']!r}"
                except ValueError as e:
                    return f"messages[{i}].tool_calls[].function.arguments: {e}: {f['arguments']!r}"
                if not c["id"]:
                    return f"messages[{i}].tool_calls[].id: empty"
            open_ids = list(ids)
        elif role == "tool":
            if m.get("tool_call_id") not in open_ids:
                return (
                    f"messages[{i}]: tool_call_id {m.get('tool_call_id')!r} not found in tool_calls of previous message"
                )
            open_ids.remove(m["tool_call_id"])
            if not isinstance(m.get("content"), (str, list)):
                return f"messages[{i}].content: must be a string"
        elif open_ids:
            return f"messages[{i}]: tool_call_ids did not have response messages: {open_ids}"
    return None


# ---------------------------------------------------------------- Anthropic


def anthropic_case(case, h):
    if case == "plain":
        return a_start() + a_think(0) + a_call(1) + a_end()
    if case == "think-secret":
        return a_start() + a_think(0, "The key is sk-fake-0123456789abcdefXYZ, I think.") + a_call(1) + a_end()
    if case == "think-empty-signed":
        return a_start() + a_think(0, "") + a_call(1) + a_end()
    if case == "think-interleaved":
        return (
            a_start()
            + a_think(0, "First.")
            + a_call(1)
            + a_think(2, "Second.", SIG + "2")
            + a_call(3, "toolu_2", arguments=CMD2)
            + a_end()
        )
    if case == "think-redacted":
        return a_start() + a_block(0, {"type": "redacted_thinking", "data": "ENCRYPTED=="}) + a_call(1) + a_end()
    if case == "think-unsigned":
        return a_start() + a_think(0, sig="") + a_call(1) + a_end()
    if case == "think-only":
        return a_start() + a_think(0) + a_end("end_turn")
    if case == "same-id-twice":
        return a_start() + a_call(0, "toolu_same") + a_call(1, "toolu_same", arguments=CMD2) + a_end()
    if case == "same-id-again":
        return a_start() + a_call(0, "toolu_constant") + a_end()
    if case == "empty-id":
        return a_start() + a_call(0, "") + a_call(1, "", arguments=CMD2) + a_end()
    if case == "no-block-stop":
        return a_start() + a_call(0, stop=False) + a_end()
    if case == "input-in-start":
        return (
            a_start()
            + a_block(0, {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {"command": "echo one"}})
            + a_end()
        )
    if case == "no-input":
        return (
            a_start()
            + a_block(
                0,
                {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {}},
                {"type": "input_json_delta", "partial_json": ""},
            )
            + a_end()
        )
    if case == "no-message-delta":
        return a_start() + a_call(0) + ev("message_stop")
    if case == "no-message-stop":
        return (
            a_start() + a_call(0) + ev("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 20})
        )
    if case == "no-index":
        return (
            a_start()
            + ev("content_block_start", content_block={"type": "text", "text": ""})
            + ev("content_block_delta", delta={"type": "text_delta", "text": "hi"})
            + ev("content_block_stop")
            + a_end("end_turn")
        )
    if case == "stop-is-end-turn":
        return a_start() + a_call(0) + a_end("end_turn")
    if case == "usage-zero-delta":
        return a_start() + a_call(0) + a_end(usage={"input_tokens": 0, "output_tokens": 20})
    if case == "usage-in-delta-only":
        return (
            a_start({"input_tokens": 0, "output_tokens": 0})
            + a_call(0)
            + a_end(usage={"input_tokens": 1234, "output_tokens": 20, "cache_read_input_tokens": 1000})
        )
    if case == "usage-null":
        return (
            a_start({})
            + a_call(0)
            + ev("message_delta", delta={"stop_reason": "tool_use"}, usage=None)
            + ev("message_stop")
        )
    if case == "no-start":
        return a_call(0) + a_end()
    if case == "err-overloaded":
        return a_start() + ev("error", error={"type": "overloaded_error", "message": "Overloaded"})
    if case == "pings":
        return ev("ping") + a_start() + ev("ping") + a_call(0) + ev("ping") + a_end()
    if case == "unknown-events":
        return (
            a_start()
            + ev("vendor_event", x=1)
            + a_block(
                0,
                {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}},
                {"type": "input_json_delta", "partial_json": '{"q":"x"}'},
            )
            + a_call(1)
            + a_end()
        )
    if case == "empty-text-block":
        return a_start() + a_block(0, {"type": "text", "text": ""}) + a_call(1) + a_end()
    if case == "space-text-block":
        return (
            a_start()
            + a_block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "\n\n"})
            + a_call(1)
            + a_end()
        )
    if case == "refusal":
        return (
            a_start()
            + a_block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "No."})
            + a_end("refusal")
        )
    if case == "ctx-window":
        return (
            a_start()
            + a_block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Half a"})
            + a_end("model_context_window_exceeded")
        )
    return None


ID = re.compile(r"^[a-zA-Z0-9_-]+$")


def a_refuse(body):
    """What the Messages API says of a history; None if it takes it."""
    seen = set()
    waiting = []
    before = None
    for i, m in enumerate(body["messages"]):
        content = m["content"] if isinstance(m["content"], list) else [{"type": "text", "text": m["content"]}]
        if m["role"] == before and m["role"] == "user":
            pass
        before = m["role"]
        if not content:
            return f"messages.{i}: content must not be empty"
        results = [b for b in content if b["type"] == "tool_result"]
        if waiting:
            ids = [b["tool_use_id"] for b in results]
            if len(ids) != len(set(ids)):
                return f"messages.{i}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {ids}"
            missing = [w for w in waiting if w not in ids]
            if m["role"] != "user" or missing:
                return f"messages.{i - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: {missing}"
        waiting = []
        for j, b in enumerate(content):
            if b["type"] == "text" and not b["text"].strip():
                return f"messages.{i}.content.{j}: text content blocks must contain non-whitespace text"
            if b["type"] == "tool_use":
                if not ID.match(b["id"]):
                    return f"messages.{i}.content.{j}.tool_use.id: String should match pattern: {b['id']!r}"
                if b["id"] in seen:
                    return f"messages.{i}.content.{j}: `tool_use` ids must be unique"
                seen.add(b["id"])
                waiting.append(b["id"])
                if not isinstance(b["input"], dict):
                    return f"messages.{i}.content.{j}.tool_use.input: Input should be a valid dictionary"
                if not NAME.match(b["name"]):
                    return f"messages.{i}.content.{j}.tool_use.name: String should match pattern"
            if b["type"] == "thinking" and b.get("signature") not in (SIG, SIG + "2"):
                return f"messages.{i}.content.{j}: Invalid `signature` in `thinking` block: {b.get('signature')!r}"
            if b["type"] == "thinking" and (b["signature"], b["thinking"]) not in {
                (SIG, "I think so."),
                (SIG, ""),
                (SIG, "First."),
                (SIG + "2", "Second."),
            }:
                return f"messages.{i}.content.{j}: `thinking` blocks in the latest assistant message cannot be modified: {b['thinking']!r}"
    last = next((m for m in reversed(body["messages"]) if m["role"] == "assistant"), None)
    if (
        last
        and body.get("thinking", {}).get("type") == "enabled"
        and any(b["type"] == "tool_use" for b in last["content"])
        and last["content"][0]["type"] not in ("thinking", "redacted_thinking")
    ):
        return (
            "messages: Expected `thinking` or `redacted_thinking`, but found `"
            + last["content"][0]["type"]
            + "`. When `thinking` is enabled, a final assistant message must start with a thinking block."
        )
    marks = json.dumps(body).count('"cache_control"')
    if marks > 4:
        return f"A maximum of 4 blocks with cache_control may be provided. Found {marks}."
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def note(self, **what):
        with LOCK, open(ARGS.requests, "a") as f:
            f.write(json.dumps(what) + "\n")

    def raw(self, data):
        if not self.begun:
            self.begun = True
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream; charset=utf-8")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
        self.wfile.write(data)
        self.wfile.flush()

    def send_list(self, chunks):
        for c in chunks:
            self.raw(sse(c))

    def whole(self, status, body, kind, headers=()):
        self.begun = True
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        for k, v in dict(headers).items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.begun = False
        self.whole(200, b'{"data": []}', "application/json")

    def do_POST(self):
        self.begun = False
        text = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(text)
        case = body["model"]
        anthropic = self.path.endswith("/messages")
        key = ("a:" if anthropic else "o:") + case
        with LOCK:
            COUNT[key] = COUNT.get(key, 0) + 1
            n = COUNT[key]
        answered = any(
            m.get("role") == "tool"
            or (
                isinstance(m.get("content"), list)
                and any(isinstance(b, dict) and b.get("type") == "tool_result" for b in m["content"])
            )
            for m in body["messages"]
        )
        told = any(m.get("role") == "assistant" for m in body["messages"])
        steps = sum(m.get("role") == "assistant" for m in body["messages"])
        why = (a_refuse(body) if anthropic else refuse(body)) or siblings.refuse(case, body)
        self.note(
            case=key,
            n=n,
            at=time.time(),
            sha256=hashlib.sha256(text).hexdigest(),
            answered=answered,
            refused=why,
            messages=body["messages"],
            rest={k: v for k, v in body.items() if k not in ("messages", "tools")},
        )
        try:
            if why:
                err = {"message": why, "type": "invalid_request_error"}
                return self.whole(
                    400,
                    json.dumps({"type": "error", "error": err} if anthropic else {"error": err}).encode(),
                    "application/json",
                )
            again = case in ("same-id-again", "constant-id") and steps < 3
            if not body.get("tools"):
                words = "I looked once; nothing is left to do."
                if anthropic:
                    text = a_block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": words})
                    return self.raw(a_start() + text + a_end("end_turn"))
                return self.send_list([ch({"content": words}), *STOP])
            if (told or siblings.has_spoken(case, body)) and not again:
                if anthropic:
                    return self.raw(a_start() + a_call(0, f"toolu_end{n}", "finish", '{"summary": "done"}') + a_end())
                return self.send_list(
                    [
                        ROLE,
                        tc(index=0, id=f"call_end{n}", type="function", function=fn("finish", '{"summary": "done"}')),
                        *END,
                    ]
                )
            if siblings.play(case, anthropic, self):
                return None
            if anthropic:
                out = anthropic_case(case, self)
                if out is None:
                    return self.whole(
                        404, b'{"error": {"message": "no such case", "type": "not_found_error"}}', "application/json"
                    )
                return self.raw(out)
            if case == "constant-id":
                return self.send_list(
                    [ROLE, tc(index=0, id="ZsConstant", type="function", function=fn("run", CMD)), *END]
                )
            out = calls_case(case)
            if out is None:
                out = other_case(case, self)
            if out is None:
                if not self.begun:
                    self.whole(404, b'{"error": {"message": "no such case"}}', "application/json")
                return None
            if out or self.begun:
                self.send_list(out)
            else:
                self.raw(b"")
        except (BrokenPipeError, ConnectionResetError):
            self.note(case=key, n=n, at=time.time(), client_left=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, default=8711)
    p.add_argument("--requests", default="requests.jsonl")
    p.add_argument("--pace", type=float, default=1.0, help="a factor for every wait")
    p.parse_args(namespace=ARGS)
    s = ThreadingHTTPServer(("127.0.0.1", ARGS.port), Handler)
    s.daemon_threads = True
    s.serve_forever()

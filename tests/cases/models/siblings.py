# ruff: noqa: E501  the words of servers are long
"""Siblings of the cases in fake_chat.py: the same kinds of fault, in other shapes. What is right of each stands in
tests/e2e/test_server_siblings.py.

A case is the list of chunks (OpenAI) or the bytes (Anthropic) of a session's first reply, or a function of the handler,
which sends them itself. ``ERRORS`` are whole answers, the same for both dialects. ``refuse`` says 400 to histories.
"""

import json
import zlib
from dataclasses import dataclass, field

from fake_parts import (
    CMD,
    CMD2,
    END,
    ROLE,
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

THOUGHT = "I think so."


def call(**block):
    """A whole call in one piece; ``block`` replaces what is said of it, None leaves it out."""
    made = {"index": 0, "id": "call_a", "type": "function", "function": fn("run", CMD)} | block
    return tc(**{name: value for name, value in made.items() if value is not None})


def other(**block):
    """A second call."""
    return call(**({"index": 1, "id": "call_b", "function": fn("run", CMD2)} | block))


def said(*chunks):
    return [ROLE, *chunks, *END]


def each(text=CMD, **block):
    """The pieces of a call's arguments; each piece says ``block`` besides."""
    name = block.pop("name", None)
    return [tc(**block, function=fn(name, piece)) for piece in pieces(text, 6)]


def told(**delta):
    """A delta and then a call."""
    return said(ch(delta), call())


def counted(*usages, at=()):
    """A call whose usage is told in ``usages``, one chunk each, after the finish reason."""
    chunks = [{"id": "c-1", "choices": [], "usage": usage} for usage in usages]
    return [ROLE, *at, call(), ch({}, "tool_calls"), *chunks, b"[DONE]"]


def finished(reason):
    return [ROLE, call(), ch({}, reason), {"id": "c-1", "choices": [], "usage": USAGE}, b"[DONE]"]


def stream(chunks, kind="text/event-stream", end=b"\n", gap=b"", headers=()):
    """A whole stream at once, with other ends of lines, without blank lines, under another content type."""

    def send(h):
        data = b"".join(sse(chunk) for chunk in chunks)
        if gap:
            data = data.replace(b"\n\n", gap)
        h.whole(200, data.replace(b"\n", end), kind, dict(headers))

    return send


def slowly(parts, wait=4):
    """Raw bytes with a wait before each but the first."""

    def send(h):
        for number, part in enumerate(parts):
            if number:
                pause(wait)
            h.raw(part)

    return send


def forever(part, begin=b""):
    """The same bytes again and again, none of which is content; the line stays open."""

    def send(h):
        h.raw(begin)
        for _ in range(60):
            h.raw(part)
            pause(10)

    return send


def deflated(h):
    h.whole(200, zlib.compress(b"".join(map(sse, said(call())))), "text/event-stream", {"Content-Encoding": "deflate"})


def message(content=None, finish="tool_calls", **more):
    """A whole answer of a server that does not stream."""
    calls = more.pop("calls", [{"id": "call_a", "type": "function", "function": fn("run", CMD)}])
    inner = {"role": "assistant", "content": content, "tool_calls": calls, **more}
    data = {"object": "chat.completion", "choices": [{"message": inner, "finish_reason": finish}], "usage": USAGE}
    return lambda h: h.whole(200, json.dumps(data).encode(), "application/json")


LEGACY = {"name": "run", "arguments": CMD}
HEAD = {"index": 0, "id": "call_a", "type": "function"}

OPENAI = {
    # --- ids
    "id-number": said(call(id=7)),
    "id-zero-twice": said(call(id=0), other(id=0)),
    "id-false": said(call(id=False)),
    "id-object": said(call(id={"v": 1})),
    "id-list": said(call(id=["call_a"])),
    "id-spaces": said(call(id="  "), other(id="  ")),
    "id-unicode": said(call(id="调用·1")),
    "id-unicode-collide": said(call(id="调用:0"), other(id="函数:0")),
    "id-cleaned-collide": said(call(id="run:0"), other(id="run.0")),
    "id-surrogate": said(call(id="call_\ud83d"), other(id="call_\ud83e")),
    "id-nul": said(call(id="call\x00a")),
    "id-newline": said(call(id="call\na\r\n")),
    "id-is-name": said(call(id="run"), other(id="run")),
    "id-late": said(
        tc(index=0, function=fn("run", CMD)), tc(index=1, function=fn("run", CMD2)), tc(index=0, id="a"), tc(index=1, id="b")
    ),
    "id-each-piece": said(call(function=fn("run", "")), *(tc(index=0, id=f"x{n}", function=fn(None, p)) for n, p in enumerate(pieces(CMD, 6)))),
    # --- indices
    "index-negative": said(call(index=-1), other(index=-1)),
    "index-null": said(call(index=None), other(index=None)),
    "index-true": said(call(index=True)),
    "index-float": said(call(index=0.0, function=fn("run", "")), *each(index=0.0)),
    "index-object": said(call(index={"i": 0})),
    "index-word": said(call(index="first"), other(index="second")),
    "index-counts-pieces": said(call(function=fn("run", "")), *(tc(index=n, function=fn(None, p)) for n, p in enumerate(pieces(CMD, 6), 1))),
    "index-gap": said(call(index=5), other(index=900)),
    "index-falls": said(call(index=1), other(index=0)),
    "index-interleaved": said(
        call(id=None, function=fn("run", "")),
        other(id=None, function=fn("run", "")),
        *(piece for pair in zip(each(index=0), each(CMD2, index=1), strict=True) for piece in pair),
    ),
    "index-one-for-all": said(call(function=fn("run", "")), *each(index=0), other(index=0, function=fn("run", "")), *each(CMD2, index=0)),
    # --- names
    "name-each-no-id": said(*each(name="run")),
    "name-each-two": said(*each(index=0, name="run"), *each(CMD2, index=1, name="run")),
    "name-surrogate": said(call(function=fn("run\ud83d", CMD))),
    "name-never": said(call(function={"name": None, "arguments": CMD})),
    "name-object": said(call(function={"name": {"n": "run"}, "arguments": CMD})),
    "name-beside-arguments": said(tc(index=0, id="call_a", name="run", arguments=CMD)),
    "function-is-name": said(tc(index=0, id="call_a", function="run", arguments=CMD)),
    # --- arguments
    "args-surrogates-split": said(
        call(function=fn("run", '{"command": "echo \ud83d')), tc(index=0, function=fn(None, '\ude00"}'))
    ),
    "args-empty-object-first": said(call(function=fn("run", "{}")), *each(index=0)),
    "args-object-first-empty": said(call(function=fn("run", {})), *each(index=0)),
    "args-list": said(call(function=fn("run", ["echo one"]))),
    "args-number": said(call(function=fn("run", 5))),
    "args-null": said(call(function={"name": "run", "arguments": None})),
    "call-said-again": said(call(function=fn("run", "")), *each(index=0), call()),
    "call-said-again-at-the-end": [
        ROLE,
        call(function=fn("run", "")),
        *each(index=0),
        ch({"tool_calls": [{**HEAD, "function": fn("run", CMD)}]}, "tool_calls"),
        *END[1:],
    ],
    "message-said-again": [
        ROLE,
        call(),
        {"choices": [{"index": 0, "delta": {}, "message": {"content": "", "tool_calls": [{**HEAD, "function": fn("run", CMD)}]}, "finish_reason": "tool_calls"}], "usage": USAGE},
        b"[DONE]",
    ],
    "empty-blocks": [ROLE, tc(), ch({"content": "Hm."}), tc(), *STOP],
    "empty-heads": [ROLE, tc(index=0, type="function", function=fn("", "")), ch({"content": "Hm."}), tc(index=0, function=fn("", "")), *STOP],
    "calls-as-object": said(ch({"tool_calls": {**HEAD, "function": fn("run", CMD)}})),
    # --- legacy calls
    "legacy-beside": said(ch({"tool_calls": [{**HEAD, "function": fn("run", CMD)}], "function_call": LEGACY})),
    "legacy-beside-pieces": said(
        ch({"tool_calls": [{**HEAD, "function": fn("run", "")}], "function_call": fn("run", "")}),
        *(piece for p in pieces(CMD, 6) for piece in (tc(index=0, function=fn(None, p)), ch({"function_call": fn(None, p)}))),
    ),
    "legacy-pieces": [ROLE, ch({"function_call": fn("run", "")}), *(ch({"function_call": fn(None, p)}) for p in pieces(CMD, 6)), ch({}, "function_call"), *END[1:]],
    "legacy-name-each": [ROLE, *(ch({"function_call": fn("run", p)}) for p in pieces(CMD, 6)), ch({}, "function_call"), *END[1:]],
    "legacy-object": [ROLE, ch({"function_call": fn("run", {"command": "echo one"})}), ch({}, "function_call"), *END[1:]],
    "legacy-whole": message(function_call=LEGACY),
    # --- nulls and other types
    "null-choice": said({"choices": [None]}, call()),
    "null-delta": said({"choices": [{"index": 0, "delta": None, "finish_reason": None}]}, call()),
    "list-delta": said({"choices": [{"index": 0, "delta": []}]}, call()),
    "text-delta": said({"choices": [{"index": 0, "delta": "Hm."}]}, call()),
    "null-choices": said({"choices": None}, {"id": None, "model": None, "choices": []}, call()),
    "choices-object": [{"choices": {"delta": {"content": "Hm."}}}, call(), *END],
    "null-contents": said(ch({"content": [None, {"type": "text", "text": None}, {"type": "text", "text": "Hm."}]}), call()),
    "content-object": told(content={"type": "text", "text": "Hm."}),
    "content-number": told(content=5),
    "content-refusal-item": [ROLE, ch({"content": [{"type": "refusal", "refusal": "No."}]}), *STOP],
    "numbers-for-names": [{**call(), "id": 5, "model": 7, "created": "now"}, *END],
    "model-surrogate": [{**call(), "model": "m\ud83d", "id": "c\ud83d"}, *END],
    # --- the end
    "finish-upper": finished("TOOL_CALLS"),
    "finish-token": finished("eos_token"),
    "finish-dashes": finished("tool-calls"),
    "finish-unknown": finished("because"),
    "finish-object": finished({"type": "tool_calls"}),
    "finish-surrogate": finished("stop\ud83d"),
    "finish-text-upper": [ROLE, ch({"content": "Hm."}), ch({}, "STOP"), *STOP[1:]],
    "finish-complete": [ROLE, ch({"content": "Hm."}), ch({}, "COMPLETE"), *STOP[1:]],
    "finish-length-upper": [ROLE, ch({"content": "Hm."}), ch({}, "MAX_TOKENS"), *STOP[1:]],
    "finish-safety": [ROLE, ch({"content": "Hm."}), ch({}, "SAFETY"), *STOP[1:]],
    "finish-each-chunk": slowly(
        [sse(ch({"content": "a"}, "stop")), sse(ch({"content": "b"}, "stop")), sse(ch({"content": "c"}, "stop")),
         sse(ch({"content": "d"}, "stop")), sse(ch({"content": "e"}, "stop")), sse(ch({"content": "f"}, "stop")),
         sse(STOP[1]) + sse(b"[DONE]")]
    ),
    # --- usage
    "usage-after-done": [ROLE, call(), ch({}, "tool_calls"), b"[DONE]", {"choices": [], "usage": USAGE}],
    "usage-after-done-open": lambda h: (h.send_list([ROLE, call(), ch({}, "tool_calls"), b"[DONE]", {"choices": [], "usage": USAGE}]), pause(400)),
    "done-open": lambda h: (h.send_list([ROLE, call(), ch({}, "tool_calls"), b"[DONE]"]), pause(400)),
    "success-words": [
        *({**chunk, "code": 0, "message": "Success", "sid": "s"} for chunk in (ROLE, call(), ch({}, "tool_calls"))),
        {"code": 0, "message": "Success", "sid": "s", "usage": USAGE},
        b"[DONE]",
    ],
    "same-call-twice": said(call(), other(function=fn("run", CMD))),
    "same-call-twice-no-ids": said(call(id=None, index=None), call(id=None, index=None)),
    "junk-after-done": [ROLE, call(), *END, b"bye", {"error": {"message": "late"}}],
    "usage-half": counted({"prompt_tokens": 1000}),
    "usage-total-only": counted({"total_tokens": 1020}),
    "usage-null-fields": counted({"prompt_tokens": None, "completion_tokens": None}),
    "usage-minus": counted({"prompt_tokens": -1, "completion_tokens": 20}),
    "usage-list": counted([1000, 20]),
    "usage-nan": counted({"prompt_tokens": float("nan"), "completion_tokens": float("inf")}),
    "usage-known-then-null": counted(USAGE, {"prompt_tokens": None, "completion_tokens": 0}, None),
    "usage-first-then-zero": counted({"prompt_tokens": 0, "completion_tokens": 0}, at=[{"choices": [], "usage": USAGE}]),
    "usage-in-choice": [ROLE, call(), {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls", "usage": USAGE}]}, b"[DONE]"],
    # --- the line
    "lines-crlf-split": slowly([sse(ROLE).replace(b"\n", b"\r\n")[:-1], b"\n" + sse(call()).replace(b"\n", b"\r\n")[:-3], b"\n\r\n" + b"".join(map(sse, END)).replace(b"\n", b"\r\n")], 0.1),
    "lines-cr": stream(said(call()), end=b"\r"),
    "lines-crlf-bom": lambda h: h.whole(200, b"\xef\xbb\xbf" + b"".join(map(sse, said(call()))).replace(b"\n", b"\r\n"), "text/event-stream"),
    "lines-no-blanks": stream(said(call()), gap=b"\n"),
    "lines-no-space": lambda h: h.whole(200, b"".join(map(sse, said(call()))).replace(b"data: ", b"data:"), "text/event-stream"),
    "lines-named": lambda h: h.whole(200, b"".join(b"id: 4\nretry: 10\nevent: chunk\n" + sse(c) for c in said(call())), "text/event-stream"),
    "text-plain": stream(said(call()), "text/plain; charset=utf-8"),
    "octet-stream": stream(said(call()), "application/octet-stream"),
    "json-label": stream(said(call()), "application/json"),
    "last-event-open": lambda h: h.whole(200, b"".join(map(sse, said(call())[:-1])).rstrip(b"\n"), "text/event-stream"),
    "deflate": deflated,
    "utf8-split": slowly([b'data: {"choices":[{"delta":{"content":"\xe6\x97', b'\xa5\xe6\x9c\xac"}}]}\n\n' + b"".join(map(sse, said(call())))], 0.1),
    "json-list": lambda h: h.whole(200, json.dumps(said(call())[:-1]).encode(), "application/json"),
    "ping-objects-forever": forever(sse(b"{}")),
    "roles-forever": forever(sse(ROLE)),
    "names-forever": forever(sse(tc(index=0, id="call_a", type="function", function=fn("run", "")))),
    "usage-forever": forever(sse({"choices": [], "usage": USAGE})),
    "pings-after-finish": forever(b"event: ping\ndata: {}\n\n", b"".join(map(sse, [ROLE, call(), ch({}, "tool_calls")]))),
    # --- reasoning
    "reason-object": told(reasoning={"content": THOUGHT}),
    "reason-list-field": told(reasoning=[{"type": "text", "text": THOUGHT}]),
    "reason-content-list": told(reasoning_content=[{"type": "text", "text": THOUGHT}]),
    "reason-item": told(content=[{"type": "reasoning", "text": THOUGHT}]),
    "reason-item-own-name": told(content=[{"type": "reasoning", "reasoning": THOUGHT}]),
    "reason-item-summary": told(content=[{"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]}]),
    "reason-null-then": said(ch({"reasoning_content": None, "content": ""}), ch({"reasoning_content": THOUGHT}), ch({"reasoning_content": None}), call()),
    "reason-both-in-turn": said(*(ch({"reasoning": p, "reasoning_content": p}) for p in pieces(THOUGHT)), call()),
    "reason-details-and-text": said(*(ch({"reasoning": p, "reasoning_details": [{"type": "reasoning.text", "text": p, "index": 0}]}) for p in pieces(THOUGHT)), call()),
    "reason-details-encrypted": told(reasoning_details=[{"type": "reasoning.encrypted", "data": "gAAAA", "id": "rs_1", "index": 0}]),
    "reason-details-summary": told(reasoning_details=[{"type": "reasoning.summary", "summary": THOUGHT, "index": 0}]),
    "reason-details-nulls": told(reasoning_details=[None, {"type": "reasoning.text", "text": THOUGHT, "signature": None, "id": None}, {}]),
    "reason-details-object": told(reasoning_details={"type": "reasoning.text", "text": THOUGHT}),
    "reason-details-string": told(reasoning_details="?", reasoning=THOUGHT),
    "reason-tag-split": said(*(ch({"content": p}) for p in ("<th", "ink>I think", " so.</", "think", ">\n\nGo.")), call()),
    "reason-whole": message(reasoning_content=THOUGHT),
    "reason-details-refused": told(reasoning_details=[{"type": "reasoning.text", "text": THOUGHT, "signature": "bad", "index": 0}]),
    "reason-signature-refused": said(call(extra_content={"google": {"thought_signature": "BAD=="}})),
    # --- histories that are refused, whatever is said in them
    "refused-reply": said(ch({"content": "Something that the filter hates."}), call()),
    "refused-twice": said(ch({"content": "Something that the filter hates for a while."}), call()),
    # --- closed at the limit of tokens (20 of them), without a reason
    "limit-closed-counted": [ROLE, ch({"content": "one two three"}), {"choices": [], "usage": USAGE}],
    "limit-closed": [ROLE, ch({"content": "one two three " * 6})],
    "limit-closed-in-call": [ROLE, call(function=fn("run", '{"command": "echo ' + "x" * 80))],
    "limit-closed-in-thought": [ROLE, ch({"reasoning": "one two three " * 6})],
    "limit-done-counted": [ROLE, ch({"content": "one two three"}), {"choices": [], "usage": USAGE}, b"[DONE]"],
    "limit-done": [ROLE, ch({"content": "one two three " * 6}), b"[DONE]"],
    "limit-done-in-call": [ROLE, call(function=fn("run", '{"command": "echo ' + "x" * 80)), b"[DONE]"],
    "limit-empty-reason": [ROLE, ch({"content": "one two three " * 6}), ch({}, ""), b"[DONE]"],
    "limit-null-whole": message("one two three " * 6, None, calls=None),
    "limit-stalled": forever(b": ping\n\n", b"".join(map(sse, [ROLE, ch({"content": "one two three " * 6})]))),
    "limit-not-reached": [ROLE, ch({"content": "one two three"}), b"[DONE]"],
}  # fmt: skip


def a_sent(*blocks, end=None):
    return a_start() + b"".join(blocks) + (a_end() if end is None else end)


def a_text(text="Hm.", i=0):
    return a_block(i, {"type": "text", "text": ""}, *[{"type": "text_delta", "text": p} for p in pieces(text, 5)])


def a_use(i=0, **block):
    return a_block(i, {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {}} | block, *a_input())


def a_input(text=CMD):
    return [{"type": "input_json_delta", "partial_json": p} for p in pieces(text, 7)]


def a_whole(content, **more):
    data = {"id": "msg_1", "type": "message", "role": "assistant", "model": "fake", "content": content, "stop_reason": "tool_use", "usage": {"input_tokens": 1234, "output_tokens": 20}} | more  # fmt: skip
    return lambda h: h.whole(200, json.dumps(data).encode(), "application/json")


def a_bytes(data, kind="text/event-stream", **headers):
    return lambda h: h.whole(200, data, kind, headers)


A_PLAIN = a_sent(a_call(0))
A_USE = {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {"command": "echo one"}}
A_CMD2 = {"type": "input_json_delta", "partial_json": CMD2}
LONG = "one two three " * 6

ANTHROPIC = {
    # --- ids
    "id-number": a_sent(a_use(id=7)),
    "id-null-twice": a_sent(a_use(id=None), a_call(1, None, arguments=CMD2)),
    "id-object": a_sent(a_use(id={"v": 1})),
    "id-unicode-collide": a_sent(a_call(0, "调用:0"), a_call(1, "函数:0", arguments=CMD2)),
    "id-cleaned-collide": a_sent(a_call(0, "run:0"), a_call(1, "run.0", arguments=CMD2)),
    "id-surrogate": a_sent(a_call(0, "toolu_\ud83d"), a_call(1, "toolu_\ud83e", arguments=CMD2)),
    "id-spaces": a_sent(a_call(0, "  "), a_call(1, "  ", arguments=CMD2)),
    # --- indices
    "index-word": a_sent(a_call("0"), a_call("1", "toolu_2", arguments=CMD2)),
    "index-null": a_sent(a_call(None), a_call(None, "toolu_2", arguments=CMD2)),
    "index-negative": a_sent(a_call(-1), a_call(-1, "toolu_2", arguments=CMD2)),
    "index-one-for-all": a_sent(a_call(0), a_call(0, "toolu_2", arguments=CMD2)),
    "index-interleaved": a_sent(
        ev("content_block_start", index=0, content_block={**A_USE, "input": {}}),
        ev("content_block_start", index=1, content_block={**A_USE, "id": "toolu_2", "input": {}}),
        *(
            part
            for one, two in zip(a_input(), a_input(CMD2), strict=True)
            for part in (ev("content_block_delta", index=0, delta=one), ev("content_block_delta", index=1, delta=two))
        ),
    ),
    # --- names and input
    "name-null": a_sent(a_use(name=None)),
    "name-surrogate": a_sent(a_use(name="run\ud83d")),
    "input-text": a_sent(a_block(0, {**A_USE, "input": CMD})),
    "input-null": a_sent(a_use(input=None)),
    "input-list": a_sent(a_block(0, {**A_USE, "input": []}), end=a_end()),
    "input-delta-object": a_sent(a_block(0, {**A_USE, "input": {}}, {"type": "input_json_delta", "partial_json": {"command": "echo one"}})),
    "input-delta-null": a_sent(a_block(0, {**A_USE, "input": {}}, {"type": "input_json_delta", "partial_json": None}, *a_input())),
    "input-surrogates-split": a_sent(a_block(0, {**A_USE, "input": {}}, {"type": "input_json_delta", "partial_json": '{"command": "echo \ud83d'}, {"type": "input_json_delta", "partial_json": '\ude00"}'})),
    # --- nulls
    "null-delta": a_sent(ev("content_block_delta", index=0, delta=None), a_call(0)),
    "null-block": a_sent(a_text("Hm."), ev("content_block_start", index=1, content_block=None), ev("content_block_stop", index=1), a_call(2)),
    "null-text": a_sent(a_block(0, {"type": "text", "text": None}, {"type": "text_delta", "text": None}, {"type": "text_delta", "text": "Hm."}), a_call(1)),
    "null-message": ev("message_start", message=None) + a_call(0) + a_end(usage={"input_tokens": 1234, "output_tokens": 20}),
    # --- the end
    "stop-upper": a_sent(a_call(0), end=a_end("TOOL_USE")),
    "stop-unknown": a_sent(a_call(0), end=a_end("because")),
    "stop-empty": a_sent(a_call(0), end=a_end("")),
    "stop-object": a_sent(a_call(0), end=a_end({"type": "tool_use"})),
    "stop-late-text": a_sent(a_text("a"), end=ev("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 20}) + a_text("b", 1) + ev("message_stop")),
    "open-after-stop": lambda h: (h.raw(a_sent(a_call(0))), pause(400)),
    "pings-after-delta": forever(ev("ping"), a_sent(a_call(0), end=ev("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 20}))),
    "pings-forever": forever(ev("ping"), a_start()),
    "comments-forever": forever(b": ping\n\n", a_start()),
    "empty-deltas-forever": forever(ev("content_block_delta", index=0, delta={"type": "text_delta", "text": ""}), a_start()),
    # --- usage
    "usage-words": a_start({"input_tokens": "1234", "output_tokens": None}) + a_call(0) + a_end(usage={"output_tokens": "20"}),
    "usage-minus": a_start({"input_tokens": -1}) + a_call(0) + a_end(usage={"output_tokens": 20}),
    "usage-zeros-last": a_start({"input_tokens": 1234, "output_tokens": 0}) + a_call(0) + ev("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 20}) + ev("message_delta", delta={}, usage={"input_tokens": 0, "output_tokens": 0}) + ev("message_stop"),
    "usage-in-stop": a_start({}) + a_call(0) + ev("message_delta", delta={"stop_reason": "tool_use"}) + ev("message_stop", usage={"input_tokens": 1234, "output_tokens": 20}),
    "usage-list": a_start([]) + a_call(0) + a_end(usage=[]),
    # --- the line
    "lines-crlf": a_bytes(A_PLAIN.replace(b"\n", b"\r\n")),
    "lines-cr-bom": a_bytes(b"\xef\xbb\xbf" + A_PLAIN.replace(b"\n", b"\r")),
    "lines-no-blanks": a_bytes(A_PLAIN.replace(b"\n\n", b"\n")),
    "lines-no-names": a_bytes(b"\n".join(line for line in A_PLAIN.split(b"\n") if not line.startswith(b"event"))),
    "lines-names-only": a_bytes(A_PLAIN.replace(b'"type": "message_start", ', b"").replace(b'"type": "content_block_start", ', b"").replace(b'"type": "content_block_delta", ', b"").replace(b'"type": "message_delta", ', b"")),
    "text-plain": a_bytes(A_PLAIN, "text/plain"),
    "last-event-open": a_bytes(A_PLAIN.rstrip(b"\n")),
    "whole": a_whole([{"type": "thinking", "thinking": THOUGHT, "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrk"}, A_USE]),
    "whole-as-sse": lambda h: h.whole(200, sse({"type": "message", "content": [A_USE], "stop_reason": "tool_use", "usage": {"input_tokens": 1234, "output_tokens": 20}}), "text/event-stream"),
    "whole-content-text": a_whole("Hm.", stop_reason="end_turn"),
    "done-mark": a_bytes(A_PLAIN + b"data: [DONE]\n\n"),
    # --- thinking
    "think-no-start": a_sent(ev("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": THOUGHT}), ev("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrk"}), a_call(1)),
    "think-signature-in-start": a_sent(a_think(0, sig="", start_sig="EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrk"), a_call(1)),
    "think-null-signature": a_sent(a_block(0, {"type": "thinking", "thinking": "", "signature": None}, {"type": "thinking_delta", "thinking": THOUGHT}), a_call(1)),
    "think-redacted-refused": a_sent(a_block(0, {"type": "redacted_thinking", "data": "BAD=="}), a_call(1)),
    "think-foreign": a_sent(a_think(0, "From another model.", "foreign"), a_call(1)),
    # --- histories that are refused
    "refused-reply": a_sent(a_text("Something that the filter hates."), a_call(1)),
    "refused-twice": a_sent(a_text("Something that the filter hates for a while."), a_call(1)),
    # --- closed at the limit of tokens (20 of them), without a reason
    "limit-closed": a_sent(a_text(LONG), end=b""),
    "limit-closed-in-call": a_sent(a_call(0, arguments='{"command": "echo ' + "x" * 80, stop=False), end=b""),
    "limit-closed-in-thought": a_sent(a_think(0, LONG, sig=""), end=b""),
    "limit-stopped-counted": a_sent(a_text("one two three"), end=ev("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 20}) + ev("message_stop")),
    "limit-stopped": a_start({"input_tokens": 1234}) + a_text(LONG) + ev("message_stop"),
    "limit-stopped-in-call": a_sent(a_call(0, arguments='{"command": "echo ' + "x" * 80, stop=False), end=ev("message_stop")),
    "limit-null-whole": a_whole([{"type": "text", "text": LONG}], stop_reason=None, usage={"input_tokens": 1234}),
    "limit-stalled": forever(ev("ping"), a_sent(a_text(LONG), end=b"")),
    "limit-not-reached": a_start({"input_tokens": 1234}) + a_text("one two three") + ev("message_stop"),
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """A whole answer: a failure in some dress."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    headers: dict = field(default_factory=dict)


def says(value, status=200, kind="application/json", **headers):
    data = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
    return Answer(data, status, kind, {name.replace("_", "-"): text for name, text in headers.items()})


def streams(value, name=""):
    data = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
    head = f"event: {name}\n".encode() if name else b""
    return Answer(head + b"data: " + data + b"\n\n", 200, "text/event-stream")


PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr>nginx/1.25</body></html>"
ERRORS = {
    # --- 200, in one piece
    "err-true": says({"error": True, "message": "the engine is down"}),
    "err-false-success": says({"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}),
    "err-errors-text": says({"errors": "the engine is down"}),
    "err-errors-object": says({"errors": {"message": "the engine is down"}}),
    "err-capital-message": says({"Message": "User is not authorized to use this model", "Code": "AccessDenied"}),
    "err-dashscope": says({"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r"}),
    "err-dashscope-arrears": says({"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."}),
    "err-qianfan": says({"error_code": 18, "error_msg": "Open api qps request limit reached", "id": "x"}),
    "err-minimax": says({"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
    "err-minimax-rate": says({"base_resp": {"status_code": 1002, "status_msg": "rate limit, please retry later"}}),
    "err-hunyuan": says({"Response": {"Error": {"Code": "FailedOperation.ResourcePackExhausted", "Message": "资源包余量已用尽，请购买资源包"}}}),
    "err-gemini-list": says([{"error": {"code": 400, "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", "status": "INVALID_ARGUMENT"}}]),
    "err-no-words": says({"type": "error", "error": {"type": "overloaded_error"}}),
    "err-detail-list": says({"detail": [{"loc": ["body", "messages", 1], "msg": "field required", "type": "value_error.missing"}]}),
    "err-zhipu-long": says({"error": {"code": "1261", "message": "Prompt 超长"}}),
    "err-zhipu-locked": says({"error": {"code": "1112", "message": "您的账户已被锁定，请联系客服"}}),
    "err-plain": says(b"upstream connect error or disconnect/reset before headers", 200, "text/plain"),
    "err-plain-arrears": says(b"error: insufficient balance", 200, "text/plain"),
    "err-plain-long": says(b"Input is too long for requested model.", 200, "text/plain"),
    "err-page": says(PAGE, 200, "text/html"),
    "err-page-as-stream": says(PAGE, 200, "text/event-stream"),
    "err-xml": says(b"<Error><Code>ServerBusy</Code><Message>the engine is down</Message></Error>", 200, "application/xml"),
    # --- 200, in the stream
    "err-stream-comment": says(b': {"error": {"message": "the engine is down", "code": 503}}\n\n', 200, "text/event-stream"),
    "err-stream-comment-words": says(b": error: the engine is down\n\n", 200, "text/event-stream"),
    "err-stream-words": streams(b"error: insufficient balance"),
    "err-stream-long-words": streams(b"error: prompt is too long: 210000 tokens > 200000 maximum"),
    "err-stream-errors": streams({"errors": [{"message": "the engine is down"}]}),
    "err-stream-choice": streams({"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 502, "message": "the engine is down"}}]}),
    "err-stream-delta": streams({"choices": [{"index": 0, "delta": {"error": {"message": "the engine is down"}}}]}),
    "err-stream-exception": streams({"message": "the engine is down"}, "exception"),
    "err-stream-list": streams([{"error": {"message": "the engine is down", "code": 500}}]),
    "err-stream-string": streams({"error": "insufficient_quota"}),
    "err-stream-json-in-words": streams({"error": {"message": '{"error": {"message": "the engine is down", "code": 503}}'}}),
    "err-stream-openrouter-key": streams({"error": {"code": 402, "message": "This request requires more credits, or fewer max_tokens."}, "choices": []}),
    # --- other statuses
    "err-502-page": says(PAGE, 502, "text/html"),
    "err-503-date": says({"error": {"message": "down for maintenance"}}, 503, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"),
    "err-429-date": says({"error": {"message": "slow down"}}, 429, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"),
    "err-429-iso": says({"error": {"message": "slow down"}}, 429, Retry_After="2099-10-21T07:28:00Z"),
    "err-429-odd": says({"error": {"message": "slow down"}}, 429, Retry_After="-5"),
    "err-429-moonshot": says({"error": {"type": "exceeded_current_quota_error", "message": "Your account org-1 <ak-x> is suspended, please check your plan and billing details"}}, 429),
    "err-429-free": says({"error": {"message": "免费额度已用完"}}, 429),
    "err-429-gemini": says([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota, please check your plan and billing details. Please retry in 34.07s."}}], 429),
    "err-413-page": says(b"<html><title>413 Request Entity Too Large</title></html>", 413, "text/html"),
    "err-500-long": says({"error": "the input length exceeds the context length"}, 500),
    "err-422-tgi": says({"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`", "error_type": "validation"}, 422),
    "err-400-arrears": says({"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."}, 400),
    "err-400-gemini-key": says([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}], 400),
    "err-400-empty": says(b"", 400, "text/plain"),
    "err-520-page": says(b"<html><title>example.com | 520: Web server is returning an unknown error</title></html>", 520, "text/html"),
    "err-409": says({"message": "the engine restarts"}, 409),
    "err-410": says({"message": "model fake-1 is deprecated and was removed"}, 410),
    "err-204": says(b"", 200, "application/json"),
}  # fmt: skip

HATED = "Something that the filter hates"
BAD = {
    "reason-details-refused": ('"signature": "bad"', "messages.1.reasoning_details.0: Invalid signature"),
    "reason-signature-refused": ("BAD==", "Thought signature is not valid"),
    "think-redacted-refused": ("BAD==", "messages.1.content.0: Invalid `data` in `redacted_thinking` block"),
}
"""By case: what in a history is refused, and how."""
LOOKS = 2
"""So often is the history of ``refused-twice`` refused."""
SEEN = {}
SPOKEN = set()


def refuse(case, body):
    """What this case says of a history besides what all do; None if it takes it."""
    replies = [m for m in body["messages"] if m["role"] == "assistant"]
    text = json.dumps(replies)
    if case in BAD and BAD[case][0] in text:
        return BAD[case][1]
    if case == "refused-twice" and HATED in text:
        key = session_of(body)
        SEEN[key] = SEEN.get(key, 0) + 1
        return None if SEEN[key] > LOOKS else "messages[2]: the content was rejected by the filter"
    return "messages[2]: the content was rejected by the filter" if case == "refused-reply" and HATED in text else None


def session_of(body):
    """The system prompt has a mark of its session."""
    return json.dumps([body["model"], body.get("system") or body["messages"][0]])


def has_spoken(case, body):
    """Whether a model whose reply is refused has said it in this session: it says something else then."""
    if not case.startswith("refused-"):
        return False
    key = session_of(body)
    spoken = key in SPOKEN
    SPOKEN.add(key)
    return spoken


def play(case, anthropic, h):
    """Answer a session's first request; False if this is none of our cases."""
    found = ERRORS.get(case) or (ANTHROPIC if anthropic else OPENAI).get(case)
    if found is None:
        return False
    if isinstance(found, Answer):
        h.whole(found.status, found.body, found.kind, found.headers)
    elif isinstance(found, bytes):
        h.raw(found)
    elif isinstance(found, list):
        h.send_list(found)
    else:
        found(h)
    return True

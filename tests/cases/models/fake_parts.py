"""Parts of what the misbehaving server says, in both dialects, and how fast it says them."""

import argparse
import json
import time

ARGS = argparse.Namespace(requests="requests.jsonl", pace=1.0)
"""What the command line said; tests set it themselves."""
USAGE = {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020}
CMD = '{"command": "echo one"}'
CMD2 = '{"command": "echo two"}'


def pause(seconds):
    time.sleep(seconds * ARGS.pace)


def sse(obj):
    return b"data: " + (obj if isinstance(obj, bytes) else json.dumps(obj).encode()) + b"\n\n"


def ch(delta=None, finish=None, **more):
    return {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "model": "fake",
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
        **more,
    }


def tc(**block):
    return ch({"tool_calls": [block]})


def fn(name=None, arguments=None):
    out = {}
    if name is not None:
        out["name"] = name
    if arguments is not None:
        out["arguments"] = arguments
    return out


ROLE = ch({"role": "assistant", "content": None})
END = [ch({}, "tool_calls"), {"id": "c-1", "choices": [], "usage": USAGE}, b"[DONE]"]
STOP = [ch({}, "stop"), {"id": "c-1", "choices": [], "usage": USAGE}, b"[DONE]"]


def pieces(text, n=4):
    return [text[i : i + n] for i in range(0, len(text), n)]


# ---------------------------------------------------------------- Anthropic


def ev(kind, **data):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def a_start(usage=None, **more):
    m = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "fake",
        "content": [],
        "stop_reason": None,
        "usage": usage if usage is not None else {"input_tokens": 1234, "output_tokens": 1},
    }
    return ev("message_start", message={**m, **more})


def a_block(i, block, *deltas, stop=True):
    out = ev("content_block_start", index=i, content_block=block)
    for d in deltas:
        out += ev("content_block_delta", index=i, delta=d)
    return out + (ev("content_block_stop", index=i) if stop else b"")


def a_call(i, id="toolu_1", name="run", arguments=CMD, stop=True):
    return a_block(
        i,
        {"type": "tool_use", "id": id, "name": name, "input": {}},
        *[{"type": "input_json_delta", "partial_json": p} for p in pieces(arguments, 7)],
        stop=stop,
    )


def a_end(reason="tool_use", usage=None):
    return ev(
        "message_delta",
        delta={"stop_reason": reason, "stop_sequence": None},
        usage=usage if usage is not None else {"output_tokens": 20},
    ) + ev("message_stop")


SIG = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrk"


def a_think(i, text="I think so.", sig=SIG, start_sig=""):
    d = [{"type": "thinking_delta", "thinking": p} for p in pieces(text, 5)]
    if sig:
        d.append({"type": "signature_delta", "signature": sig})
    return a_block(i, {"type": "thinking", "thinking": "", "signature": start_sig}, *d)

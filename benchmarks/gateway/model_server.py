"""A model's server that answers at once and says when: ``python -m benchmarks.gateway.model_server``; prints its port.

Each reply is one call of ``plan``, or ``finish`` after as many results as the prompt asks for. Its words begin with
the time at which it was sent, in ns of the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any

BETWEEN_S = 0.02
"""Between the first event of a stream and the others."""
STEPS = re.compile(rb"(\d+) steps")


def reply(body: bytes) -> bytes:
    """The body of an answer."""
    value = json.loads(body)
    results = sum(message["role"] == "tool" for message in value["messages"])
    asked = STEPS.search(body)
    done = asked is not None and results >= int(asked[1])
    name, arguments = (
        ("finish", {"summary": "done"}) if done else ("plan", {"items": [{"text": "x" * 200, "status": "todo"}]})
    )
    call: dict[str, Any] = {
        "id": f"call-{time.monotonic_ns()}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }
    message: dict[str, Any] = {"role": "assistant", "content": f"{time.monotonic_ns()} sent", "tool_calls": [call]}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    whole = {"id": "chat", "object": "chat.completion", "created": 1, "model": "m", "usage": usage}
    if value.get("stream"):
        call["index"] = 0
        base = {**whole, "object": "chat.completion.chunk"}
        chunks = [
            base | {"choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            base | {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        ]
        return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"
    return json.dumps(whole | {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}).encode()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            answer = reply(await reader.readexactly(int(length[1]) if length else 0))
            media = b"text/event-stream" if answer.startswith(b"data:") else b"application/json"
            size = str(len(answer)).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: " + media + b"\r\ncontent-length: " + size + b"\r\n\r\n")
            first, end, rest = answer.partition(b"\n\n") if media.startswith(b"text") else (answer, b"", b"")
            writer.write(first + end)
            await writer.drain()
            if rest:
                await asyncio.sleep(BETWEEN_S)
                writer.write(rest)
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    """Serve until the end."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 26)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

"""A model's server in three dialects whose every reply is one call more, until so many are done; in this process.

What it was sent is kept byte for byte. It can be made to hold its replies, and to answer with an error once.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

Event = tuple[str, dict[str, Any]]


class WireModel:
    """``steps`` calls, then a text. Where it reads advice it says so, and does something else."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.free = threading.Event()
        """Cleared: replies are held."""
        self.free.set()
        self.rest = threading.Event()
        """Cleared: of a stream only the first event comes."""
        self.rest.set()
        self.end = threading.Event()
        """Cleared: the last event of a stream does not come."""
        self.end.set()
        self.cuts = 0
        """So many streams break off after that."""
        self.errors: list[int] = []
        """Statuses that the next requests are answered with."""
        self.silences: dict[int, int] = {}
        """After so many results, so many replies without a call (Chat Completions)."""
        self.words = ""
        """What such a reply says; "": what it would say beside its call."""
        self.samples = 0
        """How many replies it began (Chat Completions); their calls' ids are made of it."""
        self.stored: dict[str, list[dict[str, Any]]] = {}
        """The items of a conversation up to a reply, by the reply's id, and of whole conversations by theirs
        (Responses)."""
        self.alternates = False
        """Whether it refuses two turns of the user in a row, as some chat templates do (Chat Completions)."""
        self.calls = 1
        """How many calls a reply makes at once (Chat Completions)."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @contextmanager
    def serving(self) -> Iterator[WireModel]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.free.set()
            self.rest.set()
            self.end.set()
            self._server.shutdown()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                model.bodies.append(body)
                model.headers.append({name.lower(): value for name, value in self.headers.items()})
                model.free.wait(60)
                if model.errors:
                    self._send(model.errors.pop(0), "application/json", json.dumps({"error": {"message": "no"}}))
                    return
                value = json.loads(body)
                if self.path.endswith("/count_tokens"):
                    self._send(200, "application/json", '{"input_tokens": 100}')
                    return
                if self.path.endswith("/embeddings"):
                    self._send(200, "application/json", json.dumps(VECTORS))
                    return
                roles = [message.get("role") for message in value.get("messages", ())]
                if model.alternates and any(a == b == "user" for a, b in pairwise(roles)):
                    said = "Conversation roles must alternate user/assistant/user/assistant/..."
                    self._send(400, "application/json", json.dumps({"error": {"message": said}}))
                    return
                if (unknown := value.get("previous_response_id") or "") and unknown not in model.stored:
                    said = f"Previous response with id '{unknown}' not found."
                    self._send(400, "application/json", json.dumps({"error": {"message": said}}))
                    return
                events = DIALECTS[self.path.rpartition("/v1/")[2].partition("?")[0]](value, model)
                if value.get("stream"):
                    text = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" if name else
                                   f"data: {json.dumps(data)}\n\n" for name, data in events)  # fmt: skip
                    done = "" if events[0][0] else "data: [DONE]\n\n"
                    self._stream(text + done)
                else:
                    self._send(200, "application/json", json.dumps(whole_of(events)))

            def _stream(self, text: str) -> None:
                first, _, rest = text.partition("\n\n")
                self._begin(200, "text/event-stream", text)
                try:
                    self.wfile.write(f"{first}\n\n".encode())
                    self.wfile.flush()
                    model.rest.wait(60)
                    if model.cuts:
                        model.cuts -= 1
                        return
                    before, gap, last = rest.removesuffix("\n\n").rpartition("\n\n")
                    self.wfile.write(f"{before}{gap}".encode())
                    self.wfile.flush()
                    model.end.wait(60)
                    self.wfile.write(f"{last}\n\n".encode())
                except OSError:
                    return

            def _begin(self, status: int, media: str, text: str) -> None:
                self.send_response(status)
                self.send_header("content-type", media)
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()

            def _send(self, status: int, media: str, text: str) -> None:
                self._begin(status, media, text)
                try:
                    self.wfile.write(text.encode())
                except OSError:
                    return

        return Handler


VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.123456789, 0.987654321]}],
    "model": "e-small",
    "usage": {"prompt_tokens": 40, "total_tokens": 40},
}
"""What it answers to a request for embeddings."""

Call = tuple[str, dict[str, Any]]


def decide(value: dict[str, Any], results: int, steps: int) -> tuple[str, Call | None]:
    """What the model says, and the call that it makes with one of the tools that it is given."""
    told = json.dumps(value)
    advised = told.count("</advice-")  # the system prompt only names the tag
    what = "advised" if advised else "alone"
    command = f"echo {results + 1} {what} >> trace.txt"
    tools = {str(tool.get("name")): tool for tool in map(_inner, value.get("tools") or ())}
    end = next((name for name in ("finish", "submit") if name in tools), "")
    if results < steps and (tools or "<code>" not in told):
        return f"Step {results + 1}, {what}.", _run(tools, command)
    said = f"Done, with {advised} pieces of advice."
    if end:
        needed = _schema(tools[end]).get("required", ())
        return said, (end, dict.fromkeys(needed, "done"))
    if "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT" in told:
        return said, _run(tools, "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT")
    if "<code>" in told:  # an agent that reads code out of texts
        steps_done = sum(message["role"] == "assistant" for message in value["messages"])
        code = f"import os\nprint(os.popen({command!r}).read())" if steps_done < steps else "final_answer('done')"
        return f"Thought: step {steps_done + 1}, {what}.\n<code>\n{code}\n</code>", None
    return said, None


def _run(tools: dict[str, Any], command: str) -> Call:
    """A call that runs a command, by whatever tool there is for that."""
    for name, tool in tools.items():
        for key in ("command", "cmd"):
            if key in _schema(tool).get("properties", {}):
                return name, {key: command}
    return "shell", {"command": command}


def _inner(tool: dict[str, Any]) -> dict[str, Any]:
    return dict(tool.get("function") or tool)


def _schema(tool: dict[str, Any]) -> dict[str, Any]:
    return dict(tool.get("parameters") or tool.get("input_schema") or {})


def chat(value: dict[str, Any], model: WireModel) -> list[Event]:
    results = sum(message["role"] == "tool" for message in value["messages"])
    model.samples += 1
    text, call = decide(value, results, model.steps)
    delta: dict[str, Any] = {"role": "assistant", "content": text}
    if model.silences.get(results):
        model.silences[results] -= 1
        call = None
        delta["content"] = model.words or text
    if call is not None:
        function = {"name": call[0], "arguments": json.dumps(call[1])}
        delta["tool_calls"] = [
            {"index": at, "id": f"call-{model.samples}-{at}", "type": "function", "function": function}
            for at in range(model.calls)
        ]
    finish = "stop" if call is None else "tool_calls"
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    base = {"id": "chat", "object": "chat.completion.chunk", "created": 1, "model": value["model"]}
    return [
        ("", base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}),
        ("", base | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": usage}),
    ]


def responses(value: dict[str, Any], model: WireModel) -> list[Event]:
    told = value["input"]
    items = told if isinstance(told, list) else [{"role": "user", "content": told}]
    conversation = (value.get("conversation") or {}).get("id", "")
    items = model.stored.get(value.get("previous_response_id") or conversation, []) + items
    value = value | {"input": items}
    model.samples += 1
    results = sum(item.get("type") == "function_call_output" for item in items)
    text, made = decide(value, results, model.steps)
    content = [{"type": "output_text", "text": text, "annotations": []}]
    output: list[dict[str, Any]] = [
        {"id": f"rs-{results}", "type": "reasoning", "summary": [], "encrypted_content": "abc"},
        {"id": f"msg-{results}", "type": "message", "role": "assistant", "status": "completed", "content": content},
    ]
    if made is not None:
        call = {"type": "function_call", "name": made[0], "arguments": json.dumps(made[1]), "status": "completed"}
        output.append({"id": f"fc-{results}", "call_id": f"call-{results}"} | call)
    usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
    if value.get("store", True):
        model.stored[f"resp-{model.samples}"] = model.stored[conversation] = items + output
    response = {"id": f"resp-{model.samples}", "object": "response", "created_at": 1, "model": value["model"],
                "status": "completed", "output": output, "usage": usage, "tools": [], "tool_choice": "auto",
                "parallel_tool_calls": True, "error": None, "incomplete_details": None, "instructions": None,
                "metadata": {}, "temperature": 1, "top_p": 1}  # fmt: skip
    begun = response | {"status": "in_progress", "output": []}
    name = "response.created"
    events: list[Event] = [(name, {"type": name, "sequence_number": 0, "response": begun})]
    for place, item in enumerate(output):
        for kind in ("added", "done"):
            name = f"response.output_item.{kind}"
            events.append((name, {"type": name, "sequence_number": len(events), "output_index": place, "item": item}))
    name = "response.completed"
    return [*events, (name, {"type": name, "sequence_number": len(events), "response": response})]


def messages(value: dict[str, Any], model: WireModel) -> list[Event]:
    blocks = [block for message in value["messages"] if isinstance(message["content"], list)
              for block in message["content"]]  # fmt: skip
    results = sum(block["type"] == "tool_result" for block in blocks)
    text, call = decide(value, results, model.steps)
    usage = {"input_tokens": 100, "output_tokens": 1}
    start = {"id": f"msg-{results}", "type": "message", "role": "assistant", "model": value["model"], "content": [],
             "stop_reason": None, "stop_sequence": None, "usage": usage}  # fmt: skip
    found: list[Event] = [("message_start", {"type": "message_start", "message": start})]

    def block(place: int, begin: dict[str, Any], *deltas: dict[str, Any]) -> None:
        found.append(("content_block_start", {"type": "content_block_start", "index": place, "content_block": begin}))
        for delta in deltas:
            found.append(("content_block_delta", {"type": "content_block_delta", "index": place, "delta": delta}))
        found.append(("content_block_stop", {"type": "content_block_stop", "index": place}))

    block(0, {"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "Hm."},
          {"type": "signature_delta", "signature": "sig"})  # fmt: skip
    block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": text})
    if call is not None:
        begin = {"type": "tool_use", "id": f"call-{results}", "name": call[0], "input": {}}
        block(2, begin, {"type": "input_json_delta", "partial_json": json.dumps(call[1])})
    reason = "end_turn" if call is None else "tool_use"
    found.append(("message_delta", {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
                                    "usage": {"output_tokens": 10}}))  # fmt: skip
    return [*found, ("message_stop", {"type": "message_stop"})]


DIALECTS = {"chat/completions": chat, "responses": responses, "messages": messages}


def whole_of(events: list[Event]) -> dict[str, Any]:
    """The same reply of a server that does not stream."""
    if events[0][0] == "response.created":
        return events[-1][1]["response"]
    if not events[0][0]:
        first, last = events[0][1], events[1][1]
        message = dict(first["choices"][0]["delta"])
        for call in message.get("tool_calls", ()):
            del call["index"]
        choice = {"index": 0, "message": message, "finish_reason": last["choices"][0]["finish_reason"]}
        return first | {"object": "chat.completion", "choices": [choice], "usage": last["usage"]}
    content: list[dict[str, Any]] = []
    for _, event in events:
        if event["type"] == "content_block_start":
            content.append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            for key, text in event["delta"].items():
                if key == "partial_json":
                    content[-1]["input"] = json.loads(text)
                elif key != "type":
                    content[-1][key] = text
    last = events[-2][1]
    return {
        **events[0][1]["message"],
        "content": content,
        **last["delta"],
        "usage": {"input_tokens": 100, **last["usage"]},
    }


def turn(response: Any, result: str = "done") -> list[dict[str, Any]]:
    """What a harness makes of a reply: the message, and its call's result."""
    message = response.json()["choices"][0]["message"]
    return [message, {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": result}]

"""One conversation as each tool would have recorded it: a request, a call, a word of a person, a call, an answer."""

from __future__ import annotations

import json
from typing import Any

TASK = "Make the parser faster."
ADVICE = "Mind the tests."
FIRST, SECOND, LAST = "I look at it.", "I run the tests.", "It is faster."
LISTING, FAILURE = "parser.py", "1 failed"

Line = dict[str, Any]


def lines(*records: Line) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def document(value: Any) -> bytes:
    return json.dumps(value).encode()


def claude_code() -> bytes:
    def record(number: int, type: str, content: Any, **more: Any) -> Line:
        parent = f"r{number - 1}" if number > 1 else None
        message = {"role": type, "content": content, **more}
        at = f"2026-01-05T10:00:{number:02d}.000Z"
        base = {"uuid": f"r{number}", "parentUuid": parent, "isSidechain": False, "sessionId": "s1", "cwd": "/w"}
        return {**base, "type": type, "timestamp": at, "version": "2.0.0", "message": message}

    def reply(number: int, id: str, *blocks: Line) -> Line:
        usage = {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 20}
        return record(number, "assistant", list(blocks), id=id, model="m", usage=usage)

    def result(number: int, id: str, text: str, *, error: bool) -> Line:
        return record(number, "user", [{"type": "tool_result", "tool_use_id": id, "content": text, "is_error": error}])

    return lines(
        record(1, "user", TASK),
        reply(2, "m1", {"type": "text", "text": FIRST}),
        reply(3, "m1", {"type": "tool_use", "id": "c1", "name": "run", "input": {"c": "ls"}}),
        result(4, "c1", LISTING, error=False),
        record(5, "user", ADVICE),
        reply(6, "m2", {"type": "text", "text": SECOND}),
        reply(7, "m2", {"type": "tool_use", "id": "c2", "name": "run", "input": {"c": "pytest"}}),
        result(8, "c2", FAILURE, error=True),
        reply(9, "m3", {"type": "text", "text": LAST}),
    )


def codex() -> bytes:
    def item(**payload: Any) -> Line:
        return {"timestamp": "2026-01-05T10:00:00.000Z", "type": "response_item", "payload": payload}

    def message(role: str, text: str) -> Line:
        kind = "output_text" if role == "assistant" else "input_text"
        return item(type="message", role=role, content=[{"type": kind, "text": text}])

    def call(id: str, command: str) -> Line:
        return item(type="function_call", name="run", call_id=id, arguments=json.dumps({"c": command}))

    def used(total: int) -> Line:
        usage = {"input_tokens": 100, "output_tokens": 20}
        info = {"last_token_usage": usage, "total_token_usage": {"total_tokens": total}}
        payload = {"type": "token_count", "info": info}
        return {"timestamp": "2026-01-05T10:00:00.000Z", "type": "event_msg", "payload": payload}

    meta = {"id": "00000000-0000-4000-8000-000000000001", "cwd": "/w", "timestamp": "2026-01-05T10:00:00.000Z"}
    return lines(
        {"timestamp": "2026-01-05T10:00:00.000Z", "type": "session_meta", "payload": meta},
        {"timestamp": "2026-01-05T10:00:00.000Z", "type": "turn_context", "payload": {"cwd": "/w", "model": "m"}},
        message("user", TASK),
        message("assistant", FIRST),
        call("c1", "ls"),
        used(120),
        item(type="function_call_output", call_id="c1", output=LISTING),
        message("user", ADVICE),
        message("assistant", SECOND),
        call("c2", "pytest"),
        item(type="function_call_output", call_id="c2", output=f"Exit code: 1\n{FAILURE}"),
        used(240),
        message("assistant", LAST),
        used(360),
    )


def gemini_cli() -> bytes:
    def call(id: str, command: str, text: str, status: str) -> Line:
        result = [{"functionResponse": {"id": id, "name": "run", "response": {"output": text}}}]
        at = "2026-01-05T10:00:00.000Z"
        return {"id": id, "name": "run", "args": {"c": command}, "result": result, "status": status, "timestamp": at}

    def turn(id: str, type: str, content: str, **more: Any) -> Line:
        return {"id": id, "timestamp": "2026-01-05T10:00:00.000Z", "type": type, "content": content, **more}

    tokens = {"input": 100, "output": 20, "cached": 90, "thoughts": 0, "tool": 0, "total": 120}
    said = {"model": "m", "tokens": tokens, "thoughts": []}
    return document(
        {
            "sessionId": "s1",
            "projectHash": "0" * 64,
            "startTime": "2026-01-05T10:00:00.000Z",
            "lastUpdated": "2026-01-05T10:00:00.000Z",
            "messages": [
                turn("1", "user", TASK),
                turn("2", "gemini", FIRST, toolCalls=[call("c1", "ls", LISTING, "success")], **said),
                turn("3", "user", ADVICE),
                turn("4", "gemini", SECOND, toolCalls=[call("c2", "pytest", FAILURE, "error")], **said),
                turn("5", "gemini", LAST, **said),
            ],
        }
    )


def chat_messages() -> list[Line]:
    def call(id: str, command: str) -> Line:
        return {"id": id, "type": "function", "function": {"name": "run", "arguments": json.dumps({"c": command})}}

    return [
        {"role": "system", "content": "You work."},
        {"role": "user", "content": TASK},
        {"role": "assistant", "content": FIRST, "tool_calls": [call("c1", "ls")]},
        {"role": "tool", "tool_call_id": "c1", "content": LISTING},
        {"role": "user", "content": ADVICE},
        {"role": "assistant", "content": SECOND, "tool_calls": [call("c2", "pytest")]},
        {"role": "tool", "tool_call_id": "c2", "content": FAILURE},
        {"role": "assistant", "content": LAST},
    ]


def chat() -> bytes:
    return lines({"messages": chat_messages()})


def mini_swe_agent() -> bytes:
    info = {"config": {"model": {"model_name": "m"}}, "mini_version": "2.0.0"}
    return document({"info": info, "messages": chat_messages(), "trajectory_format": "mini-swe-agent-1.1"})


def swe_agent() -> bytes:
    history = []
    for message in chat_messages():
        kind = {"system": "system_prompt", "assistant": "action"}.get(message["role"], "observation")
        ids = {"tool_call_ids": [message["tool_call_id"]]} if message["role"] == "tool" else {}
        history.append({**message, **ids, "agent": "main", "message_type": kind})
    config = {"agent": {"model": {"name": "m"}}}
    return document({"history": history, "trajectory": [], "info": {}, "replay_config": json.dumps(config)})


def openhands() -> bytes:
    def action(id: int, call: str, command: str, text: str) -> Line:
        function = {"name": "run", "arguments": json.dumps({"c": command})}
        message = {
            "role": "assistant",
            "content": text,
            "tool_calls": [{"id": call, "type": "function", "function": function}],
        }
        usage = {"prompt_tokens": 100, "completion_tokens": 20}
        response = {"id": f"response-{id}", "model": "m", "choices": [{"message": message}], "usage": usage}
        metadata = {
            "function_name": "run",
            "tool_call_id": call,
            "model_response": response,
            "total_calls_in_response": 1,
        }
        arguments = {"command": command, "thought": text}
        return event(id, "agent", action="run", args=arguments, tool_call_metadata=metadata)

    def observation(id: int, call: str, text: str, code: int) -> Line:
        metadata = {"function_name": "run", "tool_call_id": call}
        extras = {"command": "", "metadata": {"exit_code": code}}
        return event(
            id, "agent", observation="run", content=text, cause=id - 1, extras=extras, tool_call_metadata=metadata
        )

    def event(id: int, source: str, **more: Any) -> Line:
        return {"id": id, "timestamp": f"2026-01-05T10:00:{id:02d}", "source": source, "message": "", **more}

    return document(
        [
            event(1, "user", action="message", args={"content": TASK}),
            action(2, "c1", "ls", FIRST),
            observation(3, "c1", LISTING, 0),
            event(4, "user", action="message", args={"content": ADVICE}),
            action(5, "c2", "pytest", SECOND),
            observation(6, "c2", FAILURE, 1),
            event(7, "agent", action="message", args={"content": LAST}),
        ]
    )


def atif() -> bytes:
    def step(number: int, source: str, message: str, **more: Any) -> Line:
        return {"step_id": number, "source": source, "message": message, **more}

    def work(id: str, command: str, text: str) -> Line:
        call = {"tool_call_id": id, "function_name": "run", "arguments": {"c": command}}
        results = [{"source_call_id": id, "content": text}]
        metrics = {"prompt_tokens": 100, "completion_tokens": 20}
        return {"tool_calls": [call], "observation": {"results": results}, "metrics": metrics}

    agent = {"name": "a", "version": "1", "model_name": "m"}
    steps = [
        step(1, "user", TASK),
        step(2, "agent", FIRST, **work("c1", "ls", LISTING)),
        step(3, "user", ADVICE),
        step(4, "agent", SECOND, **work("c2", "pytest", FAILURE)),
        step(5, "agent", LAST),
    ]
    return document({"schema_version": "ATIF-v1.5", "session_id": "s1", "agent": agent, "steps": steps})


def inspect() -> bytes:
    def call(id: str, command: str) -> Line:
        return {"id": id, "type": "function", "function": "run", "arguments": {"c": command}}

    failed = {"type": "unknown", "message": FAILURE}
    messages: list[Line] = [
        {"id": "1", "role": "user", "source": "input", "content": TASK},
        {"id": "2", "role": "assistant", "source": "generate", "content": FIRST, "tool_calls": [call("c1", "ls")]},
        {"id": "3", "role": "tool", "tool_call_id": "c1", "function": "run", "content": LISTING},
        {"id": "4", "role": "user", "source": "operator", "content": ADVICE},
        {"id": "5", "role": "assistant", "source": "generate", "content": SECOND, "tool_calls": [call("c2", "pytest")]},
        {"id": "6", "role": "tool", "tool_call_id": "c2", "function": "run", "content": FAILURE, "error": failed},
        {"id": "7", "role": "assistant", "source": "generate", "content": LAST},
    ]
    usage = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
    events = [
        {
            "event": "model",
            "timestamp": f"2026-01-05T10:00:0{message['id']}+00:00",
            "model": "m",
            "input": [],
            "output": {"model": "m", "choices": [{"message": message, "stop_reason": "stop"}], "usage": usage},
        }
        for message in messages
        if message["role"] == "assistant"
    ]
    sample = {"id": 1, "epoch": 1, "input": TASK, "target": "", "messages": messages, "events": events}
    about = {
        "run_id": "r",
        "created": "2026-01-05T10:00:00+00:00",
        "task": "t",
        "model": "m",
        "dataset": {},
        "config": {},
    }
    return document({"version": 2, "status": "success", "eval": about, "plan": {}, "samples": [sample]})


RECORDED = {
    "atif": atif,
    "chat": chat,
    "claude-code": claude_code,
    "codex": codex,
    "gemini-cli": gemini_cli,
    "inspect": inspect,
    "mini-swe-agent": mini_swe_agent,
    "openhands": openhands,
    "swe-agent": swe_agent,
}

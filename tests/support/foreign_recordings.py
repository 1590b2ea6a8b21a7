"""Small files in the shapes that other agents record, written by hand: a task, a thought, a call that works, advice
where the shape has it, a call that fails, and records that nobody knows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

TASK: Final = "Make the tests pass."
ADVICE: Final = "Look at the fixture first."


@dataclass(frozen=True)
class File:
    """A file and what it says."""

    format: str
    name: str
    content: Any
    steps: int
    calls: list[str]
    model: str
    outcomes: list[str]
    advice: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    unknown: tuple[str, ...] = ()
    task: str = TASK


def dump_lines(content: Any) -> str:
    """Lists in a file of lines are records, all else is one value."""
    if isinstance(content, list) and content and isinstance(content[0], dict) and content[0].get("lines"):
        return "\n".join(json.dumps(record) for record in content[1:]) + "\n"
    return json.dumps(content)


def call(name: str, arguments: Any, identity: str) -> dict[str, Any]:
    """A call in chat form."""
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


MINI = {
    "trajectory_format": "mini-swe-agent-1.1",
    "info": {"exit_status": "Submitted", "mini_version": "2.0", "config": {"model": {"model_name": "m-1"}}},
    "messages": [
        {"role": "system", "content": "You fix code."},
        {"role": "user", "content": TASK},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [call("bash", {"command": "ls"}, "c1")],
            "extra": {
                "timestamp": 1_700_000_000.5,
                "response": {"usage": {"prompt_tokens": 9, "completion_tokens": 3}},
            },
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a.py", "extra": {"returncode": 0}},
        {"role": "assistant", "content": "", "tool_calls": [call("bash", {"command": "pytest"}, "c2")]},
        {"role": "tool", "tool_call_id": "c2", "content": "1 failed", "extra": {"returncode": 1}},
        {"role": "exit", "content": "done"},
        {"role": "narrator", "content": "?"},
    ],
}
MINI_TEXT = [
    {"role": "system", "content": "Answer with one bash block."},
    {"role": "user", "content": TASK},
    {"role": "assistant", "content": "```bash\nls\n```"},
    {"role": "user", "content": "<output>a.py</output>"},
    {"role": "assistant", "content": "```bash\nsubmit\n```"},
]
SWE = {
    "environment": "swe/1",
    "info": {"exit_status": "submitted", "config": {"model": {"name": "m-2"}}},
    "trajectory": [{"action": "ls", "observation": "a.py", "response": "look", "thought": "", "state": {}}],
    "history": [
        {"role": "system", "content": "You fix code.", "agent": "main"},
        {"role": "user", "content": "A demonstration.", "is_demo": True},
        {"role": "user", "content": [{"type": "text", "text": TASK}]},
        {"role": "assistant", "content": "I look.", "tool_calls": [call("bash", {"command": "ls"}, "c1")]},
        {"role": "tool", "content": [{"type": "text", "text": "a.py"}], "tool_call_ids": ["c1"]},
        {"role": "assistant", "content": "Done.", "tool_calls": [call("submit", {}, "c2")]},
        {"role": "stranger", "content": "?"},
    ],
}
INSPECT = {
    "version": 2,
    "status": "success",
    "eval": {"task": "fix", "model": "mock/m-3", "run_id": "r1", "created": "2026-01-02T03:04:05+00:00"},
    "samples": [
        {
            "id": 1,
            "epoch": 1,
            "uuid": "u1",
            "attachments": {"abc": "a long listing"},
            "messages": [
                {"role": "system", "content": "You fix code."},
                {"role": "user", "content": TASK, "source": "input"},
                {
                    "role": "assistant",
                    "model": "m-3",
                    "content": [{"type": "reasoning", "reasoning": "Look first."}, {"type": "text", "text": "I look."}],
                    "tool_calls": [{"id": "c1", "function": "bash", "arguments": {"cmd": "ls"}, "type": "function"}],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "attachment://abc", "function": "bash"},
                {"role": "user", "content": ADVICE, "source": "operator"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": "c2", "function": "bash", "arguments": {"cmd": "rm x"}, "type": "function"}],
                },
                {"role": "tool", "tool_call_id": "c2", "content": "", "error": {"type": "timeout", "message": "late"}},
                {"role": "oracle", "content": "?"},
            ],
            "events": [{"event": "model", "tools": [{"name": "bash", "description": "d", "parameters": {}}]}],
            "scores": {"match": {"value": "C"}, "odd": {"value": [1]}},
        }
    ],
}


def _claude(kind: str, message: Any, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "sessionId": "s-1",
        "timestamp": "2026-01-02T03:04:05.000Z",
        "cwd": "/w",
        "message": message,
    } | more


CLAUDE = [
    {"lines": True},
    {"type": "summary", "summary": "Earlier.", "leafUuid": "x"},
    _claude("user", {"role": "user", "content": TASK}),
    _claude(
        "assistant",
        {"id": "m1", "model": "m-4", "content": [{"type": "thinking", "thinking": "Look first.", "signature": "s"}]},
    ),
    _claude("assistant", {"id": "m1", "model": "m-4", "content": [{"type": "text", "text": "I look."}]}),
    _claude(
        "assistant",
        {
            "id": "m1",
            "model": "m-4",
            "stop_reason": "tool_use",
            "content": [{"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "ls"}}],
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 90, "output_tokens": 7},
        },
    ),
    _claude("user", {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "a.py"}]}),
    _claude("user", {"role": "user", "content": ADVICE}),
    _claude(
        "assistant", {"id": "m9", "model": "m-4", "content": [{"type": "text", "text": "aside"}]}, isSidechain=True
    ),
    _claude(
        "assistant",
        {"id": "m2", "model": "m-4", "content": [{"type": "tool_use", "id": "c2", "name": "Edit", "input": {}}]},
    ),
    _claude(
        "user",
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c2",
                    "is_error": True,
                    "content": [{"type": "text", "text": "no"}],
                }
            ],
        },
    ),
    _claude("hologram", {}),
]


def _codex(kind: str, payload: Any) -> dict[str, Any]:
    return {"timestamp": "2026-01-02T03:04:05.000Z", "type": kind, "payload": payload}


def _said(role: str, text: str) -> dict[str, Any]:
    return {
        "type": "message",
        "role": role,
        "content": [{"type": "output_text" if role == "assistant" else "input_text", "text": text}],
    }


CODEX_ITEMS = [
    _said("user", "<environment_context>here</environment_context>"),
    _said("user", TASK),
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Look first."}], "encrypted_content": "e"},
    _said("assistant", "I look."),
    {"type": "function_call", "name": "shell", "arguments": '{"command":["ls"]}', "call_id": "c1"},
    {"type": "function_call_output", "call_id": "c1", "output": '{"output":"a.py","metadata":{"exit_code":0}}'},
    _said("user", ADVICE),
    {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin", "call_id": "c2"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": '{"output":"no","metadata":{"exit_code":1}}'},
]
CODEX = [
    {"lines": True},
    _codex(
        "session_meta", {"id": "x-1", "cwd": "/w", "instructions": "You fix code.", "timestamp": "2026-01-02T03:04:05Z"}
    ),
    _codex("turn_context", {"model": "m-5"}),
    *[_codex("response_item", item) for item in CODEX_ITEMS[:5]],
    _codex("event_msg", {"type": "token_count", "info": {"last_token_usage": {"input_tokens": 9, "output_tokens": 2}}}),
    *[_codex("response_item", item) for item in CODEX_ITEMS[5:]],
    _codex("event_msg", {"type": "aurora"}),
    _codex("hologram", {}),
]
CODEX_OLD = [
    {"lines": True},
    {"id": "x-2", "timestamp": "2025-01-02T03:04:05Z", "instructions": "You fix code."},
    *CODEX_ITEMS,
]


def _event(kind: str, source: str, **more: Any) -> dict[str, Any]:
    return {"id": f"e-{kind}-{len(more)}", "timestamp": "2026-01-02T03:04:05", "source": source, "kind": kind} | more


def _message(source: str, text: str) -> dict[str, Any]:
    role = "user" if source == "user" else "assistant"
    return _event("MessageEvent", source, llm_message={"role": role, "content": [{"type": "text", "text": text}]})


OPENHANDS = [
    _event(
        "SystemPromptEvent",
        "agent",
        system_prompt={"type": "text", "text": "You fix code."},
        tools=[{"name": "terminal"}],
    ),
    _message("user", TASK),
    _event(
        "ActionEvent",
        "agent",
        thought=[{"type": "text", "text": "I look."}],
        reasoning_content="Look first.",
        action={"kind": "TerminalAction", "command": "ls"},
        tool_name="terminal",
        tool_call_id="c1",
        llm_response_id="r1",
    ),
    _event(
        "ActionEvent",
        "agent",
        thought=[],
        action={"command": "pwd"},
        tool_name="terminal",
        tool_call_id="c2",
        llm_response_id="r1",
    ),
    _event(
        "ObservationEvent",
        "environment",
        tool_call_id="c1",
        observation={"content": [{"type": "text", "text": "a.py"}]},
    ),
    _event("AgentErrorEvent", "agent", tool_call_id="c2", error="no"),
    _message("user", ADVICE),
    _message("agent", "Done."),
    _event("AuroraEvent", "agent"),
]
OPENHANDS_OLD = [
    {
        "id": 0,
        "source": "agent",
        "action": "system",
        "args": {"content": "You fix code.", "tools": [{"type": "function", "function": {"name": "execute_bash"}}]},
    },
    {"id": 1, "source": "user", "action": "message", "args": {"content": TASK}},
    {
        "id": 2,
        "source": "agent",
        "action": "run",
        "args": {"command": "ls", "thought": "I look."},
        "tool_call_metadata": {
            "tool_call_id": "c1",
            "function_name": "execute_bash",
            "model_response": {
                "id": "r1",
                "choices": [
                    {"message": {"content": "I look.", "tool_calls": [call("execute_bash", {"command": "ls"}, "c1")]}}
                ],
                "usage": {"prompt_tokens": 8, "completion_tokens": 2},
            },
        },
    },
    {
        "id": 3,
        "source": "agent",
        "observation": "run",
        "content": "a.py",
        "cause": 2,
        "extras": {"exit_code": 0},
        "tool_call_metadata": {"tool_call_id": "c1"},
    },
    {"id": 4, "source": "user", "action": "message", "args": {"content": ADVICE}},
    {"id": 5, "source": "environment", "observation": "agent_state_changed", "content": ""},
    {"id": 6, "source": "agent", "action": "finish", "args": {"final_thought": "Done."}},
]
ATIF = {
    "schema_version": "ATIF-v1.6",
    "session_id": "a-1",
    "agent": {
        "name": "harness",
        "version": "1",
        "model_name": "m-6",
        "tool_definitions": [{"type": "function", "function": {"name": "bash"}}],
    },
    "steps": [
        {"step_id": 1, "source": "system", "message": "You fix code."},
        {"step_id": 2, "source": "user", "message": TASK},
        {
            "step_id": 3,
            "source": "agent",
            "message": "I look.",
            "reasoning_content": "Look first.",
            "timestamp": "2026-01-02T03:04:05Z",
            "tool_calls": [{"tool_call_id": "c1", "function_name": "bash", "arguments": {"cmd": "ls"}}],
            "observation": {"results": [{"source_call_id": "c1", "content": "a.py"}]},
            "metrics": {"prompt_tokens": 9, "completion_tokens": 3},
        },
        {"step_id": 4, "source": "user", "message": ADVICE},
        {"step_id": 5, "source": "agent", "message": "Done."},
        {"step_id": 6, "source": "oracle", "message": "?"},
    ],
}
CHAT = [
    {"lines": True},
    {
        "messages": [
            {"role": "system", "content": "You fix code."},
            {"role": "user", "content": TASK},
            {
                "role": "assistant",
                "content": "I look.",
                "reasoning_content": "Look first.",
                "tool_calls": [call("bash", {"command": "ls"}, "c1")],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "a.py"},
            {"role": "user", "content": ADVICE},
            {"role": "assistant", "content": None, "tool_calls": [call("bash", {"command": "rm x"}, "c1")]},
            {"role": "tool", "tool_call_id": "c1", "content": "no", "is_error": True},
        ],
        "tools": [{"type": "function", "function": {"name": "bash", "parameters": {}}}],
        "model": "m-7",
    },
    {"messages": [{"role": "user", "content": "Only asked."}]},
]

GEMINI = {
    "sessionId": "g-1",
    "projectHash": "h",
    "startTime": "2026-01-02T03:04:05Z",
    "messages": [
        {"id": "1", "timestamp": "2026-01-02T03:04:05Z", "type": "user", "content": TASK},
        {
            "id": "2",
            "timestamp": "2026-01-02T03:04:06Z",
            "type": "gemini",
            "content": "I look.",
            "model": "m-7",
            "thoughts": [{"description": "Look first."}],
            "tokens": {"input": 9, "output": 3},
            "toolCalls": [
                {
                    "id": "c1",
                    "name": "run_shell_command",
                    "args": {"command": "ls"},
                    "status": "success",
                    "result": [{"functionResponse": {"id": "c1", "response": {"output": "a.py"}}}],
                }
            ],
        },
        {"id": "3", "timestamp": "2026-01-02T03:04:07Z", "type": "user", "content": [{"text": ADVICE}]},
        {
            "id": "4",
            "timestamp": "2026-01-02T03:04:08Z",
            "type": "gemini",
            "content": "",
            "toolCalls": [
                {
                    "id": "c2",
                    "name": "replace",
                    "args": {},
                    "status": "error",
                    "result": [{"functionResponse": {"id": "c2", "response": {"error": "no"}}}],
                }
            ],
        },
        {"id": "5", "type": "oracle", "content": "?"},
    ],
}

FILES: Final = {
    "mini": File(
        "mini-swe-agent", "a.traj.json", MINI, 2, ["bash", "bash"], "m-1", ["ok", "error"], unknown=("narrator",)
    ),
    "mini-text": File("mini-swe-agent", "b.traj.json", MINI_TEXT, 2, [], "unknown", [], unknown=("acts by text",)),
    "swe": File("swe-agent", "a.traj", SWE, 2, ["bash", "submit"], "m-2", ["ok"], unknown=("stranger",)),
    "inspect": File(
        "inspect",
        "log.json",
        INSPECT,
        2,
        ["bash", "bash"],
        "mock/m-3",
        ["ok", "timeout"],
        [ADVICE],
        ["Look first."],
        ("oracle",),
    ),
    "claude": File(
        "claude-code",
        "s.jsonl",
        CLAUDE,
        2,
        ["Bash", "Edit"],
        "m-4",
        ["ok", "error"],
        [ADVICE],
        ["Look first."],
        ("hologram",),
    ),
    "codex": File(
        "codex",
        "r.jsonl",
        CODEX,
        2,
        ["shell", "apply_patch"],
        "m-5",
        ["ok", "error"],
        [ADVICE],
        ["Look first."],
        ("hologram", "aurora"),
    ),
    "codex-old": File(
        "codex",
        "o.jsonl",
        CODEX_OLD,
        2,
        ["shell", "apply_patch"],
        "unknown",
        ["ok", "error"],
        [ADVICE],
        ["Look first."],
    ),
    "gemini": File(
        "gemini-cli",
        "session-1.json",
        GEMINI,
        2,
        ["run_shell_command", "replace"],
        "m-7",
        ["ok", "error"],
        [ADVICE],
        ["Look first."],
        ("oracle",),
    ),
    "openhands": File(
        "openhands",
        "e.json",
        OPENHANDS,
        2,
        ["terminal", "terminal"],
        "unknown",
        ["ok", "error"],
        [ADVICE],
        ["Look first."],
        ("AuroraEvent",),
    ),
    "openhands-old": File(
        "openhands",
        "t.json",
        OPENHANDS_OLD,
        2,
        ["execute_bash", "finish"],
        "unknown",
        ["ok"],
        [ADVICE],
        unknown=("agent_state_changed",),
    ),
    "chat": File(
        "chat",
        "rows.jsonl",
        CHAT,
        2,
        ["bash", "bash"],
        "m-7",
        ["ok", "error"],
        [ADVICE],
        ["Look first."],
        ("1 row of the file",),
    ),
    "atif": File("atif", "t.json", ATIF, 2, ["bash"], "m-6", ["ok"], [ADVICE], ["Look first."], ("oracle",)),
}

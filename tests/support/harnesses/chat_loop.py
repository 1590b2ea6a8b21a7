"""An agent of its own on Chat Completions: ``python chat_loop.py TASK``. It knows nothing of anybody who watches it."""

import json
import os
import subprocess
import sys

import openai

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "shell",
            "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
        },
    }
]
client = openai.OpenAI(timeout=float(os.environ.get("LOOP_TIMEOUT", "2")), max_retries=100)
messages = [{"role": "system", "content": "You are an agent."}, {"role": "user", "content": sys.argv[1]}]
while True:
    text, calls = "", {}
    chunks = client.chat.completions.create(model="m", messages=messages, tools=TOOLS, stream=True)
    print("headers", flush=True)
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for piece in choice.delta.tool_calls or ():
                call = calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += piece.id or ""
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""
    reply = {"role": "assistant", "content": text}
    if calls:
        reply["tool_calls"] = [
            {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
            for c in calls.values()
        ]
    messages.append(reply)
    print(text, flush=True)
    if not calls:
        break
    for call in calls.values():
        command = json.loads(call["arguments"])["command"]
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        messages.append(
            {"role": "tool", "tool_call_id": call["id"], "content": done.stdout + f"exit {done.returncode}"}
        )

"""An agent of its own on Messages, which moves its cache mark along: ``python messages_loop.py TASK``."""

import os
import subprocess
import sys

import anthropic

SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
TOOLS = [{"name": "shell", "input_schema": SCHEMA}]
client = anthropic.Anthropic(timeout=float(os.environ.get("LOOP_TIMEOUT", "2")), max_retries=100)
messages = [{"role": "user", "content": [{"type": "text", "text": sys.argv[1]}]}]
while True:
    newest = messages[-1]["content"][-1]
    newest["cache_control"] = {"type": "ephemeral"}
    with client.messages.stream(
        model="m", max_tokens=1000, system="You are an agent.", messages=messages, tools=TOOLS
    ) as stream:
        print("headers", flush=True)
        reply = stream.get_final_message()
    del newest["cache_control"]
    messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in reply.content]})
    print(" ".join(block.text for block in reply.content if block.type == "text"), flush=True)
    calls = [block for block in reply.content if block.type == "tool_use"]
    if not calls:
        break
    results = []
    for call in calls:
        done = subprocess.run(call.input["command"], shell=True, capture_output=True, text=True)
        output = done.stdout + f"exit {done.returncode}"
        results.append({"type": "tool_result", "tool_use_id": call.id, "content": output})
    messages.append({"role": "user", "content": results})

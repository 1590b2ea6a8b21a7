"""A small agent of somebody's own, on plain openai: python agent.py TASK MODEL [--continue].

It knows nothing of who watches it.
"""

import json
import pathlib
import subprocess
import sys

import openai

KEPT = pathlib.Path("conversation.json")

SYSTEM = "You find things out in files. Use the shell. When you are done, answer without a tool."
SHELL = {
    "type": "function",
    "function": {
        "name": "shell",
        "description": "Run a command in the current folder.",
        "parameters": {
            "type": "object",
            "properties": {"command": {"type": "string", "description": "What bash is to run."}},
            "required": ["command"],
        },
    },
}


def run(arguments):
    """The output of a command, as the model reads it."""
    try:
        command = json.loads(arguments)["command"]
    except (ValueError, KeyError) as problem:
        return f"error: {problem}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=600)
    return f"{done.stdout}{done.stderr}(exit {done.returncode})"


def ask(client, messages):
    """One reply, put together from its stream."""
    text, calls = "", {}
    stream = client.chat.completions.create(model=sys.argv[2], messages=messages, tools=[SHELL], stream=True)
    for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for piece in choice.delta.tool_calls or ():
                call = calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += piece.id or ""
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""
    made = [
        {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
        for call in calls.values()
    ]
    return {"role": "assistant", "content": text, **({"tool_calls": made} if made else {})}


messages = json.loads(KEPT.read_text()) if "--continue" in sys.argv else [{"role": "system", "content": SYSTEM}]
messages.append({"role": "user", "content": sys.argv[1]})
client = openai.OpenAI(max_retries=20)
while True:
    reply = ask(client, messages)
    messages.append(reply)
    print(reply["content"], flush=True)
    for call in reply.get("tool_calls", ()):
        result = run(call["function"]["arguments"])
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    KEPT.write_text(json.dumps(messages))
    if "tool_calls" not in reply:
        break

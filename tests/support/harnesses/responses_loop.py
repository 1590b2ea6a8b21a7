"""An agent of its own on Responses: ``python responses_loop.py TASK``."""

import json
import os
import subprocess
import sys

import openai

PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
TOOLS = [{"type": "function", "name": "shell", "parameters": PARAMETERS, "strict": False}]
client = openai.OpenAI(timeout=float(os.environ.get("LOOP_TIMEOUT", "2")), max_retries=100)
items = [{"role": "user", "content": [{"type": "input_text", "text": sys.argv[1]}]}]
while True:
    response = None
    events = client.responses.create(
        model="m", instructions="You are an agent.", input=items, tools=TOOLS, stream=True, store=False
    )
    print("headers", flush=True)
    for event in events:
        if event.type == "response.completed":
            response = event.response
    items += [item.model_dump(exclude_none=True) for item in response.output]
    print(response.output_text, flush=True)
    calls = [item for item in response.output if item.type == "function_call"]
    if not calls:
        break
    for call in calls:
        command = json.loads(call.arguments)["command"]
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        output = done.stdout + f"exit {done.returncode}"
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": output})

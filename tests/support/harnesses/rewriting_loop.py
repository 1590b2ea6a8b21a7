"""An agent with the habits of InnovatorBench's: ``python rewriting_loop.py TASK``.

The time that is left stands in its first message and changes with every request; of several calls it runs and keeps the
first; it writes arguments anew; a reply without a call is refused and asked for again.
"""

import json
import subprocess
import sys
import time

import openai

PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in ("shell", "finish")]
client = openai.OpenAI(timeout=2, max_retries=100)
began = time.time()
messages = [{"role": "system", "content": "You are an agent. Follow <real_user>."}, {}]
while True:
    left = f"<remaining_working_time>{time.time() - began:.4f}</remaining_working_time>"
    messages[1] = {"role": "user", "content": f"{sys.argv[1]}\n{left}"}
    for _ in range(4):
        response = client.chat.completions.create(model="m", messages=messages, tools=TOOLS, tool_choice="required")
        reply = response.choices[0].message
        if reply.tool_calls:
            break
        print("refused", flush=True)
    call = reply.tool_calls[0]
    arguments = json.loads(call.function.arguments)
    function = {"name": call.function.name, "arguments": json.dumps(arguments, indent=1)}
    kept = {"id": call.id, "type": "function", "function": function}
    messages.append({"role": "assistant", "content": reply.content or "", "tool_calls": [kept]})
    if call.function.name == "finish":
        break
    done = subprocess.run(arguments["command"], shell=True, capture_output=True, text=True)
    messages.append({"role": "tool", "tool_call_id": call.id, "name": "shell", "content": f"exit {done.returncode}"})

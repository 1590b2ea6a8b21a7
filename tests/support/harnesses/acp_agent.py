"""An agent that is talked to in the Agent Client Protocol:
``python acp_agent.py [--ask] [--forgets] [--lingers] [--babbles]``.

``--ask``: it asks before each command; ``--forgets``: it cannot load a conversation; ``--lingers``: it ends no turn
before there is a file ``go``; ``--babbles``: it writes what is no message before it ends one.
What it keeps is in its folder.
"""

import http.client
import itertools
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "shell",
            "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
        },
    }
]
OPTIONS = [
    {"optionId": "once", "name": "Allow once", "kind": "allow_once"},
    {"optionId": "always", "name": "Always allow", "kind": "allow_always"},
    {"optionId": "no", "name": "Reject", "kind": "reject_once"},
]
numbers, answers, lock = itertools.count(), {}, threading.Lock()
talks: dict[str, list] = {}
cancelled: set[str] = set()


def send(**message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def note(text):
    with open("seen.txt", "a") as file:
        file.write(text + "\n")


def may_run(session, call, command):
    number = next(numbers)
    answers[number] = threading.Event(), []
    tool = {"toolCallId": call, "title": f"Run {command}", "kind": "execute", "rawInput": {"command": command}}
    params = {"sessionId": session, "toolCall": tool, "options": OPTIONS}
    send(id=number, method="session/request_permission", params=params)
    answers[number][0].wait()
    outcome = answers[number][1][0]["outcome"]
    note(f"may: {outcome.get('optionId', outcome['outcome'])}")
    return outcome.get("optionId", "cancelled")


def ask_model(messages):
    body = json.dumps({"model": "m", "messages": messages, "tools": TOOLS}).encode()
    headers = {"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "content-type": "application/json"}
    while True:
        request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return json.loads(response.read())["choices"][0]["message"]
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)  # its host is gone, or holds it


def work(number, session, text):
    note(f"prompt: {text}")
    talk = talks[session]
    talk.append({"role": "user", "content": text})
    while session not in cancelled:
        reply = ask_model([{"role": "system", "content": "You are an agent."}, *talk])
        if session in cancelled:
            return
        talk.append(reply)
        chunk = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": reply["content"]}}
        send(method="session/update", params={"sessionId": session, "update": chunk})
        for call in reply.get("tool_calls", ()):
            command = json.loads(call["function"]["arguments"])["command"]
            choice = may_run(session, call["id"], command) if "--ask" in sys.argv else "once"
            if choice == "cancelled":
                end(number, session, "cancelled")
                return
            if choice == "no":
                said = "The user rejected it."
            else:
                done = subprocess.run(command, shell=True, capture_output=True, text=True)
                said = f"{done.stdout}exit {done.returncode}"
            talk.append({"role": "tool", "tool_call_id": call["id"], "content": said})
        if not reply.get("tool_calls"):
            if "--lingers" in sys.argv:
                note("lingers")
                while not os.path.exists("go"):
                    time.sleep(0.05)
            end(number, session, "end_turn")
            return


def end(number, session, reason):
    with open(f"{session}.json", "w") as file:
        json.dump(talks[session], file)
    if "--babbles" in sys.argv:
        deep = "[" * 100_000
        for line in (
            '{"id": {}, "result": 1}',
            f'{{"id": 1, "result": {deep}',
            '{"id": 9, "result": {}}',
            "\n" * 100_000,
        ):
            print(line, flush=True)
    send(id=number, result={"stopReason": reason})


running: dict[str, int] = {}
print("hello, I am no message", file=sys.stderr)
print("neither am I")
for line in sys.stdin:
    message = json.loads(line)
    method, params, number = message.get("method"), message.get("params") or {}, message.get("id")
    if method is None:
        answers[number][1].append(message["result"])
        answers[number][0].set()
    elif method == "initialize":
        note("initialize")
        can = {"loadSession": "--forgets" not in sys.argv}
        who = {"name": "little", "version": "1.2"}
        send(id=number, result={"protocolVersion": 1, "agentCapabilities": can, "agentInfo": who, "authMethods": []})
    elif method == "session/new":
        session = f"talk-{os.getpid()}"
        talks[session] = []
        note(f"new: {session}")
        send(id=number, result={"sessionId": session})
    elif method == "session/load":
        session = params["sessionId"]
        note(f"load: {session}")
        with open(f"{session}.json") as file:
            talks[session] = json.load(file)
        send(id=number, result={})
    elif method == "session/prompt":
        session = params["sessionId"]
        running[session] = number
        text = "".join(block["text"] for block in params["prompt"])
        threading.Thread(target=work, args=(number, session, text), daemon=True).start()
    elif method == "session/cancel":
        note("cancel")
        session = params["sessionId"]
        cancelled.add(session)
        end(running[session], session, "cancelled")
    else:
        send(id=number, error={"code": -32601, "message": "Method not found"})
note("end of input")

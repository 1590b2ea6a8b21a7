"""OpenHands: event lists of version 0, evaluation outputs (``output.jsonl``), and events of the SDK (version 1).

From its ``conversation_memory`` and ``events``: actions of one ``model_response`` are one reply; an observation answers
the call that its metadata names, and the model sees more than its ``content`` (a command's directory and exit code).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from ..transcript import Call, NotRead, Reply, Transcript, Usage, json_lines, parsed, text_of

Event = dict[str, Any]


OWN: Final = frozenset(
    {
        "action",
        "action_risk",
        "blocking",
        "cause",
        "confirmation_state",
        "cwd",
        "hidden",
        "id",
        "is_confirmed",
        "is_input",
        "is_static",
        "keep_prompt",
        "kernel_init_code",
        "security_risk",
        "source",
        "thought",
        "timeout",
    }
)
"""What stands among the arguments of an action and is not the model's."""


def read(data: bytes) -> list[Transcript]:
    """A session per list of events; of an evaluation's output, one per line."""
    try:
        whole = json.loads(data)
    except ValueError:
        whole = list(json_lines(data))
    entries = whole if isinstance(whole, list) else [whole]
    if any(isinstance(entry, dict) and "history" in entry for entry in entries):
        return [_session(_flat(e["history"]), e) for e in entries if isinstance(e.get("history"), list)]
    if any(isinstance(e, dict) and ("kind" in e or "action" in e or "observation" in e) for e in entries):
        return [_session(entries, {})]
    raise NotRead("no events of OpenHands")


def _flat(history: Iterable[Any]) -> list[Event]:
    """Older outputs pair an action with its observation."""
    return [e for entry in history for e in (entry if isinstance(entry, list) else [entry]) if isinstance(e, dict)]


def _with_ids(events: list[Event]) -> list[Event]:
    """The oldest outputs have no ids and sources: the request is the first, and an observation follows its action."""
    found: list[Event] = []
    for place, event in enumerate(events):
        source = "user" if place == 0 else "agent"
        found.append({"id": place, "cause": place - 1, "source": source, **_old(event)})
    return found


def _old(event: Event) -> Event:
    if "observation" in event:
        return {**event, "extras": {name: event[name] for name in ("exit_code",) if name in event}}
    return {**event, "args": event}


def _session(events: list[Event], output: Event) -> Transcript:
    if not any("source" in event for event in events):
        events = _with_ids(events)
    config = (output.get("metadata") or {}).get("llm_config") or {}
    found = Transcript(name=str(output.get("instance_id") or ""))
    replies: dict[str, Reply] = {}
    for event in events:
        if "kind" in event:
            _sdk(found, replies, event)
        elif event.get("action"):
            _action(found, replies, event, config.get("model") or "")
        elif event.get("observation"):
            _observation(found, event)
    _count_usage(found, replies, output)
    return found


def _action(found: Transcript, replies: dict[str, Reply], event: Event, model: str) -> None:
    arguments = event.get("args") or {}
    if event.get("source") == "user":
        if event["action"] == "message":
            found.say(arguments.get("content") or "")
        return
    if event["action"] == "condensation":
        found.summaries += 1
    if event.get("source") != "agent" or event["action"] in {"system", "recall", "condensation", "change_agent_state"}:
        return
    metadata = event.get("tool_call_metadata") or {}
    answer = metadata.get("model_response") or {}
    key = answer.get("id") or f"event {event.get('id')}"
    if key in replies:
        return
    message = ((answer.get("choices") or [{}])[0].get("message")) or {}
    reply = Reply(model=answer.get("model") or model)
    said = message.get("content") if message else arguments.get("content") or arguments.get("thought")
    reply.text = text_of(said)[0]
    reply.reasoning = bool(message.get("reasoning_content"))
    for call in message.get("tool_calls") or []:
        function = call.get("function") or {}
        reply.calls.append(Call(function.get("name") or "", parsed(function.get("arguments")), call.get("id") or ""))
    if not message and event["action"] not in {"message", "reject"}:
        rest = {name: value for name, value in arguments.items() if name not in OWN}
        reply.calls.append(Call(event["action"], rest, f"event {event.get('id')}"))
    usage = answer.get("usage") or {}
    if usage.get("prompt_tokens") is not None:
        reply.usage = Usage(usage["prompt_tokens"], usage.get("completion_tokens") or 0)
    replies[key] = reply
    found.replies.append(reply)


def _observation(found: Transcript, event: Event) -> None:
    metadata = event.get("tool_call_metadata") or {}
    call = found.call(metadata.get("tool_call_id") or f"event {event.get('cause')}")
    if call is None or call.result is not None or event["observation"] in {"null", "agent_state_changed"}:
        return
    extras = event.get("extras") or {}
    text = event.get("content") or ""
    match event["observation"]:
        case "run":
            shell = extras.get("metadata") or {}
            code = shell.get("exit_code", extras.get("exit_code"))
            call.failed = None if code in {None, -1} else code != 0
            text = _in_shell(text, shell)
        case "edit":
            text = extras.get("formatted_output_and_error") or text
        case "error":
            call.failed = True
            text += "\n[Error occurred in processing last action]"
        case "user_rejected":
            text = f"OBSERVATION:\n{text}\n[Last action has been rejected by the user]"
        case _:
            pass
    call.partial = bool(extras.get("screenshot") or extras.get("set_of_marks") or extras.get("image_urls"))
    call.result = text


def _sdk(found: Transcript, replies: dict[str, Reply], event: Event) -> None:
    kind, id = event["kind"], event.get("tool_call_id") or ""
    if kind in {"ActionEvent", "MessageEvent"} and event.get("source") == "agent":
        key = event.get("llm_response_id") or event.get("id") or ""
        message = event.get("llm_message") or {}
        thought = message.get("content") if message else event.get("thought")
        reasoning = message.get("reasoning_content") or event.get("reasoning_content")
        if key not in replies:
            replies[key] = Reply(text_of(thought)[0], bool(reasoning))
            found.replies.append(replies[key])
        if kind == "ActionEvent":
            call = event.get("tool_call") or {}
            function = call.get("function") or call
            replies[key].calls.append(Call(event.get("tool_name") or "", parsed(function.get("arguments")), id))
    elif kind == "MessageEvent":
        message = event.get("llm_message") or {}
        found.say(text_of(message.get("content"))[0], person=event.get("source") == "user")
    elif (
        kind in {"ObservationEvent", "AgentErrorEvent", "UserRejectObservation"}
        and (call := found.call(id)) is not None
    ):
        body = event.get("observation") or {}
        if kind == "ObservationEvent":
            call.result, call.partial, call.failed = _observed(body)
        else:
            said = event.get("error") or f"Action rejected: {event.get('rejection_reason')}"
            call.result, call.failed = said, True
    elif kind in {"Condensation", "CondensationSummaryEvent"}:
        found.summaries += kind == "Condensation"


def _observed(body: Event) -> tuple[str, bool, bool]:
    """An observation of the SDK as ``to_llm_content`` gives it to the model; whether it lost parts, and failed."""
    text, other = text_of(body.get("content", body.get("output")))
    if "metadata" in body:
        text = _in_shell(text, body["metadata"] or {})
    if body.get("is_error"):
        text = f"[An error occurred during execution.]\n{text}"
    return text, other, bool(body.get("is_error")) or body.get("exit_code") not in {None, -1, 0}


def _in_shell(text: str, shell: Event) -> str:
    """A command's output as the model is shown it."""
    text = f"{shell.get('prefix') or ''}{text}{shell.get('suffix') or ''}"
    if shell.get("working_dir"):
        text += f"\n[Current working directory: {shell['working_dir']}]"
    if shell.get("py_interpreter_path"):
        text += f"\n[Python interpreter: {shell['py_interpreter_path']}]"
    if shell.get("exit_code", -1) != -1:
        text += f"\n[Command finished with exit code {shell['exit_code']}]"
    return text


def _count_usage(found: Transcript, replies: dict[str, Reply], output: Event) -> None:
    """``metrics.token_usages`` of an evaluation name the response that each one counts."""
    for usage in (output.get("metrics") or {}).get("token_usages") or []:
        reply = replies.get(usage.get("response_id") or "")
        if reply is not None:
            reply.usage = Usage(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0)

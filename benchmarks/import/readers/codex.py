"""Codex's rollouts (what the model was sent and said, item by item) and the events that ``codex exec --json`` prints.

A rollout does not say where a reply ends: items of the model that follow each other are one, until a result or turn.
``token_count`` carries the usage of a request; older versions write it before the items, newer ones after them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from ..transcript import Call, NotRead, Reply, Transcript, Usage, json_lines, parsed, text_of

Item = dict[str, Any]

NOISE: Final = re.compile(
    r"\s*(?:<(?:environment_context|user_instructions|turn_aborted|user_shell_command|subagent_notification"
    r"|permissions|skill|collaboration_mode|model_switch|INSTRUCTIONS|codex_internal_context|hook_prompt)"
    r"|# AGENTS\.md instructions)"
)
"""How turns begin that Codex wrote in the user's name."""
REQUEST: Final = re.compile(r"\A# Context from my IDE setup:.*?^## My request for Codex:\s*", re.DOTALL | re.MULTILINE)
CODE: Final = re.compile(r"^(?:Exit code:|Process exited with code) (-?\d+)", re.MULTILINE)
CALLS: Final = {"function_call", "custom_tool_call", "local_shell_call", "tool_search_call"}


def read(data: bytes) -> list[Transcript]:
    """The session of a rollout, with what was rolled back as a branch; or that of an event stream."""
    lines = list(json_lines(data))
    if any(line.get("type") == "thread.started" for line in lines[:3]):
        return [_events(lines)]
    if not any(line.get("type") in {"session_meta", "response_item"} or "role" in line for line in lines):
        raise NotRead("no items of a rollout")
    rollout = _Rollout()
    for line in lines:
        rollout.take(line)
    return rollout.transcripts()


class _Rollout:
    def __init__(self) -> None:
        self.found = Transcript()
        self.branches: list[Transcript] = []
        self.open = False
        """Whether the next item of the model belongs to the last reply."""
        self.model = ""
        self.usage: Usage | None = None
        """Of a reply whose items are still to come."""
        self.total: Any = None
        self.began: list[int] = []
        """How many replies there were at each turn of a person."""

    def take(self, line: Item) -> None:
        kind, payload = line.get("type"), line.get("payload")
        if kind == "response_item" or (payload is None and kind != "session_meta"):
            self.item(payload or line)
        elif kind == "session_meta":
            self.found.name = self.found.name or str((payload or line).get("id") or "")
        elif kind == "turn_context":
            self.model = (payload or {}).get("model") or self.model
        elif kind == "compacted":
            self.found.summaries += 1
            self.open = False
        elif kind == "event_msg":
            self.event(payload or {})

    def event(self, event: Item) -> None:
        match event.get("type"):
            case "token_count":
                info = event.get("info") or {}
                last, total = info.get("last_token_usage"), info.get("total_token_usage")
                if not last or total == self.total:
                    return
                self.total = total
                usage = Usage(last.get("input_tokens") or 0, last.get("output_tokens") or 0)
                if self.found.replies and self.found.replies[-1].usage is None:
                    self.found.replies[-1].usage = usage
                else:
                    self.usage = usage
            case "thread_rolled_back":
                self.roll_back(int(event.get("num_turns") or 0))
            case "turn_aborted" | "task_complete" | "task_started":
                self.open = False
            case _:
                pass

    def roll_back(self, turns: int) -> None:
        """The last turns of the person were taken back, with all that came of them."""
        if not turns or not self.began:
            return
        border = self.began[-min(turns, len(self.began))]
        del self.began[-turns:]
        lost = self.found.replies[border:]
        del self.found.replies[border:]
        if border:
            self.found.replies[border - 1].turns.clear()
        else:
            self.found.task = ""
        if lost:
            self.branches.append(Transcript(replies=lost, role="branch"))
        self.open = False

    def item(self, item: Item) -> None:
        kind = item.get("type") or ("message" if "role" in item else "")
        if kind == "message":
            self.message(item)
        elif kind == "reasoning":
            reply = self.reply()
            reply.reasoning |= any(text_of(item.get(key))[0] for key in ("summary", "content"))
        elif kind in CALLS:
            name = item.get("name") or {"local_shell_call": "local_shell", "tool_search_call": "tool_search"}.get(
                kind, ""
            )
            arguments = next((item[key] for key in ("arguments", "input", "action") if key in item), None)
            self.reply().calls.append(Call(name, parsed(arguments), item.get("call_id") or item.get("id") or ""))
        elif kind.endswith("_output"):
            self.open = False
            call = self.found.call(item.get("call_id") or "")
            if call is not None and call.result is None:
                call.result, call.failed, call.partial = _result(item.get("output"))

    def message(self, item: Item) -> None:
        text = text_of(item.get("content"))[0]
        if item.get("role") == "assistant":
            reply = self.reply()
            reply.text = f"{reply.text}\n{text}" if reply.text else text
            return
        self.open = False
        if item.get("role") == "user" and not NOISE.match(text):
            self.began.append(len(self.found.replies))
            self.found.say(REQUEST.sub("", text))
        else:
            self.found.say(text, person=False)

    def reply(self) -> Reply:
        if not self.open:
            self.found.replies.append(Reply(model=self.model, usage=self.usage))
            self.usage = None
            self.open = True
        return self.found.replies[-1]

    def transcripts(self) -> list[Transcript]:
        return [self.found, *self.branches]


def _result(output: Any) -> tuple[str, bool | None, bool]:
    """Text, failed or not, and whether a part was no text; the text is as the model was shown it."""
    if isinstance(output, dict):  # written by some versions in place of the text alone
        text, other = text_of(output.get("content") or output.get("output") or "")
        return text, None if output.get("success") is None else not output["success"], other
    text, other = text_of(output)
    whole = parsed(text)
    if isinstance(whole, dict) and isinstance(whole.get("metadata"), dict):
        code = whole["metadata"].get("exit_code")
        return text, None if code is None else code != 0, other
    code_line = CODE.search(text[:400])
    return text, None if code_line is None else code_line.group(1) != "0", other


def _events(lines: list[Item]) -> Transcript:
    """``codex exec --json``: items that are done; a command is a call with its output. The prompt is not among them."""
    found = Transcript()
    open_ = False
    for line in lines:
        kind, item = line.get("type"), line.get("item") or {}
        if kind == "thread.started":
            found.name = line.get("thread_id") or ""
        elif kind == "turn.started":
            open_ = False
        if kind != "item.completed":
            continue
        what = item.get("type")
        if what not in {"reasoning", "agent_message", "command_execution", "mcp_tool_call", "file_change"}:
            continue
        if not open_ or (found.replies[-1].calls and what in {"reasoning", "agent_message"}):
            found.replies.append(Reply())
        reply = found.replies[-1]
        open_ = True
        if what == "reasoning":
            reply.reasoning |= bool(item.get("text"))
        elif what == "agent_message":
            reply.text = item.get("text") or ""
        else:
            reply.calls.append(_event_call(item))
    return found


def _event_call(item: Item) -> Call:
    id = item.get("id") or ""
    if item["type"] == "command_execution":
        code = item.get("exit_code")
        failed = None if code is None else code != 0
        return Call("command_execution", {"command": item.get("command")}, id, item.get("aggregated_output"), failed)
    if item["type"] == "mcp_tool_call":
        text, other = text_of((item.get("result") or {}).get("content"))
        error = (item.get("error") or {}).get("message")
        return Call(
            item.get("tool") or "", item.get("arguments"), id, error or text, item.get("status") == "failed", other
        )
    failed = item.get("status") == "failed"
    return Call("file_change", {"changes": item.get("changes")}, id, json.dumps(item.get("status")), failed)

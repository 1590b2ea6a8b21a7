"""The records of one way through a Codex rollout as turns: a reply is all items up to its results."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

import msgspec

from sessions.events.messages import Usage
from sessions.importers.builder import Call, time_ms
from sessions.importers.content_losses import find_losses
from sessions.importers.documents import as_text, count, items, loads, table, text_of
from sessions.importers.harness_text import is_hand_off, person_words
from sessions.importers.outcomes import outcome_of_text
from sessions.importers.reply_parts import reply_message
from sessions.importers.turns import Compaction, Reply, Result, Speech, Turn

Record = dict[str, Any]

_REPEATS: Final = frozenset(
    {
        "user_message",
        "agent_reasoning_raw_content",
        "agent_reasoning_section_break",
        "context_compacted",
        "task_started",
        "task_complete",
        "turn_started",
        "turn_complete",
        "thread_rolled_back",
        "exec_command_begin",
        "mcp_tool_call_begin",
        "patch_apply_begin",
        "web_search_begin",
    }
)
"""Events that only repeat what items say."""
_ENDED: Final = frozenset({"exec_command_end", "mcp_tool_call_end", "patch_apply_end", "dynamic_tool_call_response"})
_EXIT: Final = re.compile(r"^(?:Exit code:|Process exited with code) (-?\d+)$", re.M)
_TOOK: Final = re.compile(r"^Wall time: (\d+(?:\.\d+)?) seconds?$", re.M)
_HEAD_END: Final = re.compile(r"^Output:$", re.M)
_TIMED_OUT: Final = re.compile(r"^(?:command timed out after|execution error: Timeout)", re.I)
_ABORTED: Final = re.compile(r"^(?:aborted(?: by user)?\b|exec command rejected by user)", re.I)
_REFUSED: Final = re.compile(
    r"(?:failed to parse function arguments|unsupported (?:custom tool )?call:|apply_patch verification failed"
    r"|exec_command failed|write_stdin failed|execution error:|failed in sandbox|unable to locate image at)"
)
"""How results begin that Codex gives instead of a tool's."""
_LABEL: Final = re.compile(r"</?image\b[^<>]*>")
"""A part that only says which image stands beside it."""
_SEALED: Final = frozenset({"compaction", "compaction_summary", "context_compaction"})
SEALED: Final = "(The summary is encrypted: only the model can read it.)"


def is_person_turn(record: Record) -> bool:
    """Whether the record is a turn in which a person says something."""
    payload = table(record.get("payload"))
    if record.get("type") != "response_item" or payload.get("type") != "message" or payload.get("role") != "user":
        return False
    return bool(_person_words(payload))


class TurnReader:
    """Takes the records of one way in order."""

    def __init__(self, copied: int = 0) -> None:
        self.turns: list[Turn] = []
        self.skipped: Counter[str] = Counter()
        self.places: dict[int, int] = {}
        """The number of the last turn after each record, by its place."""
        self.model = ""
        self.context_tokens = 0
        self.end: tuple[Any, str] = ("finished", "")
        """The state that the recording ends in, and why, where that is no normal end."""
        self._copied = copied
        self._model = ""
        self._open: Reply | None = None
        self._done = False
        """Whether the server has said what the open reply cost: what comes now is another one."""
        self._last: Reply | None = None
        self._announced = False
        """Whether an event has told of a reply whose items have not come yet."""
        self._next_usage: Usage | None = None
        self._total: tuple[int, int] | None = None
        self._ended: dict[str, dict[str, Any]] = {}
        self._shown: dict[str, list[Result]] = {}

    def take(self, place: int, record: Record) -> None:
        """The next record; ``place`` is its number in the file."""
        kind, payload = as_text(record.get("type")), table(record.get("payload"))
        match kind:
            case "response_item":
                self._item(payload, time_ms(record.get("timestamp")), copied=place < self._copied)
                self.end = ("finished", "")
            case "compacted":
                self._compact(payload, time_ms(record.get("timestamp")))
            case "event_msg":
                self._event(payload)
            case "turn_context":
                self._model = as_text(payload.get("model")) or self._model
                self.model = self.model or self._model
            case "session_meta":
                pass
            case _:
                self.skipped[f"record {kind or '?'}"] += 1
        self.places[place] = len(self.turns) - 1

    def finish(self) -> list[Turn]:
        """All turns."""
        for name, results in self._shown.items():
            if name in self._ended:
                for result in results:
                    _complete(result, self._ended[name])
        return self.turns

    def _event(self, payload: dict[str, Any]) -> None:
        name = as_text(payload.get("type"))
        if name == "token_count":
            self._count(payload)
        elif name in _ENDED:
            self._ended[as_text(payload.get("call_id"))] = payload
        elif name in ("error", "stream_error"):
            self.end = ("stopped", as_text(payload.get("message")) or "an error of the server")
        elif name == "turn_aborted":
            self.end = ("stopped", f"the turn was {as_text(payload.get('reason')) or 'aborted'}")
        elif name in ("agent_reasoning", "agent_message"):
            self._announced = self._open is None
        elif name not in _REPEATS:
            self.skipped[f"event {name or '?'}"] += 1

    def _count(self, payload: dict[str, Any]) -> None:
        """Tokens of the last reply; the same figures are told again with every change of the rate limits."""
        info = table(payload.get("info"))
        self.context_tokens = count(info.get("model_context_window")) or self.context_tokens
        sums = table(info.get("total_token_usage"))
        total = (count(sums.get("input_tokens")), count(sums.get("output_tokens")))
        told = table(info.get("last_token_usage")) or ({} if info else payload)
        if sums and total == self._total:
            return
        self._total = total if sums else None
        sent, said = count(told.get("input_tokens")), count(told.get("output_tokens"))
        if not sent and not said:
            return
        cached, thought = count(told.get("cached_input_tokens")), count(told.get("reasoning_output_tokens"))
        usage = Usage(sent, said, cached, reasoning_tokens=thought)
        if self._open is not None and self._open.usage is None:
            self._open.usage, self._done = usage, True
        elif self._open is None and self._last is not None and self._last.usage is None and not self._announced:
            self._last.usage = usage
        else:  # some versions tell them before the items of the reply
            self._next_usage, self._done = usage, True

    def _item(self, item: dict[str, Any], at: int | None, *, copied: bool) -> None:
        kind = as_text(item.get("type"))
        match kind:
            case "message" if item.get("role") == "assistant":
                self._reply(at, copied)
                assert self._open is not None
                text = text_of(item.get("content"))
                self._open.text = "\n\n".join(part for part in (self._open.text, text) if part)
            case "message":
                self._message(item, at)
            case "reasoning":
                thought = text_of(item.get("summary"), ("summary_text",)) or text_of(
                    item.get("content"), ("reasoning_text", "text")
                )
                self._reply(at, copied)
                assert self._open is not None
                if not thought and "reasoning" not in self._open.lost:
                    self._open.lost.append("reasoning")
                self._open.reasoning = "\n".join(part for part in (self._open.reasoning, thought) if part)
            case "function_call" | "custom_tool_call" | "local_shell_call" | "tool_search_call":
                self._call(item, kind, at, copied)
            case "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" | "tool_search_output":
                self._result(item, at)
            case "web_search_call" | "image_generation_call":
                # What the server's own tool found the model read, and no item of the file has it.
                self._reply(at, copied)
                assert self._open is not None
                self._open.lost.append("image" if kind == "image_generation_call" else "result")
            case _ if kind in _SEALED:
                self.skipped["compaction that is encrypted"] += 1
            case _:
                self.skipped[f"item {kind or '?'}"] += 1

    def _reply(self, at: int | None, copied: bool) -> None:
        """Go on with the open reply, or begin another."""
        if self._open is None or self._done:
            self._open = self._last = Reply(at=at, model=self._model, usage=self._next_usage, salvaged=copied)
            self._done, self._next_usage, self._announced = False, None, False
            self.turns.append(self._open)

    def _call(self, item: dict[str, Any], kind: str, at: int | None, copied: bool) -> None:
        self._reply(at, copied)
        assert self._open is not None
        name = as_text(item.get("name")) or {"local_shell_call": "local_shell", "tool_search_call": "tool_search"}.get(
            kind, "?"
        )
        given: Any = item.get("arguments")
        if kind == "custom_tool_call":
            given = {"input": item.get("input")}
        elif kind == "local_shell_call":
            given = item.get("action")
        identity = as_text(item.get("call_id")) or as_text(item.get("id")) or f"call-{len(self.turns)}"
        self._open.calls.append(Call(identity, name, as_text(given), at))

    def _result(self, item: dict[str, Any], at: int | None) -> None:
        self._open, self._done = None, False
        result = read_output(item.get("output", item.get("tools")))
        result.call, result.at = as_text(item.get("call_id")), at
        if item.get("status") == "failed" and result.outcome == "ok":
            result.outcome = "error"
        result.lost = find_losses(item.get("output"))
        self._shown.setdefault(result.call, []).append(result)
        self.turns.append(result)

    def _message(self, item: dict[str, Any], at: int | None) -> None:
        role, text = item.get("role"), text_of(item.get("content"))
        if role not in ("user", "system", "developer"):
            self.skipped[f"message with the role {role!r}"] += 1
            return
        self._open, self._done = None, False
        if role == "user":
            self.turns.append(Speech(text, at, _person_words(item), lost=find_losses(item.get("content"))))
        else:
            self.turns.append(Speech(text, at, role=role))

    def _compact(self, payload: dict[str, Any], at: int | None) -> None:
        """The context becomes what the record says, or, in older files, what people said and the summary."""
        self._open, self._done = None, False
        summary, history = as_text(payload.get("message")), payload.get("replacement_history")
        if isinstance(history, list):
            context: list[dict[str, Any] | Turn] = [*_chat_of(items(history))]
            sealed = any(as_text(item.get("type")) in _SEALED for item in items(history))
            said = [text for item in items(history) if is_hand_off(text := text_of(item.get("content")))]
            text = summary or "\n\n".join(said) or (SEALED if sealed else "")
            self.turns.append(Compaction(text, at, context, ["history"] if sealed else []))
            return
        speeches = [turn for turn in self.turns if isinstance(turn, Speech)]
        kept: list[dict[str, Any] | Turn] = [
            {"role": speech.role, "content": speech.text}
            for speech in speeches
            if speech.text.strip() and not is_hand_off(speech.text)
        ]
        message: dict[str, Any] = {"role": "user", "content": summary or "(no summary available)"}
        self.turns.append(Compaction(summary, at, [*kept, message]))


def _person_words(item: dict[str, Any]) -> str:
    """What a person said in a message: in parts that no harness wrote."""
    content = item.get("content")
    texts = [content] if isinstance(content, str) else [text_of([part]) for part in items(content)]
    said = [text for text in texts if not _LABEL.fullmatch(text.strip())]
    return "\n\n".join(words for text in said if (words := person_words(text)))


def _chat_of(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items of a replaced history as messages; what is encrypted nobody can read."""
    chat: list[dict[str, Any]] = []
    for item in history:
        kind = as_text(item.get("type"))
        if kind == "message":
            chat.append({"role": as_text(item.get("role")) or "user", "content": text_of(item.get("content"))})
        elif kind in ("function_call", "custom_tool_call", "local_shell_call"):
            given = item.get("arguments")
            given = {"input": item.get("input")} if kind == "custom_tool_call" else given or item.get("action")
            call = Call(as_text(item.get("call_id")), as_text(item.get("name")) or "?", as_text(given))
            reply = reply_message("", [call])
            if chat and chat[-1]["role"] == "assistant":
                chat[-1].setdefault("tool_calls", []).extend(reply["tool_calls"])
            else:
                chat.append(reply)
        elif kind in ("function_call_output", "custom_tool_call_output"):
            text = read_output(item.get("output")).text
            chat.append({"role": "tool", "tool_call_id": as_text(item.get("call_id")), "content": text})
    return chat


def read_output(value: Any) -> Result:
    """What a call returned, word for word as the model read it, and whether it failed."""
    if isinstance(value, str):
        result = Result("", value)
        output, metadata = _parts_of(value) if value.startswith("{") else (msgspec.UNSET, None)
        if output is not msgspec.UNSET and isinstance(metadata, dict):
            _judge(result, metadata)
            _judge_words(result, as_text(output))
        else:
            _judge_words(result, value)
            result.outcome = outcome_of_text(value) if result.outcome == "ok" else result.outcome
        return result
    told = table(value)
    text = text_of(value if isinstance(value, list) else told.get("content")) or as_text(told.get("body"))
    result = Result("", text or ("" if isinstance(value, list) else as_text(told.get("output"))))
    _judge_words(result, result.text)
    if told.get("success") is False:
        result.outcome = "error"
    return result


class _Told(msgspec.Struct, frozen=True):
    """What is read of a result that is JSON text: all of a large recording stands in these."""

    output: Any = msgspec.UNSET
    metadata: Any = None


_TOLD: Final = msgspec.json.Decoder(_Told)


def _parts_of(text: str) -> tuple[Any, Any]:
    """``output`` (UNSET if there is none) and ``metadata`` of an object that is written in ``text``."""
    try:
        told = _TOLD.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        try:  # what the strict reader refuses may be JSON as Python takes it
            whole = table(loads(text))
        except ValueError:
            return msgspec.UNSET, None
        return whole.get("output", msgspec.UNSET), whole.get("metadata")
    return told.output, told.metadata


def _judge(result: Result, told: dict[str, Any]) -> None:
    """What the metadata of a result says: exit code, duration."""
    code = told.get("exit_code")
    if isinstance(code, int) and not isinstance(code, bool):
        result.data["exit_code"] = code
        result.outcome = "error" if code else result.outcome
    took = told.get("duration_seconds")
    if isinstance(took, int | float) and not isinstance(took, bool) and 0 <= took < 1e9:
        result.duration_ms = round(took * 1000)


def _judge_words(result: Result, text: str) -> None:
    """What the first lines of a result say, before its ``Output:``."""
    begin = text[:4096]
    end = _HEAD_END.search(begin) if "Output:" in begin else None
    if end:
        head = begin[: end.start()]
        if found := _EXIT.search(head):
            _judge(result, {"exit_code": int(found[1])})
        if found := _TOOK.search(head):
            _judge(result, {"duration_seconds": float(found[1])})
    # What a command printed says nothing of it, unless it failed as well.
    body = text[end.end() : end.end() + 200].lstrip() if end and result.outcome == "error" else text
    if _TIMED_OUT.match(body):
        result.outcome = "timeout"
    elif _REFUSED.match(text):
        result.outcome = "error"
    elif _ABORTED.match(text):
        result.outcome = "interrupted"


def _complete(result: Result, ended: dict[str, Any]) -> None:
    """What the event of a call's end says that its result does not."""
    took = table(ended.get("duration"))
    if result.duration_ms is None and took:
        result.duration_ms = count(took.get("secs")) * 1000 + count(took.get("nanos")) // 1_000_000
    code = ended.get("exit_code")
    if isinstance(code, int) and "exit_code" not in result.data:
        _judge(result, {"exit_code": code})
    told = table(ended.get("result"))
    failed = ended.get("success") is False or "Err" in told or table(told.get("Ok")).get("isError") is True
    if (failed or ended.get("status") in ("failed", "declined")) and result.outcome == "ok":
        result.outcome = "error"

"""OpenHands: the SDK's typed events, and the older trajectories of actions and observations; a file, a folder of
events, or the ``output.jsonl`` of its evaluations, a session per line.

A reply is all calls of one response of the model, wherever its actions stand; results are worded as the tool words them
for its model (exit code, working directory).
"""

from __future__ import annotations

from typing import Any, Final

from sessions import events as ev
from sessions.events.recording import LostPart
from sessions.importers import documents
from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.builder import Call, SessionBuilder, time_ms
from sessions.importers.chat_messages import read_message, read_thoughts
from sessions.importers.content_losses import find_losses
from sessions.importers.documents import Document, as_text, items, money, table, text_of
from sessions.importers.openhands_metrics import RunMetrics, read_metrics, usage_of
from sessions.importers.openhands_view import EventView
from sessions.importers.outcomes import outcome_of
from sessions.terminal_text import say_count

_CONTINUE: Final = "Please continue working on the task on whatever approach you think is suitable."
"""What its evaluations say in place of a person."""


def recognises(found: Document) -> bool:
    """Whether the records are events of the SDK."""
    return any(_is_sdk(record) for record in found.records[:20])


def is_old(found: Document) -> bool:
    """Whether the records are actions and observations of an older OpenHands."""
    return any(_is_old(record) for record in found.records[:20])


def is_output(found: Document) -> bool:
    """Whether the records are those of an ``output.jsonl``: whole histories."""
    return any(_history(record) for record in found.records[:5])


def parse(found: Document) -> list[ImportedSession]:
    """The one session of a file of events, of either kind."""
    records = found.records
    key = as_text([record.get("id") for record in records[:8]]) + as_text(records[:1])[:65536]
    builder = SessionBuilder("openhands", key)
    if found.broken:
        builder.skipped["line that is no JSON object"] += found.broken
    return [_read(builder, records, {}, unattended=False)]


def parse_output(found: Document) -> list[ImportedSession]:
    """A session per line that has a history with a reply."""
    made: list[ImportedSession] = []
    empty = 0
    for record in found.records:
        history = _history(record)
        config = table(table(record.get("metadata")).get("llm_config"))
        instance = as_text(record.get("instance_id"))
        builder = SessionBuilder(
            "openhands",
            f"{instance}\0{as_text(history[:3])[:65536]}",
            as_text(config.get("model")),
            title=instance[:60],
            task_id=instance,
            meta={"instance": instance} if instance else {},
        )
        try:
            made.append(_read(builder, history, record, unattended=True))
        except CannotImport:
            empty += 1
    if made and empty:
        made[0].warnings.append(f"{say_count(empty, 'line')} of the file hold no reply and were left out")
    if made and found.broken:
        made[0].warnings.append(f"{say_count(found.broken, 'line')} are no JSON object and were left out")
    return made


def _history(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a line of ``output.jsonl``; older ones have pairs of an action and its observation."""
    found = record.get("history")
    if not isinstance(found, list):
        return []
    flat = [event for one in found for event in (items(one) if isinstance(one, list) else items([one]))]
    known = any(_is_sdk(event) or _is_old(event) or "observation" in event for event in flat[:20])
    return flat if known else []


def _is_sdk(record: dict[str, Any]) -> bool:
    return "kind" in record and "source" in record and str(record["kind"]).endswith(("Event", "Observation"))


def _is_old(record: dict[str, Any]) -> bool:
    return "action" in record and ("args" in record or "is_confirmed" in record or "wait_for_response" in record)


def _read(
    builder: SessionBuilder, events: list[dict[str, Any]], record: dict[str, Any], *, unattended: bool
) -> ImportedSession:
    """The session of these events. ``unattended``: no person was there after the task."""
    metrics = read_metrics(events, record)
    builder.model = builder.model or metrics.model
    builder.started = next((at for at in map(time_ms, (event.get("timestamp") for event in events)) if at), None)
    reader: _SdkReader | _OldReader
    if any(_is_sdk(event) for event in events[:20]):
        reader = _SdkReader(builder, events, metrics, unattended)
    else:
        reader = _OldReader(builder, events, metrics, unattended)
    for event in events:
        reader.take(event)
    builder.add_totals(metrics.usage, metrics.cost)
    problem = as_text(record.get("error")) or reader.problem
    if problem:
        return builder.finish(state="stopped", reason=f"error: {problem}"[:500])
    return builder.finish()


def _worded(text: str, told: dict[str, Any], metadata: dict[str, Any]) -> str:
    """The output of a command as OpenHands words it for its model."""
    said = f"{as_text(metadata.get('prefix'))}{text}{as_text(metadata.get('suffix'))}"
    if metadata.get("working_dir"):
        said += f"\n[Current working directory: {as_text(metadata['working_dir'])}]"
    if metadata.get("py_interpreter_path"):
        said += f"\n[Python interpreter: {as_text(metadata['py_interpreter_path'])}]"
    code = metadata.get("exit_code", told.get("exit_code"))
    if isinstance(code, int) and code != -1:
        said += f"\n[Command finished with exit code {code}]"
    return said


def _outcome(told: dict[str, Any], metadata: dict[str, Any]) -> ev.Outcome:
    """How a call ended. Of a command that goes on after its time-out the exit code is -1."""
    if told.get("timeout") is True:
        return "timeout"
    code = metadata.get("exit_code", told.get("exit_code"))
    return outcome_of({**told, "exit_code": None if code == -1 else code, "success": None})


_IN_VIEW: Final = frozenset(
    {"SystemPromptEvent", "MessageEvent", "ActionEvent", "ObservationEvent", "AgentErrorEvent", "UserRejectObservation"}
)
"""The kinds of events that become messages of a prompt."""


class _Reader:
    """What both kinds of events are read with."""

    def __init__(self, builder: SessionBuilder, metrics: RunMetrics, unattended: bool) -> None:
        self.builder = builder
        self.metrics = metrics
        self.unattended = unattended
        self.problem = ""
        """Why the run ended early, if it did."""
        self.view = EventView(builder)
        self.replies: dict[str, range] = {}
        """What was made in the log of each response that has a reply."""


class _SdkReader(_Reader):
    """Events of the SDK. All calls of a response are one reply, made where the first of them stands."""

    def __init__(
        self, builder: SessionBuilder, events: list[dict[str, Any]], metrics: RunMetrics, unattended: bool
    ) -> None:
        super().__init__(builder, metrics, unattended)
        self.actions: dict[str, list[dict[str, Any]]] = {}
        """The actions of each response that no reply was made of yet."""
        for event in events:
            if event.get("kind") == "ActionEvent":
                self.actions.setdefault(_response(event), []).append(event)

    def take(self, event: dict[str, Any]) -> None:
        """The next event."""
        before = len(self.builder.events)
        self._take(event)
        if event.get("kind") in _IN_VIEW:
            made = range(before + 1, len(self.builder.events) + 1)
            if event["kind"] == "ActionEvent":
                made = self.replies.setdefault(_response(event), made)
            self.view.add(as_text(event.get("id")), made)

    def _take(self, event: dict[str, Any]) -> None:
        at = time_ms(event.get("timestamp"))
        kind = as_text(event.get("kind"))
        match kind:
            case "SystemPromptEvent":
                tools = items(event.get("tools"))
                self.builder.tools = [{"type": "function", "function": _schema(tool)} for tool in tools]
                texts = (text_of(event.get(name)) for name in ("system_prompt", "dynamic_context"))
                self.builder.add_system("\n\n".join(text for text in texts if text))
            case "MessageEvent":
                self._message(event, at)
            case "ActionEvent":
                self._reply(self.actions.pop(_response(event), []), at)
            case "ObservationEvent" | "AgentErrorEvent" | "UserRejectObservation":
                self._observation(event, kind, at)
            case "Condensation":
                forgotten = {as_text(one) for one in _list(event.get("forgotten_event_ids"))}
                offset, name = event.get("summary_offset"), as_text(event.get("id"))
                summary = as_text(event.get("summary"))
                place = offset if isinstance(offset, int) else None if summary else 0
                if forgotten or summary:
                    self.view.condense(name, forgotten, summary if place is not None else "", place, at)
            case "ConversationErrorEvent":
                self.problem = f"{as_text(event.get('code'))}: {as_text(event.get('detail'))}"
            case documents.STATE:
                pass
            case _:
                self.builder.skipped[f"event {kind or '?'}"] += 1

    def _message(self, event: dict[str, Any], at: int | None) -> None:
        message = table(event.get("llm_message"))
        if message.get("role") == "assistant":
            said = read_message({**message, "reasoning_details": _thoughts(message)})
            response = as_text(event.get("llm_response_id"))
            self.builder.add_reply(
                said.text,
                said.calls,
                said.reasoning,
                at,
                self.metrics.usages.get(response),
                duration_ms=self.metrics.took.get(response),
                lost=said.lost,
            )
            return
        content = [*_list(message.get("content")), *_list(event.get("extended_content"))]
        text = text_of(content)
        begun = self.builder.step > 0
        by_host = event.get("source") != "user" or (begun and self.unattended) or text.startswith(_CONTINUE)
        self.builder.add_user(text, at, by_host=by_host, lost=find_losses(content))

    def _reply(self, actions: list[dict[str, Any]], at: int | None) -> None:
        if not actions:  # of a response whose reply was made before
            return
        first = actions[0]
        texts, hidden = read_thoughts(_thoughts(first))
        reasoning = as_text(first.get("reasoning_content")) or "\n".join(texts)
        response = as_text(first.get("llm_response_id"))
        usage = self.metrics.usages.get(response)
        lost: list[LostPart] = find_losses(first.get("thought"))
        if hidden or (usage is not None and usage.reasoning_tokens and not reasoning):
            lost.append("reasoning")
        self.builder.add_reply(
            text_of(first.get("thought")),
            [_call(action) for action in actions],
            reasoning,
            at,
            usage,
            duration_ms=self.metrics.took.get(response),
            lost=lost,
        )

    def _observation(self, event: dict[str, Any], kind: str, at: int | None) -> None:
        told = table(event.get("observation"))
        metadata = table(told.get("metadata"))
        content = [*_list(told.get("content")), *_list(event.get("extended_content"))]
        text = text_of(told.get("content")) or as_text(told.get("output"))
        outcome: ev.Outcome = _outcome(told, metadata)
        if metadata:
            text = _worded(text, told, metadata)
        if told.get("is_error") is True:
            text = f"[An error occurred during execution.]\n{text}"
        text = "\n\n".join(one for one in (text, text_of(event.get("extended_content"))) if one)
        if kind == "AgentErrorEvent":
            text, outcome = as_text(event.get("error")), "error"
        elif kind == "UserRejectObservation":
            text, outcome = f"Action rejected: {as_text(event.get('rejection_reason'))}", "interrupted"
        self.builder.add_result(
            as_text(event.get("tool_call_id")) or None, text, outcome=outcome, at=at, lost=find_losses(content)
        )


def _response(event: dict[str, Any]) -> str:
    """Of which response an action is; one that does not say is of its own."""
    return (
        as_text(event.get("llm_response_id"))
        or f"event {as_text(event.get('id'))} {as_text(event.get('tool_call_id'))}"
    )


def _list(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [] if content is None else [content]


def _thoughts(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Reasoning that is in blocks: Anthropic's, and the item of the Responses API (its texts are plain there)."""
    item = table(event.get("responses_reasoning_item"))
    blocks = items(event.get("thinking_blocks"))
    if item:
        shown = [one for name in ("content", "summary") for one in _list(item.get(name)) if isinstance(one, str)]
        blocks.append(
            {"type": "reasoning", "text": "\n".join(shown), "encrypted_content": item.get("encrypted_content")}
        )
    return blocks


def _call(event: dict[str, Any]) -> Call:
    told = table(event.get("tool_call"))
    function = table(told.get("function"))
    arguments = told.get("arguments", function.get("arguments"))
    if arguments is None:
        arguments = {k: v for k, v in table(event.get("action")).items() if k != "kind"}
    name = as_text(event.get("tool_name")) or as_text(told.get("name")) or "?"
    return Call(as_text(event.get("tool_call_id")) or as_text(event.get("id")), name, as_text(arguments))


def _schema(tool: dict[str, Any]) -> dict[str, Any]:
    function = table(tool.get("function")) or tool
    found: dict[str, Any] = {n: function[n] for n in ("name", "description", "parameters") if n in function}
    if "inputSchema" in tool:
        found["parameters"] = tool["inputSchema"]
    return found


_NOT_ARGUMENTS: Final = frozenset(
    {"thought", "confirmation_state", "security_risk", "is_confirmed", "action", "args", "kernel_init_code"}
)
_TOP: Final = frozenset({"id", "timestamp", "source", "message", "cause", "timeout", "keep_prompt", "action_risk"})
_MOST: Final = 1_000_000
"""More events than any conversation has."""
_QUIET: Final = frozenset({"agent_state_changed", "null", "recall", "loop_recovery"})
"""Observations that no model reads as results."""


class _OldReader(_Reader):
    """Actions and observations. The first action of a response makes the whole reply, which has all its calls."""

    def __init__(
        self, builder: SessionBuilder, events: list[dict[str, Any]], metrics: RunMetrics, unattended: bool
    ) -> None:
        super().__init__(builder, metrics, unattended)
        self.spent = 0.0
        self.attended = any("source" in event for event in events)
        """Whether events say who made them; the oldest do not."""

    def take(self, event: dict[str, Any]) -> None:
        """The next action or observation."""
        before = len(self.builder.events)
        action = as_text(event.get("action"))
        self._take(event, action)
        made = range(before + 1, len(self.builder.events) + 1)
        response = as_text(table(table(event.get("tool_call_metadata")).get("model_response")).get("id"))
        if action and response:
            made = self.replies.get(response, made)
        if action != "condensation" and (made or action in ("system", "recall")):
            self.view.add(as_text(event.get("id")), made)

    def _take(self, event: dict[str, Any], action: str) -> None:
        at = time_ms(event.get("timestamp"))
        if "observation" in event and not action:
            self._observation(event, at)
            return
        arguments = table(event.get("args")) or {k: v for k, v in event.items() if k not in _TOP}
        source, begun = event.get("source"), self.builder.has_task
        if not self.attended:
            source = "user" if action == "message" and not begun else "agent"
        text = as_text(arguments.get("content")) or as_text(event.get("message"))
        images = arguments.get("image_urls") or arguments.get("images_urls")
        lost: list[LostPart] = ["image"] * len(images) if isinstance(images, list) else []
        if action == "system":
            self.builder.tools = items(arguments.get("tools"))
            self.builder.add_system(text)
        elif action == "message" and source == "agent":
            self._add_reply(event, text, [], "", at, lost=lost)
        elif action == "message":
            by_host = begun and (self.unattended or not self.builder.step or text.startswith(_CONTINUE))
            self.builder.add_user(text, at, by_host=by_host, lost=lost)
        elif action == "condensation":
            self._condense(event, arguments, at)
        elif source == "agent" and action and action not in ("recall", "change_agent_state", "condensation_request"):
            self._action(event, action, arguments, at)
        elif action != "recall":
            self.builder.skipped[f"action {action or '?'} of {as_text(source) or '?'}"] += 1

    def _condense(self, event: dict[str, Any], arguments: dict[str, Any], at: int | None) -> None:
        forgotten = {as_text(one) for one in _list(arguments.get("forgotten_event_ids"))}
        first, last = arguments.get("forgotten_events_start_id"), arguments.get("forgotten_events_end_id")
        if isinstance(first, int) and isinstance(last, int):
            forgotten |= {str(number) for number in range(first, min(last, first + _MOST) + 1)}
        offset, summary = arguments.get("summary_offset"), as_text(arguments.get("summary"))
        place = offset if isinstance(offset, int) else None
        if forgotten or summary:
            self.view.condense(as_text(event.get("id")), forgotten, summary, place, at, one_summary=True)

    def _action(self, event: dict[str, Any], action: str, arguments: dict[str, Any], at: int | None) -> None:
        told = table(event.get("tool_call_metadata"))
        response = table(told.get("model_response"))
        identity = as_text(told.get("tool_call_id")) or f"action-{as_text(event.get('id'))}"
        name = as_text(response.get("id"))
        if name in self.replies:
            return
        message = table(table(next(iter(items(response.get("choices"))), {})).get("message"))
        said = read_message(message)
        own = {k: v for k, v in arguments.items() if k not in _NOT_ARGUMENTS}
        calls = said.calls or [Call(identity, as_text(told.get("function_name")) or action, as_text(own))]
        text = said.text or as_text(arguments.get("thought"))
        before = len(self.builder.events)
        self._add_reply(event, text, calls, said.reasoning, at, response, said.lost)
        if name:
            self.replies[name] = range(before + 1, len(self.builder.events) + 1)

    def _add_reply(
        self,
        event: dict[str, Any],
        text: str,
        calls: list[Call],
        reasoning: str,
        at: int | None,
        response: dict[str, Any] | None = None,
        lost: list[LostPart] | None = None,
    ) -> None:
        response = response or {}
        name = as_text(response.get("id"))
        usage = usage_of(table(response.get("usage"))) or self.metrics.usages.get(name)
        missing = list(lost or ())
        if usage is not None and usage.reasoning_tokens and not reasoning and "reasoning" not in missing:
            missing.append("reasoning")
        sum_now = money(table(event.get("llm_metrics")).get("accumulated_cost"))
        cost = None if sum_now is None or sum_now <= self.spent else sum_now - self.spent
        self.spent = max(self.spent, sum_now or 0.0)
        self.builder.add_reply(
            text,
            calls,
            reasoning,
            at,
            usage,
            as_text(response.get("model")),
            duration_ms=self.metrics.took.get(name),
            cost=cost,
            lost=missing,
        )

    def _observation(self, event: dict[str, Any], at: int | None) -> None:
        kind, extras = as_text(event.get("observation")), table(event.get("extras"))
        metadata = table(extras.get("metadata"))
        if kind == "recall":
            self._recall(extras, at)
            return
        if kind == "agent_state_changed" and extras.get("agent_state") == "error":
            self.problem = as_text(extras.get("reason")) or "the agent stopped with an error"
        told = table(event.get("tool_call_metadata"))
        cause = event.get("cause")
        if kind in _QUIET or (self.attended and cause is None and not told):
            self.builder.skipped[f"observation {kind or '?'}"] += 1
            return
        # An edit's content was once its diff, for people; what its tool said is what the model read.
        text = as_text(extras.get("formatted_output_and_error") or event.get("content"))
        outcome = _outcome({**extras, "exit_code": extras.get("exit_code", event.get("exit_code"))}, metadata)
        if metadata:
            text = _worded(text, extras, metadata)
        elif kind == "error":
            text, outcome = f"{text}\n[Error occurred in processing last action]", "error"
        elif kind == "user_rejected":
            text, outcome = f"OBSERVATION:\n{text}\n[Last action has been rejected by the user]", "interrupted"
        images = extras.get("image_urls")
        lost: list[LostPart] = ["image"] * (len(images) if isinstance(images, list) else 0)
        name = as_text(told.get("tool_call_id")) or (f"action-{as_text(cause)}" if cause is not None else None)
        self.builder.add_result(name, text, outcome=outcome, at=at, lost=lost)

    def _recall(self, extras: dict[str, Any], at: int | None) -> None:
        """Instructions that OpenHands finds in the workspace and adds to the prompt, in a wording that no file has."""
        names = ("repo_instructions", "additional_agent_instructions", "conversation_instructions")
        texts = [as_text(extras.get(name)) for name in names]
        texts += [as_text(one.get("content")) for one in items(extras.get("microagent_knowledge"))]
        text = "\n\n".join(one.strip() for one in texts if one.strip())
        if text:
            self.builder.add_user(text, at, by_host=True)

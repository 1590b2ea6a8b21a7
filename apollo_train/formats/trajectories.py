"""Whole trajectories for other people's tools: ``atif`` (flags and advice in ``extra``) and ``sts`` (session traces).

They tell what happened, so that nothing is left out of them; the policy chooses the sessions, and what ``atif`` says
of each reply and call: whether it is trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from apollo_train.formats.base import Format, Line, Unit
from apollo_train.masks.reply_masks import ReplyMask, mask_replies
from apollo_train.masks.rules import is_object
from apollo_train.policy import FilterPolicy
from apollo_train.samples.chat import Chat, chat_of_reply, dumps
from apollo_train.samples.prompts import Prompts
from apollo_train.samples.row_meta import task_of
from apollo_train.samples.step_samples import Exclusion, Source
from apollo_train.samples.token_counts import count
from sessions import events as ev
from sessions.annotators import shown_actor
from sessions.fold.flags import Flag
from sessions.fold.trajectory import StepRecord, Trajectory
from sessions.log.errors import LogReadFailed

ATIF: Final = "ATIF-v1.7"
KEY: Final = "apollo"
"""Under which key of ``extra`` our own words are."""


class Trajectories(Format):
    """A format that tells a session as it was."""

    unit: Unit = "segment"
    has_meta = False
    tells_all = True
    weighs = True  # each session is written once

    def refusal(self, policy: FilterPolicy) -> str:
        """What happened cannot be told without the advice."""
        if policy.advice.modes == {"kept"}:
            return ""
        return (
            f"{self.name} tells what happened, and the policy takes advice out: take `steps`, or a policy that keeps "
            "advice"
        )


class AtifFormat(Trajectories):
    """A line is a whole ATIF document: a file of one session is one."""

    name = "atif"
    version = 2
    about = "whole trajectories as ATIF v1.7, flags and advice in extra; can be imported"

    def lines(self, source: Source) -> Iterator[Line | Exclusion]:
        """One document."""
        masks = _masks_by_seq(source)
        yield from _masked_replies(source, masks)
        yield _line(dumps(_Document(source, masks).build()), masks)


class TraceFormat(Trajectories):
    """A header, then a message per line: Hugging Face's Session Trace Simple Format."""

    name = "sts"
    version = 1
    about = "whole trajectories as session traces for Hugging Face's viewer; take one session per file"

    def lines(self, source: Source) -> Iterator[Line | Exclusion]:
        """The header and the messages."""
        masks = _masks_by_seq(source)
        yield from _masked_replies(source, masks)
        judged = source.judged
        header = {"type": "session", "harness": "apollo", "id": judged.session, "name": judged.created.title}
        lines = [dumps({**header, "task": task_of(judged.created, source.policy)})]
        for at, chat, _ in turns_of(source):
            lines.append(dumps({"type": "message", "message": _trace_message(chat, at, judged.created.model.name)}))
        yield _line(b"\n".join(lines), masks)


def _masks_by_seq(source: Source) -> dict[int, ReplyMask]:
    """The verdict on each step's reply."""
    found = mask_replies(source.reader, source.judged, source.policy)
    return {mask.seq: mask for mask in found if not mask.summary}


def _masked_replies(source: Source, masks: dict[int, ReplyMask]) -> Iterator[Exclusion]:
    yield from (source.exclude(mask, mask.reason) for mask in masks.values() if not mask.trained)


def _line(data: bytes, masks: dict[int, ReplyMask]) -> Line:
    trained = [mask for mask in masks.values() if mask.trained]
    counts = [count(mask) for mask in trained]
    return Line(
        data,
        trained=len(trained),
        trained_tokens=sum(c.reply for c in counts),
        processed_tokens=max((c.prompt + c.reply for c in counts), default=0),
        unseen_tokens=sum(c.reply for c, mask in zip(counts, trained, strict=True) if not mask.seen),
        exact_tokens=all(c.exact for c in counts),
        actions=sum(mask.calls for mask in trained),
        models=tuple([mask.model for mask in trained]),
    )


def _records(source: Source) -> Iterator[StepRecord]:
    fold = Trajectory()
    for event in source.reader.stream(source.judged.session, up_to=source.judged.position):
        record = fold.fold(event)
        if record is not None:
            yield record
    if fold.current is not None:
        yield fold.current


TurnWithOrigin = tuple[int, Chat, Any]
"""When (Unix ms), what was said, and the step or the event that it came of."""


def turns_of(source: Source) -> Iterator[TurnWithOrigin]:
    """Everything that was said, in order: system prompt, task, user turns, replies and results."""
    created, reader = source.judged.created, source.reader
    system = _system(source)
    if system:
        yield source.judged.created_at, {"role": "system", "content": system}, None
    yield source.judged.created_at, {"role": "user", "content": created.task}, None
    for record in _records(source):
        turns = (*record.summaries, *record.advice, *record.harness)
        for event in sorted(turns, key=lambda event: event.seq):
            match event.body:
                case ev.SummaryWritten() as written:
                    block = f"\n\n{written.advice}" if written.advice else ""
                    yield event.at, {"role": "user", "content": reader.text(written.text) + block}, event
                case ev.AdviceDelivered(channel="user") as turn:
                    yield event.at, {"role": "user", "content": turn.text}, event
                case ev.HarnessTurn() as told:
                    # These formats know no other role for a turn that is no reply.
                    yield event.at, {"role": "user", "content": told.text}, event
                case _:
                    continue
        if record.reply is not None and record.reply_body is not None:
            yield record.reply.at, chat_of_reply(record.reply_body.parts), record
            for call in record.calls:
                if call.ended is not None and call.part is not None:
                    text = _result_text(source, call.ended)
                    yield call.ended.at, {"role": "tool", "content": text, "tool_call_id": call.part.id}, call
        if record.nudge is not None and isinstance(record.nudge.body, ev.NudgeSent):
            yield record.nudge.at, {"role": "user", "content": record.nudge.body.text}, record.nudge


def _result_text(source: Source, ended: ev.Event) -> str:
    if isinstance(ended.body, ev.ActionResult):
        return source.reader.text(ended.body.shown or ended.body.output)
    return ended.body.shown if isinstance(ended.body, ev.ActionRefused) else ""


def _system(source: Source) -> str:
    """The system prompt as it was sent, or as the session was made with."""
    first = source.reader.events(source.judged.session, kinds=("model.request",), limit=1)
    try:
        turns = Prompts(source.reader, source.judged).of(first[0].seq).turns if first else []
    except LogReadFailed:
        turns = []
    sent = next((str(turn.chat["content"]) for turn in turns if turn.chat["role"] == "system"), "")
    stored = source.judged.created.system
    return sent or (source.reader.text(stored) if stored else "")


class _Document:
    """One session as ATIF."""

    def __init__(self, source: Source, masks: dict[int, ReplyMask]) -> None:
        self.source, self.masks = source, masks
        self.steps: list[dict[str, Any]] = []
        self.flags: dict[int, list[Flag]] = {}
        self.loose: list[Flag] = []
        self.scores: list[dict[str, Any]] = []
        for flag in source.judged.flags.active:
            if flag.target.part in ("span", "summary"):
                self.loose.append(flag)
            else:
                self.flags.setdefault(flag.target.step, []).append(flag)

    def build(self) -> dict[str, Any]:
        """The document."""
        judged = self.source.judged
        results: dict[str, Any] | None = None
        for at, chat, origin in turns_of(self.source):
            if chat["role"] == "tool" and results is not None:
                found = {"source_call_id": chat["tool_call_id"], "content": chat["content"]}
                results["results"].append(found | _outcome_extra(origin.ended))
                continue
            step = {"step_id": len(self.steps) + 1, "timestamp": _iso(at), **self._step_fields(chat, origin)}
            self.steps.append(step)
            results = {"results": []}
            if chat["role"] == "assistant" and any(call.ended is not None for call in origin.calls):
                step["observation"] = results
        agent: dict[str, Any] = {"name": "apollo", "version": "1", "model_name": judged.created.model.name}
        tools = self._tools()
        if tools:
            agent["tool_definitions"] = tools
        return {
            "schema_version": ATIF,
            "session_id": judged.session,
            "agent": agent,
            "steps": self.steps,
            "extra": {KEY: self._whole()},
        }

    def _tools(self) -> list[dict[str, Any]]:
        first = self.source.reader.events(self.source.judged.session, kinds=("model.request",), limit=1)
        try:
            return Prompts(self.source.reader, self.source.judged).of(first[0].seq).tools if first else []
        except LogReadFailed:
            return []

    def _step_fields(self, chat: Chat, origin: Any) -> dict[str, Any]:
        if chat["role"] == "assistant":
            return self._agent(chat, origin)
        fields = {"source": "system" if chat["role"] == "system" else "user", "message": chat["content"]}
        own = self._own(origin.body) if isinstance(origin, ev.Event) else {}
        return fields | ({"extra": {KEY: own}} if own else {})

    def _own(self, body: ev.Body) -> dict[str, Any]:
        """What a user turn is, besides its text."""
        match body:
            case ev.AdviceDelivered() as turn:
                return {"kind": "advice", "at_step": turn.at_step, "advice": [self._advice(n) for n in turn.advice]}
            case ev.SummaryWritten() as written:
                covers = {"number": written.number, "from_step": written.from_step, "to_step": written.to_step}
                return {"kind": "summary", **covers}
            case _:
                return {"kind": "nudge"}

    def _advice(self, number: int) -> dict[str, Any]:
        record = self.source.judged.advice.get(number)
        if record is None:
            return {"number": number, "text": ""}
        fields = {
            "number": number,
            "text": record.text,
            "by": shown_actor(record.by),
            "queued_at": _iso(record.queued_at),
        }
        optional = {"advice_kind": record.kind, "outcome": record.outcome, "reach": record.reach}
        return fields | {key: value for key, value in optional.items() if value is not None}

    def _agent(self, chat: Chat, record: StepRecord) -> dict[str, Any]:
        assert record.reply_body is not None and record.reply is not None
        mask = self.masks.get(record.reply.seq)
        cells = {cell.call: cell for cell in mask.cells if cell.call} if mask else {}
        step: dict[str, Any] = {"source": "agent", "message": chat["content"]}
        if record.reply_body.model:
            step["model_name"] = record.reply_body.model
        if chat.get("reasoning_content"):
            step["reasoning_content"] = chat["reasoning_content"]
        calls = []
        for number, call in enumerate(chat.get("tool_calls", ()), 1):
            text = call["function"]["arguments"]
            own: dict[str, Any] = {"arguments": text}
            if number in cells:
                own["trainable"] = cells[number].trained
            arguments = msgspec.json.decode(text) if text.strip() and is_object(text) else {}
            calls.append(
                {
                    "tool_call_id": call["id"],
                    "function_name": call["function"]["name"],
                    "arguments": arguments,
                    "extra": {KEY: own},
                }
            )
        if calls:
            step["tool_calls"] = calls
        usage = record.reply_body.usage
        if usage is not None:
            sizes = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}
            step["metrics"] = sizes | {"cached_tokens": usage.cached_tokens}
        own = {"step": record.step, "finish": record.reply_body.finish, "trainable": bool(mask and mask.trained)}
        if mask is not None and mask.reason:
            own["reason"] = mask.reason
        flags = self.flags.get(record.step, [])
        if flags:
            own["annotations"] = [_flag(flag) for flag in flags]
        for event in record.side_events:
            if isinstance(event.body, ev.EvalScored):
                self.scores.append({"step": record.step, "score": event.body.score})
        return step | {"extra": {KEY: own}}

    def _whole(self) -> dict[str, Any]:
        """What is said of the session as a whole."""
        judged = self.source.judged
        signs = [
            {"verdict": word.verdict, "by": shown_actor(word.by), "note": word.note, "up_to_step": word.up_to_step}
            for word in judged.flags.sign_offs.values()
        ]
        found = {
            "title": judged.created.title,
            "task": task_of(judged.created, self.source.policy),
            **msgspec.to_builtins(judged.terms),
            "state": judged.state,
            "sign_offs": signs,
            "recoveries": list(judged.flags.recoveries),
            "annotations": [_flag(flag) for flag in self.loose],
            "scores": self.scores,
        }
        return {key: value for key, value in found.items() if value not in ("", [])}


def _flag(flag: Flag) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "kind": "flag",
        "verdict": flag.verdict,
        "label": flag.label,
        "by": shown_actor(flag.by),
        "created_at": _iso(flag.at),
        "target": msgspec.to_builtins(flag.target),
    }
    optional = {"note": flag.note, "severity": flag.severity, "until_recovery": flag.until_recovery}
    return fields | {key: value for key, value in optional.items() if value not in ("", None, False)}


def _outcome_extra(ended: ev.Event | None) -> dict[str, Any]:
    outcome = ended.body.outcome if ended is not None and isinstance(ended.body, ev.ActionResult) else "ok"
    return {} if outcome == "ok" else {"extra": {KEY: {"outcome": outcome}}}


def _trace_message(chat: Chat, at: int, model: str) -> dict[str, Any]:
    """A message in the words of the trace format."""
    message: dict[str, Any] = {"role": chat["role"], "content": chat["content"], "timestamp": _iso(at)}
    if chat.get("reasoning_content"):
        message["reasoningContent"] = chat["reasoning_content"]
    if chat.get("tool_calls"):
        message["toolCalls"] = chat["tool_calls"]
    if chat["role"] == "tool":
        message["toolCallId"] = chat["tool_call_id"]
    return message | ({"model": model} if chat["role"] == "assistant" else {})


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

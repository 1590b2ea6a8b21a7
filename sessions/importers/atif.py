"""ATIF (Agent Trajectory Interchange Format, v1.0 to v1.8), and what Apollo has in its ``extra``: flags and advice."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from sessions import events as ev
from sessions.events.messages import Usage
from sessions.importers.base import ImportedSession
from sessions.importers.builder import Call, SessionBuilder, time_ms
from sessions.importers.documents import Document, as_text, count, items, table, text_of

KEY: Final = "apollo"
"""Under which key of ``extra`` our own words are."""


def recognises(found: Document) -> bool:
    """Whether it is ATIF: one document, or one per line."""
    heads = found.records[:2] or [found.table]
    return any(str(one.get("schema_version", "")).startswith("ATIF-v") and "steps" in one for one in heads)


def parse(found: Document) -> list[ImportedSession]:
    """A session per trajectory."""
    made = [_session(one) for one in found.records if isinstance(one.get("steps"), list)]
    if made and found.broken:
        made[0].warnings.append(f"{found.broken} lines are no trajectory and were left out")
    return made


def _session(document: dict[str, Any]) -> ImportedSession:
    agent, extra = table(document.get("agent")), table(table(document.get("extra")).get(KEY))
    steps = items(document.get("steps"))
    builder = SessionBuilder(
        "atif",
        f"{as_text(document.get('session_id'))}/{as_text(document.get('trajectory_id'))}",
        as_text(agent.get("model_name")) or as_text(agent.get("name")),
        title=as_text(extra.get("title"))[:60],
        task_id=as_text(extra.get("task")),
        meta={"agent": as_text(agent.get("name")), "schema": as_text(document.get("schema_version"))},
        tools=items(agent.get("tool_definitions")),
        started=next((at for at in (time_ms(step.get("timestamp")) for step in steps) if at is not None), None),
    )
    reader = _StepReader(builder)
    for step in steps:
        reader.take(step)
    reader.judge(extra)
    return builder.finish()


class _StepReader:
    def __init__(self, builder: SessionBuilder) -> None:
        self.builder = builder
        self.flags: list[dict[str, Any]] = []

    def take(self, step: dict[str, Any]) -> None:
        at, text = time_ms(step.get("timestamp")), text_of(step.get("message"))
        own = table(table(step.get("extra")).get(KEY))
        match step.get("source"):
            case "system":
                self.builder.add_system(text)
            case "user" if own.get("kind") == "summary":
                self.builder.add_summary(as_text(own.get("text")) or text, at)
            case "user" if own.get("kind") == "advice":
                self._advice(items(own.get("advice")), text, at)
            case "user":
                self.builder.add_user(text, at, by_host=own.get("kind") == "nudge")
            case "agent":
                self._agent(step, own, text, at)
            case source:
                self.builder.skipped[f"step of {as_text(source) or '?'}"] += 1

    def _agent(self, step: dict[str, Any], own: dict[str, Any], text: str, at: int | None) -> None:
        builder = self.builder
        calls: list[Call] = []
        for number, call in enumerate(items(step.get("tool_calls")), 1):
            written = table(table(call.get("extra")).get(KEY)).get("arguments")
            arguments = as_text(written if isinstance(written, str) else call.get("arguments"))
            identity = as_text(call.get("tool_call_id")) or f"call-{builder.step + 1}.{number}"
            calls.append(Call(identity, as_text(call.get("function_name")) or "?", arguments))
        finish = own.get("finish")
        number = builder.add_reply(
            text,
            calls,
            as_text(step.get("reasoning_content")),
            at,
            _usage(table(step.get("metrics"))),
            as_text(step.get("model_name")),
            finish if finish in ("stop", "calls", "length", "refusal", "interrupted", "other") else None,
            salvaged=step.get("is_copied_context") is True,
        )
        self.flags += [{**flag, "step": number} for flag in items(own.get("annotations"))]
        for result in items(table(step.get("observation")).get("results")):
            told = table(table(result.get("extra")).get(KEY)).get("outcome")
            outcome: Any = told if told in ("ok", "error", "timeout", "interrupted", "unknown") else "ok"
            name = as_text(result.get("source_call_id")) or None
            if name is None and not calls:  # an observation of nothing that was called: what the environment said
                builder.add_user(text_of(result.get("content")), at, by_host=True)
            else:
                builder.add_result(name, text_of(result.get("content")), outcome=outcome, at=at)

    def _advice(self, pieces: list[dict[str, Any]], turn: str, at: int | None) -> None:
        """One delivered turn of one or more pieces."""
        builder = self.builder
        if len(pieces) == 1:
            builder.add_advice(
                as_text(pieces[0].get("text")), turn=turn, at=at, actor=_actor(pieces[0]), kind=_kind(pieces[0])
            )
        elif pieces:
            builder.add_advice_turn([(as_text(p.get("text")), _kind(p), _actor(p)) for p in pieces], turn, at)
        else:
            builder.add_user(turn, at)

    def judge(self, extra: dict[str, Any]) -> None:
        """All flags, then the words on the whole session."""
        for number, flag in enumerate([*self.flags, *items(extra.get("annotations"))], 1):
            try:
                target = {"step": flag.get("step"), **table(flag.get("target"))}
                body = msgspec.convert({**_flag_fields(flag), "flag": f"atif-{number}", "target": target}, ev.FlagSet)
            except msgspec.ValidationError:
                self.builder.skipped["annotation that is no flag"] += 1
                continue
            self.builder.add_event(body, at=time_ms(flag.get("created_at")), actor=_actor(flag))
        for sign in items(extra.get("sign_offs")):
            verdict = sign.get("verdict")
            if verdict in ("good", "partial", "discard", "invalid"):
                self.builder.add_event(
                    ev.SignedOff(verdict=verdict, note=as_text(sign.get("note"))), actor=_actor(sign)
                )
        for mark in extra.get("recoveries", ()) if isinstance(extra.get("recoveries"), list) else ():
            if count(mark):
                self.builder.add_event(ev.RecoveryMarked(at_step=mark))
        for score in items(extra.get("scores")):
            value = score.get("score")
            self.builder.add_score(float(value) if isinstance(value, int | float) else None)


def _flag_fields(flag: dict[str, Any]) -> dict[str, Any]:
    names = ("verdict", "label", "note", "severity", "until_recovery")
    labels = flag.get("labels")
    found = {name: flag[name] for name in names if flag.get(name) is not None}
    if isinstance(labels, list) and labels:
        found.setdefault("label", labels[0])
    return found


def _actor(value: dict[str, Any]) -> str:
    """Who said it. Only annotators, rules and judges can have; a name that claims to be another is a human's."""
    actor = as_text(value.get("by")) or as_text(value.get("annotator")) or "unknown"
    return actor if actor.startswith(("human:", "rule:", "judge:")) else f"human:{actor}"


def _kind(piece: dict[str, Any]) -> Any:
    kind = piece.get("advice_kind")
    return kind if kind in ("knowledge", "strategy", "correction", "stop") else None


def _usage(metrics: dict[str, Any]) -> Usage | None:
    sent, said = count(metrics.get("prompt_tokens")), count(metrics.get("completion_tokens"))
    return Usage(sent, said, count(metrics.get("cached_tokens"))) if sent or said else None

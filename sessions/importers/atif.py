"""ATIF (Agent Trajectory Interchange Format, v1.0 to v1.8), and what Apollo has in its ``extra``: flags and advice."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from sessions import events as ev
from sessions.events.messages import Usage
from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.builder import Call, SessionBuilder, time_ms
from sessions.importers.content_losses import find_losses
from sessions.importers.documents import Document, as_text, count, items, milliseconds, money, table, text_of
from sessions.importers.outcomes import outcome_of
from sessions.terminal_text import say_count

_UNATTENDED: Final = frozenset({"terminus", "terminus-1", "terminus-2"})
"""Agents of benchmarks: what they are told after the task comes of their own harness."""
_HANDOFFS: Final = (
    "You are about to hand off your work to another AI agent",
    "You are picking up work from a previous AI agent",
    "The next agent has a few questions",
    "Here are the answers the other agent provided",
)
"""How a harness begins what it says to the agents between which it hands work on."""
KEY: Final = "apollo"
"""Under which key of ``extra`` our own words are."""


def recognises(found: Document) -> bool:
    """Whether it is ATIF: one document, or one per line."""
    heads = found.records[:2] or [found.table]
    return any(str(one.get("schema_version", "")).startswith("ATIF-v") and "steps" in one for one in heads)


def parse(found: Document) -> list[ImportedSession]:
    """A session per trajectory, and one per sub-agent that is embedded in one."""
    made: list[ImportedSession] = []
    seen: set[str] = set()
    repeated = empty = 0
    for document in found.records:
        if not isinstance(document.get("steps"), list):
            continue
        for session in _sessions(document):
            if session is None:
                empty += 1
            elif session.session in seen:
                repeated += 1
            else:
                seen.add(session.session)
                made.append(session)
    if not made:
        raise CannotImport("atif: the recording holds no reply of a model: nothing to import")
    notes = (
        (found.broken, "line", "lines", "no trajectory"),
        (empty, "trajectory", "trajectories", "without a reply of a model"),
        (repeated, "trajectory", "trajectories", "the same as one before"),
    )
    for number, one, many, what in notes:
        if number:
            made[0].warnings.append(f"{say_count(number, one, many)} of the file, {what}: left out")
    return made


def _sessions(document: dict[str, Any], begins: ev.Beginning | None = None) -> list[ImportedSession | None]:
    """The session of a trajectory (None if it holds no reply) and those of its sub-agents, which are its children."""
    inner = items(document.get("subagent_trajectories"))
    places: dict[str, int] = {}
    try:
        own = _session(document, begins, inner, places)
    except CannotImport:
        own = None
    found: list[ImportedSession | None] = [own]
    for one in inner:
        # Where no result refers to it nobody knows when it was started: after all that its parent did.
        at = places.get(as_text(one.get("trajectory_id")), len(own.events) if own else 0)
        found += _sessions(one, ev.Beginning(own.session if own else "", at, "child"))
    return found


def _key(document: dict[str, Any], parent: str) -> str:
    """What names a trajectory: its ids and how it begins, which stays when it grows. Runs in parts share ids, some have
    none."""
    run, own = as_text(document.get("session_id")), as_text(document.get("trajectory_id"))
    head: list[Any] = []
    for step in items(document.get("steps")):
        calls = [[call.get("function_name"), call.get("arguments")] for call in items(step.get("tool_calls"))]
        head.append([step.get("source"), step.get("timestamp"), step.get("message"), calls])
        if step.get("source") == "agent" and not step.get("is_copied_context"):
            break
    return f"{parent}{run}/{own}/{hashlib.sha256(as_text(head).encode(errors='replace')).hexdigest()}"


def _session(
    document: dict[str, Any], begins: ev.Beginning | None, inner: list[dict[str, Any]], places: dict[str, int]
) -> ImportedSession:
    """The session; ``places`` gets the seq of the result that refers to each sub-agent."""
    agent, extra = table(document.get("agent")), table(table(document.get("extra")).get(KEY))
    steps = items(document.get("steps"))
    meta = {"agent": as_text(agent.get("name")), "schema": as_text(document.get("schema_version"))}
    builder = SessionBuilder(
        "atif",
        _key(document, begins.session if begins is not None else ""),
        as_text(agent.get("model_name")),
        title=as_text(extra.get("title"))[:60],
        task_id=as_text(extra.get("task")),
        meta=meta,
        tools=items(agent.get("tool_definitions")),
        started=next((at for at in (time_ms(step.get("timestamp")) for step in steps) if at is not None), None),
    )
    builder.begins = begins
    reader = _StepReader(builder, {as_text(one.get("trajectory_id")) for one in inner}, places)
    reader.unattended = as_text(agent.get("name")) in _UNATTENDED
    for step in steps:
        reader.take(step)
    reader.judge(extra)
    totals = table(document.get("final_metrics"))
    sent, said = count(totals.get("total_prompt_tokens")), count(totals.get("total_completion_tokens"))
    usage = Usage(sent, said, count(totals.get("total_cached_tokens"))) if sent or said else None
    if not any(step.get("is_copied_context") for step in steps):  # what was copied counts there, and was paid elsewhere
        builder.add_totals(usage, money(totals.get("total_cost_usd")))
    if reader.elsewhere:
        builder.notes.append(f"{say_count(reader.elsewhere, 'sub-agent')} of it are in other files: import those, too")
    following = as_text(document.get("continued_trajectory_ref"))
    if following:
        builder.notes.append(f"it goes on in {following}, which is a session of its own")
    return builder.finish()


class _StepReader:
    def __init__(self, builder: SessionBuilder, embedded: set[str], places: dict[str, int]) -> None:
        self.builder = builder
        self.embedded = embedded
        """Ids of the sub-agents that the document holds."""
        self.places = places
        """The seq of the result that refers to a sub-agent."""
        self.elsewhere = 0
        """Sub-agents that it only refers to."""
        self.unattended = False
        """Whether no person was there after the task."""
        self.flags: list[dict[str, Any]] = []

    def take(self, step: dict[str, Any]) -> None:
        """The next step."""
        at, content = time_ms(step.get("timestamp")), step.get("message")
        text, lost = text_of(content), find_losses(content)
        own = table(table(step.get("extra")).get(KEY))
        match step.get("source"):
            case "system":
                self.builder.add_system(text, lost=lost)
                self._results(step, 0, at)
            case "user" if own.get("kind") == "summary":
                self.builder.add_summary(as_text(own.get("text")) or text, at)
            case "user" if own.get("kind") == "advice":
                self._advice(items(own.get("advice")), text, at)
            case "user":
                begun = self.builder.has_task
                by_host = own.get("kind") == "nudge" or step.get("is_copied_context") is True
                by_host = by_host or (begun and (self.unattended or text.lstrip().startswith(_HANDOFFS)))
                self.builder.add_user(text, at, by_host=by_host, lost=lost)
                self._results(step, 0, at)
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
        metrics = table(step.get("metrics"))
        usage, reasoning = _usage(metrics), as_text(step.get("reasoning_content"))
        lost = find_losses(step.get("message"))
        if usage is not None and usage.reasoning_tokens and not reasoning:
            lost.append("reasoning")
        number = builder.add_reply(
            text,
            calls,
            reasoning,
            at,
            usage,
            as_text(step.get("model_name")),
            finish if finish in ("stop", "calls", "length", "refusal", "interrupted", "other") else None,
            # What no model said, and what another trajectory has already, is context.
            salvaged=step.get("is_copied_context") is True or step.get("llm_call_count") == 0,
            cost=money(metrics.get("cost_usd")),
            lost=lost,
        )
        self.flags += [{**flag, "step": number} for flag in items(own.get("annotations"))]
        self._results(step, len(calls), at)

    def _results(self, step: dict[str, Any], calls: int, at: int | None) -> None:
        """What came back. A step has one time, which says nothing of how long its calls took."""
        for result in items(table(step.get("observation")).get("results")):
            content, extra = result.get("content"), table(result.get("extra"))
            told = table(extra.get(KEY)).get("outcome")
            known = told in ("ok", "error", "timeout", "interrupted", "unknown")
            outcome: Any = (
                told if known else outcome_of({**table(table(step.get("observation")).get("extra")), **extra})
            )
            name = as_text(result.get("source_call_id")) or None
            text, lost = text_of(content), find_losses(content)
            if name is None and not calls:  # an observation of nothing that was called: what the environment said
                self.builder.add_user(text, at, by_host=True, lost=lost)
            else:
                took = milliseconds(extra.get("duration_sec", extra.get("execution_time")))
                self.builder.add_result(name, text, outcome=outcome, duration_ms=took or 0, lost=lost)
            for ref in items(result.get("subagent_trajectory_ref")):
                self.elsewhere += as_text(ref.get("trajectory_id")) not in self.embedded
                self.places.setdefault(as_text(ref.get("trajectory_id")), len(self.builder.events))

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
        for number, piece in enumerate(pieces, builder.advice - len(pieces) + 1):
            if (reach := piece.get("reach")) in ("general", "here"):
                builder.add_event(ev.AdviceReach(advice=number, reach=reach), at=at, actor=_actor(piece))

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
    thought = count(table(metrics.get("extra")).get("reasoning_tokens"))
    cached = count(metrics.get("cached_tokens"))
    return Usage(sent, said, cached, reasoning_tokens=thought) if sent or said else None

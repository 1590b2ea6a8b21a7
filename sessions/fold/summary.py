"""The bounded fold: what a list of sessions shows, and the counters that budgets are checked against.

It is kept up by the writer in the same transaction as the events, stored as JSON in the ``sessions`` table, and can
be rebuilt from the events at any time; both must be equal. It never grows with the length of a session.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from sessions import events as ev
from sessions.events.messages import CallPart, TextPart
from sessions.events.states import ACTIVE, ENDED, State, may_change
from sessions.fold import attention_counters
from sessions.fold.attention_counters import AttentionCounters
from sessions.fold.names_and_tags import change_tags
from sessions.fold.result_status import went_wrong

FOLD_VERSION: Final = 16
"""Raised when ``fold_summary`` or the shape of Summary changes: stored summaries of another version are made anew."""
EARLIEST: Final = 10 * 365 * 86_400_000
"""Times before 1980 (Unix ms) are of recordings that say none."""
KEPT_EVALS: Final = 64
"""How many of the newest scores a summary keeps, for the plot."""


class IllegalTransition(ValueError):
    """An event would put a session into a state that it cannot go to."""


class Score(msgspec.Struct, frozen=True, omit_defaults=True):
    """One evaluation: at which step, and its score."""

    step: int
    score: float


class OpenJob(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job that has not ended."""

    job: int
    command: str
    since: int


ADVICE_KEPT: Final = 400
"""Characters of waiting advice that a summary holds; the log holds all of it."""


class OpenAdvice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Advice that waits for the boundary."""

    advice: int
    text: str
    since: int
    not_before: int = 0
    now: bool = False
    repeats: bool = False
    """It was delivered, and is to be said once more because it stands."""


class NoReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request that has failed so far and is tried again: at its newest attempt, why, and when the next one is due.

    ``seq`` and ``since`` are of the first failed attempt.
    """

    reason: str
    attempt: int
    seq: int
    since: int
    next_at: int | None = None

    @property
    def words(self) -> str:
        """What the session does about it, in one line."""
        return f"retrying: {self.reason.replace('_', ' ')}, attempt {self.attempt + 1}"


class Summary(msgspec.Struct, frozen=True, omit_defaults=True):
    """One session in a few hundred bytes. Times in Unix ms, money in US dollars, ``active_ms`` up to ``active_at``."""

    session: str
    number: int
    title: str
    model: str
    origin: str = "host"
    created_at: int = 0
    last_at: int = 0
    last_id: int = 0
    last_seq: int = 0
    state: State = "created"
    state_at: int = 0
    state_by: str = ""
    archived_from: State | Literal[""] = ""
    """The state from which it was archived, while it is."""
    reason: str = ""
    need: str = ""
    until: int | None = None
    on_job: int | None = None
    pending: str = ""
    """A control verb that was asked for and waits for the boundary (pause, stop, interrupt, next, shorten)."""
    step: int = 0
    progress_at: int = 0
    """When the agent last did something (reply or result), for "silent for 14 min"."""
    doing: str = ""
    """The action under way, or "" between actions."""
    doing_since: int = 0
    actions: int = 0
    malformed: int = 0
    errors: int = 0
    flags: int = 0
    active_ms: int = 0
    active_at: int | None = None
    """Since when active time has been running, None: it stands."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    context_tokens: int = 0
    context_limit: int = 0
    cost: float = 0.0
    unpriced: int = 0
    """Replies whose cost is unknown: without prices, or without usage."""
    estimated_tokens: int = 0
    """Our own count of the prompts and replies whose server reported none."""
    estimated_cost: float = 0.0
    no_reply: NoReply | None = None
    """The request that has failed so far, None once a reply has come or the session rests."""
    nudges: int = 0
    """Replies without a call in a row."""
    summaries: int = 0
    jobs: int = 0
    open_jobs: tuple[OpenJob, ...] = ()
    advice: int = 0
    open_advice: tuple[OpenAdvice, ...] = ()
    advice_delivered: int = 0
    question: int = 0
    open_question: str = ""
    question_until: int | None = None
    evaluations: int = 0
    better: str = "higher"
    scores: tuple[Score, ...] = ()
    plan: tuple[ev.PlanItem, ...] = ()
    limits: ev.Limits = ev.Limits()
    sign_off: str = ""
    last_export: str = ""
    last_line: str = ""
    """The newest thing the agent said or did, one line, not sanitised."""
    last_request: int | None = None
    tags: tuple[str, ...] = ()
    task_id: str = ""
    harness: str = ""
    """The agent program that works at it, "" for our own."""
    harness_version: str = ""
    dialect: str = ""
    """How that talks to its model: chat, responses or messages."""
    passes_replies: bool = False
    """Whether that is handed replies as they come: then nothing of them can be held, or taken back."""
    tools: dict[str, str] = {}
    """What its tools are for, by name, as ``tool_roles`` reads it."""
    upstream: str = ""
    """Host and port of the server that its model answers at, "" where that is the provider's own."""
    segment_from: int = 0
    """The first step of its present segment, 0: of the first one."""
    answered: bool = False
    """Whether its newest reply called nothing: a sub-agent has done its work then, and nothing waits for it."""
    begins: ev.Beginning | None = None
    """Of which session it is a branch or a child, and from where."""
    contained: str = ""
    """What contains its commands, in words; "" for sessions from before there were prefixes, which nothing does."""
    watch: AttentionCounters = AttentionCounters()
    """What the attention rules remember."""
    child_address: str = ""
    """What people call a sub-agent by, "" for a session that stands on the board by itself."""

    @property
    def address(self) -> str:
        """What people call it by: ``3``, ``3.a``."""
        return self.child_address or str(self.number)

    @property
    def has_times(self) -> bool:
        """Whether it is known when its events were: recordings without times begin in 1970."""
        return self.created_at >= EARLIEST

    def active_now(self, now: int) -> int:
        """Active milliseconds up to ``now``."""
        return self.active_ms + (max(0, now - self.active_at) if self.active_at is not None else 0)

    @property
    def tokens(self) -> int:
        """All tokens that were used, estimated where the server did not say."""
        return self.input_tokens + self.output_tokens + self.estimated_tokens

    @property
    def spent(self) -> float:
        """US dollars that were spent, estimated where the server did not say; nothing for what has no price."""
        return self.cost + self.estimated_cost

    @property
    def has_used(self) -> bool:
        """Whether a reply has used anything, or something that nobody knows."""
        return bool(self.tokens or self.spent or self.unpriced)

    @property
    def is_child(self) -> bool:
        """Whether another session started it as a sub-agent."""
        return self.begins is not None and self.begins.kind == "child"

    @property
    def holds_reply(self) -> bool:
        """Whether its newest reply is held until a person lets it go."""
        return self.state == "needs_you" and self.need == "gate"

    @property
    def archived(self) -> bool:
        """Whether the session is out of sight (its events stay)."""
        return self.state == "archived"


def _host_of(url: str) -> str:
    """Host and port of an address, without what may be secret in it."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2][:200]


AGENT_KINDS: Final = frozenset({"model.reply", "action.result", "action.refused", "summary.written"})
"""Kinds by which the agent makes progress."""


def fold_summary(before: Summary | None, event: ev.Event) -> Summary:
    """The summary after ``event``. Raises IllegalTransition for a state that cannot be reached."""
    body = event.body
    if before is None:
        if not isinstance(body, ev.SessionCreated):
            raise IllegalTransition(f"session {event.session} has no beginning: its first event is {event.kind}")
        before = Summary(
            session=event.session,
            number=body.number,
            title=body.title,
            model=body.model.id,
            origin=body.origin,
            created_at=event.at,
            state_at=event.at,
            progress_at=event.at,
            context_limit=body.model.summary_threshold,
            limits=body.limits,
            better=body.evaluate.better if body.evaluate else "higher",
            tags=body.tags,
            task_id=body.task_id,
            begins=body.begins,
            child_address=body.child_address,
            harness=body.harness.name if body.harness is not None else "",
            harness_version=body.harness.version if body.harness is not None else "",
            passes_replies=body.harness is not None and body.harness.stream == "pass",
            tools=dict(body.harness.tools) if body.harness is not None else {},
            upstream=_host_of(body.model.base_url or "") if body.harness is not None else "",
            contained=body.contained.words if body.contained is not None else "",
        )
    elif isinstance(body, ev.SessionCreated):
        raise IllegalTransition(f"session {event.session} exists already")
    change = _change(before, event)
    if event.kind in AGENT_KINDS:
        change["progress_at"] = event.at
    # Reading and judging are not the session's own doing: they leave its age alone.
    if event.kind not in ("cursor.moved", "effort.spent"):
        change["last_at"] = event.at
    change["watch"] = attention_counters.fold_counters(before.watch, event, before.tools)
    return msgspec.structs.replace(before, last_id=event.id, last_seq=event.seq, **change)


def _change(s: Summary, event: ev.Event) -> dict[str, object]:
    """What ``event`` changes in ``s``, by field name."""
    match event.body:
        case ev.StateChanged() as body:
            return _state(s, event, body)
        case ev.ControlRequested() as body:
            return {"pending": _pending(s, body.verb)}
        case ev.SessionRecovered() as body:
            change: dict[str, object] = {"doing": ""}
            if body.jumped:  # what is under way goes on, and nobody was silent meanwhile
                gap = event.at - body.last_at
                change = {"progress_at": s.progress_at + gap, "doing_since": s.doing_since + gap}
                if gap < 0:  # else it would be in its state since a time to come
                    change["state_at"] = s.state_at + gap
            if s.active_at is None:
                return change
            ran = max(0, body.last_at - s.active_at)
            return change | {"active_ms": s.active_ms + ran, "active_at": event.at}
        case ev.LimitChanged() as body:
            whole = body.name in ("steps", "tokens", "evaluations") and body.value is not None
            value = int(body.value) if whole and body.value is not None else body.value
            return {"limits": msgspec.structs.replace(s.limits, **{body.name: value})}
        case ev.ModelRequested(purpose="side"):
            return {}
        case ev.ModelRequested() as body:
            step: dict[str, Any] = {"step": event.step} if body.purpose == "step" and event.step else {}
            if body.wire is not None:
                step["dialect"] = body.wire.dialect
            if s.harness:
                step["answered"] = False
            return {**step, "no_reply": None, "doing": "model", "doing_since": event.at, "last_request": event.seq,
                    "context_tokens": body.estimate_tokens}  # fmt: skip
        case ev.ModelAttemptFailed() as body:
            first = s.no_reply or NoReply(body.reason, body.attempt, event.seq, event.at)
            due = None if body.retry_ms is None else event.at + body.retry_ms
            return {"no_reply": NoReply(body.reason, body.attempt, first.seq, first.since, due)}
        case ev.ModelReplied() as body:
            return _reply(s, event, body)
        case ev.ReplyInterrupted():
            return {"doing": "", "no_reply": None}
        case ev.ActionStarted() as body:
            return {"doing": body.name, "doing_since": event.at, "actions": s.actions + 1}
        case ev.ActionResult() as body:
            return {"doing": "", "errors": s.errors + went_wrong(body)}
        case ev.ActionRefused() as body:
            return {"malformed": s.malformed + body.malformed}
        case ev.NudgeSent() as body:
            return {"nudges": body.streak}
        case ev.SummaryWritten() as body:
            done: dict[str, Any] = {"pending": ""} if s.pending == "shorten" else {}
            if s.harness:
                done["segment_from"] = body.to_step + 1
            return {"summaries": body.number, "context_tokens": body.tokens_after, **done}
        case _:
            return _change_beside_steps(s, event)


def _pending(s: Summary, verb: str) -> str:
    """What waits for the boundary after a control: the newest that is not done yet; nothing takes back a stop."""
    if verb in ("start", "resume", "reopen"):
        return "" if s.pending in ("pause", "next", "hold") else s.pending
    if s.pending == "stop" or verb not in ("pause", "stop", "interrupt", "next", "shorten", "hold"):
        return s.pending
    if verb in ("next", "shorten", "hold"):
        return verb if s.state not in ENDED else s.pending
    return verb if s.state in ACTIVE or s.open_question else s.pending


def _state(s: Summary, event: ev.Event, body: ev.StateChanged) -> dict[str, object]:
    if not may_change(s.state, body.state) and s.state != body.state:
        raise IllegalTransition(f"session {s.address} cannot go from {s.state} to {body.state}")
    change: dict[str, object] = {
        "state": body.state,
        "state_at": event.at,
        "state_by": event.actor,
        "reason": body.reason,
        "need": body.need,
        "until": body.until,
        "on_job": body.job,
        "archived_from": "" if body.state != "archived" else s.archived_from or s.state,
    }
    if body.state not in ACTIVE:
        if body.need != "question":  # its action is still under way, and so is what was asked for meanwhile
            change |= {"pending": "", "doing": "", "no_reply": None}
        if s.active_at is not None:
            change |= {"active_ms": s.active_ms + max(0, event.at - s.active_at), "active_at": None}
    elif s.active_at is None:
        change["active_at"] = event.at
    if body.state not in ACTIVE or s.state not in ACTIVE:
        change["nudges"] = 0
    return change


def _reply(s: Summary, event: ev.Event, body: ev.ModelReplied) -> dict[str, object]:
    usage = body.usage
    calls = [part for part in body.parts if isinstance(part, CallPart)]
    said = next((part.text for part in body.parts if isinstance(part, TextPart) and part.text.strip()), "")
    line = f"{calls[0].name} {calls[0].arguments}" if calls else said
    change: dict[str, object] = {
        "cost": s.cost + (body.cost or 0.0),
        "unpriced": s.unpriced + (body.cost is None),
    }
    if event.step is not None or not s.harness:  # else it answers what a harness asked beside its work
        change |= {
            "doing": "",
            "no_reply": None,
            "last_line": line.strip()[:200],
            "nudges": 0 if calls else s.nudges,
        }
        if s.harness:
            change["answered"] = not calls
    if usage:
        change |= {
            "input_tokens": s.input_tokens + usage.input_tokens,
            "output_tokens": s.output_tokens + usage.output_tokens,
            "cached_tokens": s.cached_tokens + usage.cached_tokens,
        }
    if ours := body.estimate:
        change |= {
            "estimated_tokens": s.estimated_tokens + ours.input_tokens + ours.output_tokens,
            "estimated_cost": s.estimated_cost + (body.estimated_cost or 0.0),
        }
    return change


def _change_beside_steps(s: Summary, event: ev.Event) -> dict[str, object]:
    """Jobs, plans, evaluations, questions, advice and judgement."""
    match event.body:
        case ev.JobStarted() as body:
            return {"jobs": body.job, "open_jobs": (*s.open_jobs, OpenJob(body.job, body.command[:200], event.at))}
        case ev.JobEnded() as body:
            return {"open_jobs": tuple(job for job in s.open_jobs if job.job != body.job)}
        case ev.PlanChanged() as body:
            return {"plan": body.items}
        case ev.EvalScored() as body:
            if body.score is None:
                return {}
            scores = (*s.scores, Score(event.step or s.step, body.score))[-KEPT_EVALS:]
            return {"evaluations": body.used, "scores": scores, "better": body.better}
        case ev.QuestionAsked() as body:
            # An empty question is open all the same.
            return {"question": body.question, "open_question": body.text[:2000] or "?", "question_until": body.until}
        case ev.QuestionAnswered():
            return {"open_question": "", "question_until": None}
        case ev.AdviceQueued() as body:
            waiting = OpenAdvice(body.advice, body.text[:ADVICE_KEPT], event.at, body.not_before, body.now)
            return {"advice": body.advice, "open_advice": (*s.open_advice, waiting)}
        case ev.AdviceEdited() as body:
            return {"open_advice": tuple(_edit(waiting, body) for waiting in s.open_advice)}
        case ev.AdviceWithdrawn() as body:
            return {"open_advice": tuple(a for a in s.open_advice if a.advice != body.advice)}
        case ev.AdviceDelivered() as body:
            left = tuple(a for a in s.open_advice if a.advice not in body.advice)
            repeated = {a.advice for a in s.open_advice if a.repeats}
            new = sum(number not in repeated for number in body.advice)
            return {"open_advice": left, "advice_delivered": s.advice_delivered + new}
        case ev.AdviceRequeued() as body:
            repeats = body.why == "standing"
            waiting = OpenAdvice(body.advice, body.text[:ADVICE_KEPT], event.at, repeats=repeats)
            return {"open_advice": (*s.open_advice, waiting), "advice_delivered": s.advice_delivered - (not repeats)}
        case ev.AdviceStanding(advice=number, standing=False):
            return {"open_advice": tuple(a for a in s.open_advice if a.advice != number or not a.repeats)}
        case ev.FlagSet():
            return {"flags": s.flags + 1}
        case ev.FlagRemoved():
            return {"flags": max(0, s.flags - 1)}
        case ev.SessionRenamed() as body:
            return {"title": body.title}
        case ev.SessionTagged() as body:
            return {"tags": change_tags(s.tags, body)}
        case ev.SignedOff() as body:
            return {"sign_off": body.verdict or ""}
        case ev.ExportWritten() as body:
            return {"last_export": body.path}
        case ev.RecordingRead() as body:
            return _totals(s, body)
        case _:
            return {}


def _totals(s: Summary, body: ev.RecordingRead) -> dict[str, object]:
    """What the file says of the whole run, and of no single reply."""
    change: dict[str, object] = {}
    if body.cost is not None:
        change |= {"cost": s.cost + body.cost, "unpriced": 0}
    if usage := body.usage:
        change |= {
            "input_tokens": s.input_tokens + usage.input_tokens,
            "output_tokens": s.output_tokens + usage.output_tokens,
            "cached_tokens": s.cached_tokens + usage.cached_tokens,
        }
    return change


def _edit(waiting: OpenAdvice, body: ev.AdviceEdited) -> OpenAdvice:
    if waiting.advice != body.advice:
        return waiting
    return msgspec.structs.replace(waiting, text=body.text[:ADVICE_KEPT], now=body.now or waiting.now)

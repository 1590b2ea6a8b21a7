"""What the attention rules need to remember of a session: a bounded fold, stored inside the Summary.

Counts and short fingerprints only, never texts that grow. The rules themselves are in ``sessions/attention``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from sessions import events as ev
from sessions.fold.result_status import went_wrong
from sessions.fold.tool_edits import TextEdit, read_edits
from sessions.fold.tool_roles import handle_of, is_poll, kills, role_of, same_call

KEPT_ACTIONS: Final = 12
KEPT_PATHS: Final = 8
KEPT_HASHES: Final = 8
KEPT_JUDGED: Final = 64
KEPT_LOSSES: Final = 8

KEPT_STARTED: Final = 16
KEPT_EDITS: Final = 8
"""Changes of files that one call is remembered by."""

_LOSS: Final = re.compile(r"\bloss\b[\"']?\s*[=:]?\s*([0-9]+(?:\.[0-9]+)?(?:[eE][-+]?\d+)?)", re.I)
_VARIES: Final = re.compile(r"0x[0-9a-fA-F]+|\d+")


class ActionPrint(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """One action, as fingerprints: of the call, of what it returned, and of its error ("" if it went well)."""

    seq: int
    step: int
    name: str
    call: str
    result: str = ""
    error: str = ""
    polling: bool = False


class EditPrint(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """A change that a harness's call makes in a file, as fingerprints: of itself, and of what takes it back.

    Of a file that is written whole both are of its content.
    """

    path: str
    key: str
    back: str


class StartedCall(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """An action under way: its place, its fingerprint, and what its result will count as."""

    step: int
    call: int
    name: str
    print: str
    job: int | str = 0
    """The number of the job that it is about; what a harness calls its program in the background."""
    polling: bool = False
    kills: bool = False
    edits: tuple[EditPrint, ...] = ()


class Streak(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """A run of things alike: how many, since which event and when, and what they have in common."""

    count: int = 0
    seq: int = 0
    at: int = 0
    key: str = ""
    step: int = 0


class JobLoss(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """A job that is being watched: since when, and the losses that the agent saw it print."""

    job: int | str
    since: int
    losses: tuple[float, ...] = ()


class PathEdits(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """A file's recent versions (short hashes), and how often an edit brought back an earlier one."""

    path: str
    hashes: tuple[str, ...] = ()
    rollbacks: int = 0
    seq: int = 0
    step: int = 0


class AdviceWithoutOutcome(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """Advice that was delivered and whose outcome nobody has set."""

    advice: int
    step: int
    seq: int
    at: int = 0


class AdviceWithOutcome(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """Advice whose outcome these people have set: where all take their word back, it is open again."""

    given: AdviceWithoutOutcome
    by: tuple[str, ...]


class Kill(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """The newest healthy job that the agent killed. What a harness runs has a name of its own, and ``ran_ms`` is since
    the agent first looked at it."""

    job: int | str
    seq: int
    step: int
    at: int
    ran_ms: int
    first: float
    last: float


class SignalVerdict(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """A person's newest word on a signal."""

    signal: str
    verdict: str
    until: int = 0


class Drop(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """The newest evaluation, where it was worse than the best before it."""

    seq: int
    step: int
    best: float
    now: float
    at: int = 0


class AttentionCounters(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fold's state; ``fold_counters`` says what an event changes in it."""

    actions: tuple[ActionPrint, ...] = ()
    started: tuple[StartedCall, ...] = ()
    """The actions under way: a harness may begin several at once."""
    same: Streak = Streak()
    """Equal calls with equal results in a row, polling apart."""
    errors: Streak = Streak()
    """Equal errors, with nothing but errors between them."""
    malformed: Streak = Streak()
    polls: Streak = Streak()
    idle_polls: Streak = Streak()
    """Polls in a row that showed what the poll before them had shown."""
    losses: tuple[JobLoss, ...] = ()
    kill: Kill | None = None
    edits: tuple[PathEdits, ...] = ()
    delivered: tuple[AdviceWithoutOutcome, ...] = ()
    settled: tuple[AdviceWithOutcome, ...] = ()
    best: float | None = None
    drop: Drop | None = None
    state_seq: int = 0
    judged: tuple[SignalVerdict, ...] = ()


def fold_counters(w: AttentionCounters, event: ev.Event, tools: Mapping[str, str]) -> AttentionCounters:
    """What is remembered after ``event``. ``tools``: what the tools of the session's harness are for."""
    match event.body:
        case ev.ActionStarted() as body:
            begun = _begin_call(event, body, tools)
            return _change(w, started=(*_without(w.started, event), begun)[-KEPT_STARTED:])
        case ev.ActionResult() as body:
            return _count_action(w, event, body)
        case ev.ActionRefused() as body if body.malformed:
            left = _without(w.started, event)
            return _change(w, malformed=_lengthen(w.malformed, event, "malformed"), started=left)
        case ev.JobStarted() as body:
            return _change(w, losses=(*w.losses, JobLoss(body.job, event.at))[-KEPT_PATHS:])
        case ev.JobEnded() as body:
            return _end_job(w, event, body)
        case ev.FileChanged() as body:
            return _change(w, edits=_add_edit(w.edits, event, body))
        case ev.EvalScored() as body if body.score is not None:
            return _compare_score(w, event, body.score, body.better)
        case ev.AdviceDelivered() as body if not body.without_effect:
            known = {one.advice for one in w.delivered} | {one.given.advice for one in w.settled}
            # What is said once more was asked about already.
            fresh = (number for number in body.advice if number not in known)
            new = (AdviceWithoutOutcome(number, body.at_step, event.seq, event.at) for number in fresh)
            # Somebody has spoken since the kill: whether that helped is asked as the advice's outcome.
            return _change(w, delivered=(*w.delivered, *new)[-KEPT_JUDGED:], kill=None)
        case ev.AdviceRequeued(advice=number, why="not_delivered"):
            return _change(w, delivered=tuple(one for one in w.delivered if one.advice != number))
        case ev.AdviceOutcome() as body:
            return _set_outcome(w, event.actor, body)
        case ev.SignalJudged() as body:
            others = tuple(j for j in w.judged if j.signal != body.signal)
            return _change(
                w, judged=(*others, SignalVerdict(body.signal, body.verdict, body.until or 0))[-KEPT_JUDGED:]
            )
        case ev.StateChanged():
            return _change(w, state_seq=event.seq)
        case _:
            return w


def _change(w: AttentionCounters, **change: object) -> AttentionCounters:
    return msgspec.structs.replace(w, **change)


def _set_outcome(w: AttentionCounters, actor: str, body: ev.AdviceOutcome) -> AttentionCounters:
    """The advice is open while nobody's word on it stands."""
    known = next((one for one in w.settled if one.given.advice == body.advice), None)
    given = known.given if known else next((one for one in w.delivered if one.advice == body.advice), None)
    if given is None:
        return w
    by = tuple(who for who in (known.by if known else ()) if who != actor)
    by = (*by, actor) if body.outcome is not None else by
    open_now = tuple(one for one in w.delivered if one.advice != body.advice)
    others = tuple(one for one in w.settled if one.given.advice != body.advice)
    if by:
        return _change(w, delivered=open_now, settled=(*others, AdviceWithOutcome(given, by))[-KEPT_JUDGED:])
    return _change(w, delivered=tuple(sorted((*open_now, given), key=lambda one: one.seq)), settled=others)


def _begin_call(event: ev.Event, body: ev.ActionStarted, tools: Mapping[str, str]) -> StartedCall:
    name, arguments = body.name, body.arguments
    job = arguments.get("job")
    call = msgspec.json.encode(same_call(name, arguments, tools), order="sorted").decode()
    edits = read_edits(arguments) if tools and role_of(name, arguments, tools) == "edit" else ()
    return StartedCall(
        event.step or 0,
        event.call or 0,
        name,
        _fingerprint(name, call),
        job if isinstance(job, int) else handle_of(arguments) if tools else 0,
        is_poll(name, arguments, tools),
        bool(tools) and kills(name, arguments),
        tuple(_print_edit(edit) for edit in edits if edit.old is not None or edit.whole)[:KEPT_EDITS],
    )


def _print_edit(edit: TextEdit) -> EditPrint:
    if edit.old is None:
        content = _fingerprint(edit.new)
        return EditPrint(edit.path[:200], content, content)
    return EditPrint(edit.path[:200], _fingerprint(edit.old, edit.new), _fingerprint(edit.new, edit.old))


def _without(started: tuple[StartedCall, ...], event: ev.Event) -> tuple[StartedCall, ...]:
    return tuple(call for call in started if (call.step, call.call) != (event.step or 0, event.call or 0))


def _count_action(w: AttentionCounters, event: ev.Event, body: ev.ActionResult) -> AttentionCounters:
    left = _without(w.started, event)
    begun = next((call for call in w.started if call not in left), StartedCall(0, 0, "", ""))
    name, print_of, polling = begun.name, begun.print, begun.polling
    text = (body.shown or body.output).text
    error = _fingerprint(name, _VARIES.sub("#", _last_line(text))) if went_wrong(body) else ""
    acted = ActionPrint(event.seq, event.step or 0, name, print_of, _fingerprint(text), error, polling)
    before = next((each for each in reversed(w.actions) if not each.polling), None)
    same, errors = w.same, w.errors
    if not polling:
        first = Streak(1, event.seq, event.at, acted.call, acted.step)
        repeated = before is not None and (before.call, before.result) == (acted.call, acted.result)
        same = _lengthen(same, event, acted.call) if repeated else first
        if not error:
            errors = Streak()
        else:
            known = errors.key == error
            errors = _lengthen(errors, event, error) if known else Streak(1, event.seq, event.at, error, acted.step)
    w = _look_at_program(w, event, body, begun)
    return _change(
        w,
        actions=(*w.actions, acted)[-KEPT_ACTIONS:],
        started=left,
        same=same,
        errors=errors,
        malformed=Streak(),
        polls=_lengthen(w.polls, event, "polling") if polling else Streak(),
        idle_polls=_count_idle_poll(w, event, acted) if polling else Streak(),
        losses=_add_losses(w.losses, body, begun.job, text),
        edits=w.edits if error else _add_prints(w.edits, event, begun.edits),
    )


def _look_at_program(
    w: AttentionCounters, event: ev.Event, body: ev.ActionResult, begun: StartedCall
) -> AttentionCounters:
    """A harness looks at what it runs in the background, or ends it: no event tells of that but its calls."""
    if not isinstance(begun.job, str) or not begun.job or went_wrong(body):
        return w
    known = next((each for each in w.losses if each.job == begun.job), None)
    if begun.kills:
        return _note_end(w, event, begun.job, None) if known is not None else w
    if begun.polling and known is None:
        return _change(w, losses=(*w.losses, JobLoss(begun.job, event.at))[-KEPT_PATHS:])
    return w


def _count_idle_poll(w: AttentionCounters, event: ev.Event, acted: ActionPrint) -> Streak:
    before = w.actions[-1] if w.actions else None
    if before and before.polling and before.result == acted.result:
        return _lengthen(w.idle_polls, event, acted.result)
    return Streak(1, event.seq, event.at, acted.result, acted.step)


def _lengthen(streak: Streak, event: ev.Event, key: str) -> Streak:
    """One more; ``seq`` and ``at`` stay those of the first."""
    if streak.count and streak.key in ("", key):
        return Streak(streak.count + 1, streak.seq, streak.at, key, streak.step)
    return Streak(1, event.seq, event.at, key, event.step or 0)


def _add_losses(known: tuple[JobLoss, ...], body: ev.ActionResult, job: int | str, text: str) -> tuple[JobLoss, ...]:
    told = body.data.get("job", job)
    if not any(each.job == told for each in known):
        return known
    found = [float(value) for value in _LOSS.findall(text)]
    if not found:
        return known
    return tuple(
        JobLoss(each.job, each.since, _keep_losses(each.losses, found)) if each.job == told else each for each in known
    )


def _keep_losses(before: tuple[float, ...], new: list[float]) -> tuple[float, ...]:
    """The first loss stays, so that the whole fall can be told; the rest are the newest."""
    merged = (*before, *new)
    return merged if len(merged) <= KEPT_LOSSES else (merged[0], *merged[-(KEPT_LOSSES - 1) :])


def _end_job(w: AttentionCounters, event: ev.Event, body: ev.JobEnded) -> AttentionCounters:
    if body.how == "killed_by_agent":
        return _note_end(w, event, body.job, body.duration_ms)
    return _change(w, losses=tuple(each for each in w.losses if each.job != body.job))


def _note_end(w: AttentionCounters, event: ev.Event, job: int | str, ran_ms: int | None) -> AttentionCounters:
    """The agent has ended a job: whether its loss was falling."""
    ended = next((each for each in w.losses if each.job == job), None)
    change: dict[str, object] = {"losses": tuple(each for each in w.losses if each.job != job)}
    if ended and len(ended.losses) >= 2 and ended.losses[-1] < ended.losses[0]:
        ran = ran_ms or event.at - ended.since
        change["kill"] = Kill(job, event.seq, event.step or 0, event.at, ran, ended.losses[0], ended.losses[-1])
    return _change(w, **change)


def _add_prints(known: tuple[PathEdits, ...], event: ev.Event, edits: tuple[EditPrint, ...]) -> tuple[PathEdits, ...]:
    """A harness's edits: one that takes an earlier one back, or writes what a file held before, brings that back."""
    for edit in edits:
        old = next((each for each in known if each.path == edit.path), PathEdits(edit.path))
        again = edit.key == edit.back and old.hashes[-1:] == (edit.key,)
        back = edit.back in old.hashes and not again
        new = PathEdits(
            edit.path,
            (*(old.hashes[:-1] if again else old.hashes), edit.key)[-KEPT_HASHES:],
            old.rollbacks + back,
            event.seq if back else old.seq,
            (event.step or 0) if back else old.step,
        )
        known = (*(each for each in known if each.path != edit.path), new)[-KEPT_PATHS:]
    return known


def _add_edit(known: tuple[PathEdits, ...], event: ev.Event, body: ev.FileChanged) -> tuple[PathEdits, ...]:
    old = next((each for each in known if each.path == body.path), PathEdits(body.path))
    before, after = (body.before or "absent")[:12], (body.after or "absent")[:12]
    hashes = old.hashes if old.hashes and old.hashes[-1] == before else (*old.hashes, before)
    back = after in hashes[:-1]
    new = PathEdits(
        body.path,
        (*hashes, after)[-KEPT_HASHES:],
        old.rollbacks + back,
        event.seq if back else old.seq,
        (event.step or 0) if back else old.step,
    )
    return (*(each for each in known if each.path != body.path), new)[-KEPT_PATHS:]


def _compare_score(w: AttentionCounters, event: ev.Event, score: float, better: str) -> AttentionCounters:
    sign = 1 if better == "higher" else -1
    if w.best is None or score * sign >= w.best * sign:
        return _change(w, best=score, drop=None)
    return _change(w, drop=Drop(event.seq, event.step or 0, w.best, score, event.at))


def _fingerprint(*texts: str) -> str:
    import hashlib  # readers start without OpenSSL

    return hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:200]

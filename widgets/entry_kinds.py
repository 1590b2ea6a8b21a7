"""One builder per kind of entry: what its headline says, what is always shown, what unfolds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from sessions import events as ev
from sessions.annotators import shown_name
from sessions.events.messages import CallPart, Part, ReasoningPart, TextPart
from sessions.fold.advice import say_outcome
from sessions.fold.costs import UNKNOWN, say_cost
from sessions.fold.exit_codes import exit_code
from sessions.fold.repeats import failure_of, refusal_of
from sessions.fold.result_status import result_status
from sessions.fold.tool_defaults import default_names
from sessions.fold.tool_edits import TOLD, EditDiff
from sessions.fold.tool_roles import role_of, thought_of
from widgets.diff_text import LINE_LIMIT, changed_rows, diff_lines
from widgets.glyphs import Mark, count, duration, outcome_mark, state_mark
from widgets.markdown_text import MARKS, markdown_rows
from widgets.models import CODE_BAR, REASON_BAR, Entry, EntryKind, Line, Outcome, Role, Span
from widgets.sanitise import clean, clean_line, last_line
from widgets.tool_call_text import (
    NO_TOOLS,
    argument_lines,
    call_line,
    held_reply,
    plan_lines,
    raw_call_line,
    told_diffs,
)

FullText = Callable[[ev.LongText], str]

BODY_LINES: Final = 400
"""Lines of a reply that a transcript shows; the Action screen has all."""
DETAIL_LINES: Final = 120
HELD_LINES: Final = 12
PREVIEW_LINES: Final = 6
"""Changed lines of an edit, items of a plan, that a transcript shows."""
PREVIEW_NEW: Final = 3
"""Lines of a file that is only added to."""

# The reader knows the advice from where it was written; the tag around it matters to the model only.
ADVICE_TAG: Final = re.compile(r"</?advice(?:-\w+)?>")


def build(
    anchor: ev.Event,
    related: Sequence[ev.Event],
    full_text: FullText | None,
    under_way: ev.Event | None,
    tools: Mapping[str, str] = NO_TOOLS,
    *,
    side: bool = False,
) -> Entry:
    """The entry of ``anchor``. ``related`` is in order; ``under_way`` is the action that queued advice waits for.

    ``tools``: what those of the session's harness are for; ``side``: it answers what a harness asked beside its work.
    """
    match anchor.body:
        case ev.ModelReplied() as body if side:
            return _side_call(anchor, body)
        case ev.ModelReplied() as body:
            verdicts = [e.body for e in related if isinstance(e.body, ev.ReplySuperseded)]
            gone = [body.old for body in verdicts if anchor.seq in (body.old, body.new)][-1:] == [anchor.seq]
            return _reply(anchor, body.parts, "left out of the context" if gone else "", salvaged=body.salvaged)
        case ev.ReplyInterrupted() as body:
            return _reply(anchor, body.parts, _say_cut(body))
        case ev.ActionStarted() as body:
            return _action(anchor, body, related, full_text, tools)
        case ev.ActionRefused() as body:
            return _refused_action(anchor, body, tools)
        case ev.AdviceQueued() as body:
            return _queued_advice(anchor, body, related, under_way)
        case ev.AdviceDelivered() as body:
            head = _one(f"delivered at step {body.at_step}", "accent")
            said = clean_line(" ".join(ADVICE_TAG.sub(" ", body.text).split()))
            return _entry(anchor, "advice", head, detail=lines_of(body.text), tail=said, note=_delivery_note(body))
        case ev.QuestionAsked() as body:
            answered = any(isinstance(e.body, ev.QuestionAnswered) for e in related)
            note = "answered" if answered else "waits for you"
            return _entry(anchor, "question", _one("you", "strong"), body=prose_lines(body.text), note=note)
        case ev.ShellOpened() as body:
            return _shell(anchor, body, related)
        case ev.QuestionAnswered() as body:
            said = "nobody answered: use your judgement" if body.timed_out else f"answered by {_who(anchor.actor)}"
            if body.timed_out and body.text.startswith("The question was withdrawn"):
                said = "withdrawn"
            return _entry(anchor, "advice", _one(said, "strong"), body=prose_lines(body.text))
        case _:
            return _rare(anchor, full_text, tools)


def _rare(anchor: ev.Event, full_text: FullText | None, tools: Mapping[str, str]) -> Entry:
    match anchor.body:
        case ev.SessionCreated() as body:
            title: Line = (
                ("task ", "dim"),
                (clean_line(body.title), "strong"),
                (f"  {clean_line(body.model.id, 80)}", "dim"),
            )
            return _entry(
                anchor, "task", title, body=prose_lines(body.task, 12), detail=lines_of(body.task, DETAIL_LINES)
            )
        case ev.StateChanged() as body:
            return _state(anchor, body, tools)
        case ev.ModelAttemptFailed() as body:
            after = "gave up" if body.retry_ms is None else f"again in {duration(body.retry_ms)}"
            if body.delivered:
                after = "a part of it may have been handed over"
            status = f" {body.status}" if body.status else ""
            head = _one(f"✗ attempt {body.attempt} failed: {body.reason.replace('_', ' ')}{status}, {after}", "error")
            return _entry(anchor, "problem", head, tail=clean_line(body.message), detail=lines_of(body.message))
        case ev.NudgeSent() as body:
            return _entry(anchor, "nudge", _one("nudge", "dim", clean_line(body.text)), detail=lines_of(body.text))
        case ev.HarnessTurn() as body:
            said = _one("harness", "dim", clean_line(body.text))
            return _entry(anchor, "nudge", said, detail=lines_of(body.text, DETAIL_LINES))
        case ev.HarnessOpened() as body:
            how = "goes on with its conversation" if body.loaded else "begins a conversation"
            lost = f"{clean_line(body.why)}: it knows nothing of what was said before" if body.why else ""
            return _entry(anchor, "state", _one(clean_line(body.agent, 60) or "the program", "strong", how, lost))
        case ev.SummaryWritten() as body:
            sizes = f"{count(body.tokens_before)} → {count(body.tokens_after)} tokens" if body.tokens_before else ""
            head = _one(f"summary S{body.number}", "strong", f"of steps {body.from_step} to {body.to_step}", sizes)
            return _entry(anchor, "summary", head, detail=lines_of(_whole(body.text, full_text), DETAIL_LINES))
        case ev.AdviceRequeued() as body:
            whys = {
                "not_delivered": "the request that had it was no step",
                "standing": "it is standing, and the harness's new conversation does not have it",
            }
            head = _one(f"advice {body.advice} waits again", "accent", whys[body.why])
            return _entry(anchor, "advice", head, tail=clean_line(body.text), detail=lines_of(body.text))
        case ev.AdviceJoined() as body:
            head = _one(
                "advice is joined to the user's newest turn from here on", "accent", "the server takes no other"
            )
            return _entry(anchor, "advice", head, tail=clean_line(body.why), detail=lines_of(body.why))
        case ev.ThreadAssigned() as body:
            what = {"main": "main line", "child": "a sub-agent's", "summary": "a summary"}[body.line]
            by = "" if anchor.actor == "host" else f"by {_who(anchor.actor)}"
            return _entry(anchor, "summary", _one(f"conversation: {what}", "strong", clean_line(body.why), by))
        case ev.ReplySuperseded() as body:
            why = "another one took its place" if body.new else "the next prompt is put together without it"
            why = "it is the summary that the harness goes on from" if body.why == "summary" else why
            by = "" if anchor.actor == "host" else f"by {_who(anchor.actor)}"
            head = _one(f"the reply of step {anchor.step} left out of the context", "strong", why, by)
            return _entry(anchor, "summary", head)
        case ev.EvalScored() as body:
            return _eval(anchor, body)
        case ev.SessionRecovered() as body:
            gap = duration(abs(anchor.at - body.last_at))
            if body.jumped:
                how = "on" if anchor.at >= body.last_at else "back"
                words = f"the clock jumped {how} by {gap} (the machine slept, or it was set): no active time"
                return _entry(anchor, "state", _one("clock", "strong", words))
            return _entry(anchor, "state", _one("recovered", "strong", f"a new host took over after {gap}"))
        case ev.LimitChanged() as body:
            to = "lifted" if body.value is None else f"now {body.value:g}"
            head = _one(f"limit of {body.name.replace('_', ' ')}", "text", f"{to}, by {_who(anchor.actor)}")
            return _entry(anchor, "state", head)
        case _:
            return _entry(anchor, "problem", _one(anchor.kind, "dim"))


def _entry(
    anchor: ev.Event,
    kind: EntryKind,
    head: Line,
    *,
    body: tuple[Line, ...] = (),
    detail: tuple[Line, ...] = (),
    tail: str = "",
    note: str = "",
    name: str = "",
    quiet: bool = False,
    since: int | None = None,
) -> Entry:
    return Entry(
        seq=anchor.seq,
        kind=kind,
        at=anchor.at,
        step=anchor.step,
        call=anchor.call,
        name=name,
        head=head,
        body=body,
        detail=detail,
        tail=tail,
        note=note,
        quiet=quiet,
        since=since,
    )


def _one(first: str, role: Role, *rest: str) -> Line:
    spans: list[Span] = [(first, role)]
    spans.extend((f"  {text}", "text") for text in rest if text)
    return tuple(spans)


def _who(actor: str) -> str:
    return clean_line(shown_name(actor), 40)


def lines_of(text: str, limit: int = BODY_LINES, role: Role = "text") -> tuple[Line, ...]:
    """A text as lines: cleaned, no two blank lines in a row, at most ``limit`` lines and 4,000 characters a line."""
    lines: list[Line] = []
    blank = True
    for row in clean(text[: limit * LINE_LIMIT]).strip("\n").split("\n"):
        row = row.rstrip()
        if not row and blank:
            continue
        blank = not row
        if len(lines) >= limit:
            lines.append((("… the rest is on the Action screen", "dim"),))
            break
        lines.append(((row[:LINE_LIMIT], role),))
    while lines and not lines[-1][0][0]:
        lines.pop()
    return tuple(lines)


def reply_lines(parts: Sequence[tuple[str, str]]) -> tuple[Line, ...]:
    """(channel, text) of a reply as lines: reasoning says that it is reasoning, dim and in italics."""
    lines: list[Line] = []
    for channel, text in parts:
        if not text.strip():
            continue
        if channel == "reasoning":
            lines.extend(thought_lines(text))
        else:
            lines.extend(prose_lines(text))
    return tuple(lines)


def prose_lines(text: str, limit: int = BODY_LINES, role: Role = "text") -> tuple[Line, ...]:
    """What was said, as ``lines_of`` has it, with its Markdown; code in it has a bar and no colours."""
    lines = lines_of(text, limit, role)
    if MARKS.search(text) is None:
        return lines  # replies that stream are painted many times a second
    plain = "\n".join(line[0][0] for line in lines)
    return tuple(row.line for row in markdown_rows(plain, role, syntax=False)) if lines else ()


def thought_lines(text: str) -> tuple[Line, ...]:
    """What was thought, dim and in italics, with a bar before it that text has not."""
    lines = [(REASON_BAR, *line) if line[0] != CODE_BAR else (REASON_BAR, *line[1:])
             for line in prose_lines(text, role="reason")]  # fmt: skip
    return ((REASON_BAR, ("thinks: ", "dim"), *lines[0][1:]), *lines[1:]) if lines else ()


def _say_cut(body: ev.ReplyInterrupted) -> str:
    """What became of a reply that broke off."""
    if not body.delivered:
        return f"interrupted ({body.why}): the agent does not remember it"
    why = "its client hung up" if body.why == "client" else body.why
    return f"broken off ({why}) while it was handed over: never a target"


def _reply(anchor: ev.Event, parts: Sequence[Part], note: str, salvaged: bool = False) -> Entry:
    said = [(("reasoning" if isinstance(part, ReasoningPart) else "text"), part.text)
            for part in parts if isinstance(part, ReasoningPart | TextPart)]  # fmt: skip
    calls = sum(isinstance(part, CallPart) for part in parts)
    body = reply_lines(said)
    notes = [note, "context only, never a target" if salvaged else "", "" if calls or note else "no call"]
    shown = ", ".join(text for text in notes if text)
    name = "interrupted" if isinstance(anchor.body, ev.ReplyInterrupted) else ""
    return _entry(anchor, "reply", (), body=body, note=shown, name=name, quiet=not body and bool(calls))


def _shell(anchor: ev.Event, body: ev.ShellOpened, related: Sequence[ev.Event]) -> Entry:
    closed = next((e.body for e in related if isinstance(e.body, ev.ShellClosed)), None)
    head = _one(f"shell of {_who(anchor.actor)}", "strong", clean_line(body.inside, 80))
    if closed is None:
        return _entry(anchor, "state", head, note="not closed")
    changed = len(closed.files) + closed.more
    said = f"{changed:,} file{'s' * (changed != 1)} changed meanwhile" if changed else "no file changed meanwhile"
    lines: list[Line] = [((f"{file.change:<8}", "dim"), (clean_line(file.path), "text")) for file in closed.files]
    lines += [((f"{closed.more:,} more", "dim"),)] if closed.more else []
    lines += [((f"others may be missing: {clean_line(closed.unknown)}", "dim"),)] if closed.unknown else []
    took = f"{duration(closed.duration_ms)}, " if closed.duration_ms else ""
    return _entry(anchor, "state", head, detail=tuple(lines[:DETAIL_LINES]), note=f"{took}{said}")


def _side_call(anchor: ev.Event, body: ev.ModelReplied) -> Entry:
    said = "".join(part.text for part in body.parts if isinstance(part, TextPart))
    head: Line = (("side call", "dim"), (f"  {clean_line(' '.join(said.split()))}", "dim"))
    note = say_cost_of_side(body.cost or 0.0, body.cost is None)
    return msgspec.structs.replace(
        _entry(anchor, "side", head, name="side call", note=note, detail=lines_of(said, DETAIL_LINES)), cost=body.cost
    )


def say_cost_of_side(cost: float, unpriced: int) -> str:
    """What side calls cost, in words."""
    said = say_cost(cost, unpriced)
    return "cost not known" if said == UNKNOWN else said


def _action(
    anchor: ev.Event,
    body: ev.ActionStarted,
    related: Sequence[ev.Event],
    full_text: FullText | None,
    tools: Mapping[str, str],
) -> Entry:
    role = role_of(body.name, body.arguments, tools)
    thought = thought_of(body.name, body.arguments)
    head: Line = ((clean_line(body.name, 60), "call"),) if thought else call_line(body.name, body.arguments, tools)
    result = next((e.body for e in related if isinstance(e.body, ev.ActionResult)), None)
    ended = next((e.body for e in related if isinstance(e.body, ev.JobEnded)), None)
    job = next((e.body.job for e in related if isinstance(e.body, ev.JobStarted)), None)
    changes = [e.body for e in related if isinstance(e.body, ev.FileChanged)]
    left_alone = any(isinstance(e.body, ev.JobBackgrounded) for e in related)
    if changes:
        added, removed = sum(change.added for change in changes), sum(change.removed for change in changes)
        head = (*head, (f"  +{added}", "add"), (f" −{removed}", "remove"))
    if job is not None and body.name == "run":
        head = (*head, (f"  job {job}", "dim"))
    # What a harness's tool has changed is told by no event.
    mark = result_mark(result, role) if result is not None else None
    made = mark is not None and mark.role != "error"
    told = told_diffs(body.name, body.arguments, tools) if made and not changes else []
    if told:
        head = (*head, *changed_lines(told))
    hidden = default_names(body.name, body.arguments)
    beside = arguments_beside(body.arguments, told or changes)
    detail = argument_lines({key: value for key, value in beside.items() if key not in hidden})
    for diff in told:
        detail += [((clean_line(diff.path), "strong"),), *diff_lines(diff.text, DETAIL_LINES)]
    preview = _preview(body, changes, told, full_text)
    tail, took = "", None
    outcome: Outcome = "running"
    if result is not None:
        outcome, took = result_status(result), result.duration_ms
        if mark is not None and mark.role == "error" and outcome == "ok":
            outcome = "error"
        output = _whole(result.output, full_text)
        whole = full_text is not None or result.output.blob is None
        tail = last_line(output) if whole else _end_shown(result)
        if outcome == "ok" and (thought or preview):
            tail = ""  # that it was noted, or done
        detail.append((("── result ──", "dim"),))
        detail.extend(lines_of(output, DETAIL_LINES))
        if result.hidden_chars:
            detail.append(((f"{result.hidden_chars:,} characters the model did not see", "strong"),))
        if outcome == "background":
            took = ended.duration_ms if ended else None
    for change in changes:
        detail.extend(diff_lines(_whole(change.diff, full_text) if change.diff else "", DETAIL_LINES))
    return Entry(
        seq=anchor.seq,
        kind="action",
        at=anchor.at,
        step=anchor.step,
        call=anchor.call,
        name=clean_line(body.name, 60),
        head=head,
        body=thought_lines(thought)[:BODY_LINES],
        detail=tuple(detail),
        tail=tail or (clean_line(ended.last_line) if ended else ""),
        preview=preview,
        outcome=outcome,
        outcome_word=mark.word if mark is not None and mark.word.startswith("exit ") else "",
        duration_ms=took,
        since=anchor.at if result is None and ended is None else None,
        note=_job_note(ended, left_alone),
        polling=role == "wait",
        failure=failure_of(body, result, tools) if result is not None else "",
        job=job or job_of(body),
    )


def result_mark(result: ev.ActionResult, role: str) -> Mark:
    """How a call ended; of a command that failed, with what code, also where its harness did not take it for an error.

    ``role``: what the call is for. A look that finds nothing yet ends with a code, too, and is no failure.
    """
    status = result_status(result)
    mark = outcome_mark(status)
    tells = (status == "error" and role in ("run", "wait")) or (status == "ok" and role == "run")
    code = exit_code(result) if tells else None
    return Mark("✗", f"exit {code}", "error") if code else mark


def _preview(
    body: ev.ActionStarted, changes: Sequence[ev.FileChanged], told: Sequence[EditDiff], full_text: FullText | None
) -> tuple[Line, ...]:
    """What the call changes, in a few rows: the lines of an edit, the items of a plan."""
    diffs = [(_whole(change.diff, full_text), change.removed) for change in changes if change.diff]
    diffs += [(diff.text, diff.removed) for diff in told]
    if diffs:
        text, removed = diffs[0]
        return changed_rows(text, PREVIEW_LINES if removed else PREVIEW_NEW)
    plan = plan_lines(body.arguments)
    more: Line = ((f"… {len(plan) - PREVIEW_LINES:,} more", "dim"),)
    return (*plan[:PREVIEW_LINES], *([more] if len(plan) > PREVIEW_LINES else []))


def job_of(body: ev.Body) -> int | None:
    """The job that a call is about by its arguments: ``wait``, ``job_output``."""
    found = body.arguments.get("job") if isinstance(body, ev.ActionStarted) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def changed_lines(diffs: Sequence[EditDiff]) -> Line:
    """How many lines calls added and removed, as far as they tell."""
    added, removed = sum(diff.added for diff in diffs), sum(diff.removed for diff in diffs)
    known = removed or not any(diff.partly for diff in diffs)
    return ((f"  +{added}", "add"), *(((f" −{removed}", "remove"),) if known else ()))


def arguments_beside(arguments: Mapping[str, Any], diffs: Sequence[object]) -> Mapping[str, Any]:
    """The arguments that the diffs of a call do not say already."""
    return {key: value for key, value in arguments.items() if key not in TOLD} if diffs else arguments


def _job_note(ended: ev.JobEnded | None, left_alone: bool) -> str:
    """How the job of a command ended, where its result does not say so already."""
    if ended is None or (ended.how == "exited" and ended.exit_code == 0 and not left_alone):
        return ""
    if ended.how != "exited":
        return ended.how.replace("_", " ")
    return f"✗ exit {ended.exit_code}" if ended.exit_code else f"exit {ended.exit_code}"


def _end_shown(result: ev.ActionResult) -> str:
    shown = result.shown if result.shown is not None and result.shown.blob is None else None
    return last_line(shown.text) if shown else f"{result.output.chars:,} characters"


def _refused_action(anchor: ev.Event, body: ev.ActionRefused, tools: Mapping[str, str]) -> Entry:
    problem = clean_line(body.problem or body.why.replace("_", " "))
    wrong: Role = "error" if body.malformed else "strong"
    detail: list[Line] = [((problem, wrong),), (("what the model wrote", "dim"),)]
    detail.extend(lines_of(body.arguments, DETAIL_LINES))
    if body.shown:
        detail.append((("what it was told", "dim"),))
        detail.extend(lines_of(body.shown, DETAIL_LINES))
    return Entry(
        seq=anchor.seq,
        kind="action",
        at=anchor.at,
        step=anchor.step,
        call=anchor.call,
        name=clean_line(body.name, 60),
        head=raw_call_line(body.name, body.arguments, tools),
        detail=tuple(detail),
        tail=problem,
        outcome="malformed" if body.malformed else "skipped",
        note="" if body.malformed else body.why.replace("_", " "),
        failure=refusal_of(body) if body.malformed else "",
    )


def _queued_advice(
    anchor: ev.Event, body: ev.AdviceQueued, related: Sequence[ev.Event], under_way: ev.Event | None
) -> Entry:
    text, now, note, since, reach, standing = body.text, body.now, "", None, body.reach, False
    words: dict[str, ev.AdviceOutcome] = {}
    for event in related:
        match event.body:
            case ev.AdviceEdited() as edit:
                text, now = edit.text, now or edit.now
            case ev.AdviceWithdrawn() as taken:
                note = "taken back as a draft" if taken.to_draft else "withdrawn"
            case ev.AdviceDelivered() as delivered:
                note = f"delivered at step {delivered.at_step}"
            case ev.AdviceRequeued(why="not_delivered"):
                note = ""
            case ev.AdviceOutcome() as said:
                say_outcome(words, event.actor, said)
            case ev.AdviceReach() as turned:
                reach = turned.reach or body.reach
            case ev.AdviceStanding() as held:
                standing = held.standing
            case _:
                pass
    if not note:
        waits_for = under_way.body if under_way is not None else None
        if now:
            note = "queued, now"
        elif under_way is not None and isinstance(waits_for, ev.ActionStarted):
            note, since = f"queued, after `{clean_line(waits_for.name, 40)}`", under_way.at
        else:
            note = "queued, for the next boundary"
    head = _one(f"by {_who(anchor.actor)}", "dim", clean_line(body.about_text), reach or "", "standing" * standing)
    stands = words[next(reversed(words))].outcome if words else None
    outcome = f", {stands.replace('_', ' ')}" if stands else ""
    return _entry(anchor, "advice", head, body=prose_lines(text), note=note + outcome, since=since)


def _delivery_note(body: ev.AdviceDelivered) -> str:
    notes = ["woke it" if body.woke else "", "without effect: a replay" if body.without_effect else ""]
    notes += ["as its next prompt" if body.as_prompt else ""]
    return ", ".join(note for note in notes if note)


def _state(anchor: ev.Event, body: ev.StateChanged, tools: Mapping[str, str]) -> Entry:
    words = f"on job {body.job}" if body.job else ""
    mark = state_mark(body.state, words)
    routine = body.state in ("sleeping", "on_job") or (body.state == "running" and not body.reason)
    by = "" if anchor.actor in ("host", "agent") else f"by {_who(anchor.actor)}"
    if body.need == "gate":  # a person decides by what the reply would do: all of that is shown
        why, reply = held_reply(body.reason, tools)
        return _entry(anchor, "state", _one(mark.text, mark.role, why, by), body=lines_of(reply, HELD_LINES))
    head = _one(mark.text, mark.role, clean_line(body.reason), by)
    return _entry(anchor, "state", head, quiet=routine)


def _eval(anchor: ev.Event, body: ev.EvalScored) -> Entry:
    budget = f"{body.used} of {body.budget} used" if body.budget else ""
    better = f"{body.better} is better"
    if body.score is None:
        head = _one("✗ no score", "error", clean_line(body.problem or "the scorer crashed"), "costs no budget")
    else:
        head = _one(f"score {body.score:g}", "strong", better, budget)
    detail = lines_of(body.output.text, DETAIL_LINES) if body.output else ()
    return _entry(anchor, "eval", head, detail=detail)


def _whole(text: ev.LongText, full_text: FullText | None) -> str:
    return full_text(text) if full_text is not None and text.blob is not None else text.text

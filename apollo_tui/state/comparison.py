"""Two sessions beside each other, from where they part. Pure.

Both are read as steps (``sessions.fold.trajectory``); what is equal at the beginning is one row, then the first step
after it of one stands beside that of the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Final

import msgspec

from sessions import events as ev
from sessions.annotators import shown_name
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.fold.preferences import Preference
from sessions.fold.summary import Summary
from sessions.fold.trajectory import Fate, StepRecord, Trajectory
from widgets.glyphs import duration, money, state_mark
from widgets.models import Line, PairRow, Role, Span
from widgets.sanitise import clean_line
from widgets.tool_call_text import NO_TOOLS, call_line

MOST_STEPS: Final = 5_000
"""Steps of a session that are read: those at its end would not be looked at in one sitting."""
SAID: Final = 400
"""Characters of a reply that are shown: its beginning."""
HEAD: Final = 5
"""Cells of a step's number and the gap after it."""
FATES: Final[Mapping[Fate, tuple[str, str]]] = {
    "ok": ("✓", ""),
    "error": ("✗", "error"),
    "timeout": ("✗", "timeout"),
    "interrupted": ("✗", "interrupted"),
    "unknown": ("?", "unknown"),
    "refused": ("✗", "refused"),
    "running": ("…", "runs"),
    "waiting": ("…", "waits"),
}


class ComparedStep(msgspec.Struct, frozen=True):
    """One step as it is compared. ``act``: what it does, however it is put; ``seq`` of its reply."""

    step: int
    seq: int
    act: str
    lines: tuple[Line, ...]


class ComparedSession(msgspec.Struct, frozen=True):
    """One of the two. ``more``: steps that were not read."""

    summary: Summary
    steps: tuple[ComparedStep, ...]
    more: int = 0


class Comparison(msgspec.Struct, frozen=True):
    """Both, and how many steps at the beginning are equal."""

    one: ComparedSession
    other: ComparedSession
    equal: int

    def sessions(self) -> tuple[str, str]:
        """Their ids."""
        return self.one.summary.session, self.other.summary.session


def read_steps(events: Iterable[ev.Event], tools: Mapping[str, str] = NO_TOOLS) -> tuple[list[ComparedStep], int]:
    """The first ``MOST_STEPS`` steps that have a reply, and how many more there are."""
    fold, more = Trajectory(), 0
    found: list[ComparedStep] = []
    for record in _records(fold, events):
        if record.reply is None or record.reply_body is None:
            continue
        if len(found) < MOST_STEPS:
            found.append(_step_of(record, record.reply.seq, record.reply_body, tools))
        else:
            more += 1
    return found, more


def _records(fold: Trajectory, events: Iterable[ev.Event]) -> Iterator[StepRecord]:
    for event in events:
        record = fold.fold(event)
        if record is not None:
            yield record
    if fold.current is not None:
        yield fold.current


def _step_of(record: StepRecord, seq: int, body: ev.ModelReplied, tools: Mapping[str, str]) -> ComparedStep:
    calls = [part for part in body.parts if isinstance(part, CallPart)]
    said = " ".join(part.text for part in body.parts if isinstance(part, TextPart))
    if not said and not calls:
        said = " ".join(part.text for part in body.parts if isinstance(part, ReasoningPart))
    lines: list[Line] = []
    advised = [event.body for event in record.advice if isinstance(event.body, ev.AdviceDelivered)]
    lines += [(("advice ", "accent"), (clean_line(turn.text, SAID), "accent")) for turn in advised]
    if said.strip():
        lines.append(((clean_line(said.strip(), SAID), "text" if not calls else "dim"),))
    for call in record.calls:
        glyph, word = FATES[call.fate]
        role: Role = "dim" if call.fate in ("ok", "running", "waiting") else "error"
        head = call_line(call.name, _arguments(call.part), tools)
        lines.append((*head, (f"  {glyph} {word}".rstrip(), role)))
    for event in record.side_events:
        if isinstance(event.body, ev.EvalScored):
            lines.append((_score(event.body),))
    act = json.dumps([[call.name, _plain(call.arguments)] for call in calls] or said.strip(), sort_keys=True)
    return ComparedStep(record.step, seq, act, tuple(lines))


def _score(scored: ev.EvalScored) -> Span:
    return (f"score {scored.score:g}", "strong") if scored.score is not None else ("no score", "error")


def _plain(arguments: str) -> object:
    """Arguments as they mean, however they are written."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _arguments(part: CallPart | None) -> dict[str, object]:
    found = _plain(part.arguments) if part is not None else {}
    return found if isinstance(found, dict) else {"": clean_line(str(found), SAID)}


def compare(one: ComparedSession, other: ComparedSession) -> Comparison:
    """The two, and where they part: at the first step that does another thing.

    Of a branch and the session that it left, all that its parent did before is common to both, and left out.
    """
    one, other = _without_common_past(one, other), _without_common_past(other, one)
    equal = 0
    for left, right in zip(one.steps, other.steps, strict=False):
        if left.act != right.act:
            break
        equal += 1
    return Comparison(one, other, equal)


def _without_common_past(one: ComparedSession, other: ComparedSession) -> ComparedSession:
    """``one`` from where ``other`` left it, if it is its branch."""
    begins = other.summary.begins
    if begins is None or begins.kind != "branch" or begins.session != one.summary.session:
        return one
    return msgspec.structs.replace(one, steps=tuple(step for step in one.steps if step.seq > begins.seq))


# --- as rows ----------------------------------------------------------------------------------------------------------


def pair_rows(found: Comparison, words: Sequence[Preference], now: int) -> list[PairRow]:
    """What stands on the screen: facts and plans of both, then their steps from where they part."""
    rows = [*_fact_rows(found.one.summary, found.other.summary, now), *_plan_rows(found)]
    rows += [PairRow(whole=((word, "accent"),)) for word in _words(found, words)]
    rows.append(PairRow())
    equal = found.equal
    if equal:
        last = found.one.steps[equal - 1]
        same = "step 1 is the same" if equal == 1 else f"steps 1 to {equal:,} are the same"
        rows.append(PairRow(whole=((same, "dim"),), left_seq=last.seq, right_seq=found.other.steps[equal - 1].seq))
    pairs = zip_longest(found.one.steps[equal:], found.other.steps[equal:])
    for left, right in pairs:
        rows += _step_rows(left, right)
    for side in (found.one, found.other):
        if side.more:
            said = f"{side.summary.address} {side.summary.title}: {side.more:,} more steps are not shown here"
            rows.append(PairRow(whole=((clean_line(said), "dim"),)))
    if equal == len(found.one.steps) == len(found.other.steps):
        rows.append(PairRow(whole=(("they do not part: every step is the same", "dim"),)))
    return rows


def _step_rows(left: ComparedStep | None, right: ComparedStep | None) -> list[PairRow]:
    rows = []
    sides = [_numbered(step) for step in (left, right)]
    seqs = left.seq if left else 0, right.seq if right else 0
    for one, other in zip_longest(*sides, fillvalue=()):
        rows.append(PairRow(one, other, *seqs, head=HEAD))
    return rows


def _numbered(step: ComparedStep | None) -> list[Line]:
    if step is None:
        return []
    head = f"{step.step:>{HEAD - 1}} "
    lines = step.lines or ((("(nothing)", "dim"),),)
    return [((head if at == 0 else " " * len(head), "dim"), *line) for at, line in enumerate(lines)]


def _fact_rows(one: Summary, other: Summary, now: int) -> list[PairRow]:
    facts = [_facts(summary, now) for summary in (one, other)]
    return [PairRow(left, right) for left, right in zip(*facts, strict=True)]


def _facts(now_of: Summary, now: int) -> list[Line]:
    mark = state_mark(now_of.state)
    best = best_score(now_of)
    counted = [f"{now_of.step:,} steps", duration(now_of.active_now(now))]
    if now_of.spent:
        counted.append(money(now_of.spent))
    judged = [
        f"{number:,} {what}"
        for number, what in ((now_of.flags, "flagged"), (now_of.malformed, "malformed"), (now_of.errors, "errors"))
        if number
    ]
    if now_of.sign_off:
        judged.append(f"signed off {now_of.sign_off}")
    scored = f"best {best:g} of {len(now_of.scores)}" if best is not None else "no score"
    title = clean_line(f"{now_of.address} {now_of.title}")
    return [
        ((title, "strong"), (f"  {mark.text}", "dim")),
        ((scored, "strong" if best is not None else "dim"), ("  " + " · ".join(counted), "dim")),
        ((clean_line(now_of.model), "dim"), ("  " + " · ".join(judged), "dim")),
    ]


def best_score(summary: Summary) -> float | None:
    """The best score of a session by its own direction, None without one."""
    scores = [score.score for score in summary.scores]
    return (max if summary.better == "higher" else min)(scores, default=None)


def _plan_rows(found: Comparison) -> list[PairRow]:
    plans = [_plan(side.summary) for side in (found.one, found.other)]
    if not any(plans):
        return []
    rows = [PairRow(one, other) for one, other in zip_longest(*plans, fillvalue=())]
    return [PairRow(whole=(("plans", "dim"),)), *rows]


def _plan(summary: Summary) -> list[Line]:
    marks = {"done": "✓", "doing": "▸"}
    return [((f" {marks.get(item.status, '·')} ", "dim"), (clean_line(item.text), "text")) for item in summary.plan]


def _words(found: Comparison, words: Sequence[Preference]) -> Iterator[str]:
    """What people have said of the two."""
    names = {side.summary.session: f"{side.summary.address} {side.summary.title}" for side in (found.one, found.other)}
    for word in words:
        if {word.better, word.worse} != set(names):
            continue
        said = "both are equally good" if word.equal else f"{names[word.better]} is better"
        yield clean_line(f"{shown_name(word.by)}: {said}{': ' + word.note if word.note else ''}")

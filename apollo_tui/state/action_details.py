"""Everything about one entry of the log, for the Action screen: read whole, in a thread, and laid out as lines.

What the model did not see of an output is there, and marked as such.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from apollo_tui.backend.feed import Feed
from sessions import events as ev
from sessions.annotators import shown_name
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.fold.corrections import Correction, CorrectionBook
from sessions.fold.released_reply import Replies
from sessions.fold.result_status import result_status
from sessions.labels import Taxonomy
from sessions.log.reader import LogReader
from widgets.entry_kinds import arguments_beside, changed_lines, diff_lines
from widgets.glyphs import duration, outcome_mark
from widgets.models import Line, Role
from widgets.sanitise import clean, clean_line
from widgets.tool_call_text import NO_TOOLS, told_diffs

TOLD: Final = "what the model was told with it"
TOLD_PARTLY: Final = "what stood there before is not told"
NEAR_STEPS: Final = 3
"""Advice this many steps before and after is shown with the action."""


class EntryDetails(msgspec.Struct, frozen=True):
    """One entry with all that belongs to it, oldest first; ``output`` and ``shown`` are whole texts."""

    anchor: ev.Event
    related: tuple[ev.Event, ...] = ()
    reply: ev.ModelReplied | None = None
    reply_seq: int | None = None
    output: str = ""
    shown: str | None = None
    lost: int = 0
    file: str = ""
    diffs: tuple[tuple[ev.FileChanged, str], ...] = ()
    flags: tuple[tuple[str, ev.FlagSet, int], ...] = ()
    """(actor, flag, at)"""
    corrections: tuple[Correction, ...] = ()
    advice: tuple[ev.Event, ...] = ()

    @property
    def result(self) -> ev.ActionResult | None:
        """The observation, once there is one."""
        return next((event.body for event in self.related if isinstance(event.body, ev.ActionResult)), None)


def read_details(reader: LogReader, session: str, seq: int) -> EntryDetails | None:
    """Read all about the entry that begins at ``seq``; None if there is no such event."""
    anchor = reader.event(session, seq)
    if anchor is None:
        return None
    step = anchor.step
    same_step = reader.events(session, steps=(step, step)) if step else []
    related = tuple(e for e in same_step if e.call == anchor.call and e.seq != seq) if anchor.call else ()
    result = next((e.body for e in related if isinstance(e.body, ev.ActionResult)), None)
    diffs = tuple(
        (e.body, reader.text(e.body.diff)) for e in related if isinstance(e.body, ev.FileChanged) and e.body.diff
    )
    reply = anchor.body if isinstance(anchor.body, ev.ModelReplied) else None
    reply_seq = seq if reply is not None else None
    if reply is None and anchor.call:
        replies = Replies(same_step)
        said = replies.of(anchor.step or 0) or replies.newest_of(anchor.step or 0)
        if said is not None and isinstance(said.body, ev.ModelReplied):
            reply, reply_seq = said.body, said.seq
    output = _own_text(reader, anchor) if result is None else reader.text(result.output)
    return EntryDetails(
        anchor=anchor,
        related=related,
        reply=reply,
        reply_seq=reply_seq,
        output=output,
        shown=reader.text(result.shown) if result and result.shown else None,
        lost=result.output.lost if result else 0,
        file=(result.output.file or "") if result else "",
        diffs=diffs,
        flags=tuple(_flags(reader, anchor)),
        corrections=tuple(_corrections(reader, anchor)),
        advice=tuple(_advice(reader, anchor)),
    )


def _own_text(reader: LogReader, anchor: ev.Event) -> str:
    match anchor.body:
        case ev.SummaryWritten() as body:
            return reader.text(body.text) + (f"\n\n{body.advice}" if body.advice else "")
        case ev.SessionCreated() as body:
            return body.task
        case (
            ev.AdviceQueued()
            | ev.AdviceDelivered()
            | ev.NudgeSent()
            | ev.HarnessTurn()
            | ev.QuestionAsked()
            | ev.QuestionAnswered() as said
        ):
            return said.text
        case ev.EvalScored() as body:
            return reader.text(body.output) if body.output else body.problem
        case ev.ModelAttemptFailed() as body:
            return body.message
        case ev.ActionRefused() as body:
            return body.shown
        case ev.StateChanged() as body:
            return body.reason
    return ""


def _flags(reader: LogReader, anchor: ev.Event) -> Iterator[tuple[str, ev.FlagSet, int]]:
    events = reader.events(anchor.session, kinds={"flag.set", "flag.removed"})
    removed = {event.body.flag for event in events if isinstance(event.body, ev.FlagRemoved)}
    for event in events:
        if isinstance(event.body, ev.FlagSet) and event.body.flag not in removed and _about(event.body.target, anchor):
            yield event.actor, event.body, event.at


def _corrections(reader: LogReader, anchor: ev.Event) -> list[Correction]:
    book = CorrectionBook(reader.events(anchor.session, kinds={"correction.written"}))
    return [one for one in book.all if _about(one.target, anchor)]


def _about(target: ev.Target, anchor: ev.Event) -> bool:
    if target.part == "summary":
        return isinstance(anchor.body, ev.SummaryWritten) and anchor.body.number == target.step
    if target.part == "span":
        return anchor.step is not None and target.step <= anchor.step <= (target.to_step or target.step)
    if anchor.step != target.step:
        return False
    return anchor.call == target.call if target.part == "call" else anchor.call is None


def _advice(reader: LogReader, anchor: ev.Event) -> list[ev.Event]:
    if anchor.step is None:
        return []
    found = reader.events(anchor.session, kinds={"advice.delivered", "question.answered"})
    return [event for event in found if abs((_step_of(event) or -99) - anchor.step) <= NEAR_STEPS]


def _step_of(event: ev.Event) -> int | None:
    return event.body.at_step if isinstance(event.body, ev.AdviceDelivered) else event.step


# --- laid out -------------------------------------------------------------------------------------------------------


def details_lines(details: EntryDetails, labels: Taxonomy, tools: Mapping[str, str] = NO_TOOLS) -> list[Line]:
    """The whole entry: what it is, flags, arguments, changes, output, the reply it came from, advice near it.

    ``tools``: what those of the session's harness are for.
    """
    lines = [*_head(details)]
    for who, flag, at in details.flags:
        what = labels.name(flag.label) if flag.verdict == "bad" else flag.verdict
        note = f": {clean_line(flag.note)}" if flag.note else ""
        by = clean_line(shown_name(who))
        lines.append((("⚑ ", "flag"), (f"{clean_line(what)} by {by}, {_clock(at)}{note}", "text")))
    for one in details.corrections:
        by = clean_line(shown_name(one.by))
        lines += [(), (("↳ ", "flag"), ("instead", "strong"), (f", by {by}, {_clock(one.at)}", "dim"))]
        lines += [((line, "text"),) for line in clean(one.text).splitlines()]
    anchor = details.anchor.body
    if isinstance(anchor, ev.ActionStarted):
        failed = details.result is not None and result_status(details.result) != "ok"
        told = [] if details.diffs or failed else told_diffs(anchor.name, anchor.arguments, tools)
        if beside := arguments_beside(anchor.arguments, told):
            lines += _section("arguments", pretty(beside))
        for made in told:
            lines += [(), ((f"{clean_line(made.path)}", "strong"), *changed_lines([made]))]
            lines += [((TOLD_PARTLY, "dim"),)] if made.partly else []
            lines += diff_lines(made.text, 1 << 30)
    elif isinstance(anchor, ev.ActionRefused):
        lines += _section("what the model wrote", anchor.arguments)
        lines += _section("what was wrong", anchor.problem or anchor.why.replace("_", " "))
    for change, diff in details.diffs:
        lines += [
            (),
            (
                (f"{clean_line(change.path)}  ", "strong"),
                (f"+{change.added}", "add"),
                (f" −{change.removed}", "remove"),
            ),
        ]
        lines += diff_lines(diff, 1 << 30)
    lines += _output(details)
    lines += _reply(details)
    for event in details.advice:
        text = event.body.text if isinstance(event.body, ev.AdviceDelivered | ev.QuestionAnswered) else ""
        lines += _section(f"advice at step {_step_of(event)}", text)
    return lines


def _head(details: EntryDetails) -> list[Line]:
    anchor, result = details.anchor, details.result
    name = getattr(anchor.body, "name", "") or anchor.kind
    facts = [_clock(anchor.at)]
    outcome: Line = ()
    if isinstance(anchor.body, ev.ActionRefused):
        outcome = (("✗ malformed" if anchor.body.malformed else "– not run", "error"),)
    elif result is not None:
        mark = outcome_mark(result_status(result))
        outcome = ((f"{mark.glyph} {mark.word or 'ok'}", mark.role),)
        took = f"took {duration(result.duration_ms)}" if result.duration_ms else "how long it took is not known"
        facts.append(took)
        facts.append("the environment's fault" if result.environment else "")
    elif isinstance(anchor.body, ev.ActionStarted):
        outcome = (("… running", "accent"),)
    target = f"{anchor.step}.{anchor.call}" if anchor.call else (f"{anchor.step}" if anchor.step else "")
    tail = "  ".join(fact for fact in facts if fact)
    return [((f"{target} ", "dim"), (clean_line(name), "strong"), ("  ", "text"), *outcome, (f"  {tail}", "dim"))]


def _output(details: EntryDetails) -> list[Line]:
    if not details.output:
        told = _section(TOLD, details.shown) if details.shown else []
        return [] if details.result is None else [*_section("output", ""), (("(empty)", "dim"),), *told]
    named = {"advice.queued": "advice", "session.created": "task", "action.refused": "what the model was told"}
    title = "output" if details.result is not None else named.get(details.anchor.kind, "text")
    lines = _section(title, "")
    result = details.result
    unseen = split_unseen(details.output, details.shown, result.hidden_chars if result is not None else 0)
    lines += text_lines(unseen.head)
    if unseen.hidden:
        lines.append(((f"── {unseen.characters:,} characters the model did not see ──", "need"),))
        lines += text_lines(unseen.hidden, "unseen")
        lines.append((("── from here the model saw it again ──", "need"),))
        lines += text_lines(unseen.tail)
    if unseen.overwritten:
        words = "characters that were overwritten on their line, which the model did not see"
        lines.append(((f"── {unseen.overwritten:,} {words} ──", "need"),))
    if unseen.added:
        lines += _section(TOLD, unseen.added)
    if details.lost or details.file:
        place = f"; the session's folder has it: {clean_line(details.file)}" if details.file else ""
        what = f"{details.lost:,} more characters are" if details.lost else "the whole output is"
        lines.append(((f"── {what} not in the log{place} ──", "need"),))
    return lines


def _reply(details: EntryDetails) -> list[Line]:
    if details.reply is None:
        return []
    lines: list[Line] = []
    for part in details.reply.parts:
        match part:
            case ReasoningPart():
                lines += _section("reasoning before it" if details.anchor.call else "reasoning", part.text, "reason")
            case TextPart():
                lines += _section("said before it" if details.anchor.call else "text", part.text)
            case CallPart() if not details.anchor.call:
                lines += _section(f"call {part.name}", part.arguments)
    usage = details.reply.usage
    if usage:
        said = f"{usage.input_tokens:,} tokens in ({usage.cached_tokens:,} cached), {usage.output_tokens:,} out"
        lines += [(), ((said, "dim"),)]
    return lines


class UnseenOutput(NamedTuple):
    """An output as the model saw it: ``head`` and ``tail``, without what is ``hidden`` between them.

    ``characters``: so many are hidden; ``overwritten``: those that carriage returns took away; ``added``: what the
    model was told behind it.
    """

    head: str
    hidden: str = ""
    tail: str = ""
    characters: int = 0
    overwritten: int = 0
    added: str = ""


def split_unseen(output: str, shown: str | None, hidden_chars: int) -> UnseenOutput:
    """What of ``output`` the model did not see: the log says how much that is, and ``shown`` says where.

    ``shown`` is another text also where tags were escaped, and where a recording had the result in a form of its own:
    that hides nothing.
    """
    if shown is None or shown == output:
        return UnseenOutput(output)
    from sessions.agent.advice import level_tags  # the app starts without what runs agents and tools
    from sessions.jobs.output import last_state
    from sessions.tools.observations import find_cut

    # What was overwritten is not shown to a person either.
    kept = last_state(output)
    whole, told = level_tags(kept), level_tags(shown)
    overwritten = min(hidden_chars, len(output) - len(kept))
    count = hidden_chars - overwritten
    if not count:
        added = told[len(whole) :] if told.startswith(whole) else ""
        return UnseenOutput(kept, overwritten=overwritten, added=added.strip("\n"))
    cut = find_cut(whole, told)
    if cut is None:
        most = min(len(whole), len(told))
        start = _common(whole, told, most)
        cut = start, len(whole) - _common(whole[::-1], told[::-1], most - start), ""
        count = cut[1] - start
    start, end, added = cut
    return UnseenOutput(kept[:start], kept[start:end], kept[end:], count, overwritten, added.strip("\n"))


def _common(a: str, b: str, most: int) -> int:
    """Length of the common prefix, by halving: texts have megabytes."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def text_lines(text: str, role: Role = "text") -> list[Line]:
    """A text as cleaned lines."""
    return [((row, role),) for row in clean(text).split("\n")]


def _section(title: str, text: str, role: Role = "text") -> list[Line]:
    return [(), ((clean_line(title), "title"),), *(text_lines(text.strip("\n"), role) if text else ())]


def pretty(arguments: Mapping[str, object]) -> str:
    """Arguments for reading: one per paragraph, long strings as they are rather than escaped."""
    found = []
    for name, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        found.append(f"{name}:\n{text}" if "\n" in text else f"{name}: {text}")
    return "\n".join(found)


def _clock(at: int) -> str:
    return dt.datetime.fromtimestamp(at / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def plain_text(lines: Sequence[Line]) -> str:
    """Lines without their roles, for the clipboard and the pager."""
    return "\n".join("".join(text for text, _ in line) for line in lines) + "\n"


async def read_entry_text(feed: Feed, labels: Taxonomy, session: str, seq: int) -> str:
    """All of one entry as plain, harmless text; "" if it is not in the log."""

    def ask(reader: LogReader) -> tuple[EntryDetails | None, Mapping[str, str]]:
        summary = reader.summary(session)
        return read_details(reader, session, seq), summary.tools if summary is not None else NO_TOOLS

    details, tools = await feed.work(ask)
    return plain_text(details_lines(details, labels, tools)) if details else ""

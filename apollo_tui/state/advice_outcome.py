"""One piece of advice and what followed it, side by side: read from the log and said in lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from sessions import events as ev
from sessions.annotators import shown_name
from sessions.fold.advice import AdviceBook, AdviceRecord
from sessions.log.reader import LogReader
from widgets.entries import EntryBook
from widgets.entry_kinds import lines_of
from widgets.models import Entry, Line
from widgets.rows import gutter_width, rows_of

STEPS: Final = 5
"""Steps after the delivery that are shown."""
ADVICE: Final = frozenset({"advice.queued", "advice.edited", "advice.withdrawn", "advice.delivered", "advice.outcome"})


class AdviceAftermath(msgspec.Struct, frozen=True):
    """Advice, and the entries of the steps that had it in their prompt; ``before`` is the step it was about."""

    record: AdviceRecord
    before: tuple[Entry, ...]
    after: tuple[Entry, ...]


def read_aftermath(
    reader: LogReader, session: str, advice: int, label_name: Callable[[str], str] = str
) -> AdviceAftermath | None:
    """Advice ``advice`` and what followed, None if it was not delivered."""
    book = AdviceBook(reader.events(session, kinds=ADVICE))
    record = book.get(advice)
    if record is None or record.at_step is None:
        return None
    first = record.about.step if record.about is not None else max(1, record.at_step - 1)
    summary = reader.summary(session)
    tools = summary.tools if summary is not None else {}
    before = _entries(reader.events(session, steps=(first, first)), label_name, tools)
    after = _entries(reader.events(session, steps=(record.at_step, record.at_step + STEPS - 1)), label_name, tools)
    return AdviceAftermath(record, before, after)


def number_at(reader: LogReader, session: str, seq: int) -> int | None:
    """The number of the delivered advice that the event at ``seq`` is about."""
    event = reader.event(session, seq)
    match event.body if event else None:
        case ev.AdviceDelivered(advice=numbers) if numbers:
            return numbers[0]
        case ev.AdviceQueued(advice=number):
            record = AdviceBook(reader.events(session, kinds=ADVICE)).get(number)
            return number if record is not None and record.at_step is not None else None
    return None


def _entries(
    events: Sequence[ev.Event], label_name: Callable[[str], str], tools: Mapping[str, str]
) -> tuple[Entry, ...]:
    book = EntryBook(label_name=label_name, tools=tools)
    book.add(events)
    shown = ("reply", "action", "eval", "question", "problem", "summary")
    return tuple(entry for entry in book.entries() if entry.kind in shown and not entry.quiet)


def advice_lines(aftermath: AdviceAftermath) -> list[Line]:
    """The left side: what was said, when, about what, and what has been said of it since."""
    record = aftermath.record
    about = f" about {record.about}" if record.about is not None else ""
    lines: list[Line] = [
        ((f"advice {record.number}", "strong"), (f" by {shown_name(record.by)}{about}", "dim")),
        ((f"delivered at step {record.at_step}", "dim"), (" and woke the agent" if record.woke else "", "dim")),
    ]
    if record.outcome:
        said = f"{record.outcome.replace('_', ' ')}, says {shown_name(record.outcome_by)}"
        lines.append(((said, "accent"),))
    lines += [(), *lines_of(record.text, 200)]
    if aftermath.before:
        lines += [(), (("before it", "dim"),)]
    return lines


def entry_lines(entries: Sequence[Entry], width: int) -> list[Line]:
    """Entries as rows of ``width`` cells."""
    gutter = gutter_width(max((entry.step or 0 for entry in entries), default=0))
    return [row for entry in entries for row in rows_of(entry, max(24, width), gutter=gutter, compact=True)]

"""What of an event can be found: the words that somebody said, wrote, ran or was shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from sessions import events as ev
from sessions.events.messages import ReasoningPart, TextPart
from sessions.log.reader import LogReader

MOST_CHARS: Final = 200_000
"""Characters of one event that go into the index: head and tail, half of this each."""

SEARCHABLE_KINDS: Final = frozenset(
    {
        "session.created",
        "session.renamed",
        "session.tagged",
        "session.state",
        "model.reply",
        "model.interrupted",
        "action.started",
        "action.result",
        "action.refused",
        "advice.queued",
        "advice.edited",
        "question.asked",
        "question.answered",
        "summary.written",
        "eval.scored",
        "file.changed",
        "flag.set",
        "correction.written",
        "session.note",
        "bookmark.set",
        "preference.stated",
        "plan.changed",
    }
)
"""Kinds that can be found; the rest says nothing that a person would look for."""


def searchable_text(reader: LogReader, body: ev.Body) -> str:
    """What of ``body`` goes into the index, "" for nothing."""
    match body:
        case ev.ModelReplied(parts=parts) | ev.ReplyInterrupted(parts=parts):
            # A call is found by its action: once, with what it led to.
            said = [part.text for part in parts if isinstance(part, ReasoningPart | TextPart)]
        case ev.ActionStarted() as started:
            said = [started.name, *strings(started.arguments)]
        case ev.ActionResult() as result:
            said = [reader.text(result.output)]
        case ev.ActionRefused() as refused:
            said = [refused.name, refused.arguments, refused.problem]
        case ev.SessionCreated() as created:
            said = [created.title, created.task, created.model.id, *created.tags]
        case ev.SessionRenamed() as renamed:
            said = [renamed.title]
        case ev.SessionTagged() as tagged:
            said = [*tagged.added]
        case ev.SummaryWritten() as written:
            said = [reader.text(written.text)]
        case ev.EvalScored() as scored:
            said = [scored.problem, reader.text(scored.output) if scored.output else ""]
        case ev.FileChanged() as changed:
            said = [changed.path]
        case ev.StateChanged() as state:
            said = [state.reason]
        case ev.FlagSet() as flag:
            said = [flag.note]
        case ev.PlanChanged() as plan:
            said = [item.text for item in plan.items]
        case ev.PreferenceStated(note=note):
            said = [note]
        case ev.BookmarkSet() as mark:
            said = [mark.note]
        case (
            ev.AdviceQueued()
            | ev.AdviceEdited()
            | ev.QuestionAsked()
            | ev.QuestionAnswered()
            | ev.CorrectionWritten()
            | ev.NoteWritten() as told
        ):
            said = [told.text]
        case _:
            said = []
    return _cut("\n".join(text for text in said if text))


def all_texts(reader: LogReader, body: ev.Body) -> Iterator[str]:
    """Every text of ``body``, long ones whole: for a search that reads the log itself."""
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if isinstance(value, ev.LongText):
            yield reader.text(value)
        else:
            yield from strings(msgspec.to_builtins(value))


def strings(value: Any) -> Iterator[str]:
    """All strings in plain JSON values, at any depth; keys are not values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS // 2]}\n{text[-MOST_CHARS // 2 :]}"

"""What is damaged in a log, as far as it and the folders beside it can tell: read whole, and compared with itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec

from sessions.events import JobStarted, MessageRef, ModelReplied, ModelRequested
from sessions.events.messages import TextPart
from sessions.fold.summary import Summary
from sessions.jobs.living import session_folders
from sessions.jobs.manager import JobManager
from sessions.log.errors import LogError, LogUnavailable, PromptMismatch
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was written. ``session`` is "" where it is nobody's in particular."""

    session: str
    text: str


def find_damage(reader: LogReader, sessions: Path) -> Iterator[Damage]:
    """All that can be found. Reads the whole log. Raises LogUnavailable."""
    said = reader.check(whole=True)
    if said != "ok":
        yield Damage("", f"SQLite's check: {said}")
    yield from _blobs(reader)
    summaries = reader.summaries()
    for summary in summaries:
        try:
            yield from _session(reader, summary)
        except LogUnavailable:
            raise
        except (LogError, msgspec.MsgspecError, ValueError) as error:
            yield Damage(summary.session, f"it cannot be read whole: {error}")
    yield from _lost_tails(reader, {summary.session for summary in summaries}, sessions)


def _blobs(reader: LogReader) -> Iterator[Damage]:
    try:
        for hash, problem in reader.bad_blobs():
            yield Damage("", f"blob {hash}: {problem}")
    except LogUnavailable:
        raise
    except LogError as error:
        yield Damage("", f"the blobs cannot be read whole: {error}")


def _session(reader: LogReader, summary: Summary) -> Iterator[Damage]:
    session = summary.session
    if not reader.is_whole(session):
        yield Damage(session, "events are missing, or are no JSON")
    replies: dict[int, ModelReplied] = {}
    for event in reader.stream(session):
        match event.body:
            case ModelReplied() as body:
                replies[event.seq] = body
            case ModelRequested() as body:
                try:
                    rebuild_request(reader, session, event.seq)
                except LogUnavailable:
                    raise
                except (LogError, PromptMismatch) as error:
                    yield Damage(session, f"the prompt of event {event.seq} cannot be rebuilt: {error}")
                    continue
                for place, ref in enumerate(body.append):
                    for source in ref.sources if not ref.session else ():
                        if source in replies and not _repeats(_message(reader, body.append, place), replies[source]):
                            yield Damage(
                                session, f"the reply at event {source} is not the one that the agent went on from"
                            )


def _message(reader: LogReader, refs: Sequence[MessageRef], place: int) -> list[bytes]:
    """The message at ``place``; of a reply that a harness sent back in blocks, all of them: the first stands for it."""
    rest = takewhile(lambda ref: ref.role == "assistant" and not ref.sources, refs[place + 1 :])
    return [reader.blob(ref.hash) for ref in (refs[place], *rest)]


def _repeats(message: Sequence[bytes], reply: ModelReplied) -> bool:
    """Whether a message of a prompt holds the words of the reply that it came from."""
    said = "\n".join(string for block in message for string in _strings(json.loads(block)))
    return all(part.text.strip() in said for part in reply.parts if isinstance(part, TextPart))


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _strings(item)
        case dict():
            for item in value.values():
                yield from _strings(item)


def _lost_tails(reader: LogReader, known: set[str], sessions: Path) -> Iterator[Damage]:
    """Jobs that ran, of which the log knows nothing: it was copied without its -wal, or is an older copy."""
    for folder in session_folders(sessions):
        ran = {job.number for job in JobManager(folder).all()}
        if folder.name not in known:
            if ran:
                yield Damage(folder.name, f"it ran {len(ran)} jobs, and the log does not know it: its end is lost")
            continue
        started = {
            event.body.job
            for event in reader.events(folder.name, kinds={"job.started"})
            if isinstance(event.body, JobStarted)
        }
        if lost := sorted(ran - started):
            yield Damage(folder.name, f"job {lost[0]} ran after the end of the log: what followed is lost")

"""A search over all sessions, newest first: index for the words, log for what is shown and for labels and states."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessions import events as ev
from sessions.fold.flags import Flag, FlagBook
from sessions.fold.released_reply import REPLY_KINDS, Replies
from sessions.fold.summary import Summary
from sessions.log.reader import LogReader
from sessions.queries.search_index import MOST_WORDS, Row, SearchIndex, index_path
from sessions.queries.search_query import BadQuery, Query
from sessions.queries.searchable_text import searchable_text

PAGE: Final = 200
AROUND: Final = 60
"""Characters of text before a match that a result shows."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A found entry: ``seq`` is that of its anchor event, ``text`` one line around the match, not sanitised."""

    session: str
    number: int
    title: str
    seq: int
    step: int | None
    call: int | None
    kind: str
    at: int
    text: str
    address: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, newest first. ``left``: events of the log that the index does not hold yet; ``more``: not all are here."""

    hits: tuple[Hit, ...]
    left: int = 0
    more: bool = False


def search_all(
    reader: LogReader, folder: Path, query: Query, *, limit: int = 100, go_on: Callable[[int], bool] = lambda _: True
) -> SearchResult:
    """Bring the index in ``folder`` up to date, as far as ``go_on`` lets it, and search. Raises IndexFailed."""
    index = SearchIndex(index_path(folder), reader)
    try:
        done = index.catch_up(go_on)
        low, high = index.span
        left = 0 if done else max(0, reader.position() - high) + low
        hits: dict[tuple[str, int], Hit] = {}
        for hit in _hits(reader, index, query):
            hits.setdefault((hit.session, hit.seq), hit)
            if len(hits) > limit:
                break
    finally:
        index.close()
    return SearchResult(tuple(hits.values())[:limit], left, len(hits) > limit)


def _hits(reader: LogReader, index: SearchIndex, query: Query) -> Iterator[Hit]:
    sessions = {summary.session: summary for summary in _sessions(reader, query)}
    books = {session: _flags(reader, session, query) for session in sessions} if query.labels else {}
    match = _match(index, query)
    if match is None:
        return
    if query.labels and not match and not query.tools:
        yield from _label_hits(reader, sessions, books, query)
        return
    before = 1 << 62
    while rows := index.newest(match, sorted(query.tools), before=before, limit=PAGE):
        before = rows[-1][0]
        for row in rows:
            summary = sessions.get(row[1])
            if summary is None:
                continue
            if query.labels and not any(_covers(flag, row) for flag in books[row[1]]):
                continue
            hit = _hit(reader, summary, row, query)
            if hit is not None:
                yield hit


def _match(index: SearchIndex, query: Query) -> str | None:
    """The query for the index, with the words that hold its parts; None where no word does. Raises BadQuery."""
    terms = [query.match] if query.match else []
    for part in query.parts:
        known = index.words_with(part)
        if not known:
            return None
        if len(known) > MOST_WORDS:
            raise BadQuery(f"*{part}: more than {MOST_WORDS:,} words hold that: type more of it")
        terms.append("({})".format(" OR ".join(f'"{word}"' for word in known)))
    return " AND ".join(f"({term})" for term in terms)


def _sessions(reader: LogReader, query: Query) -> list[Summary]:
    found = reader.summaries()
    if query.states:
        found = [summary for summary in found if summary.state in query.states]
    if query.sessions:
        wanted = {reader.find(name) for name in query.sessions}
        found = [summary for summary in found if summary.session in wanted]
    return found


def _flags(reader: LogReader, session: str, query: Query) -> list[Flag]:
    book = FlagBook(reader.events(session, kinds=("flag.set", "flag.removed")))
    return [flag for flag in book.active if _has_label(flag, query)]


def _has_label(flag: Flag, query: Query) -> bool:
    said = flag.label if flag.verdict == "bad" else flag.verdict
    return any(said == label or said.split("/")[-1] == label for label in query.labels)


def _covers(flag: Flag, row: Row) -> bool:
    _, _, _, step, call, kind = row
    target = flag.target
    if step is None or target.part == "summary":
        return False
    if target.part == "call":
        return (step, call) == (target.step, target.call)
    if target.part in ("reasoning", "text"):
        return step == target.step and kind == "model.reply"
    return target.step <= step <= (target.to_step or target.step)


def _label_hits(
    reader: LogReader, sessions: dict[str, Summary], books: dict[str, list[Flag]], query: Query
) -> Iterator[Hit]:
    """Only labels are asked for: what they are on, the newest flag first."""
    found = [(flag, session) for session, flags in books.items() for flag in flags]
    for flag, session in sorted(found, key=lambda pair: -pair[0].at):
        summary = sessions[session]
        call = flag.target.call
        seq = _anchor(reader, session, flag.target.step, call) if flag.target.part != "summary" else None
        note = f"⚑ {flag.target} {flag.label if flag.verdict == 'bad' else flag.verdict}: {flag.note}".rstrip(": ")
        yield Hit(session, summary.number, summary.title, seq or flag.seq, flag.target.step, call, "flag.set", flag.at,
                  note, summary.address)  # fmt: skip


def _hit(reader: LogReader, summary: Summary, row: Row, query: Query) -> Hit | None:
    _, session, seq, step, call, kind = row
    event = reader.event(session, seq)
    if event is None:
        return None
    anchor = seq
    if kind not in ev.ANCHORS and step is not None:
        anchor = _anchor(reader, session, step, call) or seq
    text = text_around(searchable_text(reader, event.body), query)
    return Hit(session, summary.number, summary.title, anchor, step, call, kind, event.at, text, summary.address)


def _anchor(reader: LogReader, session: str, step: int, call: int | None) -> int | None:
    kinds = {"action.started", "action.refused"} if call else REPLY_KINDS
    events = reader.events(session, steps=(step, step), kinds=kinds)
    if not call:
        replies = Replies(events)
        found = replies.of(step) or replies.newest_of(step)
        return found.seq if found is not None else None
    return next((event.seq for event in events if event.call == call), None)


def text_around(text: str, query: Query, width: int = 160) -> str:
    """One line of ``text`` around its first match."""
    pattern = "|".join(re.escape(word) for word in query.texts if word)
    found = re.search(pattern, text, re.IGNORECASE) if pattern else None
    start = max(0, found.start() - AROUND) if found else 0
    piece = " ".join(text[start : start + width].split())
    return f"…{piece}" if start else piece

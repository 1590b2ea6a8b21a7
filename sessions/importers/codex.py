"""Codex's rollout files: JSON lines of ``{timestamp, type, payload}``; and the same without envelopes, from older ones.

What ``codex exec --json`` prints is in ``codex_exec``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sessions import events as ev
from sessions.importers.base import CannotImport, ImportedSession, Starter
from sessions.importers.builder import Border, SessionBuilder, session_id, time_ms
from sessions.importers.codex_turns import TurnReader, is_person_turn
from sessions.importers.documents import Document, as_text, count, loads, table
from sessions.importers.session_names import id_ending
from sessions.importers.turns import add_turns
from sessions.importers.ways import Way

FORMAT: Final = "codex"
ITEMS: Final = frozenset(
    {
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "local_shell_call",
        "local_shell_call_output",
        "tool_search_call",
        "tool_search_output",
        "web_search_call",
        "compaction",
    }
)
Record = dict[str, Any]


def recognises(found: Document) -> bool:
    """Whether the records look like Codex's."""
    heads = found.records[:50]
    return any(r.get("type") in ("session_meta", "response_item") and isinstance(r.get("payload"), dict) for r in heads)


def is_flat(found: Document) -> bool:
    """Whether it is a rollout of an older Codex: items without an envelope."""
    heads = found.records[:20]
    return bool(heads) and "instructions" in heads[0] and any(as_text(r.get("type")) in ITEMS for r in heads)


def parse(found: Document) -> list[ImportedSession]:
    """The session of the file, then the ways that were rolled back as branches of it."""
    return _Rollout(found, found.records).sessions()


def parse_flat(found: Document) -> list[ImportedSession]:
    """The session of an older file."""
    first, *rest = found.records
    records: list[Record] = [{"type": "session_meta", "timestamp": first.get("timestamp"), "payload": first}]
    records += [{"type": "response_item", "payload": item} for item in rest if as_text(item.get("type")) in ITEMS]
    made = _Rollout(found, records).sessions()
    left = len(rest) + 1 - len(records)
    if left:
        made[0].warnings.append(f"left out, because they say nothing to us: {left} records")
    return made


class _Rollout:
    """The records of a file, and the ways through them."""

    def __init__(self, found: Document, records: list[Record]) -> None:
        self.found = found
        self.records = records
        metas = [table(record.get("payload")) for record in records if record.get("type") == "session_meta"]
        self.about = metas[0] if metas else {}
        self.name = as_text(self.about.get("id")) or found.path.name
        others = any(meta.get("id") != self.about.get("id") for meta in metas)
        self.copied = _count_copies(records) if others or self.about.get("forked_from_id") else 0

    def sessions(self) -> list[ImportedSession]:
        """All of them. Raises CannotImport where nobody replied."""
        ways = find_rolled_back(self.records)
        borders: dict[int, set[int]] = {}
        for way in ways[1:]:
            if way.border is not None:
                borders.setdefault(id(way.parent), set()).add(way.border)
        made, marks = self._build(ways[0], None, borders)
        if made.created.begins is not None and not made.created.begins.session and self.parent_name:
            starter = Starter(id_ending(f"{FORMAT}\0{self.parent_name}"), "", made.created.task)
            made = replace(made, started_by=starter)
        found: dict[int, dict[int, Border]] = {id(ways[0]): marks}
        result = [made]
        for number, way in enumerate(ways[1:], 1):
            border = Border.before(made)
            if way.border is not None:
                known = found.get(id(way.parent), {}).get(way.border)
                if known is None:
                    continue
                border = known
            try:
                branch, found[id(way)] = self._build(way, border, borders, number)
            except CannotImport:
                made.warnings.append("a message that was rolled back before any reply was left out")
                continue
            result.append(branch)
        return result

    def _build(
        self, way: Way, border: Border | None, borders: dict[int, set[int]], number: int = 0
    ) -> tuple[ImportedSession, dict[int, Border]]:
        records = [(place, self.records[place]) for place in way.records]
        reader = TurnReader(self.copied)
        for place, record in records:
            reader.take(place, record)
        turns = reader.finish()
        key = self.name if border is None else f"{self.name}/branch/{number}"
        builder = SessionBuilder(FORMAT, key, reader.model, meta=self._meta())
        builder.context_tokens = reader.context_tokens
        if border is None:
            builder.started = time_ms(self.about.get("timestamp"))
            builder.begins = self._parent()
            if self.found.broken:
                builder.skipped["line that is no JSON object"] += self.found.broken
            instructions = _instructions(self.about)
            if instructions:
                builder.add_system(instructions)
            if self.copied:
                builder.notes.append(
                    f"it is a fork of session {as_text(self.about.get('forked_from_id')) or '?'}: what was copied from "
                    "there is context, and not trained here"
                )
        else:
            builder.border, builder.task_id = border, border.task_id
            builder.begins = ev.Beginning(border.session, border.seq, "branch")
        builder.skipped += reader.skipped
        at = {place: reader.places.get(place, -1) for place in borders.get(id(way), ())}
        marks = add_turns(builder, turns, set(at.values()))
        state, reason = reader.end
        made = builder.finish(state=state, reason=reason) if reason else builder.finish()
        return made, {place: marks[turn] for place, turn in at.items() if turn in marks}

    def _meta(self) -> dict[str, Any]:
        names = ("cwd", "originator", "cli_version")
        meta = {name: self.about[name] for name in names if isinstance(self.about.get(name), str)}
        git = table(self.about.get("git"))
        named = {"repository_url": "repository", "branch": "gitBranch", "commit_hash": "commit"}
        meta |= {ours: git[theirs] for theirs, ours in named.items() if isinstance(git.get(theirs), str)}
        return {"recording": self.name, **meta}

    def _parent(self) -> ev.Beginning | None:
        """Of which session this one is a sub-agent, if it is one."""
        told = table(self.about.get("source")).get("subagent")
        if not (table(told) or isinstance(told, str) or self.about.get("parent_thread_id")):
            return None
        session = _find_session(self.found.path, self.parent_name)
        return ev.Beginning(session, 1 if session else 0, "child")

    @property
    def parent_name(self) -> str:
        """What the file calls the session that started this one."""
        spawned = table(table(table(self.about.get("source")).get("subagent")).get("thread_spawn"))
        return as_text(self.about.get("parent_thread_id") or spawned.get("parent_thread_id"))


def _find_session(path: Path, name: str) -> str:
    """The id that the session with this name has here, if its file lies with ``path``; else ""."""
    if not name or not all(sign.isalnum() or sign == "-" for sign in name):
        return ""
    for folder, pattern in ((path.parent, "*"), (path.parent.parent.parent, "*/*/*")):
        if not path.name.startswith("rollout-") and folder != path.parent:
            break
        for file in sorted(folder.glob(f"{pattern}{name}.jsonl")):
            try:
                with file.open("rb") as opened:
                    about = table(table(loads(opened.readline())).get("payload"))
            except (OSError, ValueError):
                continue
            if about.get("id") == name:
                return session_id(f"{FORMAT}\0{name}", time_ms(about.get("timestamp")) or 0)
    return ""


def _instructions(about: Record) -> str:
    base = about.get("base_instructions", about.get("instructions"))
    return as_text(table(base).get("text")) if isinstance(base, dict) else as_text(base)


def _count_copies(records: list[Record]) -> int:
    """How many records at the beginning of a fork are copies: it begins with all of the thread that it left, written
    at once, after which comes its own first turn."""
    begun = time_ms(records[0].get("timestamp"))
    if begun is None:
        return 0
    for place, record in enumerate(records):
        at = time_ms(record.get("timestamp"))
        if at is not None and at - begun > COPY_MS:
            return place
    return 0


COPY_MS: Final = 1000
"""Copies are written within this time of the beginning of a file."""


def find_rolled_back(records: list[Record]) -> list[Way]:
    """The way that led to the end, then those that ``thread_rolled_back`` left.

    A rollback of n takes the last n turns of a person out of the context, and all that came of them.
    """
    if not any(_is_rollback(record) for record in records):
        return [Way(list(range(len(records))))]
    main = Way()
    alive: list[int] = []
    turns: list[int] = []
    preamble: int | None = None
    gone: list[tuple[list[int], int | None]] = []
    last = max((place for place, record in enumerate(records) if _is_replied(record)), default=-1)
    for place, record in enumerate(records):
        payload = table(record.get("payload"))
        if _is_rollback(record):
            if place > last:  # nothing came of it yet: the end is where the model replied last
                continue
            taken = min(count(payload.get("num_turns")), len(turns))
            if taken:
                start = turns[-taken]
                del turns[-taken:]
                cut = next((at for at, one in enumerate(alive) if one >= start), len(alive))
                gone.append((alive[cut:], alive[cut - 1] if cut else None))
                del alive[cut:]
            preamble = None
            continue
        if is_person_turn(record):
            # What the harness says of the place goes before the turn that it is for; of the first it stays.
            turns.append(place if preamble is None or not turns else preamble)
            preamble = None
        elif record.get("type") == "response_item":
            said = payload.get("type") == "message" and payload.get("role") in ("user", "developer")
            preamble = (place if preamble is None else preamble) if said else None
        alive.append(place)
    main.records = alive
    owner = dict.fromkeys(alive, main)
    ways = [main]
    for places, border in reversed(gone):
        way = Way(places, None, border)
        owner |= dict.fromkeys(places, way)
        ways.append(way)
    for way in ways[1:]:
        way.parent = owner.get(way.border, main) if way.border is not None else main
    return sorted_by_parent(ways)


def _is_rollback(record: Record) -> bool:
    return record.get("type") == "event_msg" and table(record.get("payload")).get("type") == "thread_rolled_back"


def _is_replied(record: Record) -> bool:
    """Whether the record is a part of a reply."""
    payload = table(record.get("payload"))
    kind = as_text(payload.get("type"))
    said = payload.get("role") == "assistant" if kind == "message" else kind.endswith("_call") or kind == "reasoning"
    return record.get("type") == "response_item" and said


def sorted_by_parent(ways: list[Way]) -> list[Way]:
    """The ways, each after the one it leaves."""
    placed: list[Way] = []
    left = list(ways)
    while left:
        ready = [way for way in left if way.parent is None or any(way.parent is one for one in placed)]
        placed += ready or left
        left = [way for way in left if not any(way is one for one in placed)]
    return placed

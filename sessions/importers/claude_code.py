"""Claude Code's session files: JSON lines, one record each, a tree by ``uuid`` and ``parentUuid``.

The way that led to the end is the session; ways that were left by a rewind are branches of it, sub-agents are children.
The format is its own affair and changes: what is not known is counted and left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sessions import events as ev
from sessions.importers.base import CannotImport, ImportedSession, Starter
from sessions.importers.builder import Border, SessionBuilder
from sessions.importers.claude_turns import (
    Record,
    TurnReader,
    blocks_of,
    first_reply,
    is_reply,
    message_id,
    person_text,
    results_of,
)
from sessions.importers.documents import Document, as_text, items, read_document, table
from sessions.importers.session_names import id_ending
from sessions.importers.turns import add_turns
from sessions.importers.ways import Way, find_ways

FORMAT: Final = "claude-code"
_CHAINED: Final = frozenset({"user", "assistant", "attachment"})
"""Kinds of records that can be turns."""


FORK_CONTEXT: Final = "fork-context-ref"
"""A sub-agent began with the context of the session that started it, which its file does not repeat."""
REPLACEMENTS: Final = "content-replacement"
"""What the model read in place of results that were too long."""


def recognises(found: Document) -> bool:
    """Whether the records look like Claude Code's: its session files, or what it prints as ``stream-json``."""
    return any(
        ("sessionId" in record or "session_id" in record)
        and record.get("type") in ("user", "assistant")
        and isinstance(record.get("message"), dict)
        for record in found.records[:200]
    )


def parse(found: Document) -> list[ImportedSession]:
    """The sessions of the file, each followed by its branches and its sub-agents."""
    groups, loose = _group([_as_recorded(record) for record in found.records])
    made: list[ImportedSession] = []
    problem: CannotImport | None = None
    for name, agents in groups.items():
        for file in _agent_files(found.path, name) if "" in agents else ():
            for agent, records in _agents_in(file, name):
                agents.setdefault(agent, records)
        try:
            made += _Family(name, agents, found).sessions()
        except CannotImport as nothing:
            problem = nothing
    if not made and problem is not None:
        raise problem
    if made:
        notes = []
        if found.broken:
            notes.append(f"line that is no JSON object ({found.broken:,})")
        notes += [f"record {kind} ({number:,})" for kind, number in sorted(loose.items())]
        if notes:
            made[0].warnings.append(f"left out, because they say nothing to us: {', '.join(notes)}")
    return made


def _as_recorded(record: Record) -> Record:
    """A record of ``stream-json``, or one that is beside the tree, under the names that turns of session files have."""
    if record.get("type") == FORK_CONTEXT:
        return {"sessionId": record.get("parentSessionId"), **record, "isSidechain": True}
    if record.get("type") == REPLACEMENTS and record.get("agentId"):
        return {**record, "isSidechain": True}
    if "session_id" not in record or "sessionId" in record:
        return record
    more: Record = {"sessionId": record["session_id"]}
    if record.get("parent_tool_use_id"):
        more |= {"isSidechain": True, "agentId": record["parent_tool_use_id"]}
    return {**record, **more}


def _group(records: list[Record]) -> tuple[dict[str, dict[str, list[Record]]], Counter[str]]:
    """The records by session, and in it by sub-agent ("": the session's own); records of no session by kind.

    A session that goes on from the records of another one has them too: resuming gave a new id to one conversation.
    """
    home: dict[str, str] = {}
    joined: dict[str, str] = {}
    for record in records:
        session = as_text(record.get("sessionId"))
        before = home.get(as_text(record.get("parentUuid")), session) if not record.get("isSidechain") else session
        if session and before and before != session:
            joined[before] = session
        if record.get("uuid") and session:
            home[as_text(record["uuid"])] = session
    groups: dict[str, dict[str, list[Record]]] = {}
    loose: Counter[str] = Counter()
    seen: dict[tuple[str, str], list[Record]] = {}
    roots: dict[str, str] = {}
    for record in records:
        session, uuid = as_text(record.get("sessionId")), as_text(record.get("uuid"))
        if not session:
            loose[as_text(record.get("type")) or "?"] += 1
            continue
        hops: set[str] = set()
        while session in joined and session not in hops:
            hops.add(session)
            session = joined[session]
        if uuid:
            known = seen.setdefault((session, uuid), [])
            if known and _words_in(record) in map(_words_in, known):  # copied when the session was resumed
                continue
            known.append(record)
        agent = ""
        if record.get("isSidechain"):
            root = roots.get(as_text(record.get("parentUuid"))) or uuid or "sub-agent"
            agent = as_text(record.get("agentId")) or root
            roots[uuid] = agent
        groups.setdefault(session, {}).setdefault(agent, []).append(record)
    return groups, loose


def _words_in(record: Record) -> tuple[Any, ...]:
    """What makes a record another one, though both have one uuid."""
    if record.get("type") not in _CHAINED:
        return (record.get("type"),)
    return (record["type"], blocks_of(record), record.get("attachment"))


def _agent_files(path: Path, session: str) -> Iterator[Path]:
    """The files of the session's sub-agents, where its own file lies: in a folder of its name, or beside it."""
    if path.stem != session:
        return
    folder = path.parent / session
    if folder.is_dir():
        yield from sorted(folder.glob("**/agent-*.jsonl"))
    yield from sorted(path.parent.glob("agent-*.jsonl"))


def _agents_in(path: Path, session: str) -> Iterator[tuple[str, list[Record]]]:
    """The sub-agents of the session in a file of theirs."""
    try:
        with path.open("rb") as file:
            first = _as_recorded(table(json.loads(file.readline())))
        if as_text(first.get("sessionId")) != session:
            return
        groups, _ = _group([_as_recorded(record) for record in read_document(path).records])
    except (OSError, ValueError, CannotImport):
        return
    for agent, records in groups.get(session, {}).items():
        if agent:
            yield agent, records


@dataclass(slots=True)
class _Trunk:
    """What sub-agents look for in a session that started them: its id, and the seqs of its calls."""

    session: str
    last: int
    by_call: dict[str, int] = field(default_factory=dict)
    by_prompt: dict[str, int] = field(default_factory=dict)
    task_id: str = ""

    @classmethod
    def of(cls, made: ImportedSession) -> _Trunk:
        trunk = cls(made.session, len(made.events), task_id=made.created.task_id)
        for seq, event in enumerate(made.events, 1):
            if isinstance(event.body, ev.ActionStarted):
                trunk.by_call[event.body.call_id] = seq
                trunk.by_prompt.setdefault(as_text(event.body.arguments.get("prompt")).strip(), seq)
        return trunk


class _Family:
    """A session, its branches and its sub-agents."""

    def __init__(self, name: str, agents: dict[str, list[Record]], found: Document) -> None:
        self.name = name
        self.agents = agents
        self.found = found
        self.calls = _calls_of_agents(agents)

    def sessions(self) -> list[ImportedSession]:
        """All of them, the session itself first. Raises CannotImport where nobody replied."""
        made: list[ImportedSession] = []
        problem: CannotImport | None = None
        if "" in self.agents:
            try:
                made = _Tree(self.name, self.agents[""], None).sessions()
            except CannotImport as nothing:
                problem = nothing
        trunks = [_Trunk.of(one) for one in made]
        lone = not made and "" not in self.agents
        left = {agent: records for agent, records in self.agents.items() if agent}
        while left:
            # A sub-agent may have been started by another one: that one first.
            known = [agent for agent in left if self._begin(agent, left[agent], trunks) is not None]
            for agent in known or list(left)[:1]:
                records = left.pop(agent)
                begins = self._begin(agent, records, trunks) or self._begin_anywhere(trunks, lone=lone)
                try:
                    found = _Tree(
                        f"{self.name}/{agent}", records, begins, trunks[0].task_id if trunks else ""
                    ).sessions()
                except CannotImport as nothing:
                    problem = problem or nothing
                    continue
                if not begins.session:
                    starter = Starter(id_ending(f"{FORMAT}\0{self.name}"), *self._sign_of(agent, records))
                    found[0] = replace(found[0], started_by=starter)
                made += found
                trunks += [_Trunk.of(one) for one in found]
        if not made and problem is not None:
            raise problem
        return made

    def _begin(self, agent: str, records: list[Record], trunks: list[_Trunk]) -> ev.Beginning | None:
        """The call that started the sub-agent: its result names it, or its prompt is what the call said."""
        call, prompt = self._sign_of(agent, records)
        for trunk in trunks:
            seq = trunk.by_call.get(call) or (trunk.by_prompt.get(prompt) if prompt else None)
            if seq is not None:
                return ev.Beginning(trunk.session, seq, "child")
        return None

    def _sign_of(self, agent: str, records: list[Record]) -> tuple[str, str]:
        """The id of the call that started the sub-agent, and what it was told."""
        prompt = next((text.strip() for record in records if (text := person_text(record))), "")
        return self.calls.get(agent, agent), prompt

    def _begin_anywhere(self, trunks: list[_Trunk], *, lone: bool) -> ev.Beginning:
        """The beginning of a sub-agent of which nobody says which call started it."""
        if trunks:
            return ev.Beginning(trunks[0].session, trunks[0].last, "child")
        parent = _parent_file(self.found.path, self.name) if lone else None
        if parent is not None:
            for session, begins in _children_of(parent, parent.stat().st_mtime_ns):
                if session in self.agents:
                    return begins
        return ev.Beginning("", 0, "child")


def _parent_file(path: Path, session: str) -> Path | None:
    """The file of the session whose sub-agent is in ``path``, where it lies at its place."""
    for folder in (path.parent, *path.parents[1:4]):
        file = folder / f"{session}.jsonl"
        if file != path and file.is_file():
            return file
    return None


@lru_cache(maxsize=4)
def _children_of(path: Path, _changed: int) -> tuple[tuple[str, ev.Beginning], ...]:
    """Each sub-agent of the session in a file, and where it begins."""
    try:
        found = parse(read_document(path))
    except CannotImport:
        return ()
    return tuple(
        (as_text(one.created.meta.get("agent")), one.created.begins) for one in found if one.created.begins is not None
    )


def _calls_of_agents(agents: dict[str, list[Record]]) -> dict[str, str]:
    """The id of the call that started each sub-agent, where a result or a progress record says so."""
    calls: dict[str, str] = {}
    for records in agents.values():
        for record in records:
            told, about = table(record.get("toolUseResult")), table(record.get("data"))
            answered = results_of(record)
            if told.get("agentId") and answered:
                calls[as_text(told["agentId"])] = answered[0]
            if about.get("type") == "agent_progress" and record.get("parentToolUseID"):
                calls.setdefault(as_text(about.get("agentId")), as_text(record["parentToolUseID"]))
    return calls


class _Tree:
    """The records of one conversation, and the ways through them as sessions."""

    def __init__(self, key: str, records: list[Record], begins: ev.Beginning | None, task_id: str = "") -> None:
        self.key = key
        self.records = records
        self.begins = begins
        self.task_id = task_id
        self.work_began = first_reply(records)
        refs = (record for record in records if record.get("type") == FORK_CONTEXT)
        self.context_from = next((as_text(record.get("parentSessionId")) for record in refs), "")
        self.replaced = _replacements_in(records)
        self.notes: Counter[str] = Counter()
        self._ids: dict[int, set[str]] = {}

    def sessions(self) -> list[ImportedSession]:
        """The way that led to the end, then those that were left. Raises CannotImport where nobody replied."""
        last = max((n for n, record in enumerate(self.records) if is_reply(record)), default=-1)
        parents, ends = _parents_of(self.records), [r.get("type") in _CHAINED for r in self.records]
        # The end is where the model replied last, and what followed that: a message elsewhere got no reply yet.
        for place in range(len(ends) - 1, last, -1) if last >= 0 else ():
            ends[place] = ends[place] and _leads_to(parents, place, last)
        ways = find_ways(parents, ends, self._joins)
        if not ways:
            raise CannotImport(f"{FORMAT}: the recording holds no reply of a model: nothing to import")
        main, kept = ways[0], []
        owned = {place for way in ways for place in way.records}
        for place, record in enumerate(self.records):
            if place not in owned and place > last >= 0 and person_text(record):
                self.notes["message that no reply follows"] += 1
            elif place not in owned and record.get("type") not in (*_CHAINED, FORK_CONTEXT, REPLACEMENTS):
                self.notes[f"record {as_text(record.get('type')) or '?'}"] += 1
        for way in ways[1:]:
            if any(is_reply(self.records[place]) for place in way.records):
                kept.append(way)
            elif any(person_text(self.records[place]) for place in way.records):
                self.notes["message that was taken back before any reply"] += 1
            elif way.border is not None and way.parent is not None:
                way.parent.records += way.records  # what a harness put beside a turn
                way.parent.records.sort()
        borders: dict[int, set[int]] = {}
        for way in kept:
            if way.border is not None:
                borders.setdefault(id(way.parent), set()).add(way.border)
        made, marks = self._build(main, None, borders)
        result = [made]
        found: dict[int, dict[int, Border]] = {id(main): marks}
        for way in kept:
            border = Border.before(made)
            if way.border is not None:
                known = found.get(id(way.parent), {}).get(way.border)
                if known is None:
                    continue
                border = known
            try:
                branch, found[id(way)] = self._build(way, border, borders)
            except CannotImport:
                continue
            result.append(branch)
        return result

    def _build(
        self, way: Way, border: Border | None, borders: dict[int, set[int]]
    ) -> tuple[ImportedSession, dict[int, Border]]:
        records = [self.records[place] for place in way.records]
        key = self.key if border is None else f"{self.key}/branch/{as_text(records[0].get('uuid'))}"
        model = next((as_text(table(r.get("message")).get("model")) for r in records if is_reply(r)), "")
        builder = SessionBuilder(FORMAT, key, model, task_id=self.task_id, meta=self._about(records))
        builder.begins, builder.border = self.begins, border
        if border is not None:
            builder.begins = ev.Beginning(border.session, border.seq, "branch")
            builder.task_id = border.task_id
        if self.context_from and border is None:
            builder.add_system("", lost=["instruction"])
            builder.notes.append(
                f"it began with the context of session {self.context_from}, which its file does not hold: its replies "
                "are not trained by default"
            )
        reader = TurnReader(self.work_began, self.replaced)
        for place, record in zip(way.records, records, strict=True):
            reader.take(place, record)
        turns = reader.finish()
        builder.skipped += reader.skipped
        if border is None:
            builder.skipped += self.notes
            if reader.forked_from:
                builder.notes.append(
                    f"it is a fork of session {reader.forked_from}: what was copied from there is context, and not "
                    "trained here"
                )
        at = {place: reader.places.get(place, -1) for place in borders.get(id(way), ())}
        marks = add_turns(builder, turns, set(at.values()))
        return builder.finish(), {place: marks[turn] for place, turn in at.items() if turn in marks}

    def _joins(self, place: int, way: Way) -> bool:
        """Whether a record beside the way is a part of a reply in it, or the result of one of its calls."""
        known = self._ids.get(id(way))
        if known is None:
            known = self._ids[id(way)] = set()
            for one in way.records:
                known |= _names_in(self.records[one])
        record = self.records[place]
        if is_reply(record):
            joins = message_id(record) in known
        else:
            answered = results_of(record)
            joins = bool(answered) and all(name in known for name in answered)
        if joins:
            known |= _names_in(record)
        return joins

    def _about(self, records: list[Record]) -> dict[str, Any]:
        found: dict[str, Any] = {"recording": self.key.partition("/")[0]}
        if "/" in self.key:
            found["agent"] = self.key.partition("/")[2]
        for record in records:
            for name in ("cwd", "gitBranch", "version"):
                if isinstance(record.get(name), str):
                    found.setdefault(name, record[name])
        return found


def _replacements_in(records: list[Record]) -> dict[str, str]:
    """What the model read in place of results, by the ids of their calls: decided before a result is first sent."""
    found: dict[str, str] = {}
    for record in records:
        if record.get("type") == REPLACEMENTS:
            for one in items(record.get("replacements")):
                if isinstance(one.get("toolUseId"), str) and isinstance(one.get("replacement"), str):
                    found[one["toolUseId"]] = one["replacement"]
    return found


def _leads_to(parents: list[int | None], place: int, goal: int) -> bool:
    """Whether the record at ``place`` follows the one at ``goal``, at any distance."""
    seen: set[int] = set()
    at: int | None = place
    while at is not None and at not in seen and at != goal:
        seen.add(at)
        at = parents[at]
    return at == goal


def _names_in(record: Record) -> set[str]:
    """The id of the reply that a record is a part of, and those of its calls."""
    if not is_reply(record):
        return set()
    blocks = items(table(record.get("message")).get("content"))
    calls = {as_text(block.get("id")) for block in blocks if block.get("type") == "tool_use"}
    return {name for name in (message_id(record), *calls) if name}


def _parents_of(records: list[Record]) -> list[int | None]:
    """The record that each one follows, by its place; without a tree the one before it."""
    places = {as_text(record["uuid"]): place for place, record in enumerate(records) if record.get("uuid")}
    is_tree = any(record.get("parentUuid") in places for record in records if record.get("parentUuid"))
    parents: list[int | None] = []
    earlier: dict[str, int] = {}
    for place, record in enumerate(records):
        before = place - 1 if place else None
        uuid = as_text(record.get("uuid"))
        name = as_text(record.get("parentUuid")) or as_text(record.get("logicalParentUuid"))
        parent = earlier.get(name, places.get(name, place))
        if uuid in earlier:
            parents.append(before)  # another record has its uuid: the order of the file is all there is
        elif parent != place:
            parents.append(parent)
        elif name or not record.get("uuid") or "parentUuid" not in record:
            parents.append(before)  # what it follows is not in the file
        elif is_tree and record.get("type") == "user" and not record.get("isCompactSummary") and not results_of(record):
            parents.append(None)  # the first request, or another one in its place
        else:
            parents.append(before)
        if uuid:
            earlier[uuid] = place
    return parents

"""Claude Code's session files: one record per line, linked by ``parentUuid``; written from its documentation and files.

A message of the model is spread over records with one ``message.id``. The way to the end is the chain of parents of
the last record; a compaction breaks it, and ``logicalParentUuid`` says where it goes on. Results whose calls are on the
way belong to it, though the chain names only one of several parallel ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from ..transcript import Call, NotRead, Reply, Transcript, Usage, json_lines, text_of

Record = dict[str, Any]

NOISE: Final = re.compile(
    r"\s*(?:<(?:command-name|command-message|command-args|local-command-|bash-input|bash-stdout|bash-stderr|user-memory-input"
    r"|task-notification|teammate-message|system-reminder|ide_|persisted-output)|Caveat: |\[Request interrupted by user"
    r"|This session is being continued from a previous conversation)"
)
"""How turns begin that the harness wrote in the user's name."""
ASIDE: Final = re.compile(r"<(system-reminder|ide_opened_file|ide_selection|ide_diagnostics)>.*?</\1>", re.DOTALL)
"""What the harness puts beside a person's words."""


def read(data: bytes) -> list[Transcript]:
    """The session of a file, its abandoned ways and its sub-agents."""
    records = [
        r for r in json_lines(data) if r.get("type") in {"user", "assistant", "system", "attachment", "progress"}
    ]
    spoken = [r for r in records if r["type"] in {"user", "assistant"} and isinstance(r.get("message"), dict)]
    if not spoken:
        raise NotRead("no record of a user or an assistant")
    side = [r for r in spoken if r.get("isSidechain")]
    if len(side) == len(spoken):  # the file of a sub-agent
        return [_transcript(_parents_first(side), "child")]
    main = [r for r in records if not r.get("isSidechain")]
    ids = {r["uuid"] for r in spoken if r.get("uuid")}
    if not any(r.get("parentUuid") in ids for r in spoken):  # nothing is linked: sessions one after the other
        sessions = dict.fromkeys(r.get("sessionId") for r in main if r.get("sessionId"))
        return [_transcript([r for r in main if r.get("sessionId") == name], "main") for name in sessions]
    way = _way(main)
    found = [_transcript(_together(way, main), "main")]
    on_way = {id(r) for r in _together(way, main)}
    found += _branches([r for r in main if id(r) not in on_way])
    found += [_transcript(group, "child") for group in _groups(side)]
    return [t for t in found if t.role == "main" or t.replies]


def _way(records: list[Record]) -> list[Record]:
    """The records from the first to the last one of the file, by parents."""
    known = {r["uuid"]: (place, r) for place, r in enumerate(records) if r.get("uuid")}
    ends = [r for r in records if r["type"] in {"user", "assistant"} and r.get("uuid")]
    if not ends:
        return records
    way: list[Record] = []
    seen: set[str] = set()
    at: Record | None = ends[-1]
    while at is not None and at["uuid"] not in seen:
        seen.add(at["uuid"])
        way.append(at)
        parent = at.get("parentUuid") or at.get("logicalParentUuid")
        place = known[at["uuid"]][0]
        if parent in known:
            at = known[parent][1]
        elif _is_summary(at) or at.get("subtype") == "compact_boundary":
            at = next((r for r in reversed(records[:place]) if r.get("uuid")), None)
        else:
            at = None
    return way[::-1]


def _together(way: list[Record], records: list[Record]) -> list[Record]:
    """The way, with the other records of its messages and the results of its calls, in the file's order."""
    uuids = {id(r) for r in way}
    messages = {m for r in way if r["type"] == "assistant" and (m := r["message"].get("id"))}
    calls = {
        block.get("id")
        for r in records
        if r["type"] == "assistant" and (id(r) in uuids or r["message"].get("id") in messages)
        for block in _blocks(r)
        if block.get("type") == "tool_use"
    }
    first = min((place for place, r in enumerate(records) if id(r) in uuids), default=0)

    def belongs(place: int, r: Record) -> bool:
        if id(r) in uuids:
            return True
        if r["type"] == "assistant":
            return r["message"].get("id") in messages
        if r["type"] == "user":
            results = [b for b in _blocks(r) if b.get("type") == "tool_result"]
            return bool(results) and all(b.get("tool_use_id") in calls for b in results) and place > first
        return r["type"] == "attachment" and r.get("parentUuid") in {w.get("uuid") for w in way}

    chosen = [r for place, r in enumerate(records) if belongs(place, r)]
    known = {r.get("uuid") for r in chosen}
    told = {id(r) for r in records if r.get("isMeta") and r.get("parentUuid") in known}  # beside a parallel result
    ids = {id(r) for r in chosen} | told
    return _parents_first([r for r in records if id(r) in ids])


def _parents_first(records: list[Record]) -> list[Record]:
    """The file's order, but for records that were written before their parents (a quick result before its call)."""
    known = {r["uuid"]: r for r in records if r.get("uuid")}
    ordered: dict[int, Record] = {}
    for r in records:
        line = [r]
        while (parent := known.get(line[-1].get("parentUuid") or "")) is not None and id(parent) not in ordered:
            if parent in line:
                break
            line.append(parent)
        ordered |= {id(each): each for each in reversed(line)}
    return list(ordered.values())


def _branches(records: list[Record]) -> list[Transcript]:
    """What was left behind: a transcript for each end of an abandoned way."""
    parents = {r.get("parentUuid") for r in records}
    found = []
    for end in (r for r in records if r["type"] in {"user", "assistant"} and r.get("uuid") not in parents):
        known = {r.get("uuid"): r for r in records}
        way: list[Record] = []
        at: Record | None = end
        while at is not None and at not in way:
            way.append(at)
            at = known.get(at.get("parentUuid"))
        found.append(_transcript(way[::-1], "branch"))
    return found


def _groups(side: list[Record]) -> Iterable[list[Record]]:
    """Side chains by agent, or by the root of their chain."""
    groups: dict[str, list[Record]] = {}
    root: dict[str, str] = {}
    for r in side:
        key = r.get("agentId") or root.get(r.get("parentUuid") or "") or r.get("uuid") or ""
        root[r.get("uuid") or ""] = key
        groups.setdefault(key, []).append(r)
    return groups.values()


def _transcript(records: list[Record], role: str) -> Transcript:
    found = Transcript(role=role, name=next((r["sessionId"] for r in records if r.get("sessionId")), ""))  # type: ignore[arg-type]
    by_message: dict[str, tuple[Reply, list[Record]]] = {}
    for r in records:
        if r["type"] == "assistant":
            _assistant(found, r, by_message)
        elif r["type"] == "user":
            _user(found, r)
        elif r["type"] == "attachment" and r["attachment"].get("type") == "queued_command":
            queued = r["attachment"]
            if queued.get("commandMode", "prompt") == "prompt" and _by_person(r):
                found.say(_spoken(text_of(queued.get("prompt"))[0]))
    return found


def _assistant(found: Transcript, r: Record, by_message: dict[str, tuple[Reply, list[Record]]]) -> None:
    message = r["message"]
    if message.get("model") == "<synthetic>" or r.get("isApiErrorMessage"):  # the harness's own words
        found.say("\n".join(b.get("text") or "" for b in _blocks(r)), person=False)
        return
    key = message.get("id") or r.get("uuid") or str(len(by_message))
    if key not in by_message:
        by_message[key] = (Reply(model=message.get("model") or ""), [])
        found.replies.append(by_message[key][0])
    reply, blocks = by_message[key]
    for block in _blocks(r):
        _merge(blocks, block)
    reply.text = "\n".join(b.get("text") or "" for b in blocks if b["type"] == "text")
    reply.reasoning = any(b.get("thinking") for b in blocks if b["type"] == "thinking")
    for number, b in enumerate(b for b in blocks if b["type"] == "tool_use"):
        if number == len(reply.calls):
            reply.calls.append(Call(b.get("name") or "", None, b.get("id") or ""))
        reply.calls[number].arguments = b.get("input")
    usage = message.get("usage") or {}
    if usage.get("input_tokens") or usage.get("output_tokens"):
        cached = (usage.get("cache_read_input_tokens") or 0) + (usage.get("cache_creation_input_tokens") or 0)
        reply.usage = Usage((usage.get("input_tokens") or 0) + cached, usage.get("output_tokens") or 0)


def _merge(blocks: list[Record], new: Record) -> None:
    """Add a block of a message, or take it as the newer state of one that is there."""
    for place, old in enumerate(blocks):
        if old["type"] != new.get("type"):
            continue
        if (
            new["type"] == "tool_use"
            and old.get("id") == new.get("id")
            and old.get("input") in ({}, None, new.get("input"))
        ):
            blocks[place] = new
            return
        if new["type"] in {"text", "thinking"}:
            before, after = old.get(new["type"]) or "", new.get(new["type"]) or ""
            if before and (after.startswith(before) or before.startswith(after)):
                blocks[place] = new if len(after) >= len(before) else old
                return
    if new.get("type"):
        blocks.append(new)


def _user(found: Transcript, r: Record) -> None:
    if _is_summary(r):
        found.summaries += 1
        return
    texts = []
    for block in _blocks(r):
        if block.get("type") == "tool_result":
            call = found.call(block.get("tool_use_id") or "")
            if call is not None and call.result is None:
                call.result, call.partial = text_of(block.get("content"))
                call.failed = bool(block.get("is_error"))
        elif block.get("type") == "text":
            texts.append(block.get("text") or "")
    spoken = "\n".join(filter(None, map(_spoken, texts))) if _by_person(r) else ""
    if spoken:
        found.say(spoken)
    else:
        found.say("\n".join(texts), person=False)


def _spoken(text: str) -> str:
    """A person's words in a block of text, without what the harness put in."""
    rest = ASIDE.sub("", text)
    return "" if NOISE.match(rest) else rest.strip()


def _by_person(r: Record) -> bool:
    origin = r.get("origin")
    return not r.get("isMeta") and not (isinstance(origin, dict) and origin.get("kind") not in {None, "human"})


def _is_summary(r: Record) -> bool:
    return bool(r.get("isCompactSummary"))


def _blocks(r: Record) -> list[Record]:
    content = r["message"].get("content") if isinstance(r.get("message"), dict) else None
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [b for b in content or [] if isinstance(b, dict)]

"""The records of one way through a Claude Code session as turns.

A reply is several records with one message id: a part in each, the same part again, or all parts so far in each.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sessions import events as ev
from sessions.events.messages import Finish, Usage
from sessions.importers.builder import Call, time_ms
from sessions.importers.content_losses import find_losses
from sessions.importers.documents import as_text, count, items, table, text_of
from sessions.importers.harness_text import is_hand_off, person_words
from sessions.importers.turns import Clearing, Compaction, Reply, Result, Speech, Turn

Record = dict[str, Any]

SYNTHETIC: Final = "<synthetic>"
"""The model of messages that no model wrote."""
_STOPS: Final[dict[str, Finish]] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
_REJECTED: Final = ("The user doesn't want to proceed with this tool use", "[Request interrupted by user")
_FAILED: Final = re.compile(r"<tool_use_error>|Exit code [1-9]\d*$", re.M)
"""How results begin of calls that failed."""
CLEARED: Final = "[Old tool result content cleared]"
"""What prompts hold in place of results that a microcompaction took out."""
_INTERRUPTED: Final = "[Request interrupted by user]"


def is_reply(record: Record) -> bool:
    """Whether the record is (part of) a reply that a model wrote."""
    if record.get("type") != "assistant" or record.get("isApiErrorMessage"):
        return False
    message = table(record.get("message"))
    # A model can end its turn without a word; a record without words or an end is none of its replies.
    return as_text(message.get("model")) != SYNTHETIC and bool(blocks_of(record) or message.get("stop_reason"))


def message_id(record: Record) -> str:
    """The id of the reply that the record is a part of."""
    return as_text(table(record.get("message")).get("id"))


def blocks_of(record: Record) -> list[dict[str, Any]]:
    """The content of the record's message; a text alone is one block."""
    content = table(record.get("message")).get("content")
    parts = content if isinstance(content, list) else [content]
    return items([{"type": "text", "text": part} if isinstance(part, str) else part for part in parts])


def copied_from(record: Record) -> str:
    """The session that the record is a copy of: a fork begins with all that its parent had said."""
    return as_text(table(record.get("forkedFrom")).get("sessionId"))


def results_of(record: Record) -> list[str]:
    """The ids of the calls that the record has results of."""
    if record.get("type") != "user":
        return []
    return [as_text(block.get("tool_use_id")) for block in blocks_of(record) if block.get("type") == "tool_result"]


def person_text(record: Record) -> str:
    """What a person said in the record, "" if it is no turn of a person."""
    if record.get("type") == "attachment":
        return _queued_words(record)
    if record.get("type") != "user" or record.get("isMeta") or record.get("isCompactSummary"):
        return ""
    texts = [as_text(block.get("text")) for block in blocks_of(record) if block.get("type") == "text"]
    return "\n\n".join(words for text in texts if (words := person_words(text)))


class TurnReader:
    """Takes the records of one way in the order of the file."""

    def __init__(self, work_began: int | None, replaced: Mapping[str, str] | None = None) -> None:
        self.turns: list[Turn] = []
        self.forked_from = ""
        """The session of which the first records are copies."""
        self._replaced = replaced or {}
        """What the model read in place of the results of these calls."""
        self.skipped: Counter[str] = Counter()
        self.places: dict[int, int] = {}
        """How many turns there were after each record, by its place."""
        self._work_began = work_began
        self._replies: dict[str, _ReplyParts] = {}
        self._parts_of: dict[int, _ReplyParts] = {}
        self._begun: dict[int, int] = {}
        """The number of the turn that each reply is."""
        self._by_record: dict[str, list[Turn]] = {}
        self._boundary: Record = {}

    def take(self, place: int, record: Record) -> None:
        """The next record; ``place`` is its number in the file."""
        before = len(self.turns)
        self.forked_from = self.forked_from or copied_from(record)
        match record.get("type"):
            case "assistant" if is_reply(record):
                self._take_part(record)
            case "assistant":
                self.skipped["message that no model wrote"] += 1
            case "user":
                self._take_user(place, record)
            case "attachment" if words := _queued_words(record):
                text = as_text(table(record.get("attachment")).get("prompt"))
                self.turns.append(Speech(text or words, _at(record), words, late=self._is_late(place)))
            case "attachment":
                kind = as_text(table(record.get("attachment")).get("type")) or "?"
                self.skipped[f"attachment {kind}"] += 1
            case "system" if record.get("subtype") == "compact_boundary":
                self._boundary = record
            case "system" if record.get("subtype") == "microcompact_boundary":
                told = table(record.get("microcompactMetadata")).get("compactedToolIds")
                calls = [name for name in told if isinstance(name, str)] if isinstance(told, list) else []
                self.turns += [Clearing(calls, CLEARED)] if calls else []
            case "fork-context-ref" | "content-replacement":
                pass  # of these the importer of the whole file knows
            case kind:
                self.skipped[f"record {as_text(kind) or '?'}"] += 1
        self._by_record[as_text(record.get("uuid"))] = self.turns[before:] or self._turn_of(record)
        self.places[place] = len(self.turns) - 1

    def finish(self) -> list[Turn]:
        """All turns."""
        for parts in self._replies.values():
            parts.complete()
        return self.turns

    def _turn_of(self, record: Record) -> list[Turn]:
        parts = self._replies.get(message_id(record)) if is_reply(record) else None
        return [parts.reply] if parts else []

    def _is_late(self, place: int) -> bool:
        return self._work_began is not None and place > self._work_began

    def _take_part(self, record: Record) -> None:
        name = message_id(record)
        if not name:  # an older or a foreign file: what stands side by side is one reply
            last = self._parts_of.get(id(self.turns[-1])) if self.turns else None
            name = last.name if last is not None and not last.has_id else f"reply {len(self._replies)}"
        known = self._replies.get(name)
        if known is None or self._is_another(known, record):
            if known is not None:
                known.complete()
            known = self._replies[name] = _ReplyParts(name, bool(message_id(record)))
            self._parts_of[id(known.reply)] = known
            self._begun[id(known.reply)] = len(self.turns)
            self.turns.append(known.reply)
        known.take(record, self.skipped)

    def _is_another(self, known: _ReplyParts, record: Record) -> bool:
        """Whether a record is of another reply than the one whose id it has: some servers use their ids again.

        It is if it was asked for on its own, or with another prompt; where the file says neither, if a person spoke
        when all calls had results.
        """
        if known.has_part_of(record):
            return False
        since = self.turns[self._begun[id(known.reply)] + 1 :]
        if not since:
            return False
        otherwise = known.is_asked_otherwise(record)
        if otherwise is not None:
            return otherwise
        spoken = next((n for n, turn in enumerate(since) if isinstance(turn, Speech) and turn.person), None)
        answered = {turn.call for turn in since[:spoken] if isinstance(turn, Result)}
        return spoken is not None and known.call_names <= answered

    def _take_user(self, place: int, record: Record) -> None:
        at, texts, persons, lost = _at(record), [], [], find_losses(_spoken(record))
        for block in blocks_of(record):
            kind = block.get("type")
            if kind == "tool_result":
                self.turns.append(_result(record, block, at, self._replaced))
            elif kind == "text":
                texts.append(as_text(block.get("text")))
                persons.append("" if record.get("isMeta") else person_words(texts[-1]))
        text = "\n\n".join(text for text in texts if text)
        if not text.strip() and not lost:
            return
        if record.get("isCompactSummary") or (is_hand_off(text) and not any(persons)):
            self.turns.append(self._compaction(record, text, at))
            return
        if text.strip() == _INTERRUPTED:
            self._interrupt()
        words = "\n\n".join(words for words in persons if words)
        self.turns.append(Speech(text, at, words, late=self._is_late(place), lost=lost))

    def _interrupt(self) -> None:
        """A reply of text alone after which the person interrupted was not finished, unless it says so."""
        last = self._parts_of.get(id(self.turns[-1])) if self.turns else None
        if last is not None:
            last.cut = True

    def _compaction(self, record: Record, text: str, at: int | None) -> Compaction:
        message: dict[str, Any] = {"role": "user", "content": text}
        boundary, self._boundary = self._boundary, {}
        about = table(boundary.get("compactMetadata"))
        segment, listed = table(about.get("preservedSegment")), table(about.get("preservedMessages"))
        kept = self._kept(segment, listed)
        anchor = as_text(segment.get("anchorUuid") or listed.get("anchorUuid"))
        if anchor and anchor == as_text(boundary.get("uuid")):
            return Compaction(text, at, [*kept, message])
        return Compaction(text, at, [message, *kept])

    def _kept(self, segment: dict[str, Any], listed: dict[str, Any]) -> list[Turn]:
        """The turns that a compaction left as they were."""
        names = [as_text(name) for name in listed.get("uuids") or ()] if isinstance(listed.get("uuids"), list) else []
        if not names and segment:
            known = list(self._by_record)
            first, last = as_text(segment.get("headUuid")), as_text(segment.get("tailUuid"))
            if first in self._by_record and last in self._by_record:
                names = known[known.index(first) : known.index(last) + 1]
        kept = [turn for name in names for turn in self._by_record.get(name, ()) if not isinstance(turn, Result)]
        return list({id(turn): turn for turn in kept}.values())


class _ReplyParts:
    """One reply while its records come."""

    def __init__(self, name: str, has_id: bool) -> None:
        self.name, self.has_id = name, has_id
        self.reply = Reply()
        self.blocks: list[tuple[dict[str, Any], int | None]] = []
        self.cut = False
        self.hidden = False
        """Whether it thought what nobody can read."""
        self._usage: dict[str, Any] = {}
        self._request = ""

    @property
    def call_names(self) -> set[str]:
        """The ids of its calls so far."""
        return {as_text(block.get("id")) for block, _ in self.blocks if block.get("type") == "tool_use"}

    def has_part_of(self, record: Record) -> bool:
        """Whether the record tells a part again, or how one grew."""
        return any(self._find(block) is not None for block in blocks_of(record))

    def is_asked_otherwise(self, record: Record) -> bool | None:
        """Whether another request than this reply's gave the record; None: neither says."""
        request = as_text(record.get("requestId"))
        if request and self._request:
            return request != self._request
        before, now = (usage_of(told) for told in (self._usage, table(record.get("message")).get("usage")))
        if before is None or now is None or not before.input_tokens or not now.input_tokens:
            return None
        return before.input_tokens != now.input_tokens

    def take(self, record: Record, skipped: Counter[str]) -> None:
        """One more record of it."""
        message, at, reply = table(record.get("message")), _at(record), self.reply
        self._request = self._request or as_text(record.get("requestId"))
        reply.at = at if reply.at is None else reply.at
        reply.salvaged = reply.salvaged or bool(copied_from(record))
        reply.model = reply.model or as_text(message.get("model"))
        reply.finish_raw = as_text(message.get("stop_reason")) or reply.finish_raw
        usage = table(message.get("usage"))
        if count(usage.get("output_tokens")) >= count(self._usage.get("output_tokens")):
            self._usage = usage or self._usage
        cost = record.get("costUSD")
        if isinstance(cost, int | float) and not isinstance(cost, bool):
            reply.cost = max(reply.cost or 0.0, float(cost))
        for block in blocks_of(record):
            if block.get("type") == "redacted_thinking":
                self.hidden = True
            elif block.get("type") not in ("text", "thinking", "tool_use"):
                skipped[f"block {as_text(block.get('type')) or '?'}"] += 1
                reply.lost += find_losses(block)
            elif (known := self._find(block)) is None:
                self.blocks.append((block, at))
            else:
                self.blocks[known] = (_longer(self.blocks[known][0], block), self.blocks[known][1])

    def _find(self, block: dict[str, Any]) -> int | None:
        """The place of the block that this one is the same as, or a later state of."""
        for place, (known, _) in enumerate(self.blocks):
            if known.get("type") == block.get("type") and _continues(known, block):
                return place
        return None

    def complete(self) -> None:
        """Put the reply together."""
        reply = self.reply
        texts = [as_text(block.get("text")) for block, _ in self.blocks if block.get("type") == "text"]
        thoughts = [as_text(block.get("thinking")) for block, _ in self.blocks if block.get("type") == "thinking"]
        reply.text = "\n\n".join(text for text in texts if text)
        reply.reasoning = "\n".join(thought for thought in thoughts if thought)
        calls = [(block, at) for block, at in self.blocks if block.get("type") == "tool_use"]
        reply.calls = [
            Call(
                as_text(block.get("id")) or f"call-{number}",
                as_text(block.get("name")) or "?",
                as_text(block.get("input")),
                at,
            )
            for number, (block, at) in enumerate(calls, 1)
        ]
        if self.hidden or (any(block.get("type") == "thinking" for block, _ in self.blocks) and not reply.reasoning):
            reply.lost.append("reasoning")
        reply.usage = usage_of(self._usage)
        reply.finish = _STOPS.get(reply.finish_raw)
        if self.cut and not reply.calls and not reply.finish_raw:
            reply.finish = "interrupted"


def _continues(before: dict[str, Any], block: dict[str, Any]) -> bool:
    """Whether ``block`` is ``before`` again, or one grew out of the other."""
    if block.get("type") == "tool_use":
        if block.get("id") != before.get("id") or block.get("name") != before.get("name"):
            return False
        old, new = before.get("input"), block.get("input")
        return _grows(old, new) or _grows(new, old)
    name = "thinking" if block.get("type") == "thinking" else "text"
    old, new = as_text(before.get(name)), as_text(block.get(name))
    return new.startswith(old) or old.startswith(new)


def _grows(old: Any, new: Any) -> bool:
    """Whether ``new`` is what a call's input came to that was ``old`` so far."""
    if isinstance(old, str) and isinstance(new, str):
        return new.startswith(old)
    if isinstance(old, dict) and isinstance(new, dict):
        return all(name in new and _grows(value, new[name]) for name, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) <= len(new) and all(_grows(a, b) for a, b in zip(old, new, strict=False))
    return bool(old is None or old == new)


def _longer(before: dict[str, Any], block: dict[str, Any]) -> dict[str, Any]:
    return block if len(as_text(block)) >= len(as_text(before)) else before


def _result(record: Record, block: dict[str, Any], at: int | None, replaced: Mapping[str, str]) -> Result:
    told, name = record.get("toolUseResult"), as_text(block.get("tool_use_id"))
    text = text_of(block.get("content"))
    more = table(told)
    wrong = block.get("is_error") is True or bool(_exit_code(more))
    said = told if isinstance(told, str) else ""
    wrong = wrong or said.startswith("Error: ") or bool(_FAILED.match(text))
    outcome: ev.Outcome = "error" if wrong else "ok"
    rejected = said.startswith("User rejected") or text.startswith(_REJECTED)
    if more.get("interrupted") is True or (block.get("is_error") is True and rejected):
        outcome = "interrupted"
    data = {name: value for name in ("exitCode", "exit_code") if isinstance(value := more.get(name), int)}
    took = count(more.get("durationMs")) or count(more.get("totalDurationMs"))
    lost = find_losses(block.get("content"))
    return Result(name, replaced.get(name, text), at, outcome, took or None, data, [] if name in replaced else lost)


def _spoken(record: Record) -> list[dict[str, Any]]:
    """The blocks of a user's message that are no results."""
    return [block for block in blocks_of(record) if block.get("type") != "tool_result"]


def _exit_code(told: dict[str, Any]) -> int:
    for place in (told, table(told.get("metadata"))):
        for name in ("exitCode", "exit_code", "returnCode"):
            value = place.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return 0


def _queued_words(record: Record) -> str:
    """What a person said while the agent was at work: it is kept as an attachment."""
    about = table(record.get("attachment"))
    if about.get("type") != "queued_command" or as_text(about.get("commandMode")) not in ("", "prompt"):
        return ""
    return person_words(text_of(about.get("prompt")))


def usage_of(value: Any) -> Usage | None:
    """What a message says of its tokens."""
    told = table(value)
    cached, written = count(told.get("cache_read_input_tokens")), count(told.get("cache_creation_input_tokens"))
    sent, said = count(told.get("input_tokens")) + cached + written, count(told.get("output_tokens"))
    return Usage(sent, said, cached, written) if sent or said else None


def first_reply(records: Iterable[Record]) -> int | None:
    """The place of the first record of a reply: the work had begun."""
    return next((place for place, record in enumerate(records) if is_reply(record)), None)


def _at(record: Record) -> int | None:
    return time_ms(record.get("timestamp"))

"""Sessions of gemini-cli: a JSON document, or a log of records that adds, replaces and rewinds messages; and its saved
checkpoints."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

from sessions import events as ev
from sessions.events.messages import Usage
from sessions.events.recording import LostPart
from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.builder import Border, Call, SessionBuilder, time_ms
from sessions.importers.documents import Document, as_text, count, items, table, text_of
from sessions.importers.harness_text import is_hand_off, person_words
from sessions.importers.reply_parts import reply_message
from sessions.importers.turns import Compaction, Reply, Result, Speech, Turn, add_turns

FORMAT: Final = "gemini-cli"
_MARKS: Final = ("$set", "$rewindTo", "$push")
_ACKNOWLEDGED: Final = ("Got it. Thanks for the context!", "Got it. Thanks for the additional context!")
"""What gemini-cli puts into the model's mouth after what it tells of the place."""
_EXIT: Final = re.compile(r"^Exit Code: (?!0$)-?\d+$", re.M)
"""How a command's result says that it failed."""
_SHELLS: Final = ("run_shell_command", "shell")
Message = dict[str, Any]


def recognises(found: Document) -> bool:
    """Whether it is a session or a checkpoint of gemini-cli."""
    value = found.table
    if isinstance(value.get("messages"), list):
        return _is_head(value) or any(_is_message(message) for message in items(value["messages"])[:20])
    if isinstance(value.get("history"), list):
        return _is_history(items(value["history"]))
    if isinstance(found.value, list):
        return _is_history(found.records)
    heads = found.records[:50]
    return any(_is_head(record) or any(mark in record for mark in _MARKS) for record in heads[:5]) and any(
        _is_message(record) or any(mark in record for mark in _MARKS) for record in heads
    )


def _is_head(record: Message) -> bool:
    return "sessionId" in record and "projectHash" in record


def _is_message(record: Message) -> bool:
    return record.get("type") == "gemini" and ("content" in record or "toolCalls" in record)


def _is_history(history: list[Message]) -> bool:
    return (
        bool(history)
        and all(isinstance(one.get("parts"), list) for one in history[:20])
        and any(one.get("role") == "model" for one in history[:20])
    )


def parse(found: Document) -> list[ImportedSession]:
    """The session of the file, and what was rewound as branches of it."""
    history = items(found.table.get("history")) or (found.records if isinstance(found.value, list) else [])
    if history and not found.table.get("messages"):
        return [_checkpoint(found, history)]
    log = _MessageLog()
    if isinstance(found.table.get("messages"), list):
        log.take({key: value for key, value in found.table.items() if key != "messages"})
        for message in items(found.table["messages"]):
            log.take(message)
    else:
        last = max((n for n, record in enumerate(found.records) if _is_message(record)), default=-1)
        for number, record in enumerate(found.records):
            if number < last or "$rewindTo" not in record:  # of a rewind at the end nothing came yet
                log.take(record)
    return _sessions(found, log)


class _MessageLog:
    """The messages that are left when all records are taken, those that were rewound, and the contexts set anew."""

    def __init__(self) -> None:
        self.about: Message = {}
        self.skipped: Counter[str] = Counter()
        self.messages: dict[str, Message] = {}
        """What became of each message, by id, also of those that left the context."""
        self.order: list[str] = []
        """The ids of the way that led to the end, in order."""
        self._live: dict[str, None] = {}
        """The ids of the context as it is."""
        self.rewound: list[tuple[list[str], str]] = []
        """Ids that were rewound, and the id of the message before them."""
        self.contexts: dict[str, list[Message]] = {}
        """The context that was set after a message, by its id."""
        self._loose = 0

    def take(self, record: Message) -> None:
        """The next record."""
        if isinstance(record.get("$rewindTo"), str):
            self._rewind(record["$rewindTo"])
        elif isinstance(record.get("$set"), dict):
            self._set(record["$set"])
        elif "type" in record or ("id" in record and "content" in record):
            self._add(record)
        elif "sessionId" in record:
            self.about |= record
            for message in items(record.get("messages")):
                self._add(message)
        else:
            self.skipped["record that is no message"] += 1

    def _add(self, message: Message) -> None:
        name = as_text(message.get("id"))
        if not name:
            self._loose += 1
            name = f"message {self._loose}"
        if name not in self._live:
            self._live[name] = None
            self.order.append(name)
        self.messages[name] = message

    def _rewind(self, name: str) -> None:
        """A message and all after it leave the context; one that nobody knows takes all of it along."""
        at = self.order.index(name) if name in self.order else 0
        gone = self.order[at:]
        if gone:
            self.rewound.append((gone, self.order[at - 1] if at else ""))
        del self.order[at:]
        for one in gone:
            self._live.pop(one, None)
            self.contexts.pop(one, None)

    def _set(self, values: Message) -> None:
        self.about |= {key: value for key, value in values.items() if key != "messages"}
        held = {as_text(message.get("id")): message for message in items(values.get("messages"))}
        if not held:
            return
        known = self.messages
        if all(name in held and _goes_on(known[name], held[name]) for name in self._live):
            for message in held.values():  # all that was there, told anew: some grew, some are new
                self._add(message)
            return
        self.contexts[self.order[-1] if self.order else ""] = list(held.values())
        self.messages |= {name: message for name, message in held.items() if name not in known}
        self._live = dict.fromkeys(held)


def _goes_on(before: Message, after: Message) -> bool:
    """Whether a message that is told again says what it said, or more; results that were masked are others."""
    old, new = _words(before.get("content")), _words(after.get("content"))
    if not new.startswith(old):
        return False
    results = {as_text(call.get("id")): call.get("result") for call in items(after.get("toolCalls"))}
    calls = items(before.get("toolCalls"))
    return all(not call.get("result") or results.get(as_text(call.get("id"))) == call["result"] for call in calls)


def _sessions(found: Document, log: _MessageLog) -> list[ImportedSession]:
    name = as_text(log.about.get("sessionId")) or found.path.name
    kept = set(log.order)
    ways: list[tuple[list[str], str]] = [(log.order, "")]
    for gone, border in log.rewound:
        kept |= set(gone)
        ways.append((gone, border))
    made: list[ImportedSession] = []
    marks: dict[str, Border] = {}
    borders = {border for _, border in ways[1:] if border}
    left = list(enumerate(ways))
    while left:
        ready = [one for one in left if one[0] == 0 or one[1][1] in marks or not one[1][1]] or left
        for number, (names, border) in ready:
            begin = None
            if number:
                begin = marks.get(border) or (Border.before(made[0]) if made else None)
                if begin is None:
                    continue
            try:
                session, found_marks = _build(found, log, name, names, number, begin, borders)
            except CannotImport:
                if not number:
                    raise
                made[0].warnings.append("a message that was rewound before any reply was left out")
                continue
            made.append(session)
            marks |= found_marks
        left = [one for one in left if not any(one is taken for taken in ready)]
    return made


def _build(
    found: Document,
    log: _MessageLog,
    name: str,
    names: list[str],
    number: int,
    border: Border | None,
    borders: set[str],
) -> tuple[ImportedSession, dict[str, Border]]:
    messages = [log.messages[one] for one in names]
    model = next((as_text(message["model"]) for message in messages if message.get("model")), "")
    key = f"{name}/branch/{number}" if number else name
    builder = SessionBuilder(FORMAT, key, model, meta={"recording": name, **_about(log.about)})
    if border is not None:
        builder.border, builder.task_id = border, border.task_id
        builder.begins = ev.Beginning(border.session, border.seq, "branch")
    else:
        builder.started = time_ms(messages[0].get("timestamp")) if messages else None
        builder.skipped += log.skipped
        if found.broken:
            builder.skipped["line that is no JSON object"] += found.broken
        if log.about.get("kind") == "subagent":
            builder.begins = ev.Beginning("", 0, "child")
    reader = _TurnReader(builder)
    places: dict[str, int] = {}
    for one in names:
        reader.take(log.messages[one])
        if one in log.contexts:
            reader.set_context(log.contexts[one])
        places[one] = len(reader.turns) - 1
    wanted = {one: places[one] for one in borders if one in places}
    marks = add_turns(builder, reader.turns, set(wanted.values()))
    return builder.finish(), {one: marks[turn] for one, turn in wanted.items() if turn in marks}


def _about(about: Message) -> dict[str, Any]:
    found = {name: about[name] for name in ("projectHash",) if isinstance(about.get(name), str)}
    folders = about.get("directories")
    if isinstance(folders, list) and folders and isinstance(folders[0], str):
        found["cwd"] = folders[0]
    return found


class _TurnReader:
    """Messages as turns: a message of the model has its calls, and their results, in it."""

    def __init__(self, builder: SessionBuilder) -> None:
        self.builder = builder
        self.turns: list[Turn] = []

    def take(self, message: Message) -> None:
        """The next message."""
        at, kind = time_ms(message.get("timestamp")), as_text(message.get("type"))
        content = message.get("content")
        if kind == "user":
            text, lost = text_of(content), _find_losses(content)
            if text.strip() or lost:
                self.turns.append(_speech(text, at, lost))
            elif not _is_of_results(content):
                self.builder.skipped["message without text"] += 1
        elif kind in ("gemini", "model", "assistant"):
            self._reply(message, at)
        elif kind == "error":
            self.builder.skipped[f"error: {text_of(content)[:120]}"] += 1
        else:
            self.builder.skipped[f"message {kind or '?'}"] += 1

    def _reply(self, message: Message, at: int | None) -> None:
        thoughts = [
            ": ".join(part for part in (as_text(one.get("subject")), as_text(one.get("description"))) if part)
            for one in items(message.get("thoughts"))
        ]
        content = message.get("content")
        text = _words(content)
        hidden = [as_text(part.get("text")) for part in items(content) if part.get("thought") is True]
        calls = items(message.get("toolCalls"))
        if not text and not calls and not any(thoughts) and not hidden:
            self.builder.skipped["reply with nothing in it"] += 1
            return
        reply = Reply(
            text,
            "\n\n".join(thought for thought in (thoughts or hidden) if thought),
            at=at,
            usage=_usage(table(message.get("tokens"))),
            model=as_text(message.get("model")),
        )
        self.turns.append(reply)
        for number, call in enumerate(calls, 1):
            name = as_text(call.get("id")) or f"call-{len(self.turns)}.{number}"
            # Its time is that of its end.
            reply.calls.append(Call(name, as_text(call.get("name")) or "?", as_text(call.get("args") or {})))
        for call, made in zip(calls, list(reply.calls), strict=True):
            if (result := _result(made.id, call)) is not None:
                self.turns.append(result)

    def set_context(self, held: list[Message]) -> None:
        """The context became these messages: gemini-cli summed it up, or masked old results."""
        context: list[dict[str, Any] | Turn] = []
        summary = ""
        for message in held:
            text = _words(message.get("content"))
            if message.get("type") == "user":
                summary = summary or (text if "<state_snapshot>" in text or is_hand_off(text) else "")
                context += [{"role": "user", "content": text}] if text.strip() else []
                continue
            reader = _TurnReader(SessionBuilder(FORMAT, ""))
            reader.take(message)
            context += [chat for turn in reader.turns for chat in _chat_of(turn)]
        self.turns.append(Compaction(summary or "(The context was shortened.)", None, context))


def _chat_of(turn: Turn) -> list[dict[str, Any]]:
    if isinstance(turn, Result):
        return [{"role": "tool", "tool_call_id": turn.call, "content": turn.text}]
    if not isinstance(turn, Reply):
        return []
    return [reply_message(turn.text, turn.calls, turn.reasoning)]


def _speech(text: str, at: int | None, lost: list[LostPart]) -> Speech:
    words = person_words(text)
    return Speech(text, at, "" if words in ("Please continue.",) else words, lost=lost)


def _find_losses(content: Any) -> list[LostPart]:
    """What of a message is no text: data that is in it, or that it points to."""
    lost: list[LostPart] = []
    for part in items(content):
        for name in ("inlineData", "fileData"):
            if isinstance(about := part.get(name), dict):
                kind = as_text(about.get("mimeType")).partition("/")[0]
                found: dict[str, LostPart] = {"image": "image", "audio": "audio", "video": "video"}
                lost.append(found.get(kind, "file"))
        lost += _find_losses(table(part.get("functionResponse")).get("parts"))
    return lost


def _words(content: Any) -> str:
    """The text of a message; what the model thought is no part of it."""
    if isinstance(content, list):
        content = [part for part in content if not (isinstance(part, dict) and part.get("thought") is True)]
    return text_of(content)


def _is_of_results(content: Any) -> bool:
    return any("functionResponse" in part for part in items(content))


def _result(name: str, call: Message) -> Result | None:
    """What a call came to, as the model read it; None while it was under way."""
    status = as_text(call.get("status"))
    parts = call.get("result")
    parts = parts if isinstance(parts, list) else [parts]
    texts = [text for part in parts if (text := _response(part))]
    shown = "\n\n".join(texts)
    if not shown and parts == [None]:
        if status in ("", "executing", "scheduled", "validating", "awaiting_approval"):
            return None
        shown = as_text(call.get("resultDisplay"))
    outcome: ev.Outcome = "ok"
    if status in ("cancelled", "canceled"):
        outcome = "interrupted"
    elif (
        status == "error"
        or any(_failed(part) for part in parts)
        or (call.get("name") in _SHELLS and _EXIT.search(shown))
    ):
        outcome = "error"
    took = count(call.get("durationMs"))
    return Result(name, shown, time_ms(call.get("timestamp")), outcome, took or None, lost=_find_losses(parts))


def _response(part: Any) -> str:
    if isinstance(part, str):
        return part
    response = table(table(part).get("functionResponse")).get("response")
    if isinstance(response, dict):
        told = response.get("output", response.get("error", response.get("content")))
        return as_text(told) if told is not None else as_text(response)
    return as_text(response) or text_of(part)


def _failed(part: Any) -> bool:
    response = table(table(table(part).get("functionResponse")).get("response"))
    return "error" in response and "output" not in response


def _usage(tokens: Message) -> Usage | None:
    sent, thought = count(tokens.get("input")) + count(tokens.get("tool")), count(tokens.get("thoughts"))
    said = count(tokens.get("output")) + thought
    return Usage(sent, said, count(tokens.get("cached")), reasoning_tokens=thought) if sent or said else None


def _checkpoint(found: Document, history: list[Message]) -> ImportedSession:
    """A saved chat: turns of parts, whose results are parts of user turns."""
    builder = SessionBuilder(
        FORMAT, f"{found.path.name}\0{as_text(history)[:65536]}", meta={"recording": found.path.name}
    )
    turns: list[Turn] = []
    names: dict[str, list[str]] = {}
    for number, content in enumerate(history):
        parts = items(content.get("parts"))
        text = _words(parts)
        if content.get("role") == "model":
            if text.strip() in _ACKNOWLEDGED and number <= 1:
                turns.append(Speech(text, role="assistant"))
                continue
            reply = Reply(text, "\n\n".join(as_text(part.get("text")) for part in parts if part.get("thought") is True))
            for part in parts:
                if isinstance(call := part.get("functionCall"), dict):
                    name = as_text(call.get("name")) or "?"
                    identity = as_text(call.get("id")) or f"call-{number}.{len(reply.calls) + 1}"
                    names.setdefault(name, []).append(identity)
                    reply.calls.append(Call(identity, name, as_text(call.get("args") or {})))
            turns.append(reply)
            continue
        for part in parts:
            if isinstance(told := part.get("functionResponse"), dict):
                waiting = names.get(as_text(told.get("name")), [])
                identity = as_text(told.get("id")) or (waiting.pop(0) if waiting else "")
                turns.append(Result(identity, _response(part), outcome="error" if _failed(part) else "ok"))
        if text.strip() or _find_losses(parts):
            turns.append(_speech(text, None, _find_losses(parts)))
    add_turns(builder, turns)
    return builder.finish()

"""What a file that nobody reads looks like, and what it lacks: for the refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sessions.importers.documents import Document, items, table

ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
"""Who speaks in a chat."""
HEADS: Final = 200
"""Records that are looked at."""


@dataclass(frozen=True, slots=True)
class Traits:
    """By which fields a format is known from afar, in any record or at the top; and which it cannot do without."""

    name: str
    typical: frozenset[str]
    needed: tuple[tuple[str, Callable[[Document], bool]], ...]
    """What it has to hold, in words, and whether it does."""


def describe(found: Document) -> str:
    """``looks like codex, but has no record response_item``; "" where it looks like nothing that is known."""
    if special := _describe_special(found):
        return special
    fields = _fields(found)
    best = max(TRAITS, key=lambda traits: _share(traits, fields))
    if len(best.typical & fields) < 2 or _share(best, fields) < 0.5:
        return ""
    lacks = [what for what, holds in best.needed if not holds(found)]
    return f"it looks like {best.name}, but has {' and '.join(lacks) or 'no record that is known'}"


def _share(traits: Traits, fields: frozenset[str]) -> float:
    return len(traits.typical & fields) / len(traits.typical)


def _fields(found: Document) -> frozenset[str]:
    return frozenset(name for record in _records(found) for name in record)


def _records(found: Document) -> list[dict[str, Any]]:
    return found.records[:HEADS] or [found.table]


def _any(test: Callable[[dict[str, Any]], bool]) -> Callable[[Document], bool]:
    return lambda found: any(test(record) for record in _records(found))


def _has(*names: str) -> Callable[[Document], bool]:
    return _any(lambda record: all(record.get(name) for name in names))


def _of_type(*kinds: str) -> Callable[[Document], bool]:
    return _any(lambda record: record.get("type") in kinds)


def _holds_list(*names: str) -> Callable[[Document], bool]:
    return _any(lambda record: any(items(record.get(name)) for name in names))


def _said_by(role: str) -> Callable[[Document], bool]:
    def holds(found: Document) -> bool:
        lists = [items(record.get("messages")) for record in _records(found)]
        said = [message for listed in lists for message in listed] or _records(found)
        return any(message.get("role") == role for message in said)

    return holds


TRAITS: Final = (
    Traits(
        "claude-code",
        frozenset({"type", "message", "uuid", "parentUuid", "sessionId", "timestamp"}),
        (
            ("no `sessionId`", _has("sessionId")),
            ("no record of type user or assistant", _of_type("user", "assistant")),
            ("no `message` in them", _any(lambda record: isinstance(record.get("message"), dict))),
        ),
    ),
    Traits(
        "codex",
        frozenset({"timestamp", "type", "payload"}),
        (("no record of type response_item or session_meta", _of_type("response_item", "session_meta")),),
    ),
    Traits(
        "atif",
        frozenset({"schema_version", "session_id", "agent", "steps"}),
        (
            (
                "no `schema_version` that begins with ATIF-v",
                _any(lambda r: str(r.get("schema_version")).startswith("ATIF-v")),
            ),
            ("no list of `steps`", _holds_list("steps")),
        ),
    ),
    Traits(
        "inspect",
        frozenset({"version", "status", "eval", "plan", "results", "stats"}),
        (("no `eval`", _any(lambda r: bool(table(r.get("eval"))))), ("no `samples`", _holds_list("samples"))),
    ),
    Traits(
        "openhands",
        frozenset({"id", "timestamp", "source", "kind"}),
        (("no event whose `kind` ends in Event", _any(lambda r: str(r.get("kind")).endswith("Event"))),),
    ),
    Traits(
        "swe-agent",
        frozenset({"trajectory", "history", "info", "environment"}),
        (("no list of `trajectory` or `history`", _holds_list("trajectory", "history")),),
    ),
    Traits(
        "mini-swe-agent",
        frozenset({"info", "messages", "trajectory_format"}),
        (
            ("no list of `messages`", _holds_list("messages")),
            (
                "no `trajectory_format` and no `info.mini_version`",
                _any(lambda r: bool(r.get("trajectory_format")) or "mini_version" in table(r.get("info"))),
            ),
        ),
    ),
    Traits(
        "innovatorbench",
        frozenset({"id", "node_type", "messages", "response", "observation"}),
        (("no `node_type` among its first fields", lambda _: False),),
    ),
    Traits(
        "a chat",
        frozenset({"role", "content"}),
        (("no reply (a message of the role assistant)", _said_by("assistant")),),
    ),
    Traits(
        "a chat",
        frozenset({"messages", "tools"}),
        (("no reply (a message of the role assistant)", _said_by("assistant")),),
    ),
)


def _describe_special(found: Document) -> str:
    """Files that lie beside recordings, and are none."""
    fields = _fields(found)
    if found.archive:
        return "it is an archive that holds no log of Inspect: unpack it, then name the folder"
    if {"apollo", "policy_sha256"} <= fields:
        return "it is the manifest of an export: name the file that it is of"
    if {"id", "session", "step", "reason"} <= fields and "messages" not in fields:
        return "it is the list of what an export left out: name the export"
    if fields & {"input_ids", "labels"} == {"input_ids", "labels"}:
        return "it holds token ids alone: import a raw export of these sessions instead"
    if {"display", "pastedContents"} <= fields or {"session_id", "ts", "text"} <= fields:
        return "it is a history of prompts: it holds no reply of a model"
    if found.value is None and not found.records:
        return found.problem or "it holds no JSON"
    if {"chosen", "rejected"} <= fields:
        return "it holds pairs of replies to choose from, which are no recordings"
    return _describe_roles(found)


def _describe_roles(found: Document) -> str:
    """A chat whose messages nobody can place."""
    lists = [items(record.get("messages")) for record in _records(found)]
    roles = {str(message["role"]) for listed in lists for message in listed if "role" in message}
    strange = sorted(roles - ROLES)
    if not strange:
        return ""
    return f"it looks like a chat, but has messages of the role {', '.join(map(repr, strange[:3]))}"

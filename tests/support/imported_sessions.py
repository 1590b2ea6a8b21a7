"""What tests ask of an imported session that is in no log yet: its prompts, replies, results and turns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sessions import events as ev
from sessions.events.messages import CallPart
from sessions.importers.base import ImportedSession
from sessions.importers.files import import_file

CASES = Path(__file__).parents[1] / "cases" / "import"


def imports_of(path: Path, *records: Any) -> list[ImportedSession]:
    """The sessions in a file of these records, a line each."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return import_file(path)


def bodies_of(session: ImportedSession, kind: type[Any]) -> list[Any]:
    """The bodies of all events of a kind."""
    return [event.body for event in session.events if isinstance(event.body, kind)]


def prompts_of(session: ImportedSession, *left: ImportedSession) -> list[list[dict[str, Any]]]:
    """The messages of the prompt of each step; ``left``: the sessions that it left, where it is a branch."""
    blobs = {blob.hash: blob.data for one in (session, *left) for blob in one.blobs}
    chains: dict[tuple[str, int], list[ev.MessageRef]] = {}
    for one in (*left, session):
        for seq, event in enumerate(one.events, 1):
            if isinstance(event.body, ev.ModelRequested):
                across, parent = event.body.across, event.body.parent
                place = (one.session, parent) if across is None else (across.session, across.seq)
                chains[one.session, seq] = [*(chains[place] if place[1] is not None else []), *event.body.append]
    return [
        [json.loads(blobs[ref.hash]) for ref in chain] for (name, _), chain in chains.items() if name == session.session
    ]


def said_to(session: ImportedSession, *left: ImportedSession) -> list[list[str]]:
    """The contents of the messages of each prompt."""
    return [[str(message["content"]) for message in prompt] for prompt in prompts_of(session, *left)]


def calls_of(session: ImportedSession) -> list[list[tuple[str, str]]]:
    """The calls of each reply: their id and arguments."""
    replies = bodies_of(session, ev.ModelReplied)
    return [[(part.id, part.arguments) for part in body.parts if isinstance(part, CallPart)] for body in replies]


def results_of(session: ImportedSession) -> list[tuple[str, str, str]]:
    """Id, outcome and text of each result."""
    return [(body.call_id, body.outcome, body.output.text) for body in bodies_of(session, ev.ActionResult)]


def advice_of(session: ImportedSession) -> list[str]:
    """All advice, as it was said."""
    return [body.text for body in bodies_of(session, ev.AdviceQueued)]

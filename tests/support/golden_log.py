"""Golden logs: one file per schema version, never written again once released.

``python tests/support/golden_log.py`` makes the files of this version that are missing; ``--anew`` makes them again.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import event_bodies
import log_events as make
import msgspec

from sessions import events as ev
from sessions.events.text import Blob, canonical_json, long_text
from sessions.fold.summary import FOLD_VERSION, Summary
from sessions.log.reader import LogReader
from sessions.log.schema import SCHEMA_VERSION
from sessions.log.session_heads import fold_summaries
from sessions.log.writer import LogWriter

FOLDER = Path(__file__).parents[1] / "log" / "golden"
LOG = FOLDER / f"v{SCHEMA_VERSION}.sqlite"
SUMMARIES = FOLDER / f"summaries-fold-{FOLD_VERSION}.json"
EVERY_KIND, REAL = make.SESSION, make.OTHER
"""The session that holds a full example of each kind, and the one whose prompts can be rebuilt."""


async def write_log(path: Path) -> None:
    """A log with every kind of this version, a long text, and requests as an adapter makes them."""
    ticks = count(1_700_000_000_000, 1_000)
    async with await LogWriter.open(path, clock=lambda: next(ticks)) as writer:
        await writer.append(
            make.session_created(EVERY_KIND, 1), make.session_created(REAL, 2, system=ev.LongText("be brief"))
        )
        for number, (kind, body) in enumerate(sorted(ev.KINDS.items())):
            session = ev.HOST_SESSION if kind.startswith("host.") else EVERY_KIND
            if kind != "session.created":
                new = ev.NewEvent(session, event_bodies.example(body), step=1, actor="human:ada", request=f"r{number}")
                await writer.append(new)
        await writer.append(make.state("running", REAL))
        parent: int | None = None
        prompt: list[dict[str, Any]] = []
        for step in (1, 2, 3):
            turn = list(_turn(step))
            prompt += turn
            request, blobs = _request(prompt, turn, parent)
            (stored,) = await writer.append(ev.NewEvent(REAL, request, step=step), blobs=blobs)
            parent = stored.seq
            text, blobs = long_text(f"Zeile {step}\n" * 1000)
            reply = msgspec.structs.replace(make.reply(step, parent, ("run", "{}"), text="grüße"), session=REAL)
            result = ev.ActionResult(call_id=f"c{step}.1", outcome="ok", output=text)
            await writer.append(reply, ev.NewEvent(REAL, result, step=step, call=1), blobs=blobs)


def summaries_of(path: Path) -> dict[str, Summary]:
    """The summaries that this version's fold makes of the log's events."""
    with closing(LogReader(path)) as reader:
        return fold_summaries(reader.stream())


def _turn(step: int) -> Iterator[dict[str, Any]]:
    if step == 1:
        yield {"role": "user", "content": "make it learn"}
    else:
        yield {"role": "assistant", "content": None, "tool_calls": [{"id": f"c{step - 1}.1"}]}
        yield {"role": "tool", "content": f"Zeile {step} \u2028 🌍", "tool_call_id": f"c{step - 1}.1"}


def _request(
    prompt: list[dict[str, Any]], turn: list[dict[str, Any]], parent: int | None
) -> tuple[ev.ModelRequested, list[Blob]]:
    envelope, tools = {"model": "m", "temperature": 0.5, "stream": True}, [{"name": "run", "parameters": {}}]
    system = "be brief"
    blobs = [Blob.of(canonical_json(value)) for value in (system, tools, *turn)]
    sent = canonical_json({**envelope, "messages": prompt, "system": system, "tools": tools})
    pairs = zip(turn, blobs[2:], strict=True)
    body = ev.ModelRequested(
        adapter="test",
        adapter_version=1,
        envelope=envelope,
        system=blobs[0].hash,
        tools=blobs[1].hash,
        parent=parent,
        append=tuple(ev.MessageRef(blob.hash, str(message["role"])) for message, blob in pairs),
        sha256=hashlib.sha256(sent).hexdigest(),
    )
    return body, blobs


def main() -> None:
    """Make what is missing."""
    FOLDER.mkdir(exist_ok=True)
    anew = "--anew" in sys.argv
    if anew or not LOG.exists():
        LOG.unlink(missing_ok=True)
        asyncio.run(write_log(LOG))
    if anew or not SUMMARIES.exists():
        made = msgspec.json.encode(summaries_of(LOG), order="sorted")
        SUMMARIES.write_bytes(msgspec.json.format(made, indent=1) + b"\n")
    for neighbour in FOLDER.glob("*.sqlite-*"):
        neighbour.unlink()


if __name__ == "__main__":
    main()

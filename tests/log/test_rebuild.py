from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import log_events as make
import pytest

from sessions import events as ev
from sessions.events.text import Blob, canonical_json
from sessions.log.errors import LogReadFailed, PromptMismatch
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request, request_chain
from sessions.log.writer import LogWriter

S = make.SESSION
TOOLS = [{"name": "run", "description": "läuft"}]
SYSTEM = [{"type": "text", "text": "be brief"}]
ENVELOPE = {"model": "m", "temperature": 0.5, "zeta": {"b": 1, "a": [1.0, None]}, "max_tokens": 10}
TURNS = [
    [{"role": "user", "content": "the task \ud83d"}],
    [{"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]}, {"role": "tool", "content": "ünï\u0000"}],
    [{"role": "assistant", "content": "done"}, {"role": "user", "content": "ünï"}],
]


async def log_of_requests(path: Path, *, with_slots: bool) -> tuple[list[int], list[bytes]]:
    sent: list[bytes] = []
    seqs: list[int] = []
    system, tools = Blob.of(canonical_json(SYSTEM)), Blob.of(canonical_json(TOOLS))
    async with await LogWriter.open(path) as writer:
        await writer.append(make.session_created(), make.state("running"))
        prompt: list[dict[str, Any]] = []
        for step, turn in enumerate(TURNS, start=1):
            prompt += turn
            body: dict[str, Any] = {**ENVELOPE, "messages": prompt}
            body |= {"system": SYSTEM, "tools": TOOLS} if with_slots else {}
            sent.append(canonical_json(body))
            blobs = [Blob.of(canonical_json(message)) for message in turn]
            request = ev.ModelRequested(
                adapter="test",
                adapter_version=1,
                envelope=ENVELOPE,
                system=system.hash if with_slots else None,
                tools=tools.hash if with_slots else None,
                parent=seqs[-1] if seqs else None,
                append=tuple(ev.MessageRef(blob.hash, turn[i]["role"]) for i, blob in enumerate(blobs)),
                sha256=hashlib.sha256(sent[-1]).hexdigest(),
            )
            (stored,) = await writer.append(ev.NewEvent(S, request, step=step), blobs=[*blobs, system, tools])
            seqs.append(stored.seq)
    return seqs, sent


@pytest.mark.parametrize("with_slots", [True, False])
async def test_every_request_is_rebuilt_byte_for_byte_from_a_copied_log(tmp_path: Path, with_slots: bool) -> None:
    seqs, sent = await log_of_requests(tmp_path / "log.sqlite", with_slots=with_slots)
    shutil.copy(tmp_path / "log.sqlite", tmp_path / "copy.sqlite")
    with LogReader(tmp_path / "copy.sqlite") as reader:
        assert [rebuild_request(reader, S, seq) for seq in seqs] == sent
        assert [len(request_chain(reader, S, seq)) for seq in seqs] == [1, 3, 5]


async def test_a_prompt_that_is_not_what_was_sent_is_never_handed_out(tmp_path: Path) -> None:
    async with await LogWriter.open(tmp_path / "log.sqlite") as writer:
        asked, blobs = make.request(1, messages=(("user", "a"),), sha256="0" * 64)
        stored = await writer.append(make.session_created(), asked, blobs=blobs)
        with LogReader(writer.path) as reader, pytest.raises(PromptMismatch, match="request 2"):
            rebuild_request(reader, S, stored[-1].seq)


async def test_a_broken_chain_is_said_in_one_line(tmp_path: Path) -> None:
    async with await LogWriter.open(tmp_path / "log.sqlite") as writer:
        await writer.append(make.session_created(), make.request(1, parent=1)[0], make.request(2, parent=3)[0])
        with LogReader(writer.path) as reader:
            with pytest.raises(LogReadFailed, match=r"event 1 of session .* is no model request"):
                request_chain(reader, S, 2)
            with pytest.raises(LogReadFailed, match="names a later parent"):
                request_chain(reader, S, 3)
            with pytest.raises(LogReadFailed, match="event 9"):
                rebuild_request(reader, S, 9)


async def test_the_same_tools_and_system_prompt_are_stored_once(tmp_path: Path) -> None:
    await log_of_requests(tmp_path / "log.sqlite", with_slots=True)
    with LogReader(tmp_path / "log.sqlite") as reader:
        stored = reader._rows("SELECT count(*) FROM blobs")[0][0]
    assert stored == 2 + sum(map(len, TURNS))

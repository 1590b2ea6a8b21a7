from __future__ import annotations

import json
from pathlib import Path

import pytest
from host_in_process import open_host

from sessions.host import protocol
from sessions.host.client import RequestRefused

ID = "01K00000000000000000000001"
KEY = "sk-filed-0123456789abcdef"


def raw_file(folder: Path, session: str = ID) -> Path:
    """A finished session of two events, as our raw format has it."""
    model = {"provider": "openai", "name": "m"}
    events = [
        {"kind": "session.created", "body": {"number": 1, "title": "t", "task": "do it", "model": model}},
        {"kind": "session.state", "body": {"state": "finished"}},
    ]
    lines: list[dict[str, object]] = [{"apollo": "raw", "v": 1, "session": session}]
    for seq, event in enumerate(events, 1):
        lines.append({"event": {"seq": seq, "v": 1, "at": 1000 + seq, "actor": "agent", **event}})
    lines.append({"end": session, "events": 2, "blobs": 0})
    path = folder / "recorded.jsonl"
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    return path


async def test_an_import_is_applied_once_numbered_and_answered_again_for_a_repeat(tmp_path: Path) -> None:
    call = protocol.ImportFile(request="r1", path=str(raw_file(tmp_path)))
    async with open_host(tmp_path) as host:
        client = await host.client()
        answer = await client.call(call)
        assert (answer.sessions, answer.events) == ((ID,), 2)
    async with open_host(tmp_path) as host:
        again = await (await host.client()).call(call)
        assert (again.sessions, again.events) == (answer.sessions, answer.events)
        assert [summary.number for summary in host.parts.writer.summaries().values()] == [1]


async def test_a_known_session_is_passed_over_and_gets_a_new_id_with_copy(tmp_path: Path) -> None:
    path = str(raw_file(tmp_path))
    async with open_host(tmp_path) as host:
        client = await host.client()
        await client.call(protocol.ImportFile(request="r1", path=path))
        position = host.parts.writer.position
        again = await client.call(protocol.ImportFile(request="r2", path=path))
        assert (again.sessions, again.continued, again.known, again.events) == ((), (), (ID,), 0)
        assert host.parts.writer.position == position
        copied = await client.call(protocol.ImportFile(request="r3", path=path, copy=True))
        assert copied.sessions != (ID,)
        assert sorted(summary.number for summary in host.parts.writer.summaries().values()) == [1, 2]


@pytest.mark.parametrize(
    "call",
    [
        protocol.Control(request="r2", session=ID, verb="resume"),
        protocol.QueueAdvice(request="r2", session=ID, text="go on", reopen=True),
    ],
)
async def test_an_imported_session_is_neither_run_nor_advised(tmp_path: Path, call: protocol.Call) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        await client.call(protocol.ImportFile(request="r1", path=str(raw_file(tmp_path))))
        with pytest.raises(RequestRefused, match="has no folder here"):
            await client.call(call)
        assert host.runners == {}


async def test_a_file_that_is_nothing_leaves_the_log_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("nothing known")
    async with open_host(tmp_path) as host:
        client = await host.client()
        with pytest.raises(RequestRefused, match="no format that is known"):
            await client.call(protocol.ImportFile(request="r1", path=str(tmp_path / "x")))
        with pytest.raises(RequestRefused, match="absolute"):
            await client.call(protocol.ImportFile(request="r2", path="x"))
        assert host.parts.writer.summaries() == {}


async def test_a_file_with_a_key_in_it_is_not_imported(tmp_path: Path) -> None:
    path = raw_file(tmp_path)
    path.write_text(path.read_text().replace('"do it"', f'"do it with {KEY}"'))
    keys = tmp_path / "keys"
    keys.write_text(f"MY_MODEL_KEY={KEY}\n")
    keys.chmod(0o600)
    async with open_host(tmp_path, keys=keys) as host:
        client = await host.client()
        with pytest.raises(RequestRefused, match="the value of your key MY_MODEL_KEY"):
            await client.call(protocol.ImportFile(request="r1", path=str(path)))
        assert not host.parts.writer.summaries()

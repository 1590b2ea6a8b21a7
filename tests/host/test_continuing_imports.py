"""A recording that is imported again: nothing new, longer by now, or another one under the same id."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign_recordings import FILES, dump_lines
from host_in_process import HostInProcess, open_host

from apollo_train.export.run import run_export
from apollo_train.policy import PRESETS
from sessions import events as ev
from sessions.fold.recording import RecordingBook
from sessions.fold.trajectory import CallRecord
from sessions.fold.trajectory import steps as fold_steps
from sessions.host import protocol
from sessions.host.client import HostClient, RequestRefused
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request

STEPS = 6
MADE_HERE = (ev.StateChanged, ev.SessionCreated, ev.FlagSet, ev.RecordingRead)


def claude_records(steps: int, *, first: str = "Make the tests pass.") -> list[dict[str, Any]]:
    """A session of Claude Code after so many steps: each a reply with a call, and its result."""
    about = {"sessionId": "s-1", "cwd": "/repo", "version": "2"}
    made: list[dict[str, Any]] = [
        {**about, "type": "user", "uuid": "u0", "parentUuid": None, "timestamp": "2026-01-01T00:00:00Z",
         "message": {"role": "user", "content": first}}
    ]  # fmt: skip
    for n in range(1, steps + 1):
        call = {"type": "tool_use", "id": f"c{n}", "name": "run", "input": {"command": f"echo {n}"}}
        result = {"type": "tool_result", "tool_use_id": f"c{n}", "content": f"{n}"}
        made.append(
            {**about, "type": "assistant", "uuid": f"a{n}", "parentUuid": made[-1]["uuid"],
             "timestamp": f"2026-01-01T00:{n:02}:00Z",
             "message": {"id": f"m{n}", "role": "assistant", "model": "m", "content": [call]}}
        )  # fmt: skip
        made.append(
            {**about, "type": "user", "uuid": f"u{n}", "parentUuid": f"a{n}", "timestamp": f"2026-01-01T00:{n:02}:30Z",
             "message": {"role": "user", "content": [result]}}
        )  # fmt: skip
    return made


def atif(steps: int) -> dict[str, Any]:
    """The same as one document, written anew after each step."""
    made: list[dict[str, Any]] = [{"step_id": 1, "source": "user", "message": "Do it."}]
    for n in range(1, steps + 1):
        call = {"tool_call_id": f"c{n}", "function_name": "run", "arguments": {"n": n}}
        made.append(
            {"step_id": n + 1, "source": "agent", "message": f"step {n}", "tool_calls": [call],
             "observation": {"results": [{"source_call_id": f"c{n}", "content": f"{n}"}]}}
        )  # fmt: skip
    return {"schema_version": "ATIF-v1.7", "session_id": "s", "agent": {"name": "a", "model_name": "m"}, "steps": made}


def write_claude(path: Path, steps: int) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in claude_records(steps)))


def write_atif(path: Path, steps: int) -> None:
    path.write_text(json.dumps(atif(steps)))


Write = Callable[[Path, int], None]


async def bring_in(client: HostClient, path: Path, **more: Any) -> protocol.Imported:
    bring_in.requests = getattr(bring_in, "requests", 0) + 1  # type: ignore[attr-defined]
    return await client.call(
        protocol.ImportFile(request=f"r{bring_in.requests}", path=str(path), **more)  # type: ignore[attr-defined]
    )


def bodies(host: HostInProcess, session: str) -> list[tuple[Any, ...]]:
    """What the log says that the recording says: without seqs, and without what an import makes up."""
    with LogReader(host.parts.writer.path) as reader:
        found = reader.events(session)
    kept = (e for e in found if not isinstance(e.body, MADE_HERE))
    plain = []
    for event in kept:
        body = event.body
        if isinstance(body, ev.ModelReplied):
            plain.append((event.kind, event.step, event.at, body.parts))
        elif isinstance(body, ev.ModelRequested):
            plain.append((event.kind, event.step, event.at, body.sha256, [ref.hash for ref in body.append]))
        else:
            plain.append((event.kind, event.step, event.at, body))
    return plain


@pytest.mark.parametrize("write", [write_claude, write_atif])
async def test_a_recording_that_grew_is_continued_and_is_as_if_imported_whole(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "s.json"
    (tmp_path / "other").mkdir()
    async with open_host(tmp_path) as host, open_host(tmp_path / "other") as fresh:
        client = await host.client()
        write(path, 2)
        first = await bring_in(client, path)
        (session,) = first.sessions
        flag = ev.FlagSet(flag="f1", target=ev.Target(2), label="unspecified", seen=ev.Seen(3))
        body = {"flag": "f1", "target": {"step": 2}, "seen": {"seq": 3}}
        await client.call(protocol.Annotate(request="flag", session=session, kind=flag.kind, body=body))
        for steps in (4, STEPS):
            write(path, steps)
            answer = await bring_in(client, path)
            assert (answer.sessions, answer.continued, answer.known) == ((), (session,), ())
        whole = await bring_in(await fresh.client(), path)
        assert bodies(host, session) == bodies(fresh, whole.sessions[0])
        summary = host.parts.writer.summary(session)
        assert summary is not None
        assert (summary.step, summary.state, summary.flags, summary.number) == (STEPS, "finished", 1, 1)
        with LogReader(host.parts.writer.path) as reader:
            events = {event.seq: event for event in reader.events(session)}
            assert list(events) == list(range(1, len(events) + 1))
            for seq, event in events.items():
                if isinstance(event.body, ev.ModelRequested):
                    rebuild_request(reader, session, seq)  # raises where a reference is wrong
                if isinstance(event.body, ev.ModelReplied):
                    asked = events[event.body.request]
                    assert isinstance(asked.body, ev.ModelRequested) and asked.step == event.step
        again = await bring_in(client, path)
        assert (again.continued, again.known) == ((), (session,))


async def test_a_request_that_continued_is_answered_again_for_a_repeat(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    async with open_host(tmp_path) as host:
        client = await host.client()
        write_claude(path, 2)
        (session,) = (await bring_in(client, path)).sessions
        write_claude(path, 3)
        call = protocol.ImportFile(request="grown", path=str(path))
        answer = await client.call(call)
    async with open_host(tmp_path) as host:
        again = await (await host.client()).call(call)
        assert (again.continued, again.events) == (answer.continued, answer.events) == ((session,), answer.events)


async def test_one_that_begins_otherwise_is_refused_and_copied_if_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    async with open_host(tmp_path) as host:
        client = await host.client()
        write_claude(path, 3)
        await bring_in(client, path)
        position = host.parts.writer.position
        records = claude_records(4)
        records[3]["message"]["content"][0]["input"] = {"command": "rm -rf build"}
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        with pytest.raises(RequestRefused, match=r"begins otherwise than it does in this log .*step 2.*--copy"):
            await bring_in(client, path)
        assert host.parts.writer.position == position
        copied = await bring_in(client, path, copy=True)
        assert len(copied.sessions) == 1


async def test_a_file_that_is_shorter_than_the_log_has_nothing_new(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    async with open_host(tmp_path) as host:
        client = await host.client()
        write_claude(path, 4)
        (session,) = (await bring_in(client, path)).sessions
        write_claude(path, 2)
        assert (await bring_in(client, path)).known == (session,)


async def test_an_archived_session_goes_on_and_stays_archived(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    async with open_host(tmp_path) as host:
        client = await host.client()
        write_claude(path, 2)
        (session,) = (await bring_in(client, path)).sessions
        await client.call(protocol.Control(request="away", session=session, verb="archive"))
        write_claude(path, 3)
        assert (await bring_in(client, path)).continued == (session,)
        summary = host.parts.writer.summary(session)
        assert summary is not None and (summary.state, summary.step) == ("archived", 3)


def raw_of(log: Path, out: Path) -> bytes:
    with LogReader(log) as reader:
        run_export(reader, None, PRESETS["default"], "raw", out, overwrite=True)
    return out.read_bytes()


def raw_lines(steps: int, *, ended: bool) -> bytes:
    """A raw export of a session of our own that was still running, or had ended."""
    session = "01K00000000000000000000001"
    created = {"title": "t", "task": "do it", "model": {"provider": "openai", "name": "m"}}
    events: list[tuple[dict[str, Any], int | None]] = [
        ({"kind": "session.created", "body": created}, None),
        ({"kind": "session.state", "body": {"state": "running"}}, None),
    ]
    parent: int | None = None
    for n in range(1, steps + 1):
        asked = {"adapter": "openai", "adapter_version": 1, "envelope": {}, "sha256": "0" * 64}
        events.append(({"kind": "model.request", "body": asked | ({"parent": parent} if parent else {})}, n))
        parent = len(events)
        reply = {"request": parent, "parts": [{"part": "text", "text": f"{n}"}], "finish": "stop"}
        events.append(({"kind": "model.reply", "body": reply}, n))
    if ended:
        events.append(({"kind": "session.state", "body": {"state": "finished"}}, None))
    lines: list[dict[str, Any]] = [{"apollo": "raw", "session": session, "v": 1}]
    for seq, (event, step) in enumerate(events, 1):
        line = {"seq": seq, "v": 1, "at": 1000 + seq, "actor": "agent", **event} | ({"step": step} if step else {})
        lines.append({"event": line})
    lines.append({"end": session, "events": len(events), "blobs": 0})
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)


async def test_a_raw_session_that_ran_on_elsewhere_is_continued_and_exported_as_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    (tmp_path / "whole").mkdir()
    async with open_host(tmp_path) as host, open_host(tmp_path / "whole") as fresh:
        client = await host.client()
        for steps in (1, 2, 4):
            path.write_bytes(raw_lines(steps, ended=steps == 4))
            answer = await bring_in(client, path)
            assert answer.sessions or answer.continued
            assert (await bring_in(client, path)).known
        await bring_in(await fresh.client(), path)
        here = raw_of(host.parts.writer.path, tmp_path / "here.jsonl")
        assert here == raw_of(fresh.parts.writer.path, tmp_path / "there.jsonl")
        summary = host.parts.writer.summary("01K00000000000000000000001")
        assert summary is not None and (summary.state, summary.step) == ("finished", 4)


@pytest.mark.parametrize("name", FILES)
async def test_every_format_knows_its_own_file_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / FILES[name].name
    path.write_text(dump_lines(FILES[name].content))
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await bring_in(client, path)
        again = await bring_in(client, path)
        assert (again.known, again.events) == (made.sessions, 0)


async def test_an_examination_says_how_a_file_stands_to_the_log_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    async with open_host(tmp_path) as host:
        client = await host.client()
        ask = protocol.ExamineFile(path=str(path))
        write_claude(path, 2)
        seen = await client.call(ask)
        (one,) = seen.sessions
        assert (seen.format, one.standing, one.steps, one.task) == ("claude-code", "new", 2, "Make the tests pass.")
        assert not host.parts.writer.summaries()
        await bring_in(client, path)
        assert (await client.call(ask)).sessions[0].standing == "known"
        write_claude(path, 5)
        (one,) = (await client.call(ask)).sessions
        assert (one.standing, one.new_steps, one.address) == ("longer", 3, "1")
        path.write_text("".join(json.dumps(r) + "\n" for r in claude_records(2, first="Another task.")))
        (one,) = (await client.call(ask)).sessions
        assert one.standing == "other" and "event 1" in one.problem


IN_LINES = [name for name, file in FILES.items() if "\n" in dump_lines(file.content).strip() and file.format != "chat"]
CASES = Path(__file__).parents[1] / "cases" / "import"
GROWING = [
    "cc-clear.jsonl",
    "cc-image-result.jsonl",
    "cc-subagent.jsonl",
    "cc-text-between-results.jsonl",
    "claude_interleaved.jsonl",
    "claude_same_id.jsonl",
    "claude_snapshots.jsonl",
    "codex-compacted.jsonl",
    "codex-exec-json.jsonl",
    "codex-result.jsonl",
]


def told(host: HostInProcess, session: str) -> tuple[Any, ...]:
    """What an annotator and an export are told of a session: its steps, their prompts, and what it cost."""
    with LogReader(host.parts.writer.path) as reader:
        events = reader.events(session)
        summary = reader.summary(session)
        assert summary is not None
        found = []
        for step in fold_steps(events):
            asked = step.request
            assert asked is not None and isinstance(asked.body, ev.ModelRequested) and step.reply_body is not None
            calls = [(call.number, call.name, call.part, call.fate, text_of(reader, call)) for call in step.calls]
            rebuild_request(reader, session, asked.seq)  # raises where a reference is wrong
            found.append((asked.body.sha256, step.reply_body.parts, step.reply_body.usage, calls))
        advice = [event.body.text for event in events if isinstance(event.body, ev.AdviceQueued)]
    sums = (summary.input_tokens, summary.output_tokens, summary.cached_tokens, round(summary.cost, 9), summary.state)
    return found, advice, sums, RecordingBook(events).lines


def text_of(reader: LogReader, call: CallRecord) -> str:
    if call.refusal is not None:
        return call.refusal.shown
    return reader.text(call.result.output) if call.result is not None else ""


@pytest.mark.parametrize("name", [*IN_LINES, *GROWING])
async def test_a_file_that_is_imported_after_each_of_its_lines_is_as_if_imported_whole(
    tmp_path: Path, name: str
) -> None:
    whole = dump_lines(FILES[name].content) if name in FILES else (CASES / name).read_text()
    path = tmp_path / (FILES[name].name if name in FILES else name)
    (tmp_path / "other").mkdir()
    async with open_host(tmp_path) as host, open_host(tmp_path / "other") as fresh:
        client = await host.client()
        lines, session = whole.splitlines(keepends=True), ""
        for end in range(1, len(lines) + 1):
            path.write_text("".join(lines[:end]))
            try:
                answer = await bring_in(client, path)
            except RequestRefused as problem:
                assert not session and ("no reply" in str(problem) or "no format" in str(problem))
                continue
            session = session or answer.sessions[0]
            assert {*answer.sessions, *answer.continued, *answer.known} >= {session}
        assert (await bring_in(client, path)).known, "a third time it brings nothing"
        [first, *_] = (await bring_in(await fresh.client(), path)).sessions
        assert first == session
        assert told(host, session) == told(fresh, first)


async def test_a_reply_that_is_another_one_now_is_no_reply_that_grew(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    records = claude_records(2)
    async with open_host(tmp_path) as host:
        client = await host.client()
        for said in ("Look here.", "Look there."):
            records[-2]["message"]["content"] = [{"type": "text", "text": said}]
            path.write_text("".join(json.dumps(record) + "\n" for record in records[:-1]))
            if said == "Look here.":
                await bring_in(client, path)
        with pytest.raises(RequestRefused, match="begins otherwise than it does in this log"):
            await bring_in(client, path)

"""A branch in the log: its events are its own, its first prompt goes on from a request of the session that it left."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from host_in_process import open_host
from imported_sessions import imports_of
from msgspec import structs

from apollo_train.export.run import run_export
from apollo_train.formats import find_format
from apollo_train.masks.annotations import read_annotations
from apollo_train.masks.lost_parts import find_lost_parts
from apollo_train.policy import PRESETS, FilterPolicy, SessionRules, TargetRules
from sessions import events as ev
from sessions.host import protocol
from sessions.host.client import HostClient, RequestRefused
from sessions.importers.base import ImportedSession
from sessions.importers.files import import_file, load_recording
from sessions.log.errors import LogReadFailed
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request, request_chain
from sessions.log.writer import LogWriter
from sessions.ulid import new_ulid

Block = dict[str, Any]


class Talk:
    """Records of a Claude Code session that was rewound."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def add(self, kind: str, message: dict[str, Any], after: str | None) -> str:
        name = f"u{len(self.records)}"
        last = self.records[-1]["uuid"] if self.records else None
        self.records.append(
            {"type": kind, "sessionId": "s", "uuid": name, "parentUuid": last if after is None else after,
             "timestamp": f"2026-01-01T00:{len(self.records):02}:00Z", "message": message}
        )  # fmt: skip
        return name

    def user(self, text: str, after: str | None = None) -> str:
        return self.add("user", {"role": "user", "content": text}, after)

    def step(self, number: int, result: Any = "ok") -> str:
        """A reply with a call, and its result."""
        call = {"type": "tool_use", "id": f"c{number}", "name": "run", "input": {"command": f"echo {number}"}}
        self.add("assistant", {"id": f"m{number}", "role": "assistant", "model": "m", "content": [call]}, None)
        block = {"type": "tool_result", "tool_use_id": f"c{number}", "content": result}
        return self.add("user", {"role": "user", "content": [block]}, None)

    def reply(self, number: int, text: str) -> str:
        content = [{"type": "text", "text": text}]
        return self.add("assistant", {"id": f"m{number}", "role": "assistant", "model": "m", "content": content}, None)


def rewound(first_result: Any = "ok") -> Talk:
    """A main way, a way that left it after step 2, and one that left that one after step 4."""
    talk = Talk()
    talk.user("Mend the parser.")
    talk.step(1, first_result)
    stayed = talk.step(2)
    talk.user("Delete the tests.")
    talk.step(3)
    left = talk.step(4)
    talk.user("And the docs.")
    talk.reply(5, "Both are gone.")
    talk.user("Not the docs.", after=left)
    talk.reply(6, "Only the tests are gone.")
    talk.user("Run the tests.", after=stayed)
    talk.step(7)
    talk.reply(8, "They pass.")
    return talk


def family(tmp_path: Path, talk: Talk | None = None) -> list[ImportedSession]:
    """The main way, its branch, and the branch of that."""
    made = imports_of(tmp_path / "s.jsonl", *(talk or rewound()).records)
    main = made[0]
    branch = next(one for one in made if one.created.begins and one.created.begins.session == main.session)
    inner = next(one for one in made if one.created.begins and one.created.begins.session == branch.session)
    return [main, branch, inner]


async def stored(path: Path, sessions: Sequence[ImportedSession]) -> Path:
    async with await LogWriter.open(path) as writer:
        for number, session in enumerate(sessions, 1):
            await writer.append(*session.with_number(number).events, blobs=session.blobs)
    return path


def requests_of(session: ImportedSession) -> list[tuple[int, ev.ModelRequested]]:
    found = enumerate(session.events, 1)
    return [(seq, event.body) for seq, event in found if isinstance(event.body, ev.ModelRequested)]


def said_in(reader: LogReader, session: str) -> list[list[str]]:
    """The contents of the messages of each prompt, as they are rebuilt."""
    made = []
    for event in reader.events(session, kinds=("model.request",)):
        messages = json.loads(rebuild_request(reader, session, event.seq))["messages"]
        made.append([message["content"] or message["tool_calls"][0]["id"] for message in messages])
    return made


WAYS = {
    "main": ["Mend the parser.", "c1", "ok", "c2", "ok", "Run the tests.", "c7", "ok"],
    "branch": [
        "Mend the parser.",
        "c1",
        "ok",
        "c2",
        "ok",
        "Delete the tests.",
        "c3",
        "ok",
        "c4",
        "ok",
        "Not the docs.",
    ],
    "inner": ["Mend the parser.", "c1", "ok", "c2", "ok", "Delete the tests.", "c3", "ok", "c4", "ok", "And the docs."],
}


def test_the_first_request_of_a_branch_names_its_parent_and_no_message_twice(tmp_path: Path) -> None:
    main, branch, inner = family(tmp_path)
    for one, left in ((branch, main), (inner, branch)):
        (_, first), *later = requests_of(one)
        newest = max(seq for seq, _ in requests_of(left) if seq <= one.created.begins.seq)  # type: ignore[union-attr]
        assert first.parent is None and first.across == ev.EventPlace(left.session, newest)
        assert all(request.across is None and request.parent is not None for _, request in later)
    # The reply of step 2 and its result came after the request that the branch goes on from: they say whose they are.
    refs = requests_of(branch)[0][1].append
    assert [ref.session for ref in refs] == [main.session, main.session, ""]
    assert all(seq <= branch.created.begins.seq for ref in refs[:2] for seq in ref.sources)  # type: ignore[union-attr]
    assert {blob.hash for blob in branch.blobs}.isdisjoint(ref.hash for ref in requests_of(main)[0][1].append)


async def test_prompts_are_rebuilt_byte_for_byte_across_every_border(tmp_path: Path) -> None:
    sessions = family(tmp_path)
    path = await stored(tmp_path / "log.sqlite", sessions)
    copied = Path(shutil.copy(path, tmp_path / "copy.sqlite"))
    with LogReader(copied) as reader:
        for session, name in zip(sessions, WAYS, strict=True):
            assert said_in(reader, session.session)[-1] == WAYS[name]
        inner = sessions[2]
        assert len(request_chain(reader, inner.session, requests_of(inner)[0][0])) == len(WAYS["inner"])


async def test_a_log_whose_branch_lost_what_it_left_says_so(tmp_path: Path) -> None:
    _, branch, _ = family(tmp_path)
    path = await stored(tmp_path / "log.sqlite", [branch])
    with LogReader(path) as reader, pytest.raises(LogReadFailed, match="is no model request"):
        said_in(reader, branch.session)


async def test_a_branch_is_exported_with_the_prompts_that_its_model_saw(tmp_path: Path) -> None:
    sessions = family(tmp_path)
    path = await stored(tmp_path / "log.sqlite", sessions)
    policy = FilterPolicy(sessions=SessionRules(branches=True), targets=TargetRules(text_only=True)).with_advice("kept")
    with LogReader(path) as reader:
        run_export(reader, [sessions[2].session], policy, find_format("steps"), tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    said = [message["content"] or message["tool_calls"][0]["id"] for message in rows[-1]["prompt"]]
    assert said == WAYS["inner"]


async def test_what_the_left_session_lacks_its_branches_lack_too(tmp_path: Path) -> None:
    picture = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]
    sessions = family(tmp_path, rewound(picture))
    path = await stored(tmp_path / "log.sqlite", sessions)
    with LogReader(path) as reader:
        for session in sessions:
            judged = read_annotations(reader, session.session, reader.position())
            assert judged is not None
            lost = find_lost_parts(reader, judged)
            asked = [seq for seq, request in requests_of(session)]
            before = 1 if session is sessions[0] else 0  # its first prompt is older than the picture
            assert [lost.get(seq) for seq in asked[before:]] == [frozenset({"image"})] * (len(asked) - before)


def export_raw(log: Path, out: Path, *sessions: str) -> bytes:
    with LogReader(log) as reader:
        run_export(reader, list(sessions) or None, PRESETS["default"], "raw", out, overwrite=True)
    return out.read_bytes()


async def bring_in(client: HostClient, path: Path, **more: Any) -> protocol.Imported:
    return await client.call(protocol.ImportFile(request=new_ulid(), path=str(path), **more))


async def test_a_raw_export_of_a_branch_takes_what_it_left_up_to_the_border(tmp_path: Path) -> None:
    main, branch, inner = family(tmp_path)
    log = await stored(tmp_path / "log.sqlite", [main, branch, inner])
    out = tmp_path / "raw.jsonl"
    data = export_raw(log, out, inner.session)
    lengths = {line["end"]: line["events"] for line in map(json.loads, data.splitlines()) if "end" in line}
    assert branch.created.begins is not None and inner.created.begins is not None
    assert lengths == {
        main.session: branch.created.begins.seq,
        branch.session: inner.created.begins.seq,
        inner.session: len(inner.events),
    }
    (tmp_path / "other").mkdir()
    async with open_host(tmp_path / "other") as host:
        client = await host.client()
        answer = await bring_in(client, out)
        assert set(answer.sessions) == {main.session, branch.session, inner.session}
        with LogReader(host.parts.writer.path) as reader:
            assert said_in(reader, inner.session)[-1] == WAYS["inner"]
        assert export_raw(host.parts.writer.path, tmp_path / "again.jsonl", inner.session) == data
        assert (await bring_in(client, out)).events == 0
        # The whole of what it left comes later, and goes on where the border was.
        whole = tmp_path / "whole.jsonl"
        export_raw(log, whole)
        assert set((await bring_in(client, whole)).continued) == {main.session, branch.session}
        with LogReader(host.parts.writer.path) as reader:
            assert [said_in(reader, one.session)[-1] for one in (main, branch, inner)] == list(WAYS.values())
        assert export_raw(host.parts.writer.path, tmp_path / "again.jsonl") == whole.read_bytes()


async def test_what_is_exported_beside_its_branch_is_there_once_and_whole(tmp_path: Path) -> None:
    main, branch, inner = family(tmp_path)
    log = await stored(tmp_path / "log.sqlite", [main, branch, inner])
    data = export_raw(log, tmp_path / "raw.jsonl", branch.session, main.session)
    lengths = [(line["end"], line["events"]) for line in map(json.loads, data.splitlines()) if "end" in line]
    assert sorted(lengths) == sorted([(main.session, len(main.events)), (branch.session, len(branch.events))])


def without(data: bytes, session: str) -> bytes:
    """The raw file without the lines of a session."""
    kept, inside = [], False
    for line in data.splitlines(keepends=True):
        told = json.loads(line)
        inside = told.get("session") == session if "apollo" in told else inside
        kept += [] if inside else [line]
    return b"".join(kept)


async def test_a_branch_without_what_it_left_is_refused_until_that_is_there(tmp_path: Path) -> None:
    main, branch, inner = family(tmp_path)
    log = await stored(tmp_path / "log.sqlite", [main, branch, inner])
    out, alone = tmp_path / "raw.jsonl", tmp_path / "alone.jsonl"
    data = export_raw(log, out, branch.session)
    alone.write_bytes(without(data, main.session))
    (tmp_path / "other").mkdir()
    async with open_host(tmp_path / "other") as host:
        client = await host.client()
        before = host.parts.writer.position
        with pytest.raises(RequestRefused, match=rf"a branch of session {main.session} .*neither in the file nor in"):
            await bring_in(client, alone)
        with pytest.raises(RequestRefused, match="neither in the file nor in"):
            await bring_in(client, alone, copy=True)
        assert host.parts.writer.position == before
        await bring_in(client, tmp_path / "s.jsonl")
        assert (await bring_in(client, alone)).known == (branch.session,)
    (tmp_path / "third").mkdir()
    async with open_host(tmp_path / "third") as host:
        client = await host.client()
        main_alone = tmp_path / "main.jsonl"
        export_raw(log, main_alone, main.session)
        await bring_in(client, main_alone)
        assert (await bring_in(client, alone)).sessions == (branch.session,)
        with LogReader(host.parts.writer.path) as reader:
            assert said_in(reader, branch.session)[-1] == WAYS["branch"]


async def test_so_it_is_where_it_left_before_anything_was_said(tmp_path: Path) -> None:
    talk = Talk()
    talk.user("Delete it.")
    talk.reply(1, "Deleted.")
    talk.records.append({**talk.records[0], "uuid": "other", "message": {"role": "user", "content": "Mend it."}})
    talk.reply(2, "Mended.")
    main, branch = imports_of(tmp_path / "s.jsonl", *talk.records)
    log = await stored(tmp_path / "log.sqlite", [main, branch])
    alone = tmp_path / "alone.jsonl"
    alone.write_bytes(without(export_raw(log, tmp_path / "raw.jsonl", branch.session), main.session))
    (tmp_path / "other").mkdir()
    async with open_host(tmp_path / "other") as host:
        with pytest.raises(RequestRefused, match="neither in the file nor in this log"):
            await bring_in(await host.client(), alone)


async def test_copies_of_a_family_name_each_other(tmp_path: Path) -> None:
    family(tmp_path)
    async with open_host(tmp_path) as host:
        client = await host.client()
        first = await bring_in(client, tmp_path / "s.jsonl")
        copied = await bring_in(client, tmp_path / "s.jsonl", copy=True)
        assert len(copied.sessions) == 3 and set(copied.sessions).isdisjoint(first.sessions)
        with LogReader(host.parts.writer.path) as reader:
            begins = [summary.begins for one in copied.sessions if (summary := reader.summary(one))]
            assert {one.session for one in begins if one is not None} < set(copied.sessions)
            assert sorted(said_in(reader, one)[-1] for one in copied.sessions) == sorted(WAYS.values())


async def test_branches_go_on_with_what_they_left_where_the_log_numbers_it_otherwise(tmp_path: Path) -> None:
    talk = rewound()
    talk.records = talk.records[:3]
    imports_of(tmp_path / "s.jsonl", *talk.records)
    async with open_host(tmp_path) as host:
        client = await host.client()
        (session,) = (await bring_in(client, tmp_path / "s.jsonl")).sessions
        body = {"flag": "f1", "target": {"step": 1}, "seen": {"seq": 3}}
        await client.call(protocol.Annotate(request="flag", session=session, kind="flag.set", body=body))
        main, branch, inner = family(tmp_path)
        answer = await bring_in(client, tmp_path / "s.jsonl")
        assert (answer.continued, set(answer.sessions)) == ((session,), {branch.session, inner.session})
        with LogReader(host.parts.writer.path) as reader:
            assert [said_in(reader, one.session)[-1] for one in (main, branch, inner)] == list(WAYS.values())
            begins = reader.summary(branch.session).begins  # type: ignore[union-attr]
            assert begins is not None and begins.seq > branch.created.begins.seq  # type: ignore[union-attr]
        again = await bring_in(client, tmp_path / "s.jsonl")
        assert (again.events, set(again.known)) == (0, {session, branch.session, inner.session})
        examined = await client.call(protocol.ExamineFile(path=str(tmp_path / "s.jsonl")))
        assert {one.standing for one in examined.sessions} == {"known"}
        raw = tmp_path / "raw.jsonl"
        data = export_raw(host.parts.writer.path, raw)
    (tmp_path / "other").mkdir()
    async with open_host(tmp_path / "other") as host:
        await bring_in(await host.client(), raw)
        with LogReader(host.parts.writer.path) as reader:
            assert [said_in(reader, one.session)[-1] for one in (main, branch, inner)] == list(WAYS.values())
        assert export_raw(host.parts.writer.path, raw) == data


def as_older(session: ImportedSession, *left: ImportedSession) -> ImportedSession:
    """The branch as it was stored when it held its whole context."""
    blobs = {blob.hash: blob for one in (session, *left) for blob in one.blobs}
    refs: list[ev.MessageRef] = []
    for one in (*left, session):
        limit = next(
            (o.created.begins.seq for o in (*left, session) if _left(o) == one.session and o.created.begins), 0
        )
        for seq, request in requests_of(one):
            if one is session:
                plain = [ev.MessageRef(ref.hash, ref.role) for ref in [*refs, *request.append]]
                whole = structs.replace(request, across=None, append=tuple(plain))
                events = [structs.replace(e, body=whole) if n == seq else e for n, e in enumerate(session.events, 1)]
                return ImportedSession(session.session, events, list(blobs.values()), session.warnings)
            refs += request.append if seq <= limit else ()
    raise AssertionError("it has no request")


def _left(session: ImportedSession) -> str:
    return session.created.begins.session if session.created.begins is not None else ""


async def test_a_log_of_before_reads_as_it_did_and_knows_its_recordings(tmp_path: Path) -> None:
    main, branch, _ = family(tmp_path)
    older = as_older(branch, main)
    assert requests_of(older)[0][1].across is None
    log = await stored(tmp_path / "old.sqlite", [main, older])
    with LogReader(log) as reader:
        assert said_in(reader, branch.session)[-1] == WAYS["branch"]
    data = tmp_path / "raw.jsonl"
    export_raw(log, data)
    async with open_host(tmp_path) as host:
        client = await host.client()
        await bring_in(client, data)
        again = await bring_in(client, tmp_path / "s.jsonl")
        assert set(again.known) == {main.session, branch.session} and len(again.sessions) == 1
        with LogReader(host.parts.writer.path) as reader:
            assert said_in(reader, again.sessions[0])[-1] == WAYS["inner"]


async def test_a_branch_that_was_exported_is_played_and_not_what_it_left(tmp_path: Path) -> None:
    main, branch, inner = family(tmp_path)
    log = await stored(tmp_path / "log.sqlite", [main, branch, inner])
    export_raw(log, tmp_path / "raw.jsonl", inner.session)
    played = load_recording(tmp_path / "raw.jsonl")
    assert [step.parts[0].text for step in played.steps] == ["Both are gone."]  # type: ignore[union-attr]
    assert len(import_file(tmp_path / "raw.jsonl")) == 3


def with_agent(folder: Path, prompt: str = "Look around.") -> tuple[Path, Path]:
    """A session of Claude Code and the file of its sub-agent, in folders that know nothing of each other."""
    talk = Talk()
    talk.user("Mend it.")
    for number, told in ((1, "Count the tests."), (2, "Look around.")):
        task = {"type": "tool_use", "id": f"c{number}", "name": "Task", "input": {"prompt": told}}
        talk.add("assistant", {"id": f"m{number}", "role": "assistant", "model": "m", "content": [task]}, None)
        block = {"type": "tool_result", "tool_use_id": f"c{number}", "content": "done"}
        talk.add("user", {"role": "user", "content": [block]}, None)
    child = Talk()
    child.user(prompt)
    child.reply(9, "Seen.")
    folder.mkdir(exist_ok=True)
    files = folder / "one.jsonl", folder / "two.jsonl"
    imports_of(files[0], *talk.records)
    imports_of(files[1], *({**record, "isSidechain": True, "agentId": "a1"} for record in child.records))
    return files


@pytest.mark.parametrize(("prompt", "found"), [("Look around.", "c2"), ("Something that no call says.", "")])
async def test_a_child_that_is_imported_alone_is_joined_to_its_parent_in_the_log(
    tmp_path: Path, prompt: str, found: str
) -> None:
    parent_file, child_file = with_agent(tmp_path / "files", prompt)
    async with open_host(tmp_path) as host:
        client = await host.client()
        (parent,) = (await bring_in(client, parent_file)).sessions
        (child,) = (await bring_in(client, child_file)).sessions
        with LogReader(host.parts.writer.path) as reader:
            summary, whole = reader.summary(child), reader.summary(parent)
            assert summary is not None and whole is not None
            assert summary.begins is not None
            assert (summary.begins.session, summary.begins.kind, summary.task_id) == (parent, "child", whole.task_id)
            assert (whole.address, summary.address) == ("1", "1.a")
            event = reader.event(parent, summary.begins.seq)
            assert event is not None
            assert (event.body.call_id if isinstance(event.body, ev.ActionStarted) else "") == found
        assert (await bring_in(client, child_file)).known == (child,)


async def test_a_child_whose_parent_is_nowhere_says_so(tmp_path: Path) -> None:
    _, child_file = with_agent(tmp_path / "files")
    async with open_host(tmp_path) as host:
        (child,) = (await bring_in(await host.client(), child_file)).sessions
        with LogReader(host.parts.writer.path) as reader:
            assert reader.summary(child).begins == ev.Beginning("", 0, "child")  # type: ignore[union-attr]


async def test_so_is_a_sub_agent_of_codex(tmp_path: Path) -> None:
    def rollout(name: str, task: str, **more: Any) -> list[dict[str, Any]]:
        about = {"id": name, "timestamp": "2026-01-01T00:00:00Z", **more}
        said = [{"type": "input_text", "text": task}]
        call = {"type": "function_call", "name": "spawn_agent", "call_id": "c", "arguments": '{"message": "Look."}'}
        return [
            {"type": "session_meta", "timestamp": "2026-01-01T00:00:00Z", "payload": about},
            {"type": "response_item", "payload": {"type": "message", "role": "user", "content": said}},
            {"type": "response_item", "payload": call},
            {"type": "response_item", "payload": {"type": "function_call_output", "call_id": "c", "output": "ok"}},
        ]

    source = {"subagent": {"thread_spawn": {"parent_thread_id": "thread-1"}}}
    imports_of(tmp_path / "one.jsonl", *rollout("thread-1", "Mend it."))
    imports_of(tmp_path / "two.jsonl", *rollout("thread-2", "Look.", source=source))
    async with open_host(tmp_path) as host:
        client = await host.client()
        (parent,) = (await bring_in(client, tmp_path / "one.jsonl")).sessions
        (child,) = (await bring_in(client, tmp_path / "two.jsonl")).sessions
        with LogReader(host.parts.writer.path) as reader:
            begins = reader.summary(child).begins  # type: ignore[union-attr]
            assert begins is not None and begins.session == parent
            event = reader.event(parent, begins.seq)
            assert event is not None and event.kind == "action.started"

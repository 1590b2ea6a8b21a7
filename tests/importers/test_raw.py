from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_log import OTHER, SESSION, Teller, rows_of

from apollo_train.export.run import run_export
from apollo_train.policy import PRESETS
from sessions import events as ev
from sessions.events.text import Blob
from sessions.importers.base import UNFINISHED, CannotImport, as_copy
from sessions.importers.files import import_file, load_recording
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request
from sessions.log.writer import LogWriter
from sessions.ulid import new_ulid


async def a_session(writer: LogWriter, *, ended: bool = True, session: str = SESSION) -> Teller:
    told = await Teller(writer, session).begin("A task with 漢字 and \x1b[2J in it.")
    raw = Blob.of(b"\xff\xfe not text")
    told.blobs = (raw,)
    await told.act("a", "x" * 5000, reasoning="Long output next.")
    await told.reply(("run", '{"command":"b"}'))
    await told.result(1, "replaced", data={"raw": raw.hash, "file": "0" * 64})
    await told.tell(ev.NoteWritten(text="with bytes"), actor="human:ann", blobs=[raw])
    await told.flag(ev.Target(2, "call", 1), label="x/impatience", note="why so soon?", severity=3)
    await told.advise("Wait for it.", "strategy")
    await told.summarise("Did a.", "Wait for it.")
    await told.act("c")
    await told.tell(ev.SignedOff(verdict="partial", up_to_step=2), actor="human:bob")
    replaced = await told.flag(ev.Target(3))
    await told.flag(ev.Target(3), label="x/impatience", replaces=replaced)
    await told.tell(ev.SignedOff(undoes=told.history[-3].seq), actor="human:bob")
    if ended:
        await told.tell(ev.StateChanged(state="finished"))
    return told


def export(path: Path, out: Path) -> bytes:
    with LogReader(path) as reader:
        return run_export(reader, None, PRESETS["default"], "raw", out).path.read_bytes()


async def append(writer: LogWriter, file: Path) -> None:
    for session in import_file(file):
        numbered = session.with_number(writer.next_number())
        await writer.append(*numbered.events, blobs=numbered.blobs)


@pytest.mark.parametrize("ended", [True, False])
async def test_export_import_export_gives_the_same_bytes(tmp_path: Path, ended: bool) -> None:
    async with await LogWriter.open(tmp_path / "one.sqlite") as writer:
        await a_session(writer, ended=ended)
        before = export(writer.path, tmp_path / "before.jsonl")
    assert before.count(b'"undoes":') == before.count(b'"replaces":') == 1
    async with await LogWriter.open(tmp_path / "two.sqlite") as writer:
        await (Teller(writer, OTHER)).begin("Somebody else's session, so that numbers and ids differ.")
        await append(writer, tmp_path / "before.jsonl")
        with LogReader(writer.path) as reader:
            after = run_export(reader, [SESSION], PRESETS["default"], "raw", tmp_path / "after.jsonl")
            assert after.path.read_bytes() == before
            summary = reader.summary(SESSION)
            assert summary is not None
            assert (summary.number, summary.state) == (2, "finished" if ended else "stopped")
            requests = reader.events(SESSION, kinds={"model.request"})
            assert all(rebuild_request(reader, SESSION, event.seq) for event in requests)
            first = reader.events(SESSION, kinds={"action.result"})[0].body
            assert isinstance(first, ev.ActionResult)
            assert reader.text(first.output) == "x" * 5000
    texts = [row for row in rows_of(tmp_path / "before.jsonl") if "blob" in row]
    assert {"base64", "text"} == {key for row in texts for key in row if key != "blob"}


async def test_a_session_that_had_not_ended_is_stopped_and_its_export_says_nothing_of_it(tmp_path: Path) -> None:
    async with await LogWriter.open(tmp_path / "one.sqlite") as writer:
        await a_session(writer, ended=False)
        export(writer.path, tmp_path / "raw.jsonl")
    [session] = import_file(tmp_path / "raw.jsonl")
    last = session.events[-1].body
    assert isinstance(last, ev.StateChanged)
    assert (last.state, last.reason) == ("stopped", UNFINISHED)
    assert session.warnings == [f"session {SESSION} was running when it was exported; here it is stopped"]
    assert UNFINISHED not in (tmp_path / "raw.jsonl").read_text()


async def test_several_sessions_are_one_file(tmp_path: Path) -> None:
    async with await LogWriter.open(tmp_path / "one.sqlite") as writer:
        await a_session(writer)
        await a_session(writer, session=OTHER)
        export(writer.path, tmp_path / "raw.jsonl")
    assert [session.session for session in import_file(tmp_path / "raw.jsonl")] == [SESSION, OTHER]
    with pytest.raises(CannotImport, match="holds 2 sessions"):
        load_recording(tmp_path / "raw.jsonl")


async def test_a_copy_has_its_own_id_and_says_of_what(tmp_path: Path) -> None:
    async with await LogWriter.open(tmp_path / "one.sqlite") as writer:
        await a_session(writer)
        export(writer.path, tmp_path / "raw.jsonl")
        copy = as_copy(import_file(tmp_path / "raw.jsonl")[0], new_ulid()).with_number(writer.next_number())
        await writer.append(*copy.events, blobs=copy.blobs)
        assert copy.created.meta == {"copy_of": SESSION}
        assert {event.session for event in copy.events} == {copy.session} != {SESSION}
        assert set(writer.summaries()) == {SESSION, copy.session}


async def test_a_recording_gives_whole_outputs_in_order(tmp_path: Path) -> None:
    async with await LogWriter.open(tmp_path / "one.sqlite") as writer:
        await a_session(writer)
        export(writer.path, tmp_path / "raw.jsonl")
    recording = load_recording(tmp_path / "raw.jsonl")
    assert [len(step.results) for step in recording.steps] == [1, 1, 1]
    assert recording.steps[0].results[0].output == "x" * 5000
    assert recording.task.startswith("A task with 漢字")


def drop(number: int) -> Callable[[list[Any]], list[Any]]:
    return lambda rows: rows[:number] + rows[number + 1 :]


def change(number: int, **values: Any) -> Callable[[list[Any]], list[Any]]:
    def apply(rows: list[Any]) -> list[Any]:
        changed = {**rows[number], **values}
        if "event" in values:
            changed["event"] = {**rows[number]["event"], **values["event"]}
        return [*rows[:number], changed, *rows[number + 1 :]]

    return apply


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (drop(0), "no session has begun here"),
        (drop(1), "is missing"),
        (lambda rows: rows[:-1], "has no end: the file is cut off"),
        (lambda rows: rows[:-2] + rows[-1:], "the file is damaged"),
        (lambda rows: rows[:1] + rows[-1:], "the end does not match"),
        (change(0, session="../../etc"), "is no session id"),
        (change(0, v=7), "raw version 7 is not known here"),
        (change(1, event={"kind": "model.new"}), "a session begins with session.created"),
        (change(1, event={"v": 99}), "session.created cannot be read: version 99"),
        (change(1, event={"body": {"title": 3}}), "session.created cannot be read"),
        (change(1, event={"extra": 1}), "unknown field `extra`"),
        (change(2, event={"body": {"state": "stopped"}}), "cannot go from stopped to finished"),
        (change(2, event={"body": {"state": "needs"}}), "session.state cannot be read"),
        (lambda rows: [{**row, "text": "else"} if "text" in row else row for row in rows], "does not have the hash"),
        (lambda rows: [*rows[:3], "words", *rows[3:]], "not as the raw format has it"),
        (lambda rows: [*rows[:3], {}, *rows[3:]], "neither an event nor a blob"),
    ],
)
async def test_a_damaged_file_is_one_line_and_nothing_is_imported(tmp_path: Path, damage: Any, said: str) -> None:
    async with await LogWriter.open(tmp_path / "one.sqlite") as writer:
        await a_session(writer)
        export(writer.path, tmp_path / "raw.jsonl")
    rows = damage(rows_of(tmp_path / "raw.jsonl"))
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(CannotImport) as problem:
        import_file(tmp_path / "bad.jsonl", "raw")
    assert said in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("data", [b"", b"hello", b"{}", b"[1,2]", b"\xff\xfe\x00", b'{"apollo":"other"}\n'])
def test_a_file_in_no_known_format_is_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(CannotImport, match="is in no format that is known here"):
        import_file(tmp_path / "file")


def test_a_file_that_is_not_there_and_a_format_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotImport, match="No such file"):
        import_file(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"{}")
    with pytest.raises(CannotImport, match="no import format 'csv'"):
        import_file(tmp_path / "file", "csv")

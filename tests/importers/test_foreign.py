from __future__ import annotations

import json
import os
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
from foreign_recordings import FILES, dump_lines

from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart
from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.detect import NAMES
from sessions.importers.files import FORMATS, import_file
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request
from sessions.log.writer import LogWriter


def written(folder: Path, name: str) -> Path:
    file = FILES[name]
    path = folder / file.name
    path.write_text(dump_lines(file.content))
    return path


def imported(folder: Path, name: str) -> ImportedSession:
    session, *others = import_file(written(folder, name))
    assert all(other.created.begins is not None for other in others)
    return session


def bodies(session: ImportedSession, kind: type[Any]) -> list[Any]:
    return [event.body for event in session.events if isinstance(event.body, kind)]


def test_every_foreign_format_has_a_file_here() -> None:
    assert {file.format for file in FILES.values()} == set(NAMES)


@pytest.mark.parametrize("name", FILES)
async def test_the_log_takes_it_and_its_prompts_can_be_rebuilt(tmp_path: Path, name: str) -> None:
    session = imported(tmp_path, name)
    async with await LogWriter.open(tmp_path / "log.sqlite") as writer:
        await writer.append(*session.with_number(1).events, blobs=session.blobs)
        with LogReader(writer.path) as reader:
            summary = reader.summary(session.session)
            assert summary is not None and summary.state == "finished" and summary.step == FILES[name].steps
            asked = reader.events(session.session, kinds=("model.request",))
            assert all(isinstance(event.body, ev.ModelRequested) and not event.body.exact for event in asked)
            for event in asked:
                json.loads(rebuild_request(reader, session.session, event.seq))


@pytest.mark.parametrize("name", FILES)
def test_steps_calls_advice_and_task_are_what_the_file_says(tmp_path: Path, name: str) -> None:
    file, session = FILES[name], imported(tmp_path, name)
    replies = bodies(session, ev.ModelReplied)
    assert len(replies) == file.steps
    calls = [part.name for reply in replies for part in reply.parts if isinstance(part, CallPart)]
    assert calls == file.calls
    assert [body.text for body in bodies(session, ev.AdviceQueued)] == file.advice
    assert file.task in session.created.task
    assert session.created.model.name == file.model
    thoughts = [part.text for reply in replies for part in reply.parts if isinstance(part, ReasoningPart)]
    assert thoughts == file.reasoning
    assert [body.outcome for body in bodies(session, ev.ActionResult)] == file.outcomes


@pytest.mark.parametrize("name", FILES)
def test_what_is_not_known_is_counted_and_said(tmp_path: Path, name: str) -> None:
    warnings = " ".join(imported(tmp_path, name).warnings)
    for unknown in FILES[name].unknown:
        assert unknown in warnings
    assert import_file(written(tmp_path, name))[0].session == imported(tmp_path, name).session


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_anything_missing_or_wrong_is_read_or_refused_in_one_line(tmp_path: Path, name: str) -> None:
    chance = random.Random(name)
    whole = FILES[name]
    for number in range(60):
        content = json.loads(json.dumps(whole.content))
        for _ in range(chance.choice((1, 3))):
            damage(content, chance)
        path = tmp_path / f"{number}-{whole.name}"
        path.write_text(dump_lines(content))
        try:
            for session in import_file(path):
                assert session.events[0].body.kind == "session.created"
        except CannotImport as problem:
            assert "\n" not in str(problem)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_off_never_crashes(tmp_path: Path, name: str) -> None:
    text = dump_lines(FILES[name].content)
    for share in (0.2, 0.5, 0.9):
        path = tmp_path / FILES[name].name
        path.write_text(text[: int(len(text) * share)])
        try:
            import_file(path)
        except CannotImport as problem:
            assert "\n" not in str(problem)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"{}",
        b"[]",
        b"[1, 2]",
        b'{"messages": []}',
        b"\x00\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_file_of_nobodys_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(CannotImport, match=r"^file\.json is in no format that is known here.* \(raw, ") as raised:
        import_file(path)
    assert "\n" not in str(raised.value) and all(name in str(raised.value) for name in FORMATS)


def test_a_format_by_name_is_held_to_it(tmp_path: Path) -> None:
    with pytest.raises(CannotImport, match="is no file of codex"):
        import_file(written(tmp_path, "claude"), "codex")
    with pytest.raises(CannotImport, match="there is no import format 'nope'"):
        import_file(written(tmp_path, "claude"), "nope")


def test_an_eval_archive_of_inspect_is_read_like_its_dump(tmp_path: Path) -> None:
    content: Any = FILES["inspect"].content
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({key: content[key] for key in ("version", "eval", "status")}))
        for sample in content["samples"]:
            archive.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
        archive.writestr("summaries.json", "[]")
    [packed], [plain] = import_file(path), import_file(written(tmp_path, "inspect"))
    assert packed.session == plain.session
    assert [event.body for event in packed.events[:-1]] == [event.body for event in plain.events[:-1]]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CannotImport):
        import_file(path)


def test_a_folder_of_openhands_events_is_one_session(tmp_path: Path) -> None:
    folder = tmp_path / "conversation" / "events"
    folder.mkdir(parents=True)
    content: Any = FILES["openhands"].content
    for number, event in enumerate(content):
        (folder / f"event-{number:05}-x.json").write_text(json.dumps(event))
    [session] = import_file(folder.parent)
    assert session.session == imported(tmp_path, "openhands").session


def test_numbers_that_json_does_not_hold_do_no_harm(tmp_path: Path) -> None:
    text = dump_lines(FILES["openhands"].content).replace('"ls"', "[NaN, 1e999, 123456789012345678901234567890]")
    path = tmp_path / "x.json"
    path.write_text(text)
    [session] = import_file(path)
    started = bodies(session, ev.ActionStarted)[0]
    assert started.arguments["command"] == [None, None, 123456789012345678901234567890.0]


def damage(content: Any, chance: random.Random) -> None:
    """Take something away, or put something of another type there."""
    places: list[tuple[Any, Any]] = []
    stack = [content]
    while stack:
        value = stack.pop()
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, below in pairs:
            places.append((value, key))
            if isinstance(below, dict | list):
                stack.append(below)
    holder, key = chance.choice(places)
    if chance.random() < 0.4:
        del holder[key]
    else:
        holder[key] = chance.choice([None, 7, -1, "x", [], {}, [[]], [None], True, {"a": {}}, "\ud800", 1e300])


def test_what_came_before_the_first_time_in_a_file_happened_then_and_not_in_1970(tmp_path: Path) -> None:
    lines = [
        {"type": "user", "sessionId": "s", "message": {"role": "user", "content": "Do it."}},
        {
            "type": "assistant",
            "sessionId": "s",
            "timestamp": "2025-06-14T10:00:00Z",
            "message": {"id": "m", "model": "c", "content": [{"type": "text", "text": "Done."}]},
        },
    ]
    path = tmp_path / "s.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    [session] = import_file(path)
    assert {event.at for event in session.events} == {1_749_895_200_000}


def test_a_file_without_times_says_so(tmp_path: Path) -> None:
    assert any("says no times" in note for note in imported(tmp_path, "swe").warnings)
    assert not any("says no times" in note for note in imported(tmp_path, "claude").warnings)


def test_a_demonstration_of_swe_agent_is_a_history_alone(tmp_path: Path) -> None:
    turn = {"agent": "main", "message_type": "action"}
    call = {"id": "c", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
    history = [
        {**turn, "role": "user", "content": "Mend it."},
        {**turn, "role": "assistant", "content": "I look.", "tool_calls": [call]},
        {**turn, "role": "tool", "content": "found", "tool_call_ids": ["c"]},
    ]
    path = tmp_path / "demonstration.traj"
    path.write_text(json.dumps({"history": history}))
    [session] = import_file(path)
    assert session.created.meta["format"] == "swe-agent" and session.created.title == "Mend it."
    assert [body.outcome for body in bodies(session, ev.ActionResult)] == ["ok"]


@pytest.mark.parametrize(
    ("name", "title"),
    [("django__django-10914.traj.json", "django__django-10914"), ("run-1.traj.json", "Make the tests pass.")],
)
def test_a_recording_of_swe_bench_is_called_by_its_instance(tmp_path: Path, name: str, title: str) -> None:
    path = tmp_path / name
    path.write_text(dump_lines(FILES["mini"].content))
    [session] = import_file(path)
    assert session.created.title == title


def test_one_call_without_a_result_is_one(tmp_path: Path) -> None:
    assert "1 call at the end has no result" in imported(tmp_path, "swe").warnings


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CannotImport, match="pipe is no file and no folder"):
        import_file(tmp_path / "pipe")

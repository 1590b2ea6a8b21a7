"""A session that is taken out: nothing of it is left, and nothing else is touched."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner
from host_in_process import new_session, open_host
from training_log import Teller, new_log

from apollo_tui.cli.root import apollo
from sessions import events as ev
from sessions import ulid
from sessions.errors import ApolloError
from sessions.events.text import long_text
from sessions.host.purging import Purged, purge_session
from sessions.log import purge
from sessions.log.purge import PurgeFailed, tombstones
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter
from sessions.paths import LogPaths, log_paths

NAMES = [ulid.encode((1_700_000_000_000 + n) << 80) for n in range(3)]
GONE, KEPT, CHILD = NAMES
SECRET = "the word that must go"
SHARED = "what both have read " * 200


async def three(folder: Path) -> LogPaths:
    """A session with a secret, another one, and a branch of the first; both have a long text in common."""
    writer = await new_log(folder)
    paths = log_paths(writer.path)
    paths.prepare()
    for name in (GONE, KEPT):
        told = await Teller(writer, name).begin("A task.", title=f"session of {SECRET}" if name == GONE else "kept")
        shared, shared_blobs = long_text(SHARED)
        own, own_blobs = long_text((SECRET if name == GONE else "mine") + " and more" * 500)
        for text, blobs in ((shared, shared_blobs), (own, own_blobs)):
            await told.tell(ev.EvalScored(score=1.0, better="higher", used=1, output=text), blobs=blobs)
    begins = ev.Beginning(session=GONE, seq=2, kind="branch")
    await Teller(writer, CHILD).begin("A task.", title="branch", begins=begins)
    await writer.append(ev.NewEvent(GONE, ev.NoteWritten(text=SECRET), actor="human:ada", request="the-last"))
    await writer.close()
    for name in (GONE, KEPT):
        (paths.sessions / name / "jobs" / "1").mkdir(parents=True)
        (paths.sessions / name / "jobs" / "1" / "output").write_text(SECRET if name == GONE else "mine")
        (paths.drafts / f"{name}.advice.human%3aada.json").write_text(SECRET if name == GONE else "mine")
    (paths.sessions / GONE / "jobs").chmod(0o500)
    (paths.folder / "search.sqlite").write_text(SECRET)
    return paths


def holding(folder: Path, word: str) -> list[str]:
    """Files below ``folder`` in which the word stands."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


async def test_all_of_it_goes_and_all_else_stays(tmp_path: Path) -> None:
    paths = await three(tmp_path)
    with LogReader(paths.log) as reader:
        before = {name: list(reader.stream(name)) for name in (KEPT, CHILD)}
        position = reader.position()
    done = await _purge(paths)
    assert (done.number, done.events, done.blobs, done.dependants) == (1, 5, 1, (CHILD,))
    assert holding(tmp_path, SECRET) == []
    assert not (paths.sessions / GONE).exists()
    assert (paths.sessions / KEPT / "jobs" / "1" / "output").read_text() == "mine"
    with LogReader(paths.log) as reader:
        assert [summary.session for summary in reader.summaries()] == [KEPT, CHILD]
        assert list(reader.stream(KEPT)) == before[KEPT]
        assert list(reader.stream(CHILD))[:-1] == before[CHILD]
        score = next(event.body for event in reader.events(KEPT, kinds=("eval.scored",)))
        assert isinstance(score, ev.EvalScored)
        assert reader.text(score.output) == SHARED
        mark = reader.events(CHILD, newest_first=True, limit=1)[0]
        assert (mark.body, mark.actor) == (ev.BeginningPurged(session=GONE, why="consent withdrawn"), "human:ada")
        assert reader.by_request("the-last") == []
        tombstone = reader.since(position)[0]
    assert tombstone.id == position + 1
    assert tombstone.actor == "human:ada"
    assert isinstance(tombstone.body, ev.SessionPurged)
    assert (tombstone.body.number, tombstone.body.why) == (1, "consent withdrawn")
    assert len(tombstone.body.sha256) == 64
    assert paths.log.stat().st_mode & 0o777 == 0o600
    writer = await LogWriter.open(paths.log)
    [note] = await writer.append(ev.NewEvent(KEPT, ev.NoteWritten(text="goes on"), actor="human:ada"))
    assert note.id == position + 3
    await writer.close()


async def test_a_number_is_never_given_again(tmp_path: Path) -> None:
    writer = await new_log(tmp_path)
    paths = log_paths(writer.path)
    paths.prepare()
    await Teller(writer, KEPT).begin("A task.")
    await Teller(writer, GONE).begin("A task.")
    gone = writer.summary(GONE)
    assert gone is not None and gone.number == 2
    await writer.close()
    await _purge(paths)
    async with await LogWriter.open(paths.log) as opened:
        assert [summary.number for summary in opened.summaries().values()] == [1]
        assert opened.next_number() == 3


async def _purge(paths: LogPaths) -> Purged:
    return await asyncio.to_thread(purge_session, paths, GONE, "human:ada", "consent withdrawn")


async def test_the_old_log_stays_where_the_new_one_is_not_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = await three(tmp_path)
    copy = purge._copy

    def lose(made: sqlite3.Connection, *more: object) -> None:
        copy(made, *more)  # type: ignore[arg-type]
        made.execute("DROP TRIGGER events_last")
        made.execute("DELETE FROM events WHERE session = ?", (KEPT,))

    before = shutil.copy(paths.log, tmp_path / "before")
    monkeypatch.setattr(purge, "_copy", lose)
    with pytest.raises(PurgeFailed, match=r"was not right \(events: .*the log is as it was"):
        await _purge(paths)
    assert paths.log.read_bytes() == Path(before).read_bytes()
    assert (paths.sessions / GONE).exists()
    assert [path.name for path in tmp_path.iterdir() if ".purge" in path.name] == []


async def test_a_reader_that_is_open_keeps_the_log_from_being_replaced(tmp_path: Path) -> None:
    paths = await three(tmp_path)
    with LogReader(paths.log) as reader:
        reader.position()
        with pytest.raises(PurgeFailed, match="another program reads the log"):
            await _purge(paths)
        assert len(reader.summaries()) == 3
    await _purge(paths)


async def test_a_host_that_runs_has_to_be_stopped_first(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1", start=False))
        shell = ["--log", str(host.paths.log), "--as", "ada"]
        said = CliRunner().invoke(apollo, [*shell, "purge", "1", "--why", "test", "--yes"])
        assert said.exit_code == 1
        assert "writes this log" in str(said.exception)
        assert host.state(made.session) == "created"


async def test_what_a_crash_left_of_its_files_is_removed_by_its_id(tmp_path: Path) -> None:
    paths = await three(tmp_path)
    await _purge(paths)
    (paths.sessions / GONE).mkdir()
    (paths.sessions / GONE / "left").write_text(SECRET)
    done = CliRunner().invoke(apollo, ["--log", str(paths.log), "--as", "ada", "purge", GONE, "--why", "again"])
    assert done.exit_code == 0, done.output
    assert holding(tmp_path, SECRET) == []
    assert len(tombstones(paths.log)) == 1


async def test_it_asks_twice_and_wants_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = await three(tmp_path)
    shell = ["--log", str(paths.log), "--as", "ada", "purge", "1"]
    assert CliRunner().invoke(apollo, shell).exit_code == 2
    assert "--why is empty" in CliRunner().invoke(apollo, [*shell, "--why", " "]).stderr
    assert "say --yes" in CliRunner().invoke(apollo, [*shell, "--why", "x"]).stderr
    monkeypatch.setattr("apollo_tui.cli.log_keeping.is_asked", lambda: True)
    for answers in ("n\n", "y\n2\n"):
        assert CliRunner().invoke(apollo, [*shell, "--why", "x"], input=answers).exit_code == 1
        assert tombstones(paths.log) == {}
    done = await asyncio.to_thread(CliRunner().invoke, apollo, [*shell, "--why", "x"], input="y\n1\n")
    assert done.exit_code == 0, done.output
    assert "3 began in it and will say so" in done.stdout
    assert "session 1 (" in done.stdout
    assert list(tombstones(paths.log)) == [GONE]


@pytest.mark.parametrize("answers", [True, False])
async def test_what_it_had_on_another_side_goes_too_or_is_named(
    answers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    for name in (GONE, KEPT):
        (there / ".apollo" / name / "workspace").mkdir(parents=True)
        (there / ".apollo" / name / "workspace" / "file").write_text(SECRET)
    (there / ".apollo" / GONE / "workspace").chmod(0o500)
    program = tmp_path / "bin" / "podman"
    program.parent.mkdir()
    body = f'shift 3\nHOME={there} exec "$@"' if answers else "echo no box >&2; exit 125"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    writer = await new_log(tmp_path / "log")
    paths = log_paths(writer.path)
    paths.prepare()
    contained = ev.Containment(inside="podman exec box", network="all", there=True)
    await Teller(writer, GONE).begin("A task.", contained=contained, in_place=True, workspace="/work")
    await writer.close()
    done = await _purge(paths)
    assert (there / ".apollo" / GONE).exists() != answers
    assert (there / ".apollo" / KEPT).exists()
    place = "where podman exec box leads to"
    stays = f"~/.apollo/{GONE} {place}, which could not be removed (no box)"
    assert done.left == (*([] if answers else [stays]), f"/work {place}, in which it worked")


async def test_the_parts_of_the_log_are_private_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = await three(tmp_path)
    seen: list[int] = []
    check = purge._check

    def look(made: sqlite3.Connection, *more: object) -> None:
        seen.extend(path.stat().st_mode & 0o777 for path in tmp_path.glob(".*.purge*"))
        check(made, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(purge, "_check", look)
    before = os.umask(0)
    await _purge(paths)
    os.umask(before)
    assert set(seen) == {0o600}


async def test_an_agents_command_purges_nothing_by_our_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = await three(tmp_path)
    mark = {"APOLLO_JOB": f"{KEPT}/jobs/1"}
    monkeypatch.setattr("sessions.processes.first_environment", lambda pid: mark)
    with pytest.raises(ApolloError, match=r"a command of an agent \(job 1 of session 2\), and purges nothing"):
        await _purge(paths)
    assert tombstones(paths.log) == {}

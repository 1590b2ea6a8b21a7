"""A copy of the log beside the host that writes it: of one moment, verified, private, and never half there."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from training_log import many, new_log

from apollo_tui.cli.root import apollo
from sessions import events as ev
from sessions.log.backup import Backup, BackupFailed, back_up_log, newest_backup, note_backup
from sessions.log.reader import LogReader
from sessions.paths import log_paths


async def test_a_backup_is_the_log_in_one_private_file(tmp_path: Path) -> None:
    writer = await new_log(tmp_path)
    await many(writer)
    before = os.umask(0)
    made = back_up_log(writer.path, tmp_path / "copy.sqlite")
    os.umask(before)
    assert stat.S_IMODE((tmp_path / "copy.sqlite").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == ["copy.sqlite"]
    assert made.bytes == (tmp_path / "copy.sqlite").stat().st_size
    with LogReader(writer.path) as log, LogReader(tmp_path / "copy.sqlite") as copy:
        assert list(copy.stream()) == list(log.stream())
        assert (made.position, made.sessions) == (log.position(), 6)
    await writer.close()


async def test_a_host_that_writes_meanwhile_is_not_held_up_and_not_half_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = await new_log(tmp_path)
    await many(writer)
    session = next(iter(writer.summaries()))
    position = writer.position
    loop = asyncio.get_running_loop()
    counted = sqlite3.Connection.backup

    class Slow(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection, **more: object) -> None:  # type: ignore[override]
            note = ev.NewEvent(session, ev.NoteWritten(text="meanwhile"), actor="human:ada")
            asyncio.run_coroutine_threadsafe(writer.append(note), loop).result(10)
            counted(self, target)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: connect(*args, **{"factory": Slow, **more}))
    made = await asyncio.to_thread(back_up_log, writer.path, tmp_path / "copy.sqlite")
    monkeypatch.undo()
    assert writer.position == position + 1
    with LogReader(tmp_path / "copy.sqlite") as copy:
        assert made.position == copy.position() == position
    await writer.close()


async def test_nothing_is_replaced_unasked_and_the_log_never(tmp_path: Path) -> None:
    writer = await new_log(tmp_path)
    await many(writer)
    target = tmp_path / "copy.sqlite"
    target.write_text("mine")
    with pytest.raises(BackupFailed, match="--overwrite"):
        back_up_log(writer.path, target)
    assert target.read_text() == "mine"
    back_up_log(writer.path, target, overwrite=True)
    with pytest.raises(BackupFailed, match="is the log itself"):
        back_up_log(writer.path, writer.path, overwrite=True)
    with pytest.raises(BackupFailed, match="cannot write the backup"):
        back_up_log(writer.path, tmp_path / "nowhere" / "copy.sqlite")
    await writer.close()


async def test_a_copy_that_lacks_something_is_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = await new_log(tmp_path)
    await many(writer)
    from sessions.log import backup

    whole = backup._copy

    def lose(log: Path, part: Path) -> dict[str, int]:
        counts = whole(log, part)
        with sqlite3.connect(part) as connection:
            connection.execute("DROP TRIGGER events_last")
            connection.execute("DELETE FROM events WHERE id = 3")
        return counts

    monkeypatch.setattr(backup, "_copy", lose)
    with pytest.raises(BackupFailed, match="events instead of"):
        back_up_log(writer.path, tmp_path / "copy.sqlite")

    def damage(log: Path, part: Path) -> dict[str, int]:
        counts = whole(log, part)
        with part.open("r+b") as file:
            file.seek(4096 * 3)
            file.write(os.urandom(4096 * 4))
        return counts

    monkeypatch.setattr(backup, "_copy", damage)
    with pytest.raises(BackupFailed):
        back_up_log(writer.path, tmp_path / "copy.sqlite")
    assert not [path for path in tmp_path.iterdir() if "copy" in path.name]
    await writer.close()


async def test_the_command_says_what_it_did_and_doctor_how_old_it_is(tmp_path: Path) -> None:
    writer = await new_log(tmp_path)
    await many(writer)
    shell = ["--log", str(writer.path), "--as", "ada"]
    paths = log_paths(writer.path)
    paths.prepare()

    def said_of_backups() -> dict[str, str]:
        found = json.loads(CliRunner().invoke(apollo, [*shell, "doctor", "--json"]).stdout)
        return next(line for line in found if line["id"] == "backup")

    assert said_of_backups()["said"] == "none was made of this log"
    done = CliRunner().invoke(apollo, [*shell, "backup", str(tmp_path / "copy.sqlite")])
    assert done.exit_code == 0, done.output
    assert "6 sessions" in done.stdout
    assert done.stdout.endswith("verified\n")
    assert said_of_backups()["said"] == f"the newest is 0 s old: {tmp_path / 'copy.sqlite'}"
    found = newest_backup(paths.folder)
    assert found is not None
    note_backup(paths.folder, Backup(found.path, found.at - 8 * 86_400_000, 1, 1, 1, 1))
    assert (said_of_backups()["verdict"], said_of_backups()["said"][:20]) == ("warn", "the newest is 8 d ol")
    (tmp_path / "copy.sqlite").unlink()
    assert "not there any more" in said_of_backups()["said"]
    await writer.close()

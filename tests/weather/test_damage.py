"""What a damaged log says of itself, and that an export goes on without its damaged sessions."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from agent_testbed import Bench
from click.testing import CliRunner
from scripted_model import ScriptedAdapter, Turn, call

from apollo_train.samples.session_selection import SessionExclusion, check_session
from apollo_tui.cli.root import apollo
from sessions.jobs.manager import JobManager
from sessions.log.reader import LogReader
from sessions.queries.damage import find_damage


async def recorded(folder: Path) -> tuple[Path, list[str]]:
    """A log with two sessions that have finished."""
    bench = await Bench.open(folder)
    made = []
    for name in ("first", "second"):
        say = Turn(f"The {name} thought of mine.", calls=(("run", {"command": f"echo {name}"}),))
        bench.adapter = ScriptedAdapter([say, call("finish", summary="x")])
        session = await bench.create()
        bench.runner(session).start()
        await bench.state(session, "finished")
        made.append(session)
    await bench.close()
    return bench.paths.log, made


def spoil(log: Path, statement: str, *values: object) -> None:
    """Change what never changes, as a bad disk would."""
    with closing(sqlite3.connect(log)) as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute(statement, values)
        raw.commit()


def damage(log: Path) -> list[tuple[str, str]]:
    """What is found."""
    with LogReader(log) as reader:
        return [(one.session, one.text) for one in find_damage(reader, log.with_name(f"{log.name}.d") / "sessions")]


SPOILT = {
    "a blob that cannot be unpacked": ("UPDATE blobs SET data = x'00' WHERE codec = 'zlib'", "cannot be unpacked"),
    "a blob of other bytes": ("UPDATE blobs SET data = x'00', codec = 'raw'", "not those that were stored"),
    "a missing event": ("DELETE FROM events WHERE session = ? AND seq = 5", "events are missing"),
    "a missing blob": ("DELETE FROM blobs", "cannot be rebuilt"),
    "a reply with other words": (
        "UPDATE events SET body = replace(body, 'thought of mine', 'thing I never said') "
        "WHERE session = ? AND kind = 'model.reply'",
        "is not the one that the agent went on from",
    ),
    "an event that is no JSON": (
        "UPDATE events SET body = '{' WHERE session = ? AND seq = 4",
        "or are no JSON",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
async def test_damage_is_found_and_the_session_named(tmp_path: Path, what: str) -> None:
    log, (first, _) = await recorded(tmp_path)
    assert damage(log) == []
    statement, words = SPOILT[what]
    spoil(log, statement, *([first] if "?" in statement else []))
    found = damage(log)
    assert any(words in text for _, text in found), found
    if "?" in statement:
        assert {session for session, _ in found} == {first}
    done = CliRunner().invoke(apollo, ["--log", str(log), "doctor", "--deep"])
    assert done.exit_code == 1
    assert words in done.output


async def test_a_log_that_lost_its_newest_part_is_told_by_the_folders_of_sessions(tmp_path: Path) -> None:
    log, (first, second) = await recorded(tmp_path)
    folder = log.with_name(f"{log.name}.d") / "sessions" / first
    jobs = JobManager(folder)
    await jobs.wait(await jobs.start(jobs.next_number(), "true", Path("/"), {"PATH": os.environ["PATH"]}), 20)
    assert damage(log) == [(first, "job 2 ran after the end of the log: what followed is lost")]
    folder.with_name(second).rename(folder.with_name("01LOSTLOSTLOSTLOSTLOSTLOST"))
    assert ("01LOSTLOSTLOSTLOSTLOSTLOST", "it ran 1 jobs, and the log does not know it: its end is lost") in damage(log)


@pytest.mark.parametrize("what", ["a missing event", "an event that is no JSON"])
async def test_an_export_leaves_a_damaged_session_out_and_says_why(tmp_path: Path, what: str) -> None:
    log, (first, second) = await recorded(tmp_path)
    spoil(log, SPOILT[what][0], first)
    with LogReader(log) as reader:
        found = check_session(reader, first, None, reader.position())
        assert found == SessionExclusion(first, "session_damaged")
        assert not isinstance(check_session(reader, second, None, reader.position()), SessionExclusion)

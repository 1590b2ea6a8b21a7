"""Read-only places, names that are too long, figures that cannot be, secrets that slipped through."""

from __future__ import annotations

import os
import pwd
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import log_events as make
import pytest
from click.testing import CliRunner
from host_in_process import open_host
from tool_testbed import Bench

from apollo_tui.cli.root import apollo
from sessions import events as ev
from sessions.host import protocol
from sessions.host.client import RequestRefused
from sessions.log.migrations import prepare_log
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter
from sessions.redaction import looks_secret, scrub_env


async def a_log(folder: Path) -> Path:
    """A log with a session, closed in order."""
    async with await LogWriter.open(folder / "apollo.db") as writer:
        await writer.append(make.session_created())
    return folder / "apollo.db"


def read_as_nobody(log: Path) -> str:
    """The session of ``log``, read by a user who may write nothing there; our own user where we are no root."""
    user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
    code = f"""
import sys
if {user is not None}:
    import os
    sys.path[:0] = {[path for path in sys.path if path]!r}
    from sessions.log.reader import LogReader
    os.setgid({user.pw_gid if user else 0}); os.setuid({user.pw_uid if user else 0})
else:
    from sessions.log.reader import LogReader
with LogReader(__import__("pathlib").Path({str(log)!r})) as reader:
    print(reader.summaries()[0].title)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_a_log_in_a_folder_that_may_not_be_written_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "ro"
    folder.mkdir()
    log = await a_log(folder)
    with LogReader(log) as reader:
        title = reader.summaries()[0].title
    for parent in (tmp_path, *tmp_path.parents[:3]):
        if parent.owner() == folder.owner() and parent != Path("/tmp"):
            parent.chmod(0o755)
    for beside in folder.iterdir():
        beside.chmod(0o444)
    for name in ("apollo.db-wal", "apollo.db-shm"):
        (folder / name).unlink(missing_ok=True)
    folder.chmod(0o555)
    try:
        assert read_as_nobody(log) == title
    finally:
        folder.chmod(0o755)
    assert [entry.name for entry in folder.iterdir()] == ["apollo.db"]


async def test_a_log_of_mode_0400_is_read_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    log = await a_log(tmp_path)
    for name in ("apollo.db-wal", "apollo.db-shm"):
        log.with_name(name).unlink(missing_ok=True)
    log.chmod(0o400)
    for command in ("ls", "doctor"):
        done = CliRunner().invoke(apollo, ["--log", str(log), command])
        assert "quick check: ok" in done.output or command == "ls", done.output
    assert not log.with_name("apollo.db-wal").exists()
    assert not log.with_name("apollo.db-shm").exists()


async def test_a_host_can_write_again_what_an_older_reader_left_with_the_mode_of_a_read_only_log(
    tmp_path: Path,
) -> None:
    log = await a_log(tmp_path)
    for name in ("apollo.db-wal", "apollo.db-shm"):
        left = log.with_name(name)
        left.touch()
        left.chmod(0o400)
    prepare_log(log)
    modes = {name.stat().st_mode & 0o777 for name in tmp_path.glob("apollo.db-*")}
    assert modes <= {0o600}


async def test_a_reader_of_a_still_log_sees_what_is_written_once_it_changes(tmp_path: Path) -> None:
    log = await a_log(tmp_path)
    for name in ("apollo.db-wal", "apollo.db-shm"):
        log.with_name(name).unlink(missing_ok=True)
    log.chmod(0o400)
    with LogReader(log) as reader:
        before = reader.position()
        log.chmod(0o600)
        async with await LogWriter.open(log) as writer:
            await writer.append(ev.NewEvent(make.SESSION, ev.NoteWritten(text="x"), actor="human:ada"))
            assert reader.position() == before + 1


def test_no_second_connection_is_opened_for_the_quick_check(tmp_path: Path) -> None:
    prepare_log(tmp_path / "apollo.db")
    with LogReader(tmp_path / "apollo.db") as reader:
        assert reader.check() == "ok"
    with closing(sqlite3.connect(tmp_path / "apollo.db")) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() != (0,)


@pytest.mark.parametrize("name", ["n" * 300, f"folder/{'n' * 300}", "d/" * 3000 + "x", "ü" * 200, "a\0b"])
async def test_a_name_that_no_file_can_have_is_an_answer_of_the_file_tools(tmp_path: Path, name: str) -> None:
    bench = Bench.at(tmp_path)
    for said in (
        await bench.failure("write_file", path=name, content="x"),
        await bench.failure("read_file", path=name),
        await bench.failure("edit_file", path=name, old="a", new="b"),
    ):
        assert "crashed" not in said
        assert len(said) < 500
    assert [entry.name for entry in bench.workspace.rglob("*") if entry.is_file()] == []


@pytest.mark.parametrize("body", [{"active_ms": 10**30}, {"active_ms": 86_400_001}, {"active_ms": 1, "keys": 10**7}])
async def test_effort_that_nobody_can_have_spent_is_refused(tmp_path: Path, body: dict[str, int]) -> None:
    async with open_host(tmp_path) as host:
        await host.append(make.session_created())
        client = await host.client()
        with pytest.raises(RequestRefused):
            await client.call(
                protocol.Annotate(request=host.request(), session=make.SESSION, kind="effort.spent", body=body)
            )
        fine = {"active_ms": 86_400_000, "keys": 5}
        await client.call(
            protocol.Annotate(request=host.request(), session=make.SESSION, kind="effort.spent", body=fine)
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_WEBHOOK", "https://hooks.slack.com/services/T0/B0/xyz"),
        ("ALERTS", "https://hooks.slack.com/services/T0/B0/xyz"),
        ("NOTIFY_URL", "https://discord.com/api/webhooks/1/abc"),
        ("KUBECONFIG", "/home/ada/.kube/config"),
        ("SENTRY_DSN", "https://abc@sentry.example/1"),
        ("AZURE_STORAGE_CONNECTION_STRING", "AccountKey=abc"),
        ("DOCKER_CONFIG", "/home/ada/.docker"),
        ("NETRC", "/home/ada/.netrc"),
        ("PGPASSFILE", "/home/ada/.pgpass"),
    ],
)
def test_what_opens_doors_does_not_reach_the_tools(name: str, value: str) -> None:
    assert scrub_env({name: value, "PATH": "/bin"}) == {"PATH": "/bin"}


def test_ordinary_variables_still_reach_the_tools() -> None:
    kept = {"KUBE_NAMESPACE": "x", "DOCKER_HOST": "unix:///run/docker.sock", "DSNAME": "x", "URL": "https://a.b/c"}
    assert scrub_env(kept) == kept
    assert not looks_secret("HOOK_TIMEOUT", "5")


def test_doctor_says_that_the_labels_file_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[labels]\nfile = "nowhere.toml"\n')
    monkeypatch.setenv("APOLLO_CONFIG", str(config))
    done = CliRunner().invoke(apollo, ["--log", str(tmp_path / "apollo.db"), "doctor"])
    assert done.exit_code == 1
    line = next(line for line in done.output.splitlines() if " config " in line)
    assert line.startswith("bad")
    assert "nowhere.toml" in line

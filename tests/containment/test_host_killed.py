"""A session inside each prefix survives a killed host with a running job: the next host finds space and job again."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from apollo_process import Apollo, wait_for
from sse_server import server_process

from sessions.containment.choice import works_here
from sessions.containment.keeper import Keeper
from sessions.host.client import HostDown, host_status
from sessions.log.reader import LogReader
from sessions.paths import log_paths

pytestmark = pytest.mark.kill

LONG = (
    'echo begun > here; echo kept > "$TMPDIR/kept"; while [ ! -e go ]; do sleep 0.02; done; '
    'echo done $(cat "$TMPDIR/kept")'
)
TURNS = [
    {"text": "a long one", "calls": [{"name": "run", "arguments": {"command": LONG}}]},
    {"text": "after it", "calls": [{"name": "run", "arguments": {"command": 'cat here "$TMPDIR/kept"'}}]},
    {"calls": [{"name": "finish", "arguments": {"summary": "done"}}]},
]


@pytest.mark.parametrize("inside", ["bwrap", "landlock", "none", "podman exec box", "ssh"])
def test_a_running_job_outlives_its_host(inside: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if works_here().get(inside):
        pytest.skip(f"{inside} does not work here: {works_here()[inside]}")
    home = tmp_path / "other-side"
    home.mkdir()
    if inside == "ssh":
        inside = f"{request.getfixturevalue('ssh')} env HOME={home} TMPDIR={home}"
    program = tmp_path / "bin" / "podman"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nshift 3\nTMPDIR='{home}' HOME='{home}' exec \"$@\"\n")
    program.chmod(0o755)
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"m": {"turns": TURNS}}))
    (tmp_path / "task.md").write_text("Run the long one.")
    with server_process(script, tmp_path / "requests.jsonl") as url:
        env = {"PATH": f"{program.parent}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
        apollo = Apollo(tmp_path, env)
        try:
            _survive(apollo, inside, f"{url}/v1", home)
        finally:
            apollo.close()


def _survive(apollo: Apollo, inside: str, url: str, home: Path) -> None:
    apollo.run("new", "task.md", "--model", "openai:m", "--base-url", url, "--inside", inside)
    folder = next(log_paths(apollo.log).sessions.iterdir())
    there = inside.startswith(("podman", "ssh"))
    workspace = home / ".apollo" / folder.name / "workspace" if there else folder / "workspace"
    wait_for("the command to begin", (workspace / "here").exists)
    with LogReader(apollo.log) as log:
        wait_for("the log to know of it", lambda: list(log.events(folder.name, kinds={"job.started"})))
    # The next host knows who holds the job from there, whatever a command has made of its files.
    (folder / "jobs/1/claim.json").write_text("{}")
    host = _host(apollo)
    os.kill(host, signal.SIGKILL)
    wait_for("the next host", lambda: _host(apollo) not in (0, host))
    (workspace / "go").touch()
    wait_for("the end", lambda: apollo.states() == {"finished"}, seconds=60)
    reader = LogReader(apollo.log)
    results = [event.body for event in reader.events(folder.name, kinds={"action.result"})]
    reader.close()
    assert [body.outcome for body in results] == ["ok"] * len(results), [body.output.text for body in results]
    assert results[0].output.text.startswith("done kept"), "found again, not run again, in the space that it was in"
    assert results[1].output.text.startswith("begun\nkept"), "what a command left is there for the next"
    if inside in ("bwrap", "landlock"):
        wait_for("the space to end with its session", lambda: Keeper(folder / "space").find() is None)


def _host(apollo: Apollo) -> int:
    try:
        found = host_status(log_paths(apollo.log))
    except (HostDown, OSError):
        return 0
    return found.pid if found is not None else 0


def test_the_line_that_is_printed_says_what_contains_a_session(tmp_path: Path) -> None:
    """Without a wish the best that works here, and a reason where nothing better does."""
    (tmp_path / "task.md").write_text("Do nothing.")
    apollo = Apollo(tmp_path)
    try:
        said = apollo.run("new", "task.md", "--model", "demo:steady", "--no-start").stdout
        row = apollo.json("ls")[0]
        best = next((kind for kind, reason in works_here().items() if not reason), "")
        assert row["contained"] == (f"inside {best}, network off" if best else "not contained")
        assert (row["contained"] in apollo.run("show", "1").stdout) and ("it is" in said) == (best != "bwrap")
        refused = apollo.run("new", "task.md", "--model", "demo:steady", "--inside", "chroot", check=False)
        assert refused.returncode and "there is no prefix 'chroot'" in refused.stderr, refused.stderr
    finally:
        apollo.close()


def test_what_is_in_place_around_the_log_is_not_called_contained(tmp_path: Path) -> None:
    (tmp_path / "task.md").write_text("Do nothing.")
    apollo = Apollo(tmp_path)
    words = ("new", "task.md", "--model", "demo:steady", "--no-start", "--workspace", str(tmp_path), "--in-place")
    try:
        said = apollo.run(*words).stdout
        assert "it is not contained (the workspace" in said and "holds the log itself" in said, said
        if shutil.which("bwrap"):
            refused = apollo.run(*words, "--inside", "bwrap", check=False)
            assert refused.returncode and "holds the log itself" in refused.stderr
    finally:
        apollo.close()


def test_doctor_says_which_prefixes_work_here(tmp_path: Path) -> None:
    apollo = Apollo(tmp_path)
    rows = {row["id"]: row for row in apollo.json("doctor")}
    for kind, reason in works_here().items():
        assert rows[kind]["verdict"] == ("warn" if reason else "ok")
        assert reason in rows[kind]["said"] and bool(rows[kind]["advice"]) == bool(reason)

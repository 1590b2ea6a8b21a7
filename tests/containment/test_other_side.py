"""A session on another side: over a real sshd and in a real container where there are such, and through a stand-in for
``podman exec``."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from ssh_server import SshServer
from tool_testbed import Bench, until

from sessions.containment import remote_space
from sessions.containment.errors import SpaceError
from sessions.containment.remote_command import over_there
from sessions.containment.session_spaces import session_space
from sessions.containment.workspace_view import CannotLook, WorkspaceView
from sessions.containment.workspace_walk import Wish
from sessions.events import Containment, EvaluateSpec, ModelSpec, SessionCreated
from sessions.jobs.job import Job
from sessions.jobs.manager import JobManager
from sessions.workspace import SCORER

PODMAN = """\
#!/bin/sh
# podman exec NAME COMMAND…: the other side is a home of its own, and DOWN is a file that cuts the line.
[ -e "$PODMAN_DOWN" ] && exit 125
case "$*" in *tail*)
  [ -e "$PODMAN_DOWN.once" ] && rm "$PODMAN_DOWN.once" && echo "OCI runtime exec failed" && exit 126 ;;
esac
shift
if [ "$1" = -i ]; then shift; else exec < /dev/null; fi
shift
HOME="$PODMAN_HOME" exec env -u PODMAN_DOWN "$@"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "other side"
    made.mkdir()
    return made


@pytest.fixture
def podman(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    program = tmp_path / "podman"
    program.write_text(PODMAN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PODMAN_HOME", str(home))
    monkeypatch.setenv("PODMAN_DOWN", str(tmp_path / "down"))
    return "podman exec box"


@pytest.fixture
def container(tmp_path: Path) -> Iterator[str]:
    """A container with nothing in it but busybox: no bash, no Python, no GNU."""
    busybox = shutil.which("busybox")
    if not shutil.which("podman") or busybox is None:
        pytest.skip("there is no podman here, or no busybox to put into a container")
    name, root = f"apollo-test-{os.getpid()}", tmp_path / "root"
    for folder in ("bin", "tmp", "root", "proc", "dev", "etc"):
        (root / folder).mkdir(parents=True)
    shutil.copy(busybox, root / "bin" / "busybox")
    for applet in subprocess.check_output([busybox, "--list"], text=True).split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    subprocess.run(["tar", "-C", root, "-cf", tmp_path / "root.tar", "."], check=True)
    image = f"localhost/{name}"
    subprocess.run(["podman", "import", "-q", tmp_path / "root.tar", image], check=True, capture_output=True)
    limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
    words = ["podman", "run", "-d", "--name", name, "--network", "none", *limits, image, "sleep", "600"]
    try:
        started = subprocess.run(words, capture_output=True, text=True, check=False)
        if started.returncode:
            pytest.skip(f"podman cannot run a container here: {started.stderr.strip()}")
        yield f"podman exec {name}"
    finally:
        subprocess.run(["podman", "rm", "-f", "-t", "0", name], capture_output=True, check=False)
        subprocess.run(["podman", "rmi", "-f", image], capture_output=True, check=False)


@pytest.fixture(params=["podman", "ssh", "container"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    prefix: str = request.getfixturevalue(request.param)
    made = Bench.at(tmp_path)
    made.folder = made.folder / f"apollo-test-{os.getpid()}-{request.param}"
    made.folder.mkdir()
    made.contained = Containment(inside=prefix)
    (made.workspace / "given").write_text("given\n")
    made.jobs = JobManager(made.folder, space=session_space(made.contained, made.folder, made.workspace))
    yield made
    await made.jobs.kill_all(grace=0.5)
    await made.jobs.space.close()
    shutil.rmtree(Path.home() / ".apollo" / made.folder.name, ignore_errors=True)


async def test_a_line_that_never_ends_is_given_up(
    podman: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was asked for has come, and the program that leads there goes on all the same."""
    bench = Bench.at(tmp_path)
    space = session_space(Containment(inside=podman), bench.folder, bench.workspace)
    await space.open()
    program = tmp_path / "podman"
    program.write_text('#!/bin/sh\ntar -cf - -C "$PODMAN_HOME" . && exec > /dev/null && exec sleep 1046\n')
    monkeypatch.setattr(remote_space, "LAST_SECONDS", 0.3)
    async with asyncio.timeout(20):
        with pytest.raises(SpaceError, match="the workspace cannot be had from podman exec box"):
            await space.pull(bench.workspace)
    program.write_text("#!/bin/sh\nexec sleep 1047\n")
    monkeypatch.setattr(remote_space, "COPY_SECONDS", 0.3)
    async with asyncio.timeout(20):
        with pytest.raises(SpaceError, match="the workspace cannot be had from podman exec box"):
            await space.pull(bench.workspace)
    assert bench.workspace.is_dir()


async def test_commands_and_file_tools_act_over_there(bench: Bench) -> None:
    first = await bench.do("run", command='cat given; echo made > file; echo "it\'s $((1 + 1))" && exit 3')
    assert first.output.startswith("given\nit's 2\n") and first.data["exit_code"] == 3, first.output
    assert not (bench.workspace / "file").exists(), "nothing of it is here"
    if (await bench.do("run", command="command -v python3")).data["exit_code"]:
        assert await bench.failure("read_file", path="file") == (
            "there is no python3 on the other side, which file tools need: use run"
        )
        return
    assert "made" in (await bench.do("read_file", path="file")).output
    await bench.do("write_file", path="a/b", content="needle\n")
    assert "a/b:1: needle" in (await bench.do("search", pattern="need")).output
    await bench.do("edit_file", path="a/b", old="needle", new="pin")
    assert (await bench.do("run", command="cat a/b")).output.startswith("pin\n")
    assert "outside the workspace" in await bench.failure("read_file", path="../../../secret")


async def test_a_job_is_ended_over_there_too(bench: Bench) -> None:
    await bench.do("run", command="echo $$ > pid; sleep 300", background=True)
    job = bench.jobs.find(1)
    assert job is not None
    await until(lambda: bench.jobs.tail(job) is not None)
    pid = ""
    while not pid:
        result = await bench.do("run", command="cat pid 2>/dev/null || true")
        pid = result.output.split("\n")[0].strip("[").split()[0] if result.output[0].isdigit() else ""
    end = await bench.jobs.kill(job, grace=5.0)
    assert end is not None and end.how == "killed_by_agent"
    state = (await bench.do("run", command=f"sed 's/.*) //' /proc/{pid}/stat || echo gone")).output
    assert state.startswith("Z") or "\ngone\n" in state, "a container may have nobody who reaps it"


async def test_a_command_that_is_killed_over_there_is_not_waited_for(bench: Bench) -> None:
    await bench.do("run", command="echo $PPID > pid; sleep 300", background=True)
    job = bench.jobs.find(1)
    assert job is not None
    killed = "while [ ! -e pid ]; do sleep 0.05; done; kill -9 -- -$(cat pid)"
    await bench.do("run", command=killed)
    end = await bench.jobs.wait(job, 30)
    assert end is not None and end.exit_code == 255
    assert "gone, and did not say how it ended" in bench.jobs.tail(job).text


async def test_the_scorer_runs_over_there_on_what_is_there(bench: Bench) -> None:
    bench.evaluate = EvaluateSpec(command="sh score.sh", files=("score.sh",))
    (bench.folder / SCORER).mkdir()
    (bench.folder / SCORER / "score.sh").write_text(
        'case $APOLLO_WORKSPACE in /*) cd / ;; *) cd ;; esac; cat "$APOLLO_WORKSPACE/score"\n'
    )
    await bench.do("run", command="echo 42 > score")
    result = await bench.do("evaluate")
    assert result.data["score"] == 42, result.output


def open_bench(tmp_path: Path, prefix: str) -> Bench:
    """A bench whose commands run where ``prefix`` leads to."""
    bench = Bench.at(tmp_path)
    bench.folder = bench.folder / f"apollo-lost-{os.getpid()}"
    bench.folder.mkdir()
    bench.contained = Containment(inside=prefix)
    bench.jobs = JobManager(bench.folder, space=session_space(bench.contained, bench.folder, bench.workspace))
    return bench


async def begin_waiting(bench: Bench) -> Job:
    """A command that waits for the file ``go``, and has said ``one``."""
    await bench.do("run", command="echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; exit 7", background=True)
    job = bench.jobs.find(1)
    assert job is not None
    await until(lambda: "one" in bench.jobs.tail(job).text)
    return job


async def let_go_on(bench: Bench, job: Job) -> None:
    """Have it end, and see that it was found again, told once and not run twice."""
    await until(lambda: "the line is lost" in bench.jobs.tail(job).text)
    await bench.do("run", command="touch go")
    end = await bench.jobs.wait(job, 60)
    assert end is not None and (end.how, end.exit_code) == ("exited", 7)
    text = bench.jobs.tail(job).text
    assert text.startswith("one\n") and text.endswith("two\n") and text.count("one") == text.count("two") == 1, text


async def test_what_a_daemon_says_of_itself_is_no_output_and_hides_none(
    podman: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.containment.remote_command.PAUSES", (0.05,))
    bench = Bench.at(tmp_path)
    bench.contained = Containment(inside=podman)
    bench.jobs = JobManager(bench.folder, space=session_space(bench.contained, bench.folder, bench.workspace))
    await bench.do("run", command="true")
    (tmp_path / "down.once").touch()
    output = (await bench.do("run", command="seq 1 60 | tr '\\n' ' '; echo end")).output
    assert "OCI" not in output and "the line is lost" in output
    assert " ".join(map(str, range(1, 61))) + " end" in output


async def test_a_home_that_cannot_be_written_is_none(
    podman: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".apollo").write_text("in the way")  # root can write everywhere
    bench = Bench.at(tmp_path)
    bench.folder = tmp_path / f"apollo-test-{os.getpid()}-home"
    bench.folder.mkdir()
    (bench.workspace / "given").write_text("given\n")
    bench.contained = Containment(inside=podman)
    bench.jobs = JobManager(bench.folder, space=session_space(bench.contained, bench.folder, bench.workspace))
    try:
        assert (await bench.do("run", command="pwd; cat given")).output.startswith("/tmp/.apollo/")
        assert "given" in (await bench.do("read_file", path="given")).output
    finally:
        shutil.rmtree(Path("/tmp/.apollo") / bench.folder.name, ignore_errors=True)


async def test_a_command_is_found_again_after_a_lost_line(podman: str, tmp_path: Path) -> None:
    bench = open_bench(tmp_path, podman)
    job = await begin_waiting(bench)
    (tmp_path / "down").touch()
    for pid in _followers(bench.folder.name):
        os.kill(pid, signal.SIGKILL)
    await until(lambda: "the line is lost" in bench.jobs.tail(job).text)
    (tmp_path / "down").unlink()
    await let_go_on(bench, job)


@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGSTOP], ids=["cut", "silent"])
async def test_a_lost_line_of_ssh_is_noticed_also_where_it_says_nothing(
    what: signal.Signals, sshd: SshServer, tmp_path: Path
) -> None:
    quick = sshd.prefix.replace("ssh ", "ssh -o ServerAliveInterval=1 -o ServerAliveCountMax=1 ", 1)
    bench = open_bench(tmp_path, quick)
    try:
        job = await begin_waiting(bench)
        sshd.signal_lines(what)
        await let_go_on(bench, job)
    finally:
        sshd.signal_lines(signal.SIGCONT)
        await bench.jobs.kill_all(grace=0.5)
        shutil.rmtree(Path.home() / ".apollo" / bench.folder.name, ignore_errors=True)


def test_ssh_sees_to_its_line_unless_the_wish_says_how() -> None:
    ours = ["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]
    assert over_there(["/usr/bin/ssh", "gpu3"], ["true"]) == ["/usr/bin/ssh", *ours, "gpu3", "true"]
    wished = ["ssh", "-oserveraliveinterval=60", "gpu3"]
    assert over_there(wished, ["true"]) == ["ssh", *ours[2:], *wished[1:], "true"]
    assert over_there(["podman", "exec", "box"], ["true"]) == ["podman", "exec", "-i", "box", "true"]


def _followers(name: str) -> list[int]:
    """Processes that pass on what a command of the session ``name`` writes over there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[:2] == [b"sh", b"-c"] and b"tail -c" in words[2] and name in words[4].decode():
                found.append(int(entry.name))
    return found


async def test_a_person_sees_the_files_over_there(podman: str, tmp_path: Path, home: Path) -> None:
    bench = Bench.at(tmp_path)
    (bench.workspace / "given").write_text("given\n")
    contained = Containment(inside=podman)
    await session_space(contained, bench.folder, bench.workspace).open()
    there = home / ".apollo" / bench.folder.name / "workspace"
    (there / "made").write_text("made over there\n")
    (there / "out").symlink_to("/etc")
    os.mkfifo(there / "pipe")
    created = SessionCreated(
        number=1, title="t", task="t", model=ModelSpec("demo", "m"), workspace=str(bench.workspace), contained=contained
    )
    view = WorkspaceView(created, bench.folder)
    found = await view.list(Wish())
    assert {one.path: one.kind for one in found.found} == {
        "given": "file", "made": "file", "out": "link", "pipe": "fifo",
    }  # fmt: skip
    assert (await view.head("made", 4)).data == b"made" and await view.link("out") == "/etc"
    assert view.path_of("made").endswith("/workspace/made") and view.elsewhere == podman
    for path in ("out/passwd", "pipe", "../secret"):
        with pytest.raises(CannotLook, match="inside podman exec box"):
            await view.head(path, 10)
    (tmp_path / "down").touch()
    with pytest.raises(CannotLook, match="inside podman exec box"):
        await view.list(Wish())

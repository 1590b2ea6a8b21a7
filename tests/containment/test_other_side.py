"""A session on another side: over a real sshd and in a real container where there are such, and through a stand-in for
``podman exec``."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tool_testbed import Bench, until

from sessions.containment.session_spaces import session_space
from sessions.events import Containment, EvaluateSpec
from sessions.jobs.manager import JobManager
from sessions.workspace import SCORER

SSHD = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else "")
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host_key
AuthorizedKeysFile {place}/user_key.pub
StrictModes no
PidFile none
UsePAM no
PermitRootLogin yes
"""
PODMAN = """\
#!/bin/sh
# podman exec NAME COMMAND…: the other side is a home of its own, and DOWN is a file that cuts the line.
[ -e "$PODMAN_DOWN" ] && exit 125
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
def ssh(tmp_path: Path) -> Iterator[str]:
    if not SSHD or not shutil.which("ssh-keygen"):
        pytest.skip("there is no sshd here")
    place = tmp_path / "ssh"
    place.mkdir()
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (place / "config").write_text(CONFIG.format(port=port, place=place))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", place / "config"], stderr=subprocess.DEVNULL)
    prefix = (
        f"ssh -p {port} -i {place}/user_key -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no "
        "-o LogLevel=ERROR -o BatchMode=yes 127.0.0.1"
    )
    try:
        while subprocess.run([*prefix.split(), "true"], capture_output=True, check=False).returncode:
            assert server.poll() is None, "sshd does not run"
        yield prefix
    finally:
        server.kill()
        server.wait()


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


async def test_a_command_is_found_again_after_a_lost_line(
    podman: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.containment.remote_command.PAUSES", (0.05,))
    bench = Bench.at(tmp_path)
    bench.contained = Containment(inside=podman)
    bench.jobs = JobManager(bench.folder, space=session_space(bench.contained, bench.folder, bench.workspace))
    await bench.do("run", command="echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; exit 7", background=True)
    job = bench.jobs.find(1)
    assert job is not None
    await until(lambda: "one" in bench.jobs.tail(job).text)
    (tmp_path / "down").touch()
    follower = _followers(str(tmp_path))
    for pid in follower:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: "the line is lost" in bench.jobs.tail(job).text)
    (tmp_path / "down").unlink()
    await bench.do("run", command="touch go")
    end = await bench.jobs.wait(job, 60)
    assert end is not None and (end.how, end.exit_code) == ("exited", 7)
    text = bench.jobs.tail(job).text
    assert text.startswith("one\n") and text.endswith("two\n") and text.count("one") == text.count("two") == 1, text


def _followers(place: str) -> list[int]:
    """Processes that pass on what a command over there writes."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[:2] == [b"sh", b"-c"] and b"tail -c" in words[2]:
                found.append(int(entry.name))
    return found

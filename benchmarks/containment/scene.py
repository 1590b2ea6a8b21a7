"""Makes things worth having outside a space, has a session's commands try to get at them, and says what they got."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from benchmarks.containment.attempts import ATTEMPTS, BY_THE_HOST, JUDGED_OUTSIDE
from sessions import processes
from sessions.containment.keeper import end_idle_spaces
from sessions.containment.session_spaces import session_space
from sessions.events import Containment, SpaceLimits
from sessions.jobs.job import Job
from sessions.jobs.manager import JobManager
from sessions.tools.command_env import command_env
from sessions.tools.job_text import collect_output

LIMITS: Final = SpaceLimits(processes=200, memory_mb=2_000, file_mb=20, open_files=256)
SECRET: Final = "SECRET\n"
LONG: Final = 90_000 + os.getpid() % 9_000
"""Seconds of a sleep that no other run has."""
WAIT_SECONDS: Final = 5.0
"""After which a host that looks at a few jobs waits for something else."""


@contextmanager
def things_outside(place: Path) -> Iterator[dict[str, object]]:
    """What an agent must not have, by the names in ``ATTEMPTS``; ``place`` stands for who runs Apollo's home."""
    with ExitStack() as stack:
        files = {name: place / name for name in ("log", "keys", "env", "other", "home")}
        for name in ("other", "env"):
            files[name] = place / "sessions" / name / "file"
            files[name].parent.mkdir(parents=True)
        for path in files.values():
            path.write_text(SECRET)
        tmp = Path("/tmp") / f"apollo-{secrets.token_hex(4)}"
        tmp.write_text(SECRET)
        stack.callback(tmp.unlink, missing_ok=True)
        shm = Path("/dev/shm") / tmp.name
        shm.write_text(SECRET)
        stack.callback(shm.unlink, missing_ok=True)
        master, slave = os.openpty()
        os.set_blocking(master, False)
        for handle in (master, slave):
            stack.callback(os.close, handle)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(tmp.with_suffix(".socket")))
        stack.callback(tmp.with_suffix(".socket").unlink, missing_ok=True)
        listener.listen()
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{tmp.name}")
        abstract.listen()
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        outside = subprocess.Popen(
            [sys.executable, "-S", "-c", "import time; time.sleep(600)", "made-outside"],
            env={"WHAT": SECRET}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        victim = subprocess.Popen(["sleep", "600"], start_new_session=True)
        for process in (outside, victim):
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield {
            **_lies_about(victim.pid),
            "victim": victim,
            "own": "${APOLLO_JOB##*/}",
            **files,
            "folder": place,
            "tmp": tmp,
            "shm": shm,
            "terminal": os.ttyname(slave),
            "screen": master,
            "socket": tmp.with_suffix(".socket"),
            "abstract": tmp.name,
            "port": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "datagrams": udp,
            "outside": outside.pid,
            "proc": f"/proc/{outside.pid}",
            "panic": Path("/proc/sys/kernel/panic").read_text().strip(),
            "disk": _disk(),
            "long": LONG,
        }


async def try_all(kind: str, place: Path) -> dict[str, bool]:
    """Whether each attempt got through, made by the commands of one session inside ``kind``."""
    workspace, folder = place / "workspace", place / "sessions" / "own"
    for path in (workspace, folder):
        path.mkdir(parents=True)
    with things_outside(place) as things:
        space = session_space(Containment(inside=kind, limits=LIMITS), folder, workspace)
        jobs = JobManager(folder, space=space)
        env = command_env({**os.environ, "PATH": "/usr/local/bin:/usr/bin:/bin"}, workspace)
        through: dict[str, bool] = {}
        try:
            for attempt in ATTEMPTS:
                command = attempt.command.format(**things, jobs=folder / "jobs")
                job = await jobs.start(jobs.next_number(), command, workspace, env)
                end = await jobs.wait(job, 60)
                through[attempt.name] = end is not None and end.exit_code == 0
                if attempt.name in BY_THE_HOST:
                    assert through[attempt.name], f"{attempt.name}: it was not laid in wait"
                    through[attempt.name] = await _does(attempt.name, folder, job, things["victim"])
                if attempt.name != "survival":
                    await jobs.kill(job, grace=0.1)  # what it left would stand in the way of the next
        finally:
            await jobs.kill_all(grace=0.5)
            await space.close()
            lives_on = _lives_on()
        for path in (Path("/usr/made-inside"), Path("/etc/made-inside")):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        through["log folder"] = (place / "made-inside").exists()
        through["terminal"] = _painted(things["screen"])
        through["UDP"] = _arrived(things["datagrams"])
        through["survival"] = lives_on
    assert set(through) >= JUDGED_OUTSIDE
    return through


def _lies_about(pid: int) -> dict[str, object]:
    """What a command would write of a process outside, to have it taken for the holder or the command of a job."""
    who = processes.identity(pid)
    holder = {"pid": who.pid, "start_time": who.start_time, "boot_id": who.boot_id}
    lost = {**holder, "pid": 2**22, "start_time": "1"}
    lies = {
        "claim": holder,
        "keeper": {**holder, "own": 0},
        "child": {"pid": who.pid, "start_time": who.start_time, "started_at": 0},
        "lost": lost,
        "lost_there": {**lost, "space": processes.pid_space()},
    }
    return {name: json.dumps(lie) for name, lie in lies.items()}


async def _does(what: str, folder: Path, job: Job, victim: object) -> bool:
    """Whether the host does what was laid in wait for it in the folders of jobs."""
    host = JobManager(folder)
    match what:
        case "host reads":
            return any(SECRET in found.text for found in (host.tail(job), collect_output(host, job)))
        case "host waits":
            looking = threading.Thread(target=_look_at_all, args=(folder,), daemon=True)
            looking.start()
            await asyncio.to_thread(looking.join, WAIT_SECONDS)
            waited = looking.is_alive()
            # Taken away again, or all that follows would wait, too.
            fifos = [path for path in (folder / "jobs").glob("[1-5]/*") if path.name != "input" and path.is_fifo()]
            while looking.is_alive():
                for fifo in fifos:
                    with suppress(OSError):
                        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
                await asyncio.to_thread(looking.join, 0.05)
            for fifo in fifos:
                fifo.unlink()
            return waited
        case _:
            await host.kill_all(grace=0.1)
            for one in host.all():
                await host.wait(one, 0.1)
            end_idle_spaces(folder.parent)
            assert isinstance(victim, subprocess.Popen)
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(victim.wait, 0.5)
            return victim.poll() is not None


def _look_at_all(folder: Path) -> None:
    jobs = JobManager(folder)
    for number in range(1, 6):
        if job := jobs.find(number):
            job.end()
            collect_output(jobs, job)
    jobs.all()


def _arrived(udp: object) -> bool:
    assert isinstance(udp, socket.socket)
    try:
        return udp.recv(16) == b"x"
    except BlockingIOError:
        return False


def _painted(screen: object) -> bool:
    assert isinstance(screen, int)
    try:
        return b"made-inside" in os.read(screen, 4096)
    except BlockingIOError:
        return False


def _lives_on() -> bool:
    """Whether a process with our odd time to sleep is there; ended, so that none is left by a run."""
    found = subprocess.run(["pkill", "-KILL", "-f", f"^sleep {LONG}$"], check=False)
    return found.returncode == 0


def _disk() -> str:
    """The numbers of a block device of this machine, as ``mknod`` wants them; of none: those of the first SCSI disk."""
    for path in Path("/dev").iterdir():
        found = path.lstat()
        if stat.S_ISBLK(found.st_mode):
            return f"{os.major(found.st_rdev)} {os.minor(found.st_rdev)}"
    return "8 0"


def main() -> None:
    """``python -m benchmarks.containment.scene KIND PLACE``: one line of JSON."""
    kind, place = sys.argv[1:]
    print(json.dumps(asyncio.run(try_all(kind, Path(place)))))


if __name__ == "__main__":
    main()

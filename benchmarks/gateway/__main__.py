"""``python -m benchmarks.gateway``: what a harness waits for, and what its host works, against a direct line."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.budgets.figures import HEAD, Figure, listed, percentile
from benchmarks.budgets.machine import Contention, described

ROOT: Final = Path(__file__).parents[2]
LATER_MS: Final = 5.0
"""The last byte may reach a harness so much later than its server sent it; waits for the disk are counted apart."""
FIRST_MS: Final = 3.0
"""The first byte of a reply that goes over as it comes may be so much later than on a direct line."""
SESSIONS: Final = 16
CPU_RATIO: Final = 1.5
FLAT: Final = 1.15
COMPACT_EVERY: Final = 100
"""Steps after which the harness of a long run shortens its conversation, as they do."""
TASK: Final = "Think, for {steps} steps."


class Product:
    """The command line on a log of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        config = folder / "config.toml"
        config.write_text("")
        names = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("CONFIG", "STATE", "DATA")}
        self.env = os.environ | names | {"APOLLO_LOG": str(folder / "apollo.db"), "OPENAI_API_KEY": "none"}

    def run(self, *words: str) -> str:
        command = [str(Path(sys.executable).with_name("apollo")), *words]
        return subprocess.run(command, env=self.env, cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def harness(self, name: str, *more: str) -> tuple[int, str]:
        """A session whose agent is elsewhere: the port and the token of its endpoint."""
        self.run("run", "--name", name, "--model", "openai:m", "--base-url", self.url, "--inside", "none",
                 "--task", "Think.", "--elsewhere", *more)  # fmt: skip
        told = json.loads(self.run("gateway", name_of(self, name), "--json"))
        return int(told["OPENAI_BASE_URL"].split(":")[2].split("/")[0]), told["OPENAI_API_KEY"]

    def host(self) -> int:
        return int(json.loads(self.run("host", "status", "--json"))["pid"])


def rows_of(product: Product) -> list[dict[str, Any]]:
    """The sessions, as the command line lists them."""
    rows: list[dict[str, Any]] = json.loads(product.run("ls", "--json"))
    return rows


def name_of(product: Product, name: str) -> str:
    """The number of the session with this name."""
    return next(str(row["number"]) for row in rows_of(product) if row["title"] == name)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Product, int]]:
    """A product and the port of its model's server."""
    command = [sys.executable, "-m", "benchmarks.gateway.model_server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        product = Product(folder, f"http://127.0.0.1:{port}/v1")
        try:
            yield product, port
        finally:
            product.run("host", "stop", "--sessions", "--now", "--quiet")
            server.kill()


class Talk:
    """A harness's conversation, on one line that stays open."""

    def __init__(self, port: int, path: str, key: str, steps: int = 10**6, first: str = "") -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port)
        self._path = path
        self._key = key
        task = {"role": "user", "content": first + TASK.format(steps=steps)}
        self.messages: list[Any] = [{"role": "system", "content": "You think."}, task]

    def step(self) -> float:
        """One request; the ms from its server's last byte to ours."""
        answer = self._ask()
        data = answer.read()
        at = time.monotonic_ns()
        return self._take(json.loads(data)["choices"][0]["message"], at)

    def step_streamed(self) -> float:
        """One request whose reply is read as it comes; the ms from its server's first byte to ours."""
        answer = self._ask(stream=True)
        first = answer.readline()
        at = time.monotonic_ns()
        answer.read()
        message = json.loads(first.removeprefix(b"data: "))["choices"][0]["delta"]
        del message["tool_calls"][0]["index"]
        return self._take(message, at)

    def _ask(self, **more: Any) -> http.client.HTTPResponse:
        function = {"name": "plan", "parameters": {"type": "object", "properties": {"items": {"type": "array"}}}}
        body = {"model": "m", "messages": self.messages, "tools": [{"type": "function", "function": function}]}
        body |= more
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._key}"}
        self._line.request("POST", self._path, json.dumps(body), headers)
        answer = self._line.getresponse()
        assert answer.status == 200, answer.read()
        return answer

    def _take(self, message: dict[str, Any], at: int) -> float:
        """Go on from a reply that came ``at``; the ms since it was sent."""
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "Noted: " + "y" * 200}
        self.messages += [message, result]
        return (at - int(message["content"].split()[0])) / 1e6


def disk_wait(folder: Path) -> float:
    """How long the disk takes to take a little, in ms: what a commit waits for."""
    with (folder / "sync").open("wb") as file:
        began = time.monotonic_ns()
        file.write(b"x" * 4096)
        file.flush()
        os.fdatasync(file.fileno())
        return (time.monotonic_ns() - began) / 1e6


def cpu_seconds(pid: int) -> float:
    """What a process has worked."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """What a process holds."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def latency(folder: Path, *, quick: bool) -> Iterator[Figure]:
    """From the server's last byte to the harness's, by turns on a direct line and through the gateway."""
    with serving(folder) as (product, port):
        gateway, token = product.harness("latency")
        busy = Contention([])
        near = Talk(port, "/v1/chat/completions", "none")
        far = Talk(gateway, "/v1/chat/completions", token)
        direct, through, disk = [], [], []
        for _ in range(60 if quick else 200):
            direct.append(near.step())
            through.append(far.step())
            disk.append(disk_wait(folder))
        plain, ours, worst = percentile(direct, 0.5), percentile(through, 0.5), percentile(through, 0.99)
        raw = f"p50 {ours:.2f} against {plain:.2f} ms; p99 {worst:.2f}"
        what = "last byte at the harness after its server's, buffered, p50, beyond a direct line"
        yield Figure(what, ours - plain, " ms", None, None, raw, busy.percent())
        wait = percentile(disk, 0.5)
        what = "the same without what its commit waits for the disk"
        raw = f"the commit of the reply waits {wait:.2f} ms, p50"
        yield Figure(what, ours - plain - wait, " ms", LATER_MS, None, raw, busy.percent())
        began = time.monotonic()
        Talk(port, "/v1/chat/completions", "none", first="word " * 400_000).step()
        direct_s = time.monotonic() - began
        began = time.monotonic()
        Talk(gateway, "/v1/chat/completions", token, first="word " * 400_000).step()
        raw = f"{(time.monotonic() - began) * 1000:.0f} against {direct_s * 1000:.0f} ms, the whole request"
        more = (time.monotonic() - began - direct_s) * 1000
        yield Figure("a request of 2 MB, beyond a direct line", more, " ms", None, None, raw, busy.percent())


def handover(folder: Path, *, quick: bool) -> Iterator[Figure]:
    """From the server's first byte to the harness's, where it is handed replies as they come."""
    with serving(folder) as (product, port):
        gateway, token = product.harness("handover", "--stream", "pass")
        busy = Contention([])
        near = Talk(port, "/v1/chat/completions", "none")
        far = Talk(gateway, "/v1/chat/completions", token)
        direct, through = [], []
        for _ in range(60 if quick else 200):
            direct.append(near.step_streamed())
            through.append(far.step_streamed())
        plain, ours, worst = percentile(direct, 0.5), percentile(through, 0.5), percentile(through, 0.99)
        raw = f"p50 {ours:.2f} against {plain:.2f} ms; p99 {worst:.2f} against {percentile(direct, 0.99):.2f}"
        what = "first byte at the harness after its server's, as it comes, p50, beyond a direct line"
        yield Figure(what, ours - plain, " ms", FIRST_MS, None, raw, busy.percent())


def work(folder: Path, *, quick: bool) -> Iterator[Figure]:
    """The host's CPU a step, 16 sessions at once: of harnesses, and of our own agent in the same number of steps."""
    steps = 30 if quick else 100
    with serving(folder) as (product, _):
        lines = [product.harness(f"harness {number}") for number in range(SESSIONS)]
        busy = Contention([])
        pid = product.host()
        before = cpu_seconds(pid)
        talks = [Talk(port, "/v1/chat/completions", token) for port, token in lines]
        threads = [threading.Thread(target=take_steps, args=(talk, steps)) for talk in talks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        theirs = (cpu_seconds(pid) - before) / (SESSIONS * steps) * 1000
        (folder / "task.md").write_text(TASK.format(steps=steps))
        before = cpu_seconds(pid)
        words = ["new", "task.md", "--model", "openai:m", "--base-url", product.url, "--anyway", "--inside", "none"]
        words.append("--name")
        for number in range(SESSIONS):
            product.run(*words, f"own {number}")
        while not all(row["state"] == "finished" for row in rows_of(product) if row["title"].startswith("own")):
            time.sleep(0.5)
        ours = (cpu_seconds(pid) - before) / (SESSIONS * steps) * 1000
        raw = f"{theirs:.1f} against {ours:.1f} ms a step; {SESSIONS} sessions of {steps} steps"
        what = "the host's CPU a step, against our own loop"
        yield Figure(what, theirs / ours, "×", CPU_RATIO, None, raw, busy.percent())


def take_steps(talk: Talk, steps: int) -> None:
    """So many steps of a harness."""
    for _ in range(steps):
        talk.step()


def memory(folder: Path, *, quick: bool) -> Iterator[Figure]:
    """What the host holds after so many steps, against after a quarter of them."""
    steps = 400 if quick else 2000
    with serving(folder) as (product, _):
        port, token = product.harness("long")
        busy = Contention([])
        pid = product.host()
        talk = Talk(port, "/v1/chat/completions", token)
        held: list[float] = []
        for number in range(1, steps + 1):
            talk.step()
            if number % COMPACT_EVERY == 0:
                task = {"role": "user", "content": f"Think. Up to now: {number} steps."}
                talk.messages = [talk.messages[0], task, *talk.messages[-4:]]
            if number % (steps // 4) == 0:
                held.append(memory_mb(pid))
        raw = f"{listed(held)} MB after each quarter of {steps} steps; a compaction every {COMPACT_EVERY}"
        what = "memory of the host, the end against the first quarter"
        yield Figure(what, held[-1] / held[0], "×", FLAT, None, raw, busy.percent())


PARTS: Final = {"latency": latency, "pass": handover, "work": work, "memory": memory}


def main() -> int:
    """Measure; 1 if a budget is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part, and others that are named so")
    given = parser.parse_args()
    print(f"{described()}; {time.strftime('%Y-%m-%d')}\n\n{HEAD}", flush=True)
    missed = 0
    for measure in [PARTS[name] for name in given.only or PARTS]:
        with tempfile.TemporaryDirectory(prefix="apollo-bench-") as folder:
            for figure in measure(Path(folder), quick=given.quick):
                print(figure.row(), flush=True)
                missed += "missed" in figure.verdict
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""SIGKILL the host at random moments and at every commit edge: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from apollo_process import Apollo, wait_for
from sse_server import server_process

from apollo_tui.cli.start import task_request
from sessions import events as ev
from sessions.host import protocol
from sessions.host.client import HostClient, HostDown, RequestRefused, call_once, host_status
from sessions.log.reader import LogReader
from sessions.paths import log_paths

pytestmark = pytest.mark.kill

MODELS = ("alpha", "beta", "gamma")
TURNS = 24
KINDS = (
    "session.recovered", "model.request", "model.reply", "action.started", "job.started", "job.ended", "action.result",
    "advice.queued", "advice.delivered", "flag.set", "session.state",
)  # fmt: skip


def script() -> dict[str, Any]:
    """Turns whose every command leaves a line behind; some are slow, some are two at once."""

    def turns(model: str) -> list[dict[str, Any]]:
        made = []
        for number in range(1, TURNS + 1):
            slow = "sleep 0.4; " if number % 6 == 0 else ""
            calls = [{"name": "run", "arguments": {"command": f"{slow}echo {model}-{number} >> effects.txt"}}]
            if number % 4 == 0:
                calls.append({"name": "run", "arguments": {"command": f"echo {model}-{number}b >> effects.txt"}})
            made.append({"text": f"turn {number}", "calls": calls})
        return [*made, {"calls": [{"name": "finish", "arguments": {"summary": "all lines written"}}]}]

    return {model: {"turns": turns(model)} for model in MODELS}


class Annotator:
    """Advises and flags as fast as it can; remembers what was acknowledged and what was only sent."""

    def __init__(self, apollo: Apollo) -> None:
        self.paths = log_paths(apollo.log)
        self.sent: list[str] = []
        self.acknowledged: set[str] = set()
        self.unanswered: list[protocol.Change] = []

    async def work(self, sessions: list[str], draw: random.Random) -> None:
        """Until the host dies: what was never answered is sent again, with the id it had."""
        with suppress(Exception):
            client = await HostClient.connect(self.paths, actor="human:tester")
            while True:
                params = self.unanswered[0] if self.unanswered else self._next(draw.choice(sessions), draw)
                if params not in self.unanswered:
                    self.unanswered.append(params)
                    self.sent.append(params.request)
                try:
                    await client.call(params)
                except RequestRefused:
                    self.unanswered.remove(params)
                    continue
                self.acknowledged.add(params.request)
                self.unanswered.remove(params)
                await asyncio.sleep(0.05)

    def _next(self, session: str, draw: random.Random) -> protocol.Change:
        request = uuid.uuid4().hex
        if draw.random() < 0.3:
            return protocol.QueueAdvice(request=request, session=session, text=f"advice {request}", hold_ms=0)
        body = {"flag": request, "target": {"step": 1}, "label": "unspecified"}
        return protocol.Annotate(request=request, session=session, kind="flag.set", body=body)


@contextmanager
def product(tmp_path: Path) -> Iterator[tuple[Apollo, Path]]:
    """A scripted server and a product whose host is started by the test alone."""
    with ExitStack() as stack:
        path, record = tmp_path / "script.json", tmp_path / "requests.jsonl"
        path.write_text(json.dumps(script()))
        url = stack.enter_context(server_process(path, record))
        apollo = Apollo(tmp_path)
        stack.callback(apollo.close)
        task = tmp_path / "task.md"
        task.write_text("Write the lines.")
        host = start_host(apollo)
        for model in MODELS:
            params = task_request(task, f"openai:{model}", base_url=f"{url}/v1")
            call_once(log_paths(apollo.log), params, actor="human:tester", start=False)
        kill(host)
        yield apollo, record


def start_host(apollo: Apollo, faults: str = "") -> subprocess.Popen[bytes]:
    host = subprocess.Popen(
        apollo.command("host", "run"), env=apollo.env | {"APOLLO_FAULTS": faults},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=apollo.folder,
    )  # fmt: skip
    wait_for("the host to listen", lambda: host.poll() is not None or listens(apollo), seconds=30, every=0.02)
    return host


def listens(apollo: Apollo) -> bool:
    try:
        return host_status(log_paths(apollo.log)) is not None
    except HostDown:
        return False


def kill(host: subprocess.Popen[bytes]) -> None:
    """SIGKILL; it may have done so itself, at the edge that it was given."""
    with suppress(ProcessLookupError):
        os.kill(host.pid, signal.SIGKILL)
    assert host.wait(timeout=10) == -signal.SIGKILL, "the host ended by itself"


def states(apollo: Apollo) -> dict[str, str]:
    with LogReader(apollo.log) as reader:
        return {summary.session: summary.state for summary in reader.summaries()}


def finish_and_check(apollo: Apollo, record: Path, annotator: Annotator, kills: int) -> None:
    host = start_host(apollo)
    wait_for("all sessions to end", lambda: set(states(apollo).values()) == {"finished"}, seconds=90, every=0.2)
    apollo.run("host", "stop", "--now")
    host.wait(timeout=20)
    wait_for("no job is left behind", lambda: not apollo.processes())
    copy = apollo.folder / "copied.db"
    shutil.copy(apollo.log, copy)
    with LogReader(copy) as reader:
        lives = reader.events(ev.HOST_SESSION, kinds=("host.started",))
        assert len(lives) == kills + 1, f"{kills} kills, but {len(lives)} lives of the host"
        check_effects(reader, kills)
        check_requests(reader, annotator)
        check_prompts(copy, record)


def check_effects(reader: LogReader, kills: int) -> None:
    unknown = 0
    for summary in reader.summaries():
        created = reader.events(summary.session, kinds=("session.created",))[0].body
        assert isinstance(created, ev.SessionCreated)
        lines = Counter((Path(created.workspace or "") / "effects.txt").read_text().split())
        assert max(lines.values()) == 1, f"done twice: {lines}"
        results = reader.events(summary.session, kinds=("action.result",))
        fates = Counter(e.body.outcome for e in results if isinstance(e.body, ev.ActionResult))
        missing = TURNS + TURNS // 4 - len(lines)
        # A command is missing only where the log says that it did not run, or that nobody can say.
        assert fates["interrupted"] <= missing <= fates["interrupted"] + fates["unknown"]
        unknown += fates["unknown"]
        steps = [e.step for e in reader.events(summary.session, kinds=("model.reply",))]
        # Advice that comes in while a session finishes gets a step of its own.
        assert len(steps) == len(set(steps)) >= TURNS + 1
    assert unknown <= kills


def check_requests(reader: LogReader, annotator: Annotator) -> None:
    applied = Counter(e.request for s in reader.summaries() for e in reader.events(s.session) if e.request)
    assert annotator.acknowledged <= set(applied), "an acknowledged request is not in the log"
    assert max(applied.values()) == 1, "a request was applied twice"
    assert annotator.acknowledged, "nothing was ever acknowledged: the test tests nothing"


def check_prompts(copy: Path, record: Path) -> None:
    """Every request that the server received can be rebuilt from the copied log, in a fresh process."""
    code = (
        "import sys, hashlib, pathlib\n"
        "from sessions.log.reader import LogReader\n"
        "from sessions.log.rebuild import rebuild_request\n"
        "reader = LogReader(pathlib.Path(sys.argv[1]))\n"
        "for s in reader.summaries():\n"
        "    for e in reader.events(s.session, kinds=('model.request',)):\n"
        "        found = hashlib.sha256(rebuild_request(reader, s.session, e.seq)).hexdigest()\n"
        "        assert found == e.body.sha256, (s.session, e.seq)\n"
        "        print(found)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(copy)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    rebuilt = set(done.stdout.split())
    received = {json.dumps(json.loads(line)["body"]) for line in record.read_text().splitlines()}
    bodies = {hashlib.sha256(canonical(json.loads(json.loads(text)))).hexdigest() for text in received}
    assert bodies <= rebuilt


def canonical(body: Any) -> bytes:
    from sessions.events.text import canonical_json

    return canonical_json(body)


def test_twenty_five_kills_at_random_moments(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    with product(tmp_path) as (apollo, record):
        annotator, kills = Annotator(apollo), 1
        ids = list(states(apollo))
        while kills < 26:
            host = start_host(apollo)
            deadline = time.monotonic() + draw.uniform(0.02, 0.5)

            async def until(deadline: float = deadline) -> None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.01, deadline - time.monotonic())):
                        await annotator.work(ids, draw)

            asyncio.run(until())
            kill(host)
            kills += 1
        finish_and_check(apollo, record, annotator, kills)


def test_twenty_five_kills_right_after_a_commit_of_each_kind(tmp_path: Path) -> None:
    draw = random.Random(1)
    edges = [f"die:{kind}:{number}" for number in (1, 2, 3) for kind in KINDS][:25]
    with product(tmp_path) as (apollo, record):
        annotator, kills = Annotator(apollo), 1
        ids = list(states(apollo))
        for edge in edges:
            if set(states(apollo).values()) == {"finished"}:
                break
            host = start_host(apollo, f"{edge},cut:advice.queue:1,cut:annotate:2")

            async def until(host: subprocess.Popen[bytes] = host) -> None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(3):
                        while host.poll() is None:
                            await annotator.work(ids, draw)
                            await asyncio.sleep(0.02)

            asyncio.run(until())
            kill(host)
            kills += 1
        finish_and_check(apollo, record, annotator, kills)

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import golden_adapter_logs as golden
import msgspec
import pytest
from agent_testbed import Bench
from prompt_rebuild import assert_prompts_grow
from sse_script import Received, Turn
from sse_server import ScriptedServer

from sessions import events as ev
from sessions.events.messages import Message
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request
from sessions.providers.base import CallContext, WireMessage
from sessions.providers.registry import adapter_for

LOGS = sorted(golden.FOLDER.glob("*.sqlite"))


@pytest.fixture(params=LOGS, ids=lambda path: path.stem)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    copy = tmp_path / "log.sqlite"
    shutil.copy(request.param, copy)
    shutil.copy(request.param.with_suffix(".received.json"), tmp_path / "received.json")
    return copy


def received(log: Path) -> dict[str, list[str]]:
    return json.loads((log.parent / "received.json").read_text())


def rebuilt(log: Path, session: str, *, upto: int | None = None) -> list[str]:
    with LogReader(log) as reader:
        requests = reader.events(session, kinds={"model.request"}, before=upto)
        return [hashlib.sha256(rebuild_request(reader, session, event.seq)).hexdigest() for event in requests]


def test_the_installed_adapters_have_their_golden_log() -> None:
    versions = {name: adapter_for(ev.ModelSpec(name, "m")).version for name in golden.PROVIDERS}
    assert golden.paths(versions)[0] in LOGS, "run: python tests/support/golden_adapter_logs.py"


def test_every_request_of_an_older_adapter_rebuilds_to_what_the_server_received(log: Path) -> None:
    for session, hashes in received(log).items():
        assert rebuilt(log, session) == hashes
        with LogReader(log) as reader:
            assert assert_prompts_grow(reader, session) >= 4
            requests = [e.body for e in reader.events(session, kinds={"model.request"})]
            assert [body.purpose for body in requests if isinstance(body, ev.ModelRequested)][-2:] == [
                "summary",
                "step",
            ]


def test_rebuilding_needs_neither_an_adapter_nor_a_tool_nor_the_agent(log: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('sessions.providers', 'sessions.tools', 'sessions.agent', 'sessions.fold.prompt'):\n"
        "    sys.modules[name] = None\n"
        "import hashlib, json, pathlib\n"
        "from sessions.log.reader import LogReader\n"
        "from sessions.log.rebuild import rebuild_request\n"
        "with LogReader(pathlib.Path(sys.argv[1])) as reader:\n"
        "    made = {s.session: [hashlib.sha256(rebuild_request(reader, s.session, e.seq)).hexdigest()\n"
        "            for e in reader.events(s.session, kinds={'model.request'})] for s in reader.summaries()}\n"
        "print(json.dumps(made))\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, str(log)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == received(log)


class Newer:
    """The installed adapter as a later version may be: messages, system prompt and tools are written anew."""

    def __init__(self, inner: Any, base_url: str) -> None:
        self._inner = inner
        self._base_url = base_url
        self.name, self.version, self.playback = inner.name, inner.version + 1, None

    def wire(self, spec: ev.ModelSpec, messages: Sequence[Message]) -> list[WireMessage]:
        return [
            WireMessage({**message.json, "written_by": f"version {self.version}"}, message.sources)
            for message in self._inner.wire(spec, messages)
        ]

    def body(self, spec: ev.ModelSpec, system: str, tools: Any, wire: Any, *, purpose: str) -> Any:
        plain = [dataclasses.replace(tool, description=f"NEW {tool.description}") for tool in tools]
        made = self._inner.body(spec, f"NEW {system}", plain, wire, purpose=purpose)
        return dataclasses.replace(made, envelope={**made.envelope, "new_field": True})

    def stream(self, spec: ev.ModelSpec, body: Any, call: CallContext) -> Any:
        return self._inner.stream(msgspec.structs.replace(spec, base_url=self._base_url), body, call)


@pytest.mark.parametrize("provider", golden.PROVIDERS)
async def test_a_session_of_an_older_adapter_goes_on_with_a_newer_one_and_both_rebuild(
    log: Path, provider: str
) -> None:
    number = golden.PROVIDERS.index(provider)
    session = list(received(log))[number]
    before = received(log)[session]

    def script(request: Received) -> Turn:
        return golden.FINISH if request.turn > 3 else Turn(calls=(("plan", golden.ITEMS),))

    bench = await Bench.open(log.parent)
    try:
        async with ScriptedServer(script) as server:
            url = server.openai_url if provider == "openai" else server.anthropic_url
            bench.adapter = Newer(adapter_for(ev.ModelSpec(provider, "m")), url)
            last = bench.summary(session).last_seq
            await bench.advise(session, "Go on.")
            bench.runner(session)
            await bench.control(session, "reopen")
            await bench.state(session, "running")
            await bench.state(session, "finished", "needs_you")
            assert bench.summary(session).state == "finished", bench.summary(session).reason
            sent = [hashlib.sha256(request.body).hexdigest() for request in server.requests]
            assert len(sent) >= 2
            assert all(b"written_by" in request.body and b"NEW " in request.body for request in server.requests)
    finally:
        await bench.close()
    assert rebuilt(log, session) == [*before, *sent]
    with LogReader(log) as reader:
        requests = [e.body for e in reader.events(session, kinds={"model.request"}, after=last)]
        versions = {body.adapter_version for body in requests if isinstance(body, ev.ModelRequested)}
        assert versions == {bench.adapter.version}
        # The first request of the newer adapter cannot extend what the older one wrote; those after it can.
        assert [body.parent is None for body in requests if isinstance(body, ev.ModelRequested)] == [
            True,
            *[False] * (len(sent) - 1),
        ]

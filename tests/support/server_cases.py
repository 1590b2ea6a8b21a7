"""Sessions of the real agent loop against the server of tests/cases/models, and what a case comes to."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib
import json
import os
import pickle
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

from agent_testbed import Bench

from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, TextPart, Usage
from sessions.fold.call_ids import plain_id
from sessions.log.rebuild import rebuild_request
from sessions.providers.registry import adapter_for

CASES = Path(__file__).parents[1] / "cases" / "models"
PACE = 0.05
"""The server's waits are this much shorter, and ours with them."""
STALL = 0.8
SECRET = "sk-fake-0123456789abcdefXYZ"
AT_ONCE = 8
SECONDS = 120.0

RUN, TWO = ("run", '{"command": "echo one"}'), ("run", '{"command": "echo two"}')
Table = Mapping[str, "Expected"]


@dataclass(frozen=True)
class Expected:
    """What a case comes to. ``failed``: the reasons of failed attempts, ``says``: words of each and of the reason for
    a person. ``calls`` None: whatever it calls. ``spec``: more of the model's profile."""

    calls: tuple[tuple[str, str], ...] | None = (RUN,)
    finish: str = "calls"
    usage: tuple[int, int] | None = (1000, 20)
    text: str | None = None
    reasoning: str | None = None
    refused: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    says: str = ""
    need: str = ""
    requests: int = 2
    refusals: int = 0
    spec: Mapping[str, Any] = field(default_factory=dict)


def call(text: str, **more: Any) -> Expected:
    return Expected(calls=(("run", text),), **more)


def malformed(text: str, **more: Any) -> Expected:
    return call(text, refused=("malformed",), **more)


def unknown(name: str, text: str = RUN[1], **more: Any) -> Expected:
    return Expected(calls=((name, text),), refused=("unknown_tool",), **more)


def no_reply(reason: str, says: str, *, tries: int = 1, need: str = "provider") -> Expected:
    return Expected(calls=(), finish="", usage=None, failed=(reason,) * tries, says=says, need=need, requests=1)


@dataclass(frozen=True)
class Played:
    """A session that has come to rest: its events, its requests as the log rebuilds them, and as they were received."""

    state: str
    need: str
    reason: str
    events: tuple[ev.Event, ...]
    rebuilt: tuple[str, ...]
    received: tuple[dict[str, Any], ...]

    def bodies(self, kind: type[Any]) -> list[Any]:
        return [event.body for event in self.events if isinstance(event.body, kind)]


def load(name: str) -> ModuleType:
    """A module of the server."""
    if str(CASES) not in sys.path:
        sys.path.insert(0, str(CASES))
    return importlib.import_module(name)


@contextmanager
def serve(requests: Path, pace: float = PACE) -> Iterator[str]:
    """The server in a thread; yields its URL. ``requests``: the file in which it notes what it received."""
    module = load("fake_chat")
    module.ARGS.requests, module.ARGS.pace = str(requests), pace
    server = ThreadingHTTPServer(("127.0.0.1", 0), module.Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def received_by(requests: Path) -> list[dict[str, Any]]:
    """What the server noted: a line for each request."""
    return [json.loads(line) for line in requests.read_text().splitlines()]


def play_tables(folder: Path, tables: Mapping[str, Table]) -> dict[tuple[str, str], Played]:
    """Every case of each provider's table, played at once: they wait for a server, not for each other."""
    with serve(folder / "requests.jsonl") as url:
        return asyncio.run(_play_all(folder, url, tables))


def play_once(base: Path, name: str, tables: Mapping[str, Table]) -> dict[tuple[str, str], Played]:
    """``play_tables``, once for all processes of a test run: ``base`` is the folder that each of them has of its own,
    beside those of the others. The second to come waits for the first."""
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    kept = shared / f"{name}.pickle"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            folder = shared / name
            folder.mkdir()
            kept.write_bytes(pickle.dumps(play_tables(folder, tables)))
        found: dict[tuple[str, str], Played] = pickle.loads(kept.read_bytes())
        return found


async def _play_all(folder: Path, url: str, tables: Mapping[str, Table]) -> dict[tuple[str, str], Played]:
    found: dict[tuple[str, str], Played] = {}
    for provider, cases in tables.items():
        (folder / provider).mkdir()
        bench = await Bench.open(folder / provider)
        bench.secrets = {"FAKE_KEY": SECRET}
        bench.adapter = adapter_for(ev.ModelSpec(provider, "m"))
        gate = asyncio.Semaphore(AT_ONCE)

        async def play(
            name: str, expected: Expected, bench: Bench = bench, provider: str = provider, gate: Any = gate
        ) -> tuple[str, str]:
            async with gate:
                fields: dict[str, Any] = {"base_url": f"{url}/v1" if provider == "openai" else url}
                fields |= {"stall_seconds": STALL, "first_token_seconds": 60.0, **expected.spec}
                session = await bench.create(provider=provider, model=name, spec=fields, limits=ev.Limits(steps=6))
                bench.runner(session).start()
                rest = ("finished", "needs_you", "paused", "failed")
                async with asyncio.timeout(SECONDS):
                    while bench.summary(session).state not in rest:
                        await asyncio.sleep(0.02)
                return name, session

        sessions = dict(await asyncio.gather(*(play(name, expected) for name, expected in cases.items())))
        lines = received_by(folder / "requests.jsonl")
        for name, session in sessions.items():
            summary = bench.summary(session)
            key = f"{provider[0]}:{name}"
            found[provider, name] = Played(
                summary.state,
                summary.need,
                summary.reason,
                tuple(bench.events(session)),
                tuple(
                    hashlib.sha256(rebuild_request(bench.reader, session, event.seq)).hexdigest()
                    for event in bench.events(session, "model.request")
                ),
                tuple(line for line in lines if line["case"] == key and "sha256" in line),
            )
        await bench.close()
    return found


def assert_comes_to(case: Played, expected: Expected) -> None:
    """The case came to what is right of it: no dead end, no lost words, attempts counted, and the log rebuilds it."""
    replies: list[ev.ModelReplied] = case.bodies(ev.ModelReplied)
    failed: list[ev.ModelAttemptFailed] = case.bodies(ev.ModelAttemptFailed)

    # No dead end: it is done, or a person is asked, in the server's words.
    assert (case.state, case.need) == (("needs_you", expected.need) if expected.need else ("finished", "")), case.reason
    if expected.need:
        assert expected.says in case.reason

    # Attempts are counted.
    assert tuple(body.reason for body in failed) == expected.failed
    by_request: dict[int, list[int]] = {}
    for body in failed:
        by_request.setdefault(body.request, []).append(body.attempt)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_request.values())
    assert all(expected.says in body.message for body in failed), [body.message for body in failed]
    assert all("Error" not in body.message or "error:" in body.message for body in failed)

    # No words are lost.
    if expected.finish:
        first = replies[0]
        calls = tuple((part.name, part.arguments) for part in first.parts if isinstance(part, CallPart))
        if expected.calls is None:
            assert [name for name, _ in calls] == ["run"]
        else:
            assert calls == expected.calls
        assert first.finish == expected.finish
        if expected.text is not None:
            assert "".join(part.text for part in first.parts if isinstance(part, TextPart)) == expected.text
        if expected.reasoning is not None:
            assert "".join(part.text for part in first.parts if isinstance(part, ReasoningPart)) == expected.reasoning
        _assert_counted(first, expected.usage)
    else:
        assert not replies
    assert tuple(body.why for body in case.bodies(ev.ActionRefused)) == expected.refused

    # What the server was sent is what the log rebuilds, as often as it was tried.
    tries = Counter([*(body.request for body in failed), *(body.request for body in replies)])
    requests = [event.seq for event in case.events if event.kind == "model.request"]
    sent = [digest for seq, digest in zip(requests, case.rebuilt, strict=True) for _ in range(tries[seq])]
    assert [line["sha256"] for line in case.received] == sent
    assert len(requests) == expected.requests
    refusals = [line["refused"] for line in case.received if line["refused"]]
    assert len(refusals) == expected.refusals, refusals
    for line in case.received:
        # Also to the strictest server, which takes letters, figures, - and _ alone.
        ids = [plain_id(id) for id in _ids_sent(line["messages"])]
        assert len(set(ids)) == len(ids)


def _assert_counted(reply: ev.ModelReplied, usage: tuple[int, int] | None) -> None:
    """The server's counts, and our own estimate of those, and only those, that it did not give."""
    counted = (reply.usage.input_tokens, reply.usage.output_tokens) if reply.usage else None
    assert counted == usage
    given = counted or (0, 0)
    estimate = reply.estimate or Usage()
    assert bool(estimate.input_tokens) == (not given[0])
    assert bool(estimate.output_tokens) == (not given[1])


def _ids_sent(messages: Iterable[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        yield from (each["id"] for each in message.get("tool_calls") or ())
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            if block.get("type") == "tool_use":
                yield block["id"]

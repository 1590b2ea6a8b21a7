"""A host with the runners that it really has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from host_in_process import ACTOR, new_session, paths_in, until

from sessions.events import ModelSpec
from sessions.fold.summary import Summary
from sessions.host import main, protocol
from sessions.host.api_keys import KeyRing
from sessions.host.client import HostClient
from sessions.host.lifecycle import Host
from sessions.log.reader import LogReader
from sessions.paths import LogPaths

MODEL = ModelSpec("openai", "m", base_url="https://models.invalid/v1", key_env="MY_MODEL_KEY")


@asynccontextmanager
async def real_host(folder: Path) -> AsyncIterator[LogPaths]:
    host = Host(paths_in(folder), main.runner_factory, keys=KeyRing(folder / "keys"))
    task = asyncio.create_task(host.run())
    await asyncio.wait_for(host.ready.wait(), 10)
    try:
        yield host.paths
    finally:
        host.stop(protocol.StopHost(timeout=2), "test")
        await asyncio.wait_for(task, 15)


async def created(paths: LogPaths, **more: object) -> str:
    client = await HostClient.connect(paths, actor=ACTOR)
    made = await client.call(new_session("r1", model=MODEL, **more))
    await client.close()
    return str(made.session)


def summary_of(paths: LogPaths, session: str) -> Summary:
    reader = LogReader(paths.log)
    found = reader.summary(session)
    reader.close()
    assert found is not None
    return found


@pytest.mark.parametrize(("keys", "says"), [("", "MY_MODEL_KEY"), ("MY_MODEL_KEY=x\n", "chmod 600")])
async def test_a_key_that_is_missing_or_public_makes_the_session_need_you(tmp_path: Path, keys: str, says: str) -> None:
    if keys:
        (tmp_path / "keys").write_text(keys)
        (tmp_path / "keys").chmod(0o644)
    async with real_host(tmp_path) as paths:
        session = await created(paths)
        await until("needs you", lambda: summary_of(paths, session).state == "needs_you", seconds=20)
        summary = summary_of(paths, session)
        assert summary.need == "key"
        assert says in summary.reason


async def test_a_key_of_the_client_is_in_no_file_and_is_gone_with_the_process(tmp_path: Path) -> None:
    secret = "sk-0123456789-secret-value"
    async with real_host(tmp_path) as paths:
        session = await created(paths, key=secret, start=False)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes()
    async with real_host(tmp_path) as paths:
        client = await HostClient.connect(paths, actor=ACTOR)
        await client.call(protocol.Control(request="r2", session=session, verb="resume"))
        await client.close()
        await until("needs you", lambda: summary_of(paths, session).state == "needs_you", seconds=20)
        assert "MY_MODEL_KEY" in summary_of(paths, session).reason

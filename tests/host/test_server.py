from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from pathlib import Path

import pytest
from host_in_process import ACTOR, Raw, new_session, open_host, until

from sessions.hints import say_in_shell
from sessions.host import protocol, wire
from sessions.host.client import HostClient, Mismatch, RequestRefused, call_once, host_status, wait_for_stop
from sessions.host.partial_replies import EVERY
from sessions.log.schema import SCHEMA_VERSION
from sessions.providers.base import Delta


async def test_a_hello_of_another_protocol_is_answered_with_a_line_and_may_only_ask_and_stop(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        raw = await Raw.connect(host.paths)
        welcome = await raw.hello(protocol=protocol.PROTOCOL + 1)
        assert "this client" in welcome["result"]["mismatch"]
        refused = await raw.ask(1, "session.control", {"request": "r", "session": "s", "verb": "pause"})
        assert refused["error"]["code"] == protocol.ERRORS["mismatch"]
        assert (await raw.ask(2, "host.status", {}))["result"]["pid"] == os.getpid()
        await raw.close()


async def test_other_code_of_the_same_protocol_is_said_and_served(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        raw = await Raw.connect(host.paths)
        assert "code" in (await raw.hello(version="9.9+other"))["result"]["mismatch"]
        assert "result" in await raw.ask(1, "subscribe", {})
        await raw.close()
        client = await host.client()
        assert client.welcome.mismatch == ""


async def test_a_client_that_cannot_understand_the_host_raises_mismatch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_host(tmp_path) as host:
        monkeypatch.setattr("sessions.host.client.SCHEMA_VERSION", SCHEMA_VERSION + 1)
        with pytest.raises(Mismatch, match="log schema"):
            await HostClient.connect(host.paths, actor=ACTOR)


async def test_nothing_but_a_hello_is_answered_first(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        raw = await Raw.connect(host.paths)
        assert (await raw.ask(1, "host.status", {}))["error"]["code"] == protocol.ERRORS["mismatch"]
        await raw.close()


@pytest.mark.parametrize("actor", ["", "ada", "human:", "host:me", "human:a b", "human:a\n"])
async def test_an_actor_without_a_name_is_refused(tmp_path: Path, actor: str) -> None:
    async with open_host(tmp_path) as host:
        raw = await Raw.connect(host.paths)
        assert "no actor" in (await raw.hello(actor=actor))["error"]["message"]
        await raw.close()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"rubbish", "parse"),
        (b"\xff\xfe\x00", "parse"),
        (b"[1,2,3]", "invalid"),
        (b'{"id":7}', "invalid"),
        (b'{"id":7,"method":"fly"}', "method"),
        (b'{"id":7,"method":"subscribe","params":{"deltas":3}}', "params"),
        (b'{"id":7,"method":"subscribe"}', "params"),
    ],
)
async def test_a_bad_line_gets_a_clear_error_and_the_connection_goes_on(tmp_path: Path, line: bytes, kind: str) -> None:
    async with open_host(tmp_path) as host:
        raw = await Raw.connect(host.paths)
        await raw.hello()
        await raw.send(line + b"\n")
        error = (await raw.receive())["error"]
        assert error["code"] == protocol.ERRORS[kind]
        assert "\n" not in error["message"]
        assert "result" in await raw.ask(8, "host.status", {})
        await raw.close()


async def test_a_line_that_is_too_long_is_dropped_whole_and_the_next_one_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MAX_REQUEST", 100_000)
    async with open_host(tmp_path) as host:
        raw = await Raw.connect(host.paths)
        await raw.hello()
        await raw.send(b'{"id":1,"method":"host.status","params":{}}'.ljust(300_000) + b"\n")
        assert "longer than" in (await raw.receive())["error"]["message"]
        assert "result" in await raw.ask(2, "host.status", {})
        await raw.close()


async def test_a_message_cut_in_the_middle_by_a_hang_up_is_not_applied(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        raw = await Raw.connect(host.paths)
        await raw.hello()
        whole = wire.request(1, "session.create", new_session("r1"))
        await raw.send(whole[:-1])
        await raw.close()
        await until("gone", lambda: not host.parts.notifications.clients())
        assert host.parts.writer.summaries() == {}


async def test_only_our_own_user_reaches_the_socket(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        assert stat.S_IMODE(host.paths.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(host.paths.folder.stat().st_mode) == 0o700


async def test_what_lies_at_the_sockets_path_is_replaced_only_if_it_is_a_socket(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        paths = host.paths
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(paths.socket))
    dead.close()
    async with open_host(tmp_path):
        assert (await HostClient.connect(paths, actor=ACTOR)).welcome.pid == os.getpid()
    paths.socket.write_text("mine")
    with pytest.raises(Exception, match="is no socket"):
        async with open_host(tmp_path):
            pass
    assert paths.socket.read_text() == "mine"


async def test_subscribers_are_told_of_commits_and_of_each_other(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        await client.call(protocol.Subscribe())
        notes: list[object] = []

        async def listen() -> None:
            async for note in client.notifications():
                notes.append(note)

        task = asyncio.create_task(listen())
        await client.call(new_session("r1"))
        await until("told", lambda: any(isinstance(note, protocol.Changed) for note in notes))
        await host.client("human:bob")
        seen = await until("bob", lambda: [n for n in notes if isinstance(n, protocol.Clients) and len(n.clients) == 2])
        assert [each.actor for each in seen[-1].clients] == [ACTOR, "human:bob"]
        await until("up to date", lambda: notes and _position(notes) == host.parts.writer.position)
        task.cancel()


def _position(notes: list[object]) -> int:
    return max(note.position for note in notes if isinstance(note, protocol.Changed))


async def test_a_new_client_gets_the_reply_so_far_and_then_only_what_follows(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        for word in ("let ", "me ", "see"):
            host.parts.notifications.delta("S", 3, 1, Delta("text", word))
        client = await host.client()
        known = await client.call(protocol.Subscribe(deltas=("S",)))
        assert [(frame.offset, frame.text) for frame in known.frames] == [(0, "let me see")]
        host.parts.notifications.delta("S", 3, 1, Delta("text", " now"))
        host.parts.notifications.delta("other", 1, 1, Delta("text", "unasked"))
        host.parts.notifications.delta("S", 3, 1, Delta("call", "{", index=1, name="run"))
        frames: list[protocol.DeltaFrame] = []
        async for note in client.notifications():
            if isinstance(note, protocol.DeltaFrame):
                frames.append(note)
            if len(frames) == 2:
                break
        assert [(f.session, f.index, f.offset, f.text, f.name) for f in frames] == [
            ("S", 0, 10, " now", ""),
            ("S", 1, 0, "{", "run"),
        ]


async def test_a_client_that_does_not_read_holds_up_nobody_and_gets_all_text_later(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        slow, quick = await Raw.connect(host.paths), await host.client()
        await slow.hello()
        await slow.ask(1, "subscribe", {"deltas": [EVERY]})
        await quick.call(protocol.Subscribe())
        piece = "x" * 400_000
        for _ in range(20):
            host.parts.notifications.delta("S", 1, 1, Delta("text", piece))
            made = await quick.call(protocol.Status())
            assert made.pid == os.getpid()
            await asyncio.sleep(0.02)
        got = ""
        while len(got) < 20 * len(piece):
            message = await slow.receive()
            if message.get("method") == "delta":
                assert message["params"].get("offset", 0) == len(got)
                got += message["params"]["text"]
        assert got == piece * 20
        await slow.close()


async def test_a_defect_in_a_handler_is_that_calls_error_and_not_the_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        monkeypatch.setattr("sessions.host.dispatch.HANDLERS", {})
        with pytest.raises(RequestRefused, match="failed inside the host"):
            await client.call(new_session("r1"))
        assert (await client.call(protocol.Status())).pid == os.getpid()


def test_lone_surrogates_do_not_stop_a_message() -> None:
    line = wire.request(1, "annotate", {"text": "caf\udce9", "fine": "é"})
    assert json.loads(line)["params"] == {"text": "caf\ufffd", "fine": "é"}


async def test_a_host_of_another_protocol_can_still_be_asked_how_it_is_and_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_host(tmp_path) as host:
        monkeypatch.setattr("sessions.host.client.SCHEMA_VERSION", 99)
        status = await asyncio.to_thread(host_status, host.paths)
        assert status is not None
        advice = protocol.QueueAdvice(request="r", session="s", text="t")
        with pytest.raises(Mismatch) as mismatch:
            await asyncio.to_thread(call_once, host.paths, advice, actor=ACTOR, start=False)
        assert "apollo host restart" in say_in_shell(mismatch.value)
        stop = protocol.StopHost(by=ACTOR)
        assert (await asyncio.to_thread(call_once, host.paths, stop, actor=ACTOR, start=False)).pid == status.pid
        await asyncio.to_thread(wait_for_stop, host.paths)

from __future__ import annotations

from pathlib import Path

import pytest
from host_in_process import HostInProcess, new_session, open_host, until

from sessions import events as ev
from sessions.events.messages import TextPart
from sessions.fold.remedies import remedies_where_it_stands
from sessions.host import protocol
from sessions.host.client import RequestRefused


async def make_refused(host: HostInProcess) -> str:
    """A session with one reply, whose conversation the server refuses."""
    client = await host.client()
    session = str((await client.call(new_session(host.request()))).session)
    await until("running", lambda: host.state(session) == "running")
    request = ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256="")
    (asked,) = await host.append(ev.NewEvent(session, request, step=1))
    reply = ev.ModelReplied(request=asked.seq, parts=(TextPart("hm"),), finish="stop")
    await host.append(ev.NewEvent(session, reply, step=1, actor="agent"))
    needs = ev.StateChanged(state="needs_you", need="refused", reason="the server refuses the conversation")
    await host.append(ev.NewEvent(session, needs))
    return session


async def test_a_refused_session_offers_to_drop_to_shorten_and_to_retry(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        session = await make_refused(host)
        summary = host.parts.writer.summary(session)
        assert summary is not None
        assert [remedy.way for remedy in remedies_where_it_stands(summary)] == ["drop", "shorten", "retry"]


async def test_a_drop_is_in_the_log_with_the_step_and_by_whom(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        session = await make_refused(host)
        client = await host.client()
        done = await client.call(protocol.Control(request=host.request(), session=session, verb="drop"))
        assert "step 1 is left out" in done.note
        asked, gone = host.parts.reader.events(session, after=done.seq - 1, limit=2)
        assert isinstance(asked.body, ev.ControlRequested) and asked.body.verb == "drop"
        assert isinstance(gone.body, ev.ReplySuperseded)
        reply = host.parts.reader.event(session, gone.body.old)
        assert reply is not None and (reply.kind, gone.step, gone.actor) == ("model.reply", 1, "human:ada")
        with pytest.raises(RequestRefused, match="no reply in its context"):
            await client.call(protocol.Control(request=host.request(), session=session, verb="drop"))


async def test_what_runs_is_paused_before_a_reply_is_left_out(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        session = str((await client.call(new_session(host.request()))).session)
        await until("running", lambda: host.state(session) == "running")
        with pytest.raises(RequestRefused, match="pause it first"):
            await client.call(protocol.Control(request=host.request(), session=session, verb="drop"))
        with pytest.raises(RequestRefused, match="no refused request"):
            await client.call(protocol.Control(request=host.request(), session=session, verb="retry"))


async def test_a_drop_keeps_a_paused_session_paused_and_says_what_lets_it_go_on(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        session = await make_refused(host)
        await host.append(ev.NewEvent(session, ev.StateChanged(state="running")))
        await host.append(ev.NewEvent(session, ev.StateChanged(state="paused")))
        client = await host.client()
        done = await client.call(protocol.Control(request=host.request(), session=session, verb="drop"))
        assert done.note == "stays paused; step 1 is left out"
        assert [remedy.way for remedy in done.remedies] == ["resume"]
        assert host.runners[session].told[-1] == "start", "it was told to look"
        assert host.state(session) == "paused"

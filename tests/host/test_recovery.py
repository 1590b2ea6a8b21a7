from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from apollo_process import wait_for
from host_in_process import HostInProcess, new_session, open_host, paths_in, until

from sessions import events as ev
from sessions.fold.summary import Summary
from sessions.host import lifecycle, lock, protocol
from sessions.host.client import call_once
from sessions.host.session_manager import After, Runner, RunnerFactory, SessionManager
from sessions.log.reader import LogReader
from sessions.log.transaction import WriteSet
from sessions.log.writer import LogWriter
from sessions.processes import boot_id


async def make_running(host: HostInProcess) -> str:
    made = await (await host.client()).call(new_session(host.request()))
    await until("running", lambda: host.state(made.session) == "running")
    return str(made.session)


def host_events(reader: LogReader) -> list[ev.Body]:
    return [event.body for event in reader.events(ev.HOST_SESSION)]


async def without_a_last_word(folder: Path, boot: str) -> None:
    """Make the log look as if the newest host had ended without a word."""
    async with await LogWriter.open(paths_in(folder).log) as writer:
        await writer.append(ev.NewEvent(ev.HOST_SESSION, ev.HostStarted(pid=1, boot_id=boot, version="1")))


async def test_after_a_stop_sessions_stay_held_and_say_why(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        session = await make_running(host)
    async with open_host(tmp_path) as host:
        summary = host.parts.writer.summary(session)
        assert summary is not None
        assert (summary.state, summary.state_by) == ("paused", "host")
        assert "host was stopped" in summary.reason
        assert session not in host.runners
        bodies = host_events(host.parts.reader)
        assert [type(body).__name__ for body in bodies] == ["HostStarted", "HostStopped", "HostStarted"]
        assert isinstance(bodies[-1], ev.HostStarted)
        assert bodies[-1].after == "start"


async def test_what_a_person_resumes_while_the_host_still_starts_is_not_held_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_host(tmp_path) as host:
        session = await make_running(host)

    def slowly(_: object) -> None:
        """What the host does between listening and taking over, in a thread of its own."""
        resume = protocol.Control(request="early", session=session, verb="resume")
        call_once(paths_in(tmp_path), resume, actor="human:ada", start=False)
        with LogReader(paths_in(tmp_path).log) as reader:
            wait_for("running", lambda: (found := reader.summary(session)) and found.state == "running")

    monkeypatch.setattr(lifecycle, "_import_providers", slowly)
    async with open_host(tmp_path) as host:
        assert host.state(session) == "running"
        assert "hold" not in host.runners[session].told


async def test_after_a_restart_sessions_go_on(tmp_path: Path) -> None:
    async with open_host(tmp_path, ends="restart") as host:
        session = await make_running(host)
    async with open_host(tmp_path) as host:
        await until("going on", lambda: host.state(session) == "running")
        assert host.runners[session].told == ["resume"]
        newest = host_events(host.parts.reader)[-1]
        assert isinstance(newest, ev.HostStarted)
        assert newest.after == "restart"


@pytest.mark.parametrize(
    ("boot", "after", "state"), [("this boot", "crash", "running"), ("next boot", "reboot", "paused")]
)
async def test_a_host_that_ended_without_a_word_crashed_or_the_machine_was_rebooted(
    tmp_path: Path, boot: str, after: Literal["crash", "reboot"], state: str
) -> None:
    async with open_host(tmp_path, ends="cut", boot=lambda: "this boot") as host:
        session = await make_running(host)
    await without_a_last_word(tmp_path, "this boot")
    async with open_host(tmp_path, boot=lambda: boot) as host:
        newest = host_events(host.parts.reader)[-1]
        assert isinstance(newest, ev.HostStarted)
        assert (newest.after, host.state(session)) == (after, state)
        assert (session in host.runners) == (after == "crash")


async def test_the_config_can_let_sessions_go_on_after_a_reboot(tmp_path: Path) -> None:
    async with open_host(tmp_path, ends="cut", boot=lambda: "one") as host:
        session = await make_running(host)
    await without_a_last_word(tmp_path, "one")
    async with open_host(tmp_path, boot=lambda: "two", resume_on_start=True) as host:
        assert (host.state(session), host.runners[session].told) == ("running", ["start"])


async def test_the_config_can_let_sessions_go_on_after_a_stop(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        session = await make_running(host)
    async with open_host(tmp_path, resume_on_start=True) as host:
        await until("going on", lambda: host.state(session) == "running")
        assert host.runners[session].told == ["resume"]


async def test_the_config_lets_no_session_go_on_that_a_person_paused(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        session = await make_running(host)
        await host.append(ev.NewEvent(session, ev.StateChanged(state="paused"), actor="human:ada"))
    async with open_host(tmp_path, resume_on_start=True) as host:
        assert (host.state(session), session in host.runners) == ("paused", False)


async def test_time_in_which_no_host_ran_is_not_active_time(tmp_path: Path) -> None:
    async with open_host(tmp_path, ends="cut", boot=lambda: "one") as host:
        session = await make_running(host)
    with LogReader(host.paths.log) as reader:
        began = reader.summary(session)
    assert began is not None
    await without_a_last_word(tmp_path, "one")
    async with open_host(tmp_path, boot=lambda: "two") as host:
        after = host.parts.writer.summary(session)
        assert after is not None
        assert after.active_ms == began.last_at - (began.active_at or 0)


async def test_what_was_asked_for_just_before_a_crash_is_done_after_it(tmp_path: Path) -> None:
    async with open_host(tmp_path, ends="cut") as host:
        made = await (await host.client()).call(new_session("r1", start=False))
        await host.append(ev.NewEvent(made.session, ev.ControlRequested(verb="start"), actor="human:ada"))
    await without_a_last_word(tmp_path, boot_id())
    async with open_host(tmp_path) as host:
        await until("started", lambda: host.state(made.session) == "running")


async def test_a_session_that_reaches_no_boundary_is_cut_off_and_does_not_claim_to_run(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        session = await make_running(host)
        host.runners[session].stuck = True
        client = await host.client()
        stopping = await client.call(protocol.StopHost(timeout=0.1))
        assert stopping.waits_for == ("session 1 tune the rate",)
    reader = LogReader(host.paths.log)
    summary = reader.summary(session)
    assert summary is not None
    assert (summary.state, host.runners[session].told[-1]) == ("paused", "close")
    reader.close()


async def test_nothing_is_changed_any_more_while_the_host_stops(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        session = await make_running(host)
        host.runners[session].stuck = True
        one, two = await host.client(), await host.client()
        await one.call(protocol.StopHost(timeout=0.5))
        with pytest.raises(Exception, match="host is stopping"):
            await two.call(new_session("r2"))


async def test_a_session_that_cannot_be_taken_over_needs_you_and_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_host(tmp_path, ends="cut") as host:
        damaged, sound = await make_running(host), await make_running(host)
    await without_a_last_word(tmp_path, boot_id())
    made = HostInProcess.factory

    def factory(self: HostInProcess, parts: lifecycle.RunnerParts) -> RunnerFactory:
        make = made(self, parts)

        def only_sound(session: str) -> Runner:
            if session == damaged:
                raise ValueError("its beginning cannot be read")
            return make(session)

        return only_sound

    monkeypatch.setattr(HostInProcess, "factory", factory)
    async with open_host(tmp_path) as host:
        assert host.runners[sound].told == ["start"]
        summary = host.parts.writer.summary(damaged)
        assert summary is not None
        assert (summary.state, summary.need) == ("needs_you", "other")
        assert "its beginning cannot be read" in summary.reason


async def test_a_session_that_was_stopped_while_it_could_not_be_taken_over_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_host(tmp_path, ends="cut") as host:
        damaged, sound = await make_running(host), await make_running(host)
    await without_a_last_word(tmp_path, boot_id())
    take_over = SessionManager._take_over

    async def stopped_meanwhile(self: SessionManager, summary: Summary, after: After, resume: bool) -> None:
        if summary.session == damaged:
            await self._writer.append(ev.NewEvent(damaged, ev.StateChanged(state="stopped", reason="stopped")))
            raise ValueError("its beginning cannot be read")
        await take_over(self, summary, after, resume)

    monkeypatch.setattr(SessionManager, "_take_over", stopped_meanwhile)
    async with open_host(tmp_path) as host:
        assert (host.runners[sound].told, host.state(damaged)) == (["start"], "stopped")
    assert "which the log does not take" in caplog.text


async def test_a_host_whose_log_was_removed_or_replaced_ends_though_its_lock_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "LOOK_SECONDS", 0.01)
    async with open_host(tmp_path) as host:
        await make_running(host)
        host.paths.log.unlink()
        await until("the host's end", lambda: lock.holder(host.paths.lock) is None)


async def test_a_host_whose_writer_has_died_does_not_live_on_without_it(tmp_path: Path) -> None:
    async def dies() -> list[WriteSet]:
        raise ValueError("out of order")

    with pytest.raises(RuntimeError, match="writer of the log"):
        async with open_host(tmp_path) as host:
            session = await make_running(host)
            host.parts.writer._next_batch = dies  # type: ignore[method-assign]
            await host.append(ev.NewEvent(session, ev.NoteWritten(text="the last")))
            await until("the host's end", lambda: lock.holder(host.paths.lock) is None)
    with LogReader(paths_in(tmp_path).log) as reader:
        assert isinstance(host_events(reader)[-1], ev.HostStarted)

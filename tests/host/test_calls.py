from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from host_in_process import ACTOR, new_session, open_host, until

from sessions import events as ev
from sessions.events.messages import TextPart, Usage
from sessions.hints import command_of, say_in_shell, say_remedies
from sessions.host import protocol
from sessions.host.client import ConnectionLost, HostClient, RequestRefused
from sessions.log.reader import LogReader
from sessions.ulid import new_ulid


async def test_a_session_is_created_started_and_answered_after_its_commit(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1", env={"PATH": "/bin", "MY_API_KEY": "s3cr3t-s3cr3t-s3cr3t"}))
        assert made.number == 1
        created = host.parts.reader.events(made.session, limit=1)[0]
        assert (created.kind, created.actor, created.request) == ("session.created", ACTOR, "r1")
        assert isinstance(created.body, ev.SessionCreated)
        assert len(created.body.nonce) >= 8
        assert created.body.system is not None
        assert created.body.workspace is not None
        assert Path(created.body.workspace).is_dir()
        await until("running", lambda: host.state(made.session) == "running")
        env_file = host.paths.session_folder(made.session) / "env.json"
        assert env_file.stat().st_mode & 0o777 == 0o600
        assert "s3cr3t" not in env_file.read_text()


async def test_a_repeated_request_gets_the_first_answer_and_is_applied_once(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1"))
        assert await client.call(new_session("r1")) == made
        await until("running", lambda: host.state(made.session) == "running")
        advice = protocol.QueueAdvice(request="r2", session=made.session, text="let it run")
        first = await client.call(advice)
        assert await client.call(advice) == first
        assert (first.number, len(host.parts.writer.summaries())) == (1, 1)
    async with open_host(tmp_path) as host:
        again = await (await host.client()).call(advice)
        assert (again.seq, again.number) == (first.seq, first.number)
        assert await (await host.client()).call(new_session("r1")) == made
        summary = host.parts.writer.summary(made.session)
        assert summary is not None
        assert summary.advice == 1


async def test_the_same_request_sent_twice_at_once_is_applied_once(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        one, two = await host.client(), await host.client()
        answers = await asyncio.gather(one.call(new_session("same")), two.call(new_session("same")))
        assert answers[0] == answers[1]
        assert len(host.parts.writer.summaries()) == 1


async def test_a_request_id_of_another_call_is_refused(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1"))
        with pytest.raises(RequestRefused, match="used for something else"):
            await client.call(protocol.Control(request="r1", session=made.session, verb="pause"))


async def test_a_cut_between_commit_and_answer_is_repaired_by_a_repeat(tmp_path: Path) -> None:
    async with open_host(tmp_path, faults="cut:advice.queue:1") as host:
        client = await host.client()
        made = await client.call(new_session("r1"))
        advice = protocol.QueueAdvice(request="r2", session=made.session, text="let it run")
        with pytest.raises(ConnectionLost):
            await client.call(advice)
        again = await (await host.client()).call(advice)
        queued = host.parts.reader.events(made.session, kinds=("advice.queued",))
        assert [event.seq for event in queued] == [again.seq]


async def test_two_pieces_of_advice_at_once_get_different_numbers(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        clients = [await host.client(f"human:n{number}") for number in range(4)]
        made = await clients[0].call(new_session("r1"))
        calls = [
            client.call(protocol.QueueAdvice(request=host.request(), session=made.session, text=f"advice {number}"))
            for number, client in enumerate(clients)
        ]
        assert sorted(answer.number for answer in await asyncio.gather(*calls)) == [1, 2, 3, 4]


async def test_a_pause_says_what_it_waits_for_and_a_second_one_is_refused(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1", start=False))
        with pytest.raises(RequestRefused, match="nothing to pause"):
            await client.call(protocol.Control(request="r2", session=made.session, verb="pause"))
        await client.call(protocol.Control(request="r3", session=made.session, verb="resume"))
        await until("running", lambda: host.state(made.session) == "running")
        await host.append(
            ev.NewEvent(made.session, ev.ActionStarted(call_id="c1", name="evaluate"), step=1, call=1, actor="agent")
        )
        answer = await client.call(protocol.Control(request="r4", session=made.session, verb="pause"))
        assert answer.note == "pauses at the boundary, after `evaluate`"
        await until("paused", lambda: host.state(made.session) == "paused")
        with pytest.raises(RequestRefused, match="paused already"):
            await client.call(protocol.Control(request="r5", session=made.session, verb="pause"))
        newest = host.parts.reader.events(made.session, kinds=("control.requested",))
        assert [event.request for event in newest] == ["r3", "r4"]


async def test_only_an_ended_or_resting_session_can_be_archived_and_it_comes_back(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1"))
        await until("running", lambda: host.state(made.session) == "running")
        with pytest.raises(RequestRefused, match="is running") as refused:
            await client.call(protocol.Control(request="r2", session=made.session, verb="archive"))
        assert say_in_shell(refused.value).endswith("is running: `apollo stop 1` ends it first")
        await client.call(protocol.Control(request="r3", session=made.session, verb="stop"))
        await until("stopped", lambda: host.state(made.session) == "stopped")
        await client.call(protocol.Control(request="r4", session=made.session, verb="archive"))
        assert host.state(made.session) == "archived"
        await client.call(protocol.Control(request="r5", session=made.session, verb="unarchive"))
        assert host.state(made.session) == "stopped"


async def test_a_session_comes_back_from_the_archive_with_the_reason_for_which_it_had_ended(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1"))
        await until("running", lambda: host.state(made.session) == "running")
        await host.append(ev.NewEvent(made.session, ev.StateChanged(state="finished", reason="all is done")))
        for number, verb in enumerate(("archive", "unarchive", "archive", "unarchive")):
            await client.call(protocol.Control(request=f"a{number}", session=made.session, verb=verb))
        summary = host.parts.reader.summary(made.session)
        assert summary is not None and (summary.state, summary.reason) == ("finished", "all is done")


async def test_advice_to_an_ended_session_offers_to_reopen_it_and_does_so_when_asked(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1"))
        await until("running", lambda: host.state(made.session) == "running")
        await host.append(ev.NewEvent(made.session, ev.StateChanged(state="finished")))
        advice = protocol.QueueAdvice(request="r2", session=made.session, text="one more try")
        with pytest.raises(RequestRefused, match="is finished") as refused:
            await client.call(advice)
        assert [remedy.way for remedy in refused.value.remedies] == ["reopen", "advise_reopening"]
        await client.call(protocol.QueueAdvice(request="r3", session=made.session, text="one more try", reopen=True))
        await until("running again", lambda: host.state(made.session) == "running")


async def test_advice_about_an_action_is_refused_if_the_session_ends_while_the_action_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1"))
        await until("running", lambda: host.state(made.session) == "running")
        reply = ev.ModelReplied(request=1, parts=(TextPart("Well."),), finish="stop")
        request = ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256="")
        await host.append(ev.NewEvent(made.session, request, step=1), ev.NewEvent(made.session, reply, step=1))
        loop = asyncio.get_running_loop()

        def slowly(reader: LogReader, session: str, target: ev.Target) -> str:
            ended = host.append(ev.NewEvent(session, ev.StateChanged(state="finished")))
            asyncio.run_coroutine_threadsafe(ended, loop).result(10)
            return "About step 1:"

        monkeypatch.setattr("sessions.host.handlers.advice.describe_target", slowly)
        advice = protocol.QueueAdvice(request="r2", session=made.session, text="think", about=ev.Target(1))
        with pytest.raises(RequestRefused, match="is finished"):
            await client.call(advice)


async def test_advice_to_a_session_at_its_limit_waits_and_says_for_what_and_how_to_raise_it(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1", limits=ev.Limits(steps=0)))
        await until("running", lambda: host.state(made.session) == "running")
        stopped = ev.StateChanged(state="paused", reason="steps: 0 of 0", need="limit")
        await host.append(ev.NewEvent(made.session, stopped))
        for number, reopen in enumerate((False, True), 1):
            advice = protocol.QueueAdvice(request=f"r2{reopen}", session=made.session, text="go on", reopen=reopen)
            queued = await client.call(advice)
            assert (queued.number, host.state(made.session)) == (number, "paused")
            assert say_remedies(queued.note, queued.remedies, command_of, "; ") == (
                "waits, as the session stands at its limit of 0 steps; `apollo limit 1 steps +N` raises it, then "
                "`apollo resume 1` lets it go on"
            )
        raised = await client.call(protocol.SetLimit(request="r3", session=made.session, name="steps", delta=5))
        assert raised.note == "steps: 5" and [remedy.way for remedy in raised.remedies] == ["resume"]
        queued = await client.call(protocol.QueueAdvice(request="r5", session=made.session, text="go on"))
        assert (queued.number, host.state(made.session)) == (3, "paused")
        assert queued.note == "delivered when the session is resumed"
        with pytest.raises(RequestRefused, match="whole number"):
            await client.call(protocol.SetLimit(request="r4", session=made.session, name="steps", value=1.5))


async def test_a_session_at_its_limit_is_not_resumed_only_to_be_paused_again(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1", limits=ev.Limits(steps=0)))
        await until("running", lambda: host.state(made.session) == "running")
        await host.append(
            ev.NewEvent(made.session, ev.StateChanged(state="paused", reason="budget used up", need="limit"))
        )
        position = host.parts.reader.position()
        for verb in ("resume", "next"):
            with pytest.raises(
                RequestRefused, match=r"paused again at once \(budget used up: 0 of 0 steps\)"
            ) as refused:
                await client.call(protocol.Control(request=verb, session=made.session, verb=verb))  # type: ignore[arg-type]
            assert [remedy.way for remedy in refused.value.remedies] == ["limit", "resume"]
        assert host.parts.reader.position() == position
        await client.call(protocol.SetLimit(request="r2", session=made.session, name="steps", delta=5))
        await client.call(protocol.Control(request="r3", session=made.session, verb="resume"))
        await until("running again", lambda: host.state(made.session) == "running")


async def test_a_limit_below_what_is_used_says_so_and_what_follows(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1"))
        await until("running", lambda: host.state(made.session) == "running")

        async def set_to(value: float) -> protocol.Done:
            call = protocol.SetLimit(request=f"r{new_ulid()}", session=made.session, name="tokens", value=value)
            done = await client.call(call)
            assert isinstance(done, protocol.Done)
            return done

        await host.append(
            ev.NewEvent(made.session, ev.ModelReplied(request=3, parts=(), finish="stop", usage=Usage(7, 1)), step=1)
        )
        assert (await set_to(9)).note == "tokens: 9"
        assert (await set_to(8)).note == "tokens: 8; 8 are used already: it pauses at the boundary"
        await host.append(
            ev.NewEvent(made.session, ev.StateChanged(state="paused", reason="budget used up", need="limit"))
        )
        low = await set_to(5)
        assert low.note == "tokens: 5; 8 are used already: it stays paused"
        assert [remedy.way for remedy in low.remedies] == ["limit"]
        assert [remedy.way for remedy in (await set_to(20)).remedies] == ["resume"]
        await host.append(ev.NewEvent(made.session, ev.StateChanged(state="stopped")))
        assert (await set_to(5)).note == "tokens: 5; 8 are used already: it would be paused at once"


async def test_waiting_advice_can_be_edited_and_withdrawn_but_not_once_it_was_delivered(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1"))
        queued = await client.call(protocol.QueueAdvice(request="r2", session=made.session, text="one"))
        edit = protocol.EditAdvice(request="r3", session=made.session, advice=queued.number, text="two")
        await client.call(edit)
        summary = host.parts.writer.summary(made.session)
        assert summary is not None
        assert [advice.text for advice in summary.open_advice] == ["two"]
        await client.call(protocol.WithdrawAdvice(request="r4", session=made.session, advice=1, to_draft=True))
        with pytest.raises(RequestRefused, match="no longer waits"):
            await client.call(protocol.WithdrawAdvice(request="r5", session=made.session, advice=1))
        with pytest.raises(RequestRefused, match="has no advice 7"):
            await client.call(protocol.WithdrawAdvice(request="r6", session=made.session, advice=7))


async def test_an_answer_reaches_the_open_question_and_no_other(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1"))
        with pytest.raises(RequestRefused, match="asks nothing"):
            await client.call(protocol.Answer(request="r2", session=made.session, text="yes"))
        await host.append(
            ev.NewEvent(made.session, ev.QuestionAsked(question=1, text="go?", until=1), step=1),
            ev.NewEvent(made.session, ev.StateChanged(state="needs_you", need="question")),
        )
        with pytest.raises(RequestRefused, match="question 9"):
            await client.call(protocol.Answer(request="r3", session=made.session, text="yes", question=9))
        with pytest.raises(RequestRefused, match="waits for an answer") as refused:
            await client.call(protocol.Control(request="r4", session=made.session, verb="resume"))
        assert "`apollo answer 1 TEXT`" in say_in_shell(refused.value)
        answer = await client.call(protocol.Answer(request="r5", session=made.session, text="yes"))
        assert answer.number == 1
        summary = host.parts.writer.summary(made.session)
        assert summary is not None
        assert summary.open_question == ""


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"title": "  "}, "the title is empty"),
        ({"model": ev.ModelSpec("nobody", "x")}, "nobody"),
        ({"tools": ("fly",)}, "no tool 'fly'"),
        ({"environment": ev.EnvironmentSpec("no_such_module:f")}, "cannot be imported"),
        ({"workspace": "/nowhere/at/all"}, "no folder"),
        ({"in_place": True}, "needs a workspace"),
        ({"limits": ev.Limits(steps=-1)}, "cannot be -1"),
    ],
)
async def test_a_session_that_cannot_be_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, more: dict[str, object], says: str
) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        with pytest.raises(RequestRefused, match=says) as refused:
            await client.call(new_session("r1", **more))
        assert "\n" not in str(refused.value)
        assert host.parts.writer.summaries() == {}
        assert list(host.paths.sessions.iterdir()) == []


async def test_attaching_and_detaching_touches_no_session(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        made = await client.call(new_session("r1"))
        await until("running", lambda: host.state(made.session) == "running")
        position = host.parts.writer.position
        for _ in range(3):
            other = await HostClient.connect(host.paths, actor="human:bob", client="app")
            await other.call(protocol.Subscribe(deltas=("*",)))
            await other.close()
        status = await client.call(protocol.Status())
        assert (host.parts.writer.position, status.sessions) == (position, {made.session: "running"})
        assert host.runners[made.session].told == ["start"]


async def test_a_rule_gives_verdicts_and_does_not_steer(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        made = await (await host.client()).call(new_session("r1"))
        rule = await host.client("rule:polling")
        with pytest.raises(RequestRefused, match="only a person can"):
            await rule.call(protocol.QueueAdvice(request="r2", session=made.session, text="stop"))

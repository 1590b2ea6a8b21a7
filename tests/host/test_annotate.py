from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from host_in_process import HostInProcess, new_session, open_host, until

from sessions import events as ev
from sessions.events.messages import CallPart, TextPart
from sessions.fold.advice import AdviceBook
from sessions.host import protocol
from sessions.host.client import HostClient, RequestRefused


async def judged(host: HostInProcess) -> tuple[HostClient, str]:
    """A session with one step that has text and two calls."""
    client = await host.client()
    made = await client.call(new_session(host.request()))
    await until("running", lambda: host.state(made.session) == "running")
    reply = ev.ModelReplied(
        request=1, finish="calls", parts=(TextPart("so"), CallPart("a", "run", "{}"), CallPart("b", "run", "{}"))
    )
    await host.append(
        ev.NewEvent(
            made.session, ev.ModelRequested(adapter="t", adapter_version=1, envelope={}, sha256="0" * 64), step=1
        ),
        ev.NewEvent(made.session, reply, step=1, actor="agent"),
        ev.NewEvent(
            made.session,
            ev.ActionStarted(call_id="a", name="job_kill", arguments={"job": 7}),
            step=1,
            call=1,
            actor="agent",
        ),
    )
    return client, made.session


def annotation(request: str, session: str, body: ev.Body) -> protocol.Annotate:
    return protocol.Annotate(request=request, session=session, kind=body.kind, body=msgspec.to_builtins(body))


async def test_a_name_and_tags_are_checked_before_they_are_stored(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client, session = await judged(host)
        await client.call(annotation("t1", session, ev.SessionTagged(added=("keep",), bulk="B")))
        assert host.parts.writer.summary(session).tags == ("keep",)  # type: ignore[union-attr]
        for number, (body, said) in enumerate(
            (
                (ev.SessionTagged(added=("keep",)), "stays as it was"),
                (ev.SessionTagged(added=("two words",)), "is no tag"),
                (ev.SessionTagged(added=tuple(f"t{one}" for one in range(40))), "41 tags"),
                (ev.SessionTagged(removed=("keep",), undoes=99_999), "cannot be undone"),
                (ev.SessionRenamed(title="a\nb"), "one line"),
                (ev.SessionRenamed(title=""), "the title"),
            )
        ):
            with pytest.raises(RequestRefused, match=said):
                await client.call(annotation(f"n{number}", session, body))


@pytest.mark.parametrize(
    "target",
    [
        ev.Target(step=1),
        ev.Target(step=1, part="text"),
        ev.Target(step=1, part="call", call=2),
        ev.Target(step=1, part="span", to_step=1),
    ],
)
async def test_a_flag_on_what_exists_is_stored_with_its_actor(tmp_path: Path, target: ev.Target) -> None:
    async with open_host(tmp_path) as host:
        client, session = await judged(host)
        answer = await client.call(annotation("f1", session, ev.FlagSet(flag="f", target=target)))
        stored = host.parts.reader.event(session, answer.seq)
        assert stored is not None
        assert (stored.actor, stored.body) == ("human:ada", ev.FlagSet(flag="f", target=target))


async def test_what_an_act_undoes_and_replaces_is_stored_and_left_out_where_it_does_neither(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client, session = await judged(host)
        target = ev.Target(step=1)
        first = await client.call(annotation("any", session, ev.FlagSet(flag="a", target=target)))
        second = await client.call(annotation("id", session, ev.FlagSet(flag="b", target=target, replaces="a")))
        undo = await client.call(annotation("at all", session, ev.FlagRemoved(flag="b", undoes=second.seq)))
        stored = [host.parts.reader.event(session, done.seq) for done in (first, second, undo)]
        assert [event and msgspec.json.encode(event.body) for event in stored] == [
            b'{"flag":"a","target":{"step":1}}',
            b'{"flag":"b","target":{"step":1},"replaces":"a"}',
            b'{"undoes":%d,"flag":"b"}' % second.seq,
        ]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (ev.FlagSet(flag="f", target=ev.Target(step=9)), "no step 9"),
        (ev.FlagSet(flag="f", target=ev.Target(step=1, part="reasoning")), "has no reasoning"),
        (ev.FlagSet(flag="f", target=ev.Target(step=1, part="call", call=3)), "no call 3; it has 2"),
        (ev.FlagSet(flag="f", target=ev.Target(step=1, part="span", to_step=4)), "no step 4"),
        (ev.FlagSet(flag="f", target=ev.Target(step=1, part="summary")), "no summary S1"),
        (ev.FlagSet(flag="f", target=ev.Target(step=1), severity=9), "severity"),
        (ev.FlagRemoved(flag="nope"), "no flag nope"),
        (ev.FlagSet(flag="f", target=ev.Target(step=1), replaces="nope"), "no flag nope"),
        (ev.NoteWritten(text="", undoes=9999), "event 9999 cannot be undone"),
        (ev.AdviceOutcome(advice=1, outcome="followed"), "has not been delivered"),
        (ev.CursorMoved(read_seq=9999), "nobody can have read"),
        (ev.CursorMoved(read_seq=1, read=(ev.SeqRange(1, 9999),)), "nobody can have read 1 to 9999"),
        (ev.CursorMoved(read_seq=1, read=(ev.SeqRange(3, 2),)), "nobody can have read 3 to 2"),
        (ev.CursorMoved(read_seq=1, let_go=9999), "nothing can be let go"),
        (ev.CorrectionWritten(target=ev.Target(step=9), text="wait"), "no step 9"),
        (ev.SignedOff(verdict="good", up_to_step=5), "no step 5"),
        (ev.RecoveryMarked(at_step=3), "no step 3"),
        (ev.EffortSpent(active_ms=-1), "negative"),
    ],
)
async def test_a_verdict_on_what_does_not_exist_is_refused_in_one_line(
    tmp_path: Path, body: ev.Body, says: str
) -> None:
    async with open_host(tmp_path) as host:
        client, session = await judged(host)
        position = host.parts.writer.position
        with pytest.raises(RequestRefused, match=says) as refused:
            await client.call(annotation("f1", session, body))
        assert "\n" not in str(refused.value)
        assert host.parts.writer.position == position


async def test_a_flag_is_set_once_and_taken_back_once(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client, session = await judged(host)
        flag = ev.FlagSet(flag="f", target=ev.Target(step=1))
        await client.call(annotation("f1", session, flag))
        with pytest.raises(RequestRefused, match="has a flag f already"):
            await client.call(annotation("f2", session, flag))
        await client.call(annotation("f3", session, ev.FlagRemoved(flag="f")))
        with pytest.raises(RequestRefused, match="taken back already"):
            await client.call(annotation("f4", session, ev.FlagRemoved(flag="f")))


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("session.state", {"state": "finished"}, "cannot be annotated"),
        ("flag.set", {"flag": "f"}, "target"),
        ("flag.set", {"flag": "f", "target": {"step": 1}, "verdict": "awful"}, "awful"),
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused(tmp_path: Path, kind: str, body: dict[str, Any], says: str) -> None:
    async with open_host(tmp_path) as host:
        client, session = await judged(host)
        with pytest.raises(RequestRefused, match=says):
            await client.call(protocol.Annotate(request="f1", session=session, kind=kind, body=body))


async def test_a_session_that_does_not_exist_is_named(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        with pytest.raises(RequestRefused, match="no session 01NOPE") as refused:
            await client.call(annotation("f1", "01NOPE", ev.NoteWritten(text="hm")))
        assert refused.value.kind == "not_found"


async def test_a_judge_flags_but_does_not_sign_off(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        _, session = await judged(host)
        judge = await host.client("judge:small")
        await judge.call(annotation("f1", session, ev.FlagSet(flag="f", target=ev.Target(step=1))))
        with pytest.raises(RequestRefused, match="only a person can"):
            await judge.call(annotation("f2", session, ev.SignedOff(verdict="good")))


async def test_advice_about_a_call_tells_the_model_which(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client, session = await judged(host)
        about = ev.Target(step=1, part="call", call=1)
        await client.call(protocol.QueueAdvice(request="a1", session=session, text="let it run", about=about))
        queued = host.parts.reader.events(session, kinds=("advice.queued",))[0].body
        assert isinstance(queued, ev.AdviceQueued)
        assert queued.about_text == "About step 1 (`run`):"
        with pytest.raises(RequestRefused, match="no call 5"):
            wrong = ev.Target(step=1, part="call", call=5)
            await client.call(protocol.QueueAdvice(request="a2", session=session, text="let it run", about=wrong))


async def test_text_that_is_no_unicode_reaches_the_log_as_valid_text(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client, session = await judged(host)
        await client.call(protocol.QueueAdvice(request="a1", session=session, text="look at \udce9t\udce9 [/bold]"))
        queued = host.parts.reader.events(session, kinds=("advice.queued",))[0].body
        assert isinstance(queued, ev.AdviceQueued)
        assert queued.text == "look at \ufffdt\ufffd [/bold]"


async def test_how_far_advice_reaches_is_stored_when_it_is_queued_and_said_otherwise_later(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client, session = await judged(host)
        queued = protocol.QueueAdvice(request="q", session=session, text="Wait.", reach="general", bulk="b")
        answer = await client.call(queued)
        stored = host.parts.reader.event(session, answer.seq)
        assert stored is not None and isinstance(stored.body, ev.AdviceQueued)
        assert (stored.body.reach, stored.body.bulk) == ("general", "b")
        await client.call(annotation("r1", session, ev.AdviceReach(advice=1, reach="here")))
        book = AdviceBook(host.parts.reader.events(session))
        assert [record.reach for record in book.all] == ["here"]
        with pytest.raises(RequestRefused, match="has no advice 2; it has 1"):
            await client.call(annotation("r2", session, ev.AdviceReach(advice=2, reach="here")))


async def test_a_preference_is_between_two_sessions_of_one_task_and_is_kept_in_the_older(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await host.client()
        tasks = ("rate", "rate", "formats")
        made = [await client.call(new_session(host.request(), task_id=task)) for task in tasks]
        one, other, third = (created.session for created in made)
        word = ev.PreferenceStated(other=other, verdict="worse", note="hasty")
        await client.call(annotation(host.request(), one, word))
        [stated] = host.parts.reader.events(one, kinds=("preference.stated",))
        assert stated.body == word
        for session, against, why in (
            (one, third, "are not of one task"),
            (other, one, "written in the older one"),
            (one, one, "are not of one task"),
            (one, "01NOTHING", "there is no session"),
        ):
            wrong = ev.PreferenceStated(other=against, verdict="better")
            with pytest.raises(RequestRefused, match=why):
                await client.call(annotation(host.request(), session, wrong))

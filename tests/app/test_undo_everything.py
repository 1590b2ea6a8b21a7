from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from fake_feed import FakeFeed
from headless_app import running, screen_text, until

from apollo_tui.acts.drafts import Draft
from apollo_tui.acts.flags import Word
from apollo_tui.context import Desk
from sessions import events as ev
from sessions.attention.signals import Signal
from sessions.fold.advice import AdviceBook
from sessions.host import protocol
from sessions.log.reader import LogReader
from sessions.ulid import new_ulid

CALL = ev.Target(2, "call", 1)
COLLEAGUE = "human:ben"


async def story(feed: FakeFeed) -> str:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "python train.py"}, "loss 2.1"))
    await feed.step(session, 2, ("job_kill", {"job": 7}, "killed"))
    await feed.add(session, ev.AdviceQueued(advice=1, text="let it run"), actor=feed.actor, request="sent")
    await feed.add(session, ev.AdviceDelivered(advice=(1,), at_step=3, text="let it run"), step=3)
    await feed.step(session, 3, ("run", {"command": "ls"}, "a b c"))
    await feed.add(session, ev.AdviceQueued(advice=2, text="save often"), actor=COLLEAGUE)
    await feed.add(session, ev.AdviceOutcome(advice=1, outcome="ignored"), actor=COLLEAGUE)
    return session


def standing(feed: FakeFeed, desk: Desk, session: str) -> dict[str, Any]:
    """All that anybody says of the session, as it stands in the log."""
    now = desk.state.sessions[session]
    with LogReader(feed.paths.log) as reader:
        advice = AdviceBook(reader.events(session))
    remarks = now.remarks
    return {
        "flags": sorted((str(f.target), f.verdict, f.label, f.note) for _, f in now.flags.values()),
        "recoveries": dict(remarks.recoveries),
        "sign-offs": dict(remarks.sign_offs),
        "notes": dict(remarks.notes),
        "bookmarks": [str(mark.target) for mark in remarks.bookmarks],
        "corrections": sorted((one.by, str(one.target), one.text) for one in remarks.corrections.all),
        "outcomes": [(one.number, one.outcome, one.outcome_by) for one in advice.delivered],
        "open outcomes": [one.advice for one in now.summary.watch.delivered],
        "signals": sorted((j.signal, j.verdict) for j in now.summary.watch.judged if j.verdict != "reopened"),
        "advice": [(one.number, one.text) for one in advice.waiting],
    }


def acts(desk: Desk, session: str, seqs: dict[int, int]) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
    """One of each act that an annotator can do, by name; several say another word on the same thing."""
    judging, signing, watching = desk.judging, desk.signing, desk.watching
    signal = Signal("polling_streak:9", "polling_streak", session, seqs[2], 2, 0, "polls", 1, acute=False)

    async def flag(word: Word) -> object:
        return await judging.flag(await judging.subject(session, seqs[2]), word, seen=None)

    async def unflag() -> object:
        subject = await judging.subject(session, seqs[2])
        own = judging.own(subject)
        assert own is not None
        return await judging.unflag(subject, own)

    async def at_call(deed: Callable[[Any], Awaitable[object]]) -> object:
        return await deed(await judging.subject(session, seqs[2]))

    async def edit(text: str) -> object:
        return await desk.feed.call(protocol.EditAdvice(request=new_ulid(), session=session, advice=2, text=text))

    return [
        ("a flag", lambda: flag(Word())),
        ("another label", lambda: flag(Word(label="x/impatience", note="too early"))),
        ("the flag is taken back", unflag),
        ("a good mark", lambda: flag(Word("good"))),
        ("a recovery", lambda: at_call(judging.mark_recovery)),
        ("no recovery", lambda: at_call(judging.mark_recovery)),
        ("a sign-off", lambda: signing.sign_off(session, "partial")),
        ("judged up to", lambda: signing.sign_off(session, None, 2)),
        ("no sign-off", lambda: signing.sign_off(session, None)),
        ("a note", lambda: signing.note(session, "leaks?")),
        ("another note", lambda: signing.note(session, "it leaks")),
        ("no note", lambda: signing.note(session, "")),
        ("a bookmark", lambda: at_call(signing.bookmark)),
        ("no bookmark", lambda: at_call(signing.bookmark)),
        ("a correction", lambda: judging.correct(session, CALL, "wait", new_ulid())),
        ("another correction", lambda: judging.correct(session, CALL, "wait for job 7", new_ulid())),
        ("no correction", lambda: judging.correct(session, CALL, "", new_ulid())),
        ("a snooze", lambda: watching.judge(signal, "snoozed", desk.clock())),
        ("seen to", lambda: watching.judge(signal, "done", desk.clock())),
        ("a false alarm", lambda: watching.judge(signal, "false_alarm", desk.clock())),
        ("an outcome", lambda: watching.outcome(session, 1, "followed")),
        ("another outcome", lambda: watching.outcome(session, 1, "made_it_worse")),
        ("other words", lambda: edit("save every epoch")),
        ("other words again", lambda: edit("save every step")),
    ]


def written_by_an_older_client(feed: FakeFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the feed writes what clients wrote that said in a request's id what an act undoes."""
    abouts: dict[int, tuple[str, int]] = {}  # seq of an undo or a redo: verb, id of the act
    removals: set[int] = set()  # seqs of removals that belong to a flag that was set in their place
    last = [("", "")]  # request of the last event, and the flag that it replaces

    async def append(params: Any, body: ev.Body) -> protocol.Done:
        request = new_ulid()
        goes_with = isinstance(body, ev.FlagRemoved) and body.undoes is None and body.flag == last[0][1]
        if goes_with:
            request = f"{last[0][0]}-replaced"
        replaces = body.replaces if isinstance(body, ev.FlagSet) else ""
        undoes = body.undoes if isinstance(body, ev.ReversibleAct) else None
        about: tuple[str, int] | None = None
        if undoes in removals:
            request = f"{last[0][0]}-replaced"
        elif undoes in abouts:
            about = ("redo" if abouts[undoes][0] == "undo" else "undo"), abouts[undoes][1]
        elif undoes is not None:
            event = feed.reader.event(params.session, undoes)
            assert event is not None
            about = "undo", event.id
        if about is not None:
            request = f"{about[0]}-{about[1]}-{new_ulid()}"
        if isinstance(body, ev.FlagSet):
            body = msgspec.structs.replace(body, undoes=None, replaces="")
        elif isinstance(body, ev.ReversibleAct):
            body = msgspec.structs.replace(body, undoes=None)
        made = await feed.add(params.session, body, actor=feed.actor, request=request)
        if about is not None:
            abouts[made.seq] = about
        if goes_with:
            removals.add(made.seq)
        last[0] = request, replaces
        return protocol.Done(params.session, made.seq, made.id)

    monkeypatch.setattr(feed, "_append", append)


@pytest.mark.parametrize("client", ["present", "older"])
async def test_every_act_is_undone_and_done_again_step_by_step_and_is_in_the_history(
    feed: FakeFeed, monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    if client == "older":
        written_by_an_older_client(feed, monkeypatch)
    session = await story(feed)
    async with running(feed) as (app, pilot):
        desk = app.desk
        seqs = {e.step: e.seq for e in feed.reader.events(session, kinds={"action.started"}) if e.step}
        stood = [standing(feed, desk, session)]
        todo = acts(desk, session, seqs)
        for name, deed in todo:
            await deed()
            await pilot.pause()
            stood.append(standing(feed, desk, session))
            assert stood[-1] != stood[-2], name
        assert [act.undone for act in await desk.undoing.history()] == [False] * len(todo) + [False]

        for at in reversed(range(len(todo))):
            act = await desk.undoing.last()
            assert act is not None and not act.passed, todo[at][0]
            await desk.undoing.undo(act, lambda _: None)
            await pilot.pause()
            assert standing(feed, desk, session) == stood[at], f"undo of {todo[at][0]}"
        assert await desk.undoing.last() is None, "what was delivered cannot be taken back"
        assert "undone" not in [desk.undoing.words(act) for act in await desk.undoing.history()]

        for at, (name, _) in enumerate(todo, 1):
            act = await desk.undoing.last_undone()
            assert act is not None, name
            await desk.undoing.redo(act)
            await pilot.pause()
            assert standing(feed, desk, session) == stood[at], f"redo of {name}"
        assert await desk.undoing.last_undone() is None
        said = [desk.undoing.words(act) for act in await desk.undoing.history()]
        assert len(set(said)) >= len(todo) - 2 and all("1 tune-lr" in words for words in said)


async def test_an_outcome_is_undone_by_key_and_its_signal_is_open_again(
    feed: FakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apollo_tui.screens.panels.advice_outcome.SETTLED_S", 0.0)
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "x"}, "y\n"))
    await feed.add(session, ev.AdviceQueued(advice=1, text="let it run"), actor=COLLEAGUE)
    await feed.add(session, ev.AdviceDelivered(advice=(1,), at_step=2, text="let it run"), step=2)
    for step in range(2, 6):
        await feed.step(session, step, ("run", {"command": f"train {step}"}, f"loss {step}\n"))
    async with running(feed) as (app, pilot):
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: app.screen is not app.view)
        await pilot.press("y")
        await until(pilot, lambda: "advice 1 followed · u undoes" in screen_text(app))
        await until(pilot, lambda: "to look at" not in screen_text(app).splitlines()[0])
        await pilot.press("u")
        await until(pilot, lambda: "undone: outcome of advice 1 to 1 tune-lr: followed" in screen_text(app))
        await until(pilot, lambda: "advice at step 2" in screen_text(app).splitlines()[0])
        await pilot.press("U")
        await until(pilot, lambda: not app.desk.state.sessions[session].summary.watch.delivered)


async def test_selected_advice_that_is_taken_back_comes_with_its_last_words_and_is_undone_in_the_history(
    feed: FakeFeed,
) -> None:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "x"}, "y\n"))
    await feed.add(session, ev.AdviceQueued(advice=1, text="save"), actor=feed.actor, request="q")
    await feed.add(session, ev.AdviceEdited(advice=1, text="save often"), actor=feed.actor, request="e")
    async with running(feed) as (app, pilot):
        await pilot.press("tab", "k", "u")
        await until(pilot, lambda: "advice to 1 tune-lr is a draft again" in screen_text(app))
        stored = app.desk.drafts.load(session)
        assert isinstance(stored, Draft) and stored.text == "save often"
        assert [act.undone for act in await app.desk.undoing.history()] == [True, True]
        assert await app.desk.undoing.last() is None and await app.desk.undoing.last_undone() is None


async def test_u_in_the_history_undoes_the_last_and_the_list_says_so(feed: FakeFeed) -> None:
    session = await story(feed)
    async with running(feed) as (app, pilot):
        await app.desk.signing.note(session, "leaks?")
        await pilot.press("H")
        await until(pilot, lambda: "note on 1 tune-lr: leaks?" in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: not app.desk.state.sessions[session].remarks.notes)
        await until(pilot, lambda: "undone" in screen_text(app) and app.screen is not app.view)
        await pilot.press("U")
        await until(pilot, lambda: app.desk.state.sessions[session].remarks.notes == {feed.actor: "leaks?"})
        await until(pilot, lambda: "undone" not in screen_text(app).replace("undoes", ""))

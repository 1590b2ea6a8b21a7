from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.acts.drafts import Draft
from apollo_tui.acts.flags import Word
from apollo_tui.acts.signals import judge_signal, set_outcome
from apollo_tui.acts.signoffs import sign_off, toggle_bookmark, write_note
from apollo_tui.context import AppContext
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


def standing(feed: FakeFeed, context: AppContext, session: str) -> dict[str, Any]:
    """All that anybody says of the session, as it stands in the log."""
    now = context.state.sessions[session]
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


def acts(context: AppContext, session: str, seqs: dict[int, int]) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
    """One of each act that an annotator can do, by name; several say another word on the same thing."""
    flags, feed, state = context.flags, context.feed, context.state
    signal = Signal("polling_streak:9", "polling_streak", session, seqs[2], 2, 0, "polls", 1, acute=False)

    async def flag(word: Word) -> object:
        return await flags.set_flag(await flags.find_subject(session, seqs[2]), word, seen=None)

    async def unflag() -> object:
        subject = await flags.find_subject(session, seqs[2])
        own = flags.own_flag(subject)
        assert own is not None
        return await flags.remove_flag(subject, own)

    async def at_call(deed: Callable[[Any], Awaitable[object]]) -> object:
        return await deed(await flags.find_subject(session, seqs[2]))

    async def edit(text: str) -> object:
        return await context.feed.call(protocol.EditAdvice(request=new_ulid(), session=session, advice=2, text=text))

    return [
        ("a flag", lambda: flag(Word())),
        ("another label", lambda: flag(Word(label="x/impatience", note="too early"))),
        ("the flag is taken back", unflag),
        ("a good mark", lambda: flag(Word("good"))),
        ("a recovery", lambda: at_call(flags.toggle_recovery)),
        ("no recovery", lambda: at_call(flags.toggle_recovery)),
        ("a sign-off", lambda: sign_off(feed, state, session, "partial")),
        ("judged up to", lambda: sign_off(feed, state, session, None, 2)),
        ("no sign-off", lambda: sign_off(feed, state, session, None)),
        ("a note", lambda: write_note(feed, state, session, "leaks?")),
        ("another note", lambda: write_note(feed, state, session, "it leaks")),
        ("no note", lambda: write_note(feed, state, session, "")),
        ("a bookmark", lambda: at_call(partial(toggle_bookmark, feed, state))),
        ("no bookmark", lambda: at_call(partial(toggle_bookmark, feed, state))),
        ("a correction", lambda: flags.write_correction(session, CALL, "wait", new_ulid())),
        ("another correction", lambda: flags.write_correction(session, CALL, "wait for job 7", new_ulid())),
        ("no correction", lambda: flags.write_correction(session, CALL, "", new_ulid())),
        ("a snooze", lambda: judge_signal(feed, state, signal, "snoozed", context.clock())),
        ("seen to", lambda: judge_signal(feed, state, signal, "done", context.clock())),
        ("a false alarm", lambda: judge_signal(feed, state, signal, "false_alarm", context.clock())),
        ("an outcome", lambda: set_outcome(feed, state, session, 1, "followed")),
        ("another outcome", lambda: set_outcome(feed, state, session, 1, "made_it_worse")),
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
    async with open_app(feed) as (app, pilot):
        context = app.context
        seqs = {e.step: e.seq for e in feed.reader.events(session, kinds={"action.started"}) if e.step}
        stood = [standing(feed, context, session)]
        todo = acts(context, session, seqs)
        for name, deed in todo:
            await deed()
            await pilot.pause()
            stood.append(standing(feed, context, session))
            assert stood[-1] != stood[-2], name
        assert [act.undone for act in await context.undo.acts()] == [False] * len(todo) + [False]

        for at in reversed(range(len(todo))):
            act = await context.undo.act_to_undo()
            assert act is not None and not act.passed, todo[at][0]
            await context.undo.undo(act, lambda _: None)
            await pilot.pause()
            assert standing(feed, context, session) == stood[at], f"undo of {todo[at][0]}"
        assert await context.undo.act_to_undo() is None, "what was delivered cannot be taken back"
        assert "undone" not in [context.undo.words(act) for act in await context.undo.acts()]

        for at, (name, _) in enumerate(todo, 1):
            act = await context.undo.act_to_redo()
            assert act is not None, name
            await context.undo.redo(act)
            await pilot.pause()
            assert standing(feed, context, session) == stood[at], f"redo of {name}"
        assert await context.undo.act_to_redo() is None
        said = [context.undo.words(act) for act in await context.undo.acts()]
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
    async with open_app(feed) as (app, pilot):
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: app.screen is not app.view)
        await pilot.press("y")
        await until(pilot, lambda: "advice 1 followed · u undoes" in screen_text(app))
        await until(pilot, lambda: "to look at" not in screen_text(app).splitlines()[0])
        await pilot.press("u")
        await until(pilot, lambda: "undone: outcome of advice 1 to 1 tune-lr: followed" in screen_text(app))
        await until(pilot, lambda: "advice at step 2" in screen_text(app).splitlines()[0])
        await pilot.press("U")
        await until(pilot, lambda: not app.context.state.sessions[session].summary.watch.delivered)


async def test_selected_advice_that_is_taken_back_comes_with_its_last_words_and_is_undone_in_the_history(
    feed: FakeFeed,
) -> None:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "x"}, "y\n"))
    await feed.add(session, ev.AdviceQueued(advice=1, text="save"), actor=feed.actor, request="q")
    await feed.add(session, ev.AdviceEdited(advice=1, text="save often"), actor=feed.actor, request="e")
    async with open_app(feed) as (app, pilot):
        await pilot.press("tab", "k", "u")
        await until(pilot, lambda: "advice to 1 tune-lr is a draft again" in screen_text(app))
        stored = app.context.drafts.load(session)
        assert isinstance(stored, Draft) and stored.text == "save often"
        assert [act.undone for act in await app.context.undo.acts()] == [True, True]
        assert await app.context.undo.act_to_undo() is None and await app.context.undo.act_to_redo() is None


async def test_u_in_the_history_undoes_the_last_and_the_list_says_so(feed: FakeFeed) -> None:
    session = await story(feed)
    async with open_app(feed) as (app, pilot):
        await write_note(app.context.feed, app.context.state, session, "leaks?")
        await pilot.press("H")
        await until(pilot, lambda: "note on 1 tune-lr: leaks?" in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: not app.context.state.sessions[session].remarks.notes)
        await until(pilot, lambda: "undone" in screen_text(app) and app.screen is not app.view)
        await pilot.press("U")
        await until(pilot, lambda: app.context.state.sessions[session].remarks.notes == {feed.actor: "leaks?"})
        await until(pilot, lambda: "undone" not in screen_text(app).replace("undoes", ""))

from __future__ import annotations

import msgspec
import pytest
from fake_feed import FakeFeed
from headless_app import Running, open_app, screen_text, until
from textual.pilot import Pilot

from apollo_tui.screens.panels.labels import LabelPanel
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.host import protocol


async def story(feed: FakeFeed) -> str:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "python train.py"}, "loss 2.1"), text="I begin.", reasoning="Hm.")
    await feed.step(session, 2, ("job_kill", {"job": 7}, "killed"), text="It is slow.", reasoning="Too slow.")
    await feed.step(session, 3, ("run", {"command": "ls"}, "a b c"))
    return session


def sent(feed: FakeFeed, kind: str) -> list[ev.Body]:
    calls = [call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind == kind]
    return [msgspec.convert(call.body, ev.KINDS[kind]) for call in calls]


def flags(feed: FakeFeed) -> list[ev.FlagSet]:
    return [body for body in sent(feed, "flag.set") if isinstance(body, ev.FlagSet)]


async def opened(app: Running, pilot: Pilot[None], *keys: str) -> None:
    """The session with the job_kill of step 2 selected, then more keys."""
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app[0].screen, SessionScreen) and "job_kill" in screen_text(app[0]))
    await pilot.press("left_square_bracket", "left_square_bracket", *keys)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_one_letter_labels_and_the_panel_shows_what_each_letter_means(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    await story(feed)
    async with open_app(feed, size) as (app, pilot):
        await opened((app, pilot), pilot, "F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel) and "about the call 2.1" in screen_text(app))
        assert "hallucination" in screen_text(app)
        await pilot.press("down")
        await until(pilot, lambda: "States something that no input" in screen_text(app))
        await pilot.press("x")
        await until(pilot, lambda: len(flags(feed)) == 1)
        (flag,) = flags(feed)
        assert (str(flag.target), flag.label, flag.severity, flag.until_recovery) == (
            "2.1",
            "x/impatience",
            None,
            False,
        )
        await until(pilot, lambda: "1 tune-lr · 2.1 job_kill: impatience · u undoes" in screen_text(app))


async def test_enter_in_the_label_panel_sets_no_label_and_then_leaves_ones_own_as_it_is(feed: FakeFeed) -> None:
    await story(feed)
    async with open_app(feed, (80, 24)) as (app, pilot):
        await opened((app, pilot), pilot, "F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel) and "›  no label" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: [flag.label for flag in flags(feed)] == ["unspecified"])
        await pilot.press("F", "x")
        await until(pilot, lambda: [flag.label for flag in flags(feed)][1:] == ["x/impatience"])
        await until(pilot, lambda: "impatience · u undoes" in screen_text(app))
        await pilot.press("F")
        await until(pilot, lambda: "›x impatience" in screen_text(app))


async def test_part_reach_severity_and_note_are_chosen_before_the_letter(feed: FakeFeed) -> None:
    await story(feed)
    async with open_app(feed) as (app, pilot):
        await opened((app, pilot), pilot, "F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        await pilot.press("right")
        await until(pilot, lambda: "the whole reply of step 2" in screen_text(app))
        await pilot.press("right")
        await until(pilot, lambda: "the reasoning of step 2" in screen_text(app))
        await pilot.press("asterisk", "4", "tab", *"too early", "tab", "x")
        await until(pilot, lambda: len(flags(feed)) == 1)
    (flag,) = flags(feed)
    assert str(flag.target) == "2:reasoning" and flag.note == "too early"
    assert flag.severity == 4 and flag.until_recovery


async def test_keys_that_find_nothing_to_take_say_what_to_press(feed: FakeFeed) -> None:
    session = await feed.session("empty")
    async with open_app(feed) as (app, pilot):
        for opens in ((), ("enter",)):
            await pilot.press(*opens)
            for key, verb in (("f", "flag"), ("F", "label"), ("C", "correct"), ("y", "copy")):
                await pilot.press(key)
                await until(pilot, lambda v=verb: f"{v}: no action is selected here; [ selects one" in screen_text(app))
            await pilot.press("D")
            await until(pilot, lambda: "nothing wants you here" in screen_text(app))
            await pilot.press("a")
            await until(pilot, lambda: "the agent asks nothing here" in screen_text(app))
        await feed.add(session, ev.StateChanged(state="finished"))
        await until(pilot, lambda: "finished" in screen_text(app))
        await pilot.press("p")
        await until(pilot, lambda: "the session has ended; `:reopen` lets it go on" in screen_text(app))
        feed.link(False)
        await until(pilot, lambda: not app.context.state.writable)
        await pilot.press("f")
        await until(pilot, lambda: "nothing can be written while no host" in screen_text(app))
        assert not flags(feed) and app.screen.receipt


async def test_a_step_that_did_a_flagged_one_over_can_be_called_right_there_too(feed: FakeFeed) -> None:
    session = await story(feed)
    await feed.add(session, ev.FlagSet(flag="f", target=ev.Target(2)), actor="human:bob")
    await feed.add(session, ev.AdviceDelivered(advice=(1,), at_step=4, text="Look first."), step=4)
    await feed.step(session, 4, ("tail", {"n": 5}, "loss 2.0"))
    await feed.step(session, 5, ("run", {"command": "pwd"}, "/"))
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "pwd" in screen_text(app))
        await pilot.press("left_square_bracket", "F")
        await until(pilot, lambda: "about the call 5.1" in screen_text(app))
        assert "good, there too" not in screen_text(app)
        await pilot.press("escape", "left_square_bracket", "F")
        await until(pilot, lambda: "about the call 4.1" in screen_text(app))
        await pilot.press("down")
        await until(pilot, lambda: "Also right at step 2, which is flagged" in screen_text(app))
        await pilot.press("less_than_sign")
        await until(pilot, lambda: "4.1 tail: good, there too · u undoes" in screen_text(app))
        await pilot.press("F")
        await until(pilot, lambda: "›< good, there too" in screen_text(app))
        await pilot.press("escape", "left_square_bracket", "full_stop")
        await until(pilot, lambda: len(flags(feed)) == 2)
    said = [(str(flag.target), flag.verdict, flag.label) for flag in flags(feed)]
    assert said == [("4.1", "good", "right-there-too"), ("3.1", "good", "unspecified")]


async def test_a_span_from_here_to_there(feed: FakeFeed) -> None:
    session = await story(feed)
    async with open_app(feed) as (app, pilot):
        await opened((app, pilot), pilot, "V")
        await until(pilot, lambda: "span from step 2" in screen_text(app))
        assert "go to its end, then F" in screen_text(app)
        await pilot.press("right_square_bracket", "F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel) and "about steps 2 to 3" in screen_text(app))
        await pilot.press("right")
        await until(pilot, lambda: "about the whole reply of step 3" in screen_text(app))
        await pilot.press("left")
        await until(pilot, lambda: "about steps 2 to 3" in screen_text(app))
        await pilot.press("s")
        await until(pilot, lambda: len(flags(feed)) == 1)
        assert flags(feed)[0].target == ev.Target(2, "span", to_step=3)

        def marks() -> list[int]:
            entries = app.context.state.sessions[session].book.entries()
            return [len(entry.flags) for entry in entries if entry.kind == "action"]

        await until(pilot, lambda: marks() == [0, 1, 1])
        assert app.context.flags.span is None


@pytest.mark.parametrize(
    ("keys", "target"),
    [
        (("V", "left_square_bracket", "F", "s"), ev.Target(1, "span", to_step=2)),  # backwards
        (("V", "F", "s"), ev.Target(2, "span", to_step=2)),
        (("V", "V", "right_square_bracket", "F", "s"), ev.Target(3, "call", 1)),  # the second one ends it
        (("V", "right_square_bracket", "f"), ev.Target(2, "span", to_step=3)),  # what is painted as selected
        (("V", "right_square_bracket", "F", "left", "s"), ev.Target(3, "call", 1)),
    ],
)
async def test_after_V_the_span_is_what_F_means_unless_another_target_is_chosen(
    feed: FakeFeed, keys: tuple[str, ...], target: ev.Target
) -> None:
    await story(feed)
    async with open_app(feed) as (app, pilot):
        await opened((app, pilot), pilot)
        for key in keys:
            await pilot.press(key)
            await until(pilot, lambda k=key: k != "F" or isinstance(app.screen, LabelPanel))  # type: ignore[misc]
        await until(pilot, lambda: [flag.target for flag in flags(feed)] == [target])


@pytest.mark.parametrize(
    ("keys", "steps"),
    [
        (("V", "k", "F"), (2, 7)),  # from the end back to the run of polls
        (("k", "k", "V", "j", "F"), (1, 6)),  # from the beginning up to it
        (("k", "V", "F"), (2, 6)),  # it alone
        (("k", "V", "k", "F"), (1, 6)),
    ],
)
async def test_a_span_has_all_steps_of_a_run_that_is_shown_as_one_row(
    feed: FakeFeed, keys: tuple[str, ...], steps: tuple[int, int]
) -> None:
    session = await feed.session("poller")
    await feed.step(session, 1, ("run", {"command": "python train.py"}, "started"))
    for step in range(2, 7):
        await feed.step(session, step, ("job_output", {"job": 3}, "nothing yet"))
    await feed.step(session, 7, ("run", {"command": "ls"}, "a b c"))
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "×5" in screen_text(app))
        await pilot.press("[")
        for key in keys:
            await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        await until(pilot, lambda: f"about steps {steps[0]} to {steps[1]}" in screen_text(app))
        await pilot.press("s")
        await until(
            pilot, lambda: [flag.target for flag in flags(feed)] == [ev.Target(steps[0], "span", to_step=steps[1])]
        )


async def test_a_span_of_another_session_is_no_target_here(feed: FakeFeed) -> None:
    await story(feed)
    other = await feed.session("poller")
    await feed.step(other, 1, ("run", {"command": "ls"}, "a"))
    async with open_app(feed) as (app, pilot):
        await opened((app, pilot), pilot, "V", "tab")
        await until(pilot, lambda: app.screen.session == other)  # type: ignore[attr-defined]
        await pilot.press("left_square_bracket", "F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel) and "about the call 1.1" in screen_text(app))


async def test_good_unsure_recovery_and_the_last_label_have_a_key_each(feed: FakeFeed) -> None:
    session = await story(feed)
    async with open_app(feed) as (app, pilot):
        await opened((app, pilot), pilot, "full_stop")
        await until(pilot, lambda: "no label to repeat yet" in screen_text(app))
        await pilot.press("F", "x")
        await until(pilot, lambda: len(flags(feed)) == 1)
        await pilot.press("right_square_bracket", "full_stop")
        await until(pilot, lambda: len(flags(feed)) == 2)
        await pilot.press("plus")
        await until(pilot, lambda: len(flags(feed)) == 3)
        await pilot.press("equals_sign")
        await until(pilot, lambda: len(flags(feed)) == 4)
        await pilot.press("R")
        await until(pilot, lambda: app.context.state.sessions[session].remarks.recoveries == {3: "human:ada"})
        await pilot.press("R")
        await until(pilot, lambda: not app.context.state.sessions[session].remarks.recoveries)
        standing = [body for _, body in app.context.state.sessions[session].flags.values()]
        assert [(str(flag.target), flag.verdict) for flag in standing] == [("2.1", "bad"), ("3.1", "unsure")]
    assert [flag.label for flag in flags(feed)[:2]] == ["x/impatience", "x/impatience"]


async def test_the_last_label_is_known_after_a_restart(feed: FakeFeed) -> None:
    session = await story(feed)
    body = ev.FlagSet(flag="old", target=ev.Target(1), label="trail/goal-deviation")
    await feed.add(session, body, actor=feed.actor)
    async with open_app(feed) as (app, pilot):
        await opened((app, pilot), pilot, "full_stop")
        await until(pilot, lambda: [flag.label for flag in flags(feed)] == ["trail/goal-deviation"])


async def test_undo_and_redo_go_through_everything_and_the_history_names_it(feed: FakeFeed) -> None:
    session = await story(feed)
    async with open_app(feed) as (app, pilot):
        now = app.context.state.sessions[session]
        await opened((app, pilot), pilot, "f")
        await until(pilot, lambda: len(now.flags) == 1)
        await pilot.press("F", "x")
        await until(pilot, lambda: [body.label for _, body in now.flags.values()] == ["x/impatience"])
        await pilot.press("S", "p")
        await until(pilot, lambda: now.remarks.sign_offs)
        await pilot.press("B")
        await until(pilot, lambda: now.remarks.bookmarks)
        await pilot.press("u")
        await until(pilot, lambda: not now.remarks.bookmarks)
        await pilot.press("u")
        await until(pilot, lambda: not now.remarks.sign_offs)
        await pilot.press("u")
        await until(pilot, lambda: [body.label for _, body in now.flags.values()] == ["unspecified"])
        await pilot.press("u")
        await until(pilot, lambda: not now.flags)
        for done in (
            lambda: [body.label for _, body in now.flags.values()] == ["unspecified"],
            lambda: [body.label for _, body in now.flags.values()] == ["x/impatience"],
            lambda: now.remarks.sign_offs,
            lambda: now.remarks.bookmarks,
        ):
            await pilot.press("U")
            await until(pilot, done)
        await pilot.press("U")
        await until(pilot, lambda: "nothing of yours to do again" in screen_text(app))
        await pilot.press("u", "H")
        await until(pilot, lambda: "what you did on this log (4)" in screen_text(app))
        text = screen_text(app)
        assert "bookmark on 1 tune-lr · 2.1" in text and "undone" in text
        assert "sign-off of 1 tune-lr: partial" in text and "flag impatience on 1 tune-lr · 2.1" in text


async def test_a_new_act_ends_what_could_be_done_again(feed: FakeFeed) -> None:
    session = await story(feed)
    async with open_app(feed) as (app, pilot):
        now = app.context.state.sessions[session]
        await opened((app, pilot), pilot, "f")
        await until(pilot, lambda: len(now.flags) == 1)
        await pilot.press("u")
        await until(pilot, lambda: not now.flags)
        await pilot.press("plus")
        await until(pilot, lambda: len(now.flags) == 1)
        await pilot.press("U")
        await until(pilot, lambda: "nothing of yours to do again" in screen_text(app))


async def test_sign_off_up_to_a_step_a_note_and_bookmarks_to_jump_to(feed: FakeFeed) -> None:
    session = await story(feed)
    async with open_app(feed, (80, 24)) as (app, pilot):
        now = app.context.state.sessions[session]
        await opened((app, pilot), pilot, "B", "S")
        await until(pilot, lambda: "judged up to step 2" in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: now.remarks.sign_off_lines() == ["judged up to step 2 by ada"])
        await pilot.press("S", "n", *"leaks?", "enter")
        await until(pilot, lambda: now.remarks.notes == {"human:ada": "leaks?"})
        await pilot.press("G", "escape")
        await pilot.press("L")
        await until(pilot, lambda: "bookmarks" in screen_text(app) and "2.1" in screen_text(app))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and app.screen.subject() is not None)
        found = app.screen.subject()  # type: ignore[attr-defined]
        assert found is not None and found[1].target == "2.1"
        await pilot.press("S", "t")
        await until(pilot, lambda: not now.remarks.sign_offs)
        await pilot.press("u")
        await until(pilot, lambda: now.remarks.sign_off_lines() == ["judged up to step 2 by ada"])


async def test_the_same_advice_goes_to_all_marked_sessions_and_a_resend_reaches_each_once(feed: FakeFeed) -> None:
    first = await story(feed)
    second = await feed.session("poller")
    third = await feed.session("formats")
    async with open_app(feed) as (app, pilot):
        await pilot.press("asterisk", "j", "j", "asterisk")
        await until(pilot, lambda: "2 marked" in screen_text(app))
        await pilot.press("I", *"save often")
        await until(pilot, lambda: "1 tune-lr and 3 formats" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "queued: advice to 2 sessions" in screen_text(app))
        told = [call for call in feed.calls if isinstance(call, protocol.QueueAdvice)]
        assert [(call.session, call.text) for call in told] == [(first, "save often"), (third, "save often")]
        assert not app.context.state.sessions[second].summary.open_advice
        assert app.context.drafts.all() == []
        await pilot.press("u")
        await until(pilot, lambda: "undone: advice to 2 sessions" in screen_text(app))
        sessions = app.context.state.sessions
        await until(pilot, lambda: not any(sessions[one].summary.open_advice for one in (first, third)))
        (draft,) = app.context.drafts.all()
        assert (draft.session, draft.also, draft.text) == (first, (third,), "save often")
        await until(pilot, lambda: "1 tune-lr and 3 formats" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: sum(isinstance(call, protocol.QueueAdvice) for call in feed.calls) == 4)

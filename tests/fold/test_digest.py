"""A digest equals a recount from the raw events, for random sessions and random intervals."""

from __future__ import annotations

import itertools
import random

import pytest
from session_in_memory import Story

from sessions import events as ev
from sessions.events.messages import CallPart, TextPart
from sessions.fold.digest import KINDS, Baseline, Digest, digest_of


def random_session(seed: int, length: int = 120) -> Story:
    draw = random.Random(seed)
    story = Story()
    for number in range(length):
        story.step += 1
        pause = draw.randint(500, 90_000)
        story.tell(ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256=""), after=pause)
        name = draw.choice(["run", "run", "wait", "job_output", "edit_file"])
        arguments = f'{{"n": {draw.randint(0, 1)}}}'
        story.tell(
            ev.ModelReplied(
                request=1, parts=(TextPart("x"), CallPart(str(number), name, arguments)), finish="calls", cost=0.25
            )
        )
        chance = draw.random()
        if chance < 0.1:
            story.tell(ev.ActionRefused(call_id="c", name=name, why="malformed"), call=1)
            continue
        story.tell(ev.ActionStarted(call_id="c", name=name, arguments={}), call=1)
        if chance < 0.2:
            story.tell(ev.FileChanged(path=f"f{draw.randint(0, 3)}", before="a", after="b"), call=1)
        if chance > 0.93:
            story.tell(ev.EvalScored(score=round(draw.random(), 3), used=1), call=1)
        outcome = "error" if draw.random() < 0.2 else "ok"
        story.tell(ev.ActionResult(call_id="c", outcome=outcome, output=ev.LongText("same")), call=1)
        if chance > 0.97:
            story.tell(ev.StateChanged(state="paused", reason="by hand"))
            story.tell(ev.StateChanged(state="running"), after=draw.randint(1, 10**6))
        if 0.3 < chance < 0.33:
            story.tell(ev.AdviceDelivered(advice=(number + 1,), at_step=story.step + 1, text="t"), actor="host")
        if 0.4 < chance < 0.42:
            flag = ev.FlagSet(flag=str(number), target=ev.Target(step=story.step))
            story.tell(flag, actor=draw.choice(["human:me", "human:other"]))
    return story


def recount(events: list[ev.Event], since: int, until: int) -> dict[str, float]:
    """The same figures by brute force: second by second for the clock, by list comprehensions for the rest."""
    inside = [e for e in events if since <= e.at <= until]

    def of(kind: type[ev.Body]) -> list[ev.Event]:
        return [e for e in inside if isinstance(e.body, kind)]

    changes = [(e.at, e.body.state) for e in events if isinstance(e.body, ev.StateChanged)]
    edges = sorted({since, until, *(at for at, _ in changes if since < at < until)})
    active = 0
    for begin, end in itertools.pairwise(edges):
        state = next((state for at, state in reversed(changes) if at <= begin), "created")
        active += (end - begin) if state in ("running", "sleeping", "on_job") else 0
    return {
        "steps": len({e.step for e in of(ev.ModelReplied)}),
        "malformed": len(of(ev.ActionRefused)),
        "errors": sum(e.body.outcome != "ok" for e in of(ev.ActionResult) if isinstance(e.body, ev.ActionResult)),
        "evals": len(of(ev.EvalScored)),
        "files": len({e.body.path for e in of(ev.FileChanged) if isinstance(e.body, ev.FileChanged)}),
        "advice": len(of(ev.AdviceDelivered)),
        "flags by others": sum(e.actor != "human:me" for e in of(ev.FlagSet)),
        "paused": sum(e.body.state == "paused" for e in of(ev.StateChanged) if isinstance(e.body, ev.StateChanged)),
        "money": 0.25 * len(of(ev.ModelReplied)),
        "active": active,
    }


def digest_between(events: list[ev.Event], since: int, until: int) -> Digest:
    earlier = [e for e in events if e.at < since]
    states = [e.body.state for e in earlier if isinstance(e.body, ev.StateChanged)]
    scores = [e.body.score for e in earlier if isinstance(e.body, ev.EvalScored)]
    before = Baseline(states[-1] if states else "created", scores[-1] if scores else None)
    inside = [e for e in events if since <= e.at <= until]
    return digest_of("S", inside, since=since, until=until, before=before, reader="human:me")


@pytest.mark.parametrize("seed", range(12))
def test_a_digest_of_a_random_interval_equals_a_recount_from_the_raw_log(seed: int) -> None:
    story = random_session(seed)
    draw = random.Random(seed + 1000)
    for _ in range(20):
        since, until = sorted(draw.sample(range(1_000_000, story.at + 10_000), 2))
        found = digest_between(story.events, since, until)
        assert {f.name: f.value for f in found.figures if f.name in recount([], 0, 0)} == recount(
            story.events, since, until
        )


@pytest.mark.parametrize("seed", range(4))
def test_events_of_kinds_that_are_not_counted_change_nothing(seed: int) -> None:
    story = random_session(seed)
    counted = [event for event in story.events if event.kind in KINDS]
    assert len(counted) < len(story.events)
    assert digest_between(counted, 0, story.at) == digest_between(story.events, 0, story.at)


def test_each_figure_names_the_events_that_it_counts() -> None:
    story = random_session(3)
    found = digest_between(story.events, 0, story.at)
    kinds = {e.seq: e.kind for e in story.events}
    named = {f.name: {kinds[seq] for seq in f.places} for f in found.figures}
    assert named["malformed"] == {"action.refused"}
    assert named["evals"] == {"eval.scored"}
    assert named["errors"] == {"action.result"}
    assert named["steps"] == {"model.reply"}


def test_advice_counts_as_delivered_once() -> None:
    def told(*advice: int) -> ev.AdviceDelivered:
        return ev.AdviceDelivered(advice=advice, at_step=2, text="t")

    def lost(advice: int) -> ev.AdviceRequeued:
        return ev.AdviceRequeued(advice=advice, text="t", why="not_delivered")

    def delivered(*bodies: ev.Body, repeats: frozenset[int] = frozenset()) -> tuple[int, ...]:
        story = Story()
        for body in bodies:
            story.tell(body)
        before = Baseline(repeats=repeats)
        found = digest_of("S", story.events, since=0, until=story.at, before=before)
        return next(figure.places for figure in found.figures if figure.name == "advice")

    standing = ev.AdviceRequeued(advice=1, text="t", why="standing")
    assert delivered(told(1), lost(1), told(1)) == (5,), "the turn that was none is no place"
    assert delivered(told(1, 2), lost(1), told(1)) == (3, 5)
    assert delivered(told(1), standing, told(1)) == (3,)
    assert delivered(told(1), standing, told(1, 2)) == (3, 5)
    assert delivered(told(1), repeats=frozenset({1})) == ()
    assert delivered(lost(1), told(1)) == (4,), "it was delivered before the interval, and not at all"


def test_loops_and_what_followed_advice_are_told() -> None:
    story = Story()
    for number in range(5):
        story.step += 1
        story.tell(
            ev.ModelReplied(request=1, parts=(CallPart(str(number), "run", '{"command":"make"}'),), finish="calls")
        )
        story.act_of(story.step, "run", "no rule", "error")
    story.tell(ev.AdviceDelivered(advice=(1,), at_step=6, text="t"))
    story.step += 1
    story.tell(ev.ActionStarted(call_id="c", name="wait", arguments={"job": 1}), call=1)
    found = digest_between(story.events, 0, story.at)
    said = {figure.name: figure.words for figure in found.nonzero}
    assert said["loops"] == "1 loop of 5"
    assert said["advice"] == "1 advice delivered (advice 1: then `wait` at step 6)"


def test_what_is_over_is_told_as_past_after_all_that_is_still_so() -> None:
    story = Story()

    def told(state: ev.StateChanged) -> Digest:
        story.tell(state)
        return digest_between(story.events, 0, story.at)

    story.step = 1
    story.tell(ev.ModelReplied(request=1, parts=(TextPart("x"),), finish="stop"))
    told(ev.StateChanged(state="needs_you", reason="no key"))
    told(ev.StateChanged(state="paused", reason="the host was stopped; resume it"))
    found = told(ev.StateChanged(state="running"))
    assert [figure.words for figure in found.headline] == ["1 step", "needed you", "was paused"]
    assert found.badness == 0
    found = told(ev.StateChanged(state="paused", reason="by ada"))
    assert [figure.words for figure in found.headline] == ["paused: by ada (2×)", "1 step", "needed you"]
    found = told(ev.StateChanged(state="needs_you", reason="out of steps"))
    assert [figure.words for figure in found.headline] == ["needs you: out of steps (2×)", "1 step", "was paused (2×)"]
    assert found.badness == 500

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from supervision_testbed import SHAPE, WORLD

from benchmarks.supervision.chain import OVER, SUBMIT, WAIT, Chain, Clues, State, World, observation, task_text


def run(chain: Chain, choose: object) -> list[State]:
    states = [chain.start()]
    while states[-1].phase not in OVER:
        states.append(chain.act(states[-1], choose(states[-1])))  # type: ignore[operator]
    return states


def test_who_knows_everything_always_succeeds() -> None:
    for episode in range(50):
        chain = Chain(World(replace(SHAPE, budget=20), 5), episode)
        states = run(chain, chain.right)
        assert states[-1].phase == "success"
        assert states[-1].stage == SHAPE.stages


def test_the_same_seeds_and_actions_give_the_same_episode() -> None:
    def once() -> list[State]:
        draw = random.Random(3)
        return run(Chain(WORLD, 7), lambda _: draw.choice(SHAPE.acts))

    assert once() == once()


def test_an_error_keeps_its_agent_until_its_own_repair() -> None:
    chain = Chain(WORLD, 1)
    start = chain.start()
    wrong = next(act for act in SHAPE.acts if act not in (chain.right(start), SUBMIT))
    error = chain.act(start, wrong)
    assert error.phase == "error"
    other = next(f"FIX{n}" for n in range(SHAPE.errors) if n != error.at)
    assert chain.act(error, other).sight == error.sight
    mended = chain.act(error, f"FIX{error.at}")
    assert (mended.phase, mended.at, mended.stage) == ("clue", start.at, 0)


def test_the_held_out_clue_of_a_key_is_shown_where_it_is_asked_for_and_nowhere_else() -> None:
    stages = SHAPE.stages

    def shown(clues: Clues) -> list[list[bool]]:
        found = []
        for episode in range(60):
            chain = Chain(WORLD, episode, clues)
            passed = {state.stage: state for state in run(chain, chain.right) if state.phase == "clue"}
            found.append([state.at == WORLD.held_out(state.key) for state in passed.values()])
        return found

    assert not any(any(episode) for episode in shown("known"))
    assert [sum(episode) for episode in shown("one held out")] == [1] * 60
    assert 0 < sum(map(sum, shown("all"))) < 60 * stages
    assert {WORLD.held_out(key) for key in range(SHAPE.keys)} <= set(range(SHAPE.clues))


def test_impatience_loses_a_job_and_waiting_ends_it() -> None:
    chain = Chain(WORLD, 2)
    busy = State(0, 0, 1, "busy", waits=1)
    assert chain.act(busy, WAIT).stage == 1
    lost = chain.act(busy, "A0")
    assert (lost.stage, lost.phase) == (0, "clue")
    assert chain.act(replace(busy, waits=2), WAIT).phase == "busy"


@pytest.mark.parametrize(("state", "action"), [(State(0), SUBMIT), (State(0, step=SHAPE.budget - 1), WAIT)])
def test_submitting_early_and_running_out_of_steps_are_failures(state: State, action: str) -> None:
    assert Chain(WORLD, 3).act(state, action).phase == "failure"


def test_what_is_shown_says_how_things_stand_and_never_the_right_action() -> None:
    for episode in range(20):
        chain = Chain(WORLD, episode)
        start = chain.start()
        assert start.sight in observation(chain, start)
        assert f"K{start.key}" in task_text(chain)
        assert chain.right(start) not in task_text(chain).replace("`act`", "")

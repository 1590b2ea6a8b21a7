from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from supervision_testbed import SHAPE, WORLD, bench

from apollo_train.export.run import run_export
from apollo_train.policy import parse_policy
from apollo_train.samples.prompts import Turn
from benchmarks.supervision.annotator import LABEL, Expert
from benchmarks.supervision.arms import ARMS, RANDOM, arm
from benchmarks.supervision.episodes import actions_of, judge
from benchmarks.supervision.knobs import load_knobs
from benchmarks.supervision.review import flag_at_random, flag_what_is_wrong
from benchmarks.supervision.rollouts import Cast, play
from benchmarks.supervision.serve import EXPERT
from benchmarks.supervision.shorter_prompts import without_steps
from benchmarks.supervision.training import Unsound, as_served
from benchmarks.supervision.vocabulary import Words
from sessions import events as ev

KNOBS = load_knobs().annotator
EXACT = msgspec.structs.replace(KNOBS, recall=1.0, false_positives=0.0, delay=(0, 1), look_rate=1.0)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def told(made: list[dict[str, Any]]) -> list[str]:
    """What users said in the prompts."""
    return [message["content"] for row in made for message in row["prompt"] if message["role"] == "user"]


async def test_a_session_in_the_host_goes_as_the_rules_say_and_tells_its_score(tmp_path: Path) -> None:
    async with bench(tmp_path) as (at, url):
        done = await play(at, WORLD, Cast(EXPERT, url, "oracle"), range(2), tmp_path / "tasks")
        assert all(each.success for each in done)
        assert judge(WORLD, [0, 1], [[s.action for s in each.steps] for each in done]).right == 1.0
        scores = [e.body for e in at.reader.events(done[0].session, kinds={"eval.scored"})]
        assert [body.score for body in scores if isinstance(body, ev.EvalScored)] == [1.0]
        base = await play(at, WORLD, Cast("base", url, "raw"), range(3), tmp_path / "tasks")
        chances = [0.0] * len(Words(SHAPE).all)
        for each in base:
            assert [s.action for s in each.steps] == actions_of(lambda _: chances, WORLD, each.episode, 1.0)


async def test_advice_comes_at_the_same_steps_however_often_it_is_played(tmp_path: Path) -> None:
    async with bench(tmp_path) as (at, url):
        cast = Cast("base", url, "advised")
        one = await play(at, WORLD, cast, range(3), tmp_path / "tasks", KNOBS)
        two = await play(at, WORLD, cast, range(3), tmp_path / "tasks", KNOBS)
        assert [each.steps for each in one] == [each.steps for each in two]
        assert sum(each.advice for each in one) > 0

        def delivered(session: str) -> list[tuple[int, str]]:
            bodies = [e.body for e in at.reader.events(session, kinds={"advice.delivered"})]
            queued = [e.body for e in at.reader.events(session, kinds={"advice.queued"})]
            texts = [body.text for body in queued if isinstance(body, ev.AdviceQueued)]
            steps = [body.at_step for body in bodies if isinstance(body, ev.AdviceDelivered)]
            return list(zip(steps, texts, strict=False))

        assert [delivered(each.session) for each in one] == [delivered(each.session) for each in two]


async def test_the_arms_train_what_they_say_through_the_product_s_own_export(tmp_path: Path) -> None:
    async with bench(tmp_path) as (at, url):
        advised = await play(at, WORLD, Cast("base", url, "advised"), range(4), tmp_path / "tasks", EXACT)
        number = await flag_what_is_wrong(at, WORLD, advised, LABEL, EXACT)
        await flag_at_random(at, advised, RANDOM, number, 1)
        total = sum(len(each.steps) for each in advised)
        right = {
            f"{each.session}:{seen.step}"
            for each in advised
            for seen in each.steps
            if not Expert(WORLD, each.key).wrong(seen)
        }
        assert number == total - len(right)
        sessions = [each.session for each in advised]
        made = {}
        for name in ("advice-kept", "advice-kept-masked", "advice-dropped-masked", "raw-random-masks"):
            out = tmp_path / f"{name}.jsonl"
            run_export(at.reader, sessions, parse_policy(arm(name).policy), "steps", out)
            made[name] = rows(out)
        assert len(made["advice-kept"]) == total
        assert {row["meta"]["id"] for row in made["advice-kept-masked"]} == right
        assert len(made["raw-random-masks"]) == total - number
        assert any("<advice-" in text for text in told(made["advice-kept-masked"]))
        assert not any("<advice-" in text for text in told(made["advice-dropped-masked"]))
        assert {row["meta"]["id"] for row in made["advice-dropped-masked"]} == right


async def test_rows_with_other_tokens_than_were_served_end_the_unit(tmp_path: Path) -> None:
    async with bench(tmp_path) as (at, url):
        (done,) = await play(at, WORLD, Cast("base", url, "raw"), [0], tmp_path / "tasks")
        targets = []
        for event in at.reader.events(done.session, kinds={"model.reply"}):
            assert isinstance(event.body, ev.ModelReplied) and event.body.usage is not None
            start = event.body.usage.input_tokens
            assert start is not None
            targets.append([str(event.step), start, start + 2])
        file = tmp_path / "rows.jsonl"

        def write(found: list[list[Any]]) -> None:
            file.write_text(json.dumps({"meta": {"session": done.session, "prompt": "exact", "targets": found}}) + "\n")

        write(targets)
        assert as_served(at.reader, file) == len(done.steps)
        write([[step, start + 1, end + 1] for step, start, end in targets])
        with pytest.raises(Unsound, match="step 1 of session"):
            as_served(at.reader, file)


def test_every_arm_has_a_policy_that_the_product_takes() -> None:
    for each in ARMS:
        policy = parse_policy(each.policy)
        assert policy.name == each.name
        assert policy.sessions.min_score == (1.0 if each.successes else None)
        assert policy.advice.correction == each.advice
        assert policy.flags.labels == ((each.masks,) if each.masks else ())
        assert bool(policy.flags.sources) == bool(each.masks)


def test_a_step_that_is_cut_out_of_a_prompt_goes_with_its_result_and_advice_stays() -> None:
    def said(role: str, text: str) -> Turn:
        return Turn({"role": role, "content": text})

    prompt = [said("system", "s"), said("user", "task")]
    prompt += [said("assistant", "1"), said("tool", "one"), said("user", "advice")]
    prompt += [said("assistant", "2"), said("tool", "two"), said("assistant", "3"), said("tool", "three")]
    assert [turn.chat["content"] for turn in without_steps(prompt, {1, 3})] == ["s", "task", "advice", "2", "two"]
    assert without_steps(prompt, ()) == prompt

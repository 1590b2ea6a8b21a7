from __future__ import annotations

import json
import random
from typing import Any

import pytest
from training_log import SESSION, Teller, kept_policy

from apollo_train.masks.annotations import read_annotations
from apollo_train.masks.reply_masks import mask_replies
from apollo_train.policy import AdviceRules, FilterPolicy, FlagRules, RuleMasks, TargetRules
from apollo_train.samples.segments import make_segments
from apollo_train.samples.step_samples import Exclusion, Source, StepSample, make_step_samples
from apollo_train.samples.weights import Weigher
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

KINDS: tuple[Any, ...] = ("knowledge", "strategy", "correction", "stop", None)
WORDS = "Look at the loss of the last thousand steps before anything else."


async def wander(told: Teller, chance: random.Random) -> None:
    """A session in which all that decides about samples happens at random."""
    for _ in range(chance.randint(4, 12)):
        before = chance.random()
        if before < 0.25:
            number = told.advice + 1
            pieces = [
                (f"ADVICE{n}. {WORDS}", chance.choice(KINDS)) for n in range(number, number + chance.randint(1, 2))
            ]
            await told.advise_all(*pieces)
        elif before < 0.35 and told.step:
            block = "\n\n".join(e.body.text for e in told.history if isinstance(e.body, ev.AdviceDelivered))
            said = "The advice was good." if chance.random() < 0.2 else "All went well."
            await told.summarise(said, block)
        text = chance.choice(["", "", "Next.", "As I was advised."])
        reasoning = chance.choice(["", "Think."])
        calls = [("run", json.dumps({"command": chance.choice("abc")})) for _ in range(chance.randint(0, 2))]
        malformed = chance.random() < 0.15
        if malformed:
            calls.append(("run", "{"))
        finish = {"finish": "length"} if chance.random() < 0.05 else {}
        if not calls and not text:
            text = "Done so far."
        await told.reply(*calls, text=text, reasoning=reasoning, **finish)
        for number in range(1, len(calls) + 1):
            if malformed and number == len(calls):
                await told.refuse(number)
            elif chance.random() < 0.1:
                await told.refuse(number, why="skipped_for_advice", shown="skipped")
            else:
                await told.result(number)
        await judge(told, chance, len(calls))


async def judge(told: Teller, chance: random.Random, calls: int) -> None:
    """Flags of all sorts on the newest step and those before it."""
    while chance.random() < 0.35:
        step = chance.randint(1, told.step)
        parts: list[ev.Target] = [ev.Target(step), ev.Target(step, "reasoning"), ev.Target(step, "text")]
        parts += [ev.Target(step, "call", chance.randint(1, max(1, calls))), ev.Target(step, "span", None, told.step)]
        await told.flag(
            chance.choice(parts),
            actor=chance.choice(["human:ann", "human:bob", "rule:loop"]),
            verdict=chance.choice(["bad", "bad", "good", "unsure"]),
            label=chance.choice(["unspecified", "environment/timeout", "x/impatience"]),
            severity=chance.choice([None, 1, 5]),
            until_recovery=chance.random() < 0.3,
        )
    if chance.random() < 0.1:
        await told.tell(ev.RecoveryMarked(at_step=chance.randint(1, told.step)), actor="human:ann")


def any_policy(chance: random.Random, **flags: Any) -> FilterPolicy:
    modes: list[Any] = ["kept", "dropped", "both"]
    rules: dict[str, Any] = {
        "conflict": chance.choice(["mask", "exclude", "adjudicated"]),
        "adjudicators": ("ann",),
        "propagation": chance.choice(["this", "until_recovery", "to_end", "first_error"]),
        "unsure": chance.choice(["train", "mask"]),
        "min_severity": chance.choice([0, 3]),
    }
    return kept_policy(
        flags=FlagRules(**(rules | flags)),
        rules=RuleMasks(malformed=chance.random() < 0.8),
        advice=AdviceRules(*[], **{name: chance.choice(modes) for name in AdviceRules.__struct_fields__}),
        targets=TargetRules(summaries=chance.random() < 0.5, text_only=chance.random() < 0.5),
    )


def source_of(reader: LogReader, policy: FilterPolicy) -> Source:
    judged = read_annotations(reader, SESSION, reader.position())
    assert judged is not None
    return Source(reader, judged, policy, Weigher(policy))


@pytest.mark.parametrize("seed", range(24))
async def test_segments_train_the_replies_of_the_step_samples_and_checked_ones_at_the_same_prompts(
    writer: LogWriter, reader: LogReader, seed: int
) -> None:
    chance = random.Random(seed)
    told = await Teller(writer, shape=chance.choice(["chat", "anthropic"]), reasoning=chance.random() < 0.7).begin()
    await wander(told, chance)
    for _ in range(4):
        source = source_of(reader, any_policy(chance))
        steps = {x.id: x for x in make_step_samples(source) if isinstance(x, StepSample)}
        assert all(x.meta["prompt"] != "exact" or not x.suffix.startswith("-") for x in steps.values())
        trained: set[tuple[int, str]] = set()
        for segment in make_segments(source):
            if isinstance(segment, Exclusion):
                continue
            suffix = next((end for end in ("+advice", "-advice") if segment.id.endswith(end)), "")
            places = [at for at, flag in enumerate(segment.trained) if flag]
            assert len(places) == len(segment.masks)
            for at, mask in zip(places, segment.masks, strict=True):
                assert (mask.seq, suffix) not in trained, "each reply is trained once"
                trained.add((mask.seq, suffix))
                sample = same(steps, mask.name, suffix)
                assert segment.messages[at] == sample.completion
                if segment.meta["prefix_checked"]:
                    assert segment.messages[:at] == sample.prompt
        lost = {x.mask.seq for x in make_segments(source) if isinstance(x, Exclusion) and x.mask is not None}
        for sample in steps.values():
            seq = sample.mask.seq
            assert seq in lost or any((seq, end) in trained for end in (sample.suffix, "+advice", "-advice", ""))


def same(steps: dict[str, StepSample], name: str, suffix: str) -> StepSample:
    """The step sample of this reply; a reply before the advice has no twins of its own."""
    return steps.get(f"{SESSION}:{name}{suffix}") or steps[f"{SESSION}:{name}"]


@pytest.mark.parametrize("seed", range(24))
async def test_masks_keep_their_promises_whatever_is_flagged(writer: LogWriter, reader: LogReader, seed: int) -> None:
    chance = random.Random(1000 + seed)
    told = await Teller(writer).begin()
    await wander(told, chance)
    policy = any_policy(chance)

    def cells(rules: FilterPolicy) -> dict[tuple[int, str, int | None], str]:
        found: dict[tuple[int, str, int | None], str] = {}
        for mask in mask_replies(reader, source_of(reader, rules).judged, rules):
            assert mask.trained == (not mask.reason)
            assert not mask.trained or all(cell.trained for cell in mask.cells), "a trained reply has no masked part"
            assert mask.reason != "disputed" or not any(cell.trained for cell in mask.cells)
            for cell in mask.cells:
                assert cell.trained == (not cell.reason)
                found[mask.seq, cell.part, cell.call] = cell.reason
        return found

    before = cells(policy)
    recovered = source_of(reader, policy).judged.flags.recoveries
    if policy.flags.propagation == "until_recovery":
        spread = {cell[0] for cell, reason in before.items() if reason == "propagated"}
        marked = {e.seq for e in told.history if isinstance(e.body, ev.ModelReplied) and e.step in recovered}
        assert not spread & marked, "the step on which it recovered is trained"
    step = chance.randint(1, told.step)
    await told.flag(ev.Target(step), actor="human:cleo", label="environment/timeout")
    excused = cells(policy)
    if policy.flags.conflict == "mask":
        assert {c for c, r in excused.items() if not r} >= {c for c, r in before.items() if not r}, (
            "to blame the environment takes no loss away"
        )
    await told.flag(ev.Target(step), actor="rule:loop", label="x/loop")
    ruled = cells(policy)
    assert ruled == excused, "no rule goes before a human's word"
    await told.flag(ev.Target(step), actor="human:dora", severity=5)
    if policy.flags.conflict == "mask":
        flagged = cells(policy)
        assert {c for c, r in flagged.items() if not r} <= {c for c, r in ruled.items() if not r}
        here = {e.seq for e in told.history if isinstance(e.body, ev.ModelReplied) and e.step == step}
        assert all(flagged[cell] for cell in flagged if cell[0] in here)


@pytest.mark.parametrize("seed", range(24))
async def test_every_reply_is_trained_or_named_with_its_reason_once(
    writer: LogWriter, reader: LogReader, seed: int
) -> None:
    chance = random.Random(2000 + seed)
    told = await Teller(writer).begin()
    await wander(told, chance)
    for _ in range(4):
        source = source_of(reader, any_policy(chance))
        replies = {mask.seq for mask in mask_replies(reader, source.judged, source.policy)}
        for found in (make_step_samples(source), make_segments(source)):
            fate: dict[tuple[int, str], str] = {}
            for item in found:
                suffix = next((end for end in ("+advice", "-advice") if item.id.endswith(end)), "")
                if isinstance(item, Exclusion):
                    named = [(item.seq, item.reason)]
                else:
                    masks = [item.mask] if isinstance(item, StepSample) else item.masks
                    named = [(mask.seq, "") for mask in masks]
                for seq, reason in named:
                    assert (seq, suffix) not in fate, (seq, suffix, reason, fate[seq, suffix])
                    fate[seq, suffix] = reason
            assert {seq for seq, _ in fate} == replies
            for seq in replies:
                assert {end for at, end in fate if at == seq} in ({""}, {"+advice", "-advice"})


@pytest.mark.parametrize("seed", range(24))
async def test_each_piece_of_advice_is_in_the_prompts_that_its_kind_says_and_in_no_other(
    writer: LogWriter, reader: LogReader, seed: int
) -> None:
    chance = random.Random(3000 + seed)
    told = await Teller(writer, shape=chance.choice(["chat", "anthropic"])).begin()
    await wander(told, chance)
    given = {
        number: event
        for event in told.history
        if isinstance(event.body, ev.AdviceDelivered)
        for number in event.body.advice
    }
    kinds = {e.body.advice: e.body.advice_kind for e in told.history if isinstance(e.body, ev.AdviceQueued)}
    for _ in range(6):
        source = source_of(reader, any_policy(chance, propagation="this"))
        rules = source.policy.advice
        for sample in make_step_samples(source):
            if not isinstance(sample, StepSample) or sample.mask.summary:
                continue
            prompt = json.dumps(sample.prompt)
            held = {number for number in given if f"ADVICE{number}." in prompt}
            before = {number for number, event in given.items() if event.body.at_step <= sample.mask.step}
            modes = {number: rules.mode(kinds[number]) for number in before}
            kept = {number for number, mode in modes.items() if mode == "kept"}
            both = {number for number, mode in modes.items() if mode == "both"}
            assert (sample.suffix != "") == bool(both)
            assert held == kept | (both if sample.suffix == "+advice" else set())
            assert sample.meta["advice"] == sorted(held)
            assert sample.meta["prompt"] == ("exact" if held == before else "counterfactual")

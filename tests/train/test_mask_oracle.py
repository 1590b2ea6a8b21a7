"""Random sessions and policies: an oracle that knows docs/training.md alone says who is trained, in every format."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from fake_template_engine import fake_renderer
from mask_oracle import ADVICE_KINDS, Oracle, Part, Rules, Step, Story, Word
from training_log import SESSION, Teller, new_log, rows_of

from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.export.training_view import training_view
from apollo_train.formats.base import Format
from apollo_train.formats.tokens import TokensFormat
from apollo_train.policy import FilterPolicy, parse_policy
from apollo_train.runtime import NothingToExport
from sessions import events as ev
from sessions.log.reader import LogReader

PEOPLE = ("human:ann", "human:bob", "human:eve")
LABELS = ("unspecified", "x/impatience", "x/other", "environment", "environment/net")
SEEDS = int(os.environ.get("APOLLO_ORACLE_SEEDS", "10"))
"""Sessions; more of them to look for more."""
OURS = {"target_refers", "summary_refers", "advice_mixed", "prompt_differs", "prompt_missing", "broken_conversation",
        "template_refuses", "stop_inside", "not_rendered", "prompt_no_prefix"}  # fmt: skip
"""Reasons that none of these sessions gives: nothing in them refers to advice, and all is in the log."""


def make_story(rng: random.Random) -> Story:
    steps: list[Step] = []
    number = rng.randint(5, 11)
    for at in range(1, number + 1):
        parts: list[Part] = [("reasoning", 0)] if rng.random() < 0.7 else []
        parts += [("text", 0)] if rng.random() < 0.5 else []
        calls = rng.choice([0, 1, 1, 1, 2, 2])
        parts += [("call", n) for n in range(1, calls + 1)]
        if not parts:
            parts = [("text", 0)]
        step = Step(at, parts)
        loop = steps[-1] if steps and rng.random() < 0.45 and len(steps[-1].calls) == calls else None
        for n in step.calls:
            step.commands[n] = loop.commands[n] if loop is not None else f"cmd{at}x{n}"
            step.outputs[n] = loop.outputs[n] if loop is not None and rng.random() < 0.8 else f"out{at}x{n}"
        if step.calls and rng.random() < 0.12:
            step.malformed = {rng.choice(step.calls)}
        step.finish = "length" if rng.random() < 0.06 else "stop"
        step.model = rng.choice(["glm-4.6", "glm-4.6", "claude-opus-4"])
        for _ in range(rng.choice([0, 0, 0, 1, 2]) if at > 1 else 0):
            reach = rng.choice(["general", "here", None])
            step.advice.append((rng.choice(ADVICE_KINDS), reach, f"piece {at} number {len(step.advice)} zz{at}"))
        step.answered = calls == 1 and not step.malformed and rng.random() < 0.12
        if step.answered:
            step.commands[1], step.outputs[1] = f"cmd{at}x1", f"answer{at}"
        step.summary = at < number and rng.random() < 0.08
        step.dropped = step.finish == "stop" and not step.malformed and rng.random() < 0.06 and not step.answered
        steps.append(step)
    story = Story(steps)
    for order in range(rng.randint(0, 7)):
        step = rng.choice(steps)
        kind = rng.choice(["reply", "span", "part", "part", "part"])
        part = rng.choice(step.parts)
        word = Word(
            rng.choice([*PEOPLE, "human:ann", "rule:loops", "judge:j"]),
            part[0] if kind == "part" else kind,
            step.number,
            part[1] if kind == "part" else 0,
            min(number, step.number + rng.randint(0, 2)) if kind == "span" else 0,
            rng.choice(["bad", "bad", "bad", "good", "unsure"]),
            rng.choice(LABELS),
            rng.random() < 0.4,
            order,
        )
        if word.source != "human" and word.verdict == "good":
            word.verdict = "bad"
        story.words.append(word)
    story.recoveries = {rng.randint(2, number) for _ in range(rng.choice([0, 0, 1]))}
    story.corrected = {rng.randint(1, number) for _ in range(rng.choice([0, 0, 1]))}
    story.read = {rng.randint(1, number) for _ in range(rng.choice([0, 0, 2]))}
    return story


def make_rules(rng: random.Random) -> Rules:
    kinds = ("knowledge", "strategy", "correction", "stop", "other")
    mode = rng.choice(["kept", "dropped", "both", "mixed"])
    return Rules(
        conflict=rng.choice(["mask", "exclude", "adjudicated"]),
        propagation=rng.choice(["this", "this", "until_recovery", "to_end"]),
        unsure=rng.choice(["train", "mask"]),
        sources=rng.choice([("human", "rule", "judge"), ("human",), ("human", "rule")]),
        labels=rng.choice([(), (), ("x/impatience",)]),
        malformed=rng.random() < 0.8,
        text_only=rng.random() < 0.5,
        unseen=rng.choice(["train", "train", "mask"]),
        trainable=rng.choice([("*",), ("glm-*",), ("claude-*", "glm-*")]),
        advice={kind: rng.choice(["kept", "dropped", "both"]) if mode == "mixed" else mode for kind in kinds},
        here=rng.choice(["leave_out", "keep"]),
    )


def policy_of(rules: Rules) -> FilterPolicy:
    tables = {
        "flags": {
            "conflict": rules.conflict, "propagation": rules.propagation, "unsure": rules.unsure,
            "sources": rules.sources, "labels": rules.labels, "scope": rules.scope, "adjudicators": ["eve"],
        },
        "rules": {"malformed": rules.malformed},
        "advice": {**rules.advice, "here": rules.here},
        "targets": {"text_only": rules.text_only, "unseen": rules.unseen, "trainable": rules.trainable},
        "weights": {"apply": "column"},
    }  # fmt: skip
    lines = ["version = 2"]
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return parse_policy("\n".join(lines))


async def tell(told: Teller, story: Story) -> None:
    seqs: dict[int, int] = {}
    for step in story.steps:
        at = step.number
        for kind, reach, text in step.advice:
            await told.advise(text, kind, reach=reach)
        calls = [
            ("run", "{oops" + step.commands[n] if n in step.malformed else json.dumps({"command": step.commands[n]}))
            for n in step.calls
        ]
        has = dict(step.parts)
        reply = await told.reply(
            *calls,
            text=f"tt{at}" if "text" in has else "",
            reasoning=f"rr{at}" if "reasoning" in has else "",
            finish="length" if step.finish == "length" else "calls" if calls else "stop",
            model=step.model,
        )
        seqs[at] = reply.seq
        for n in step.calls:
            if n in step.malformed:
                await told.refuse(n, shown=f"refused {step.outputs[n]}")
            elif step.answered:
                started = ev.ActionStarted(call_id=f"c{at}.1", name="run", arguments={"command": step.commands[1]})
                await told.tell(started, step=at, call=1)
                await told.tell(ev.QuestionAsked(question=at, text="Which?", until=0), step=at, call=1)
                await told.tell(ev.QuestionAnswered(question=at, text=step.outputs[1]), actor="human:ann")
                long = ev.LongText(step.outputs[1], chars=len(step.outputs[1]))
                await told.tell(ev.ActionResult(call_id=f"c{at}.1", outcome="ok", output=long), step=at, call=1)
            else:
                await told.result(n, step.outputs[n])
        if not calls:
            await told.tell(ev.NudgeSent(text="Go on."), step=at)
        if step.dropped:
            await told.tell(ev.ReplySuperseded(old=reply.seq, why="dropped"))
            told.parent, told.pending = None, list(told.history)  # what follows begins a context
        if step.summary:
            await told.summarise(f"sum{at}")
    for word in story.words:
        target = ev.Target(
            word.step, word.part if word.part in ("reply", "span", "call", "reasoning", "text") else "reply",  # type: ignore[arg-type]
            word.call or None, word.to or None,
        )  # fmt: skip
        await told.flag(target, actor=word.by, verdict=word.verdict, label=word.label, until_recovery=word.until)
    for mark in sorted(story.recoveries):
        await told.tell(ev.RecoveryMarked(at_step=mark), actor="human:bob")
    for at in sorted(story.corrected):
        await told.tell(ev.CorrectionWritten(target=ev.Target(at), text="do it better"), actor="human:bob")
    if story.read:
        ranges = tuple(ev.SeqRange(seqs[at], seqs[at]) for at in sorted(story.read))
        await told.tell(ev.CursorMoved(read_seq=0, read=ranges), actor="human:ann")


def marks_of(step: Step, part: Part) -> str:
    kind, number = part
    return f"{kind[0] * 2}{step.number}" if kind != "call" else f"call {number} of {step.number}"


def export(reader: LogReader, policy: FilterPolicy, format: str | Format, out: Path) -> list[dict[str, Any]]:
    try:
        report = run_export(reader, [SESSION], policy, format, out, overwrite=True)
    except NothingToExport:
        return []
    left = {line["reason"] for line in rows_of(report.excluded)}
    assert not left & OURS, f"{left & OURS}: the story is odd, or the product"
    return rows_of(report.path)


def steps_of(rows: list[dict[str, Any]]) -> dict[tuple[int, str], dict[str, Any]]:
    found = {}
    for row in rows:
        suffix = next((end for end in ("+advice", "-advice") if row["meta"]["id"].endswith(end)), "")
        key = (int(row["meta"]["step"]), suffix)
        assert key not in found, "a reply is trained once in each twin"
        found[key] = row
    return found


@pytest.fixture
async def random_log(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    rng = random.Random(request.param)
    story = make_story(rng)
    made = await new_log(tmp_path)
    told = await Teller(made).begin("Do it.")
    await tell(told, story)
    yield story, rng, made.path
    await made.close()


@pytest.mark.parametrize("random_log", range(SEEDS), indirect=True)
async def test_who_is_trained_is_what_the_documentation_says(random_log: Any, tmp_path: Path) -> None:
    story, rng, log = random_log
    with LogReader(log) as reader:
        for _ in range(4):
            rules = make_rules(rng)
            compare(reader, story, rules, tmp_path)


def compare(reader: LogReader, story: Story, rules: Rules, folder: Path) -> None:
    policy, oracle = policy_of(rules), Oracle(story, rules)
    judged = {step.number: oracle.judge(step) for step in story.steps}
    wanted = {at for at, one in judged.items() if one.whole}
    about = f"{rules}\n{story}"

    rows = steps_of(export(reader, policy, "steps", folder / "steps.jsonl"))
    with_twins = {at for at, _ in rows}
    assert with_twins == wanted, about
    for (at, suffix), row in rows.items():
        step = oracle.by_step[at]
        assert not (suffix == "-advice" and oracle.after_here(step, "both")), about
        text = json.dumps(row["prompt"])
        since = max((one.number for one in story.steps if one.summary and one.number < at), default=0)
        for one in story.steps:
            for kind, reach, said in one.advice:
                if since < one.number <= at:
                    mode = rules.advice[kind or "other"]
                    gone = reach == "general" and (mode == "dropped" or (mode == "both" and suffix == "-advice"))
                    assert (said in text) == (not gone), (at, suffix, said, about)
            if one.dropped and since < one.number < at:
                assert f'"c{one.number}.1"' not in text, about
            if one.answered and since < one.number < at and not one.dropped:
                assert f"answer{one.number}" in text, about

    for name, mark in (("openai", "weight"), ("messages", "train"), ("axolotl", "train"), ("slime", "step_loss_mask")):
        trained: dict[str, list[str]] = {}
        for row in export(reader, policy, name, folder / f"{name}.jsonl"):
            suffix = next((end for end in ("+advice", "-advice") if row["meta"]["id"].endswith(end)), "")
            said = [json.dumps(one) for one in row["messages"] if one["role"] == "assistant" and one[mark]]
            trained.setdefault(suffix, []).extend(said)
        told = {at for at in judged for said in trained.values() for one in said if find_step(one, story) == at}
        assert told == wanted, (name, about)
        for said in trained.values():
            assert len(said) == len(set(said)), "each reply is trained once"

    plan = plan_export(reader, [SESSION], policy, "steps")
    assert plan.counts.trained == len(wanted), about
    view = training_view(reader, SESSION, policy)
    assert view is not None
    assert {at for at, one in view.steps.items() if not one.reason} == wanted, about

    for scope in ("message", "call"):
        rules.scope = scope  # type: ignore[assignment]
        parts = {at: Oracle(story, rules).judge(oracle.by_step[at]).parts for at in judged}
        made = TokensFormat(fake_renderer(), packing="rounds")
        found: dict[int, set[str]] = {}
        for row in export(reader, policy_of(rules), made, folder / "tokens.jsonl"):
            for name, start, end in row["meta"]["targets"]:
                ids, labels = row["input_ids"][start:end], row["labels"][start:end]
                kept = [number for number, label in zip(ids, labels, strict=True) if label != -100]
                found.setdefault(int(name), set()).add(made.renderer.engine.decode(kept))
            covered = {at for _, start, end in row["meta"]["targets"] for at in range(start, end)}
            assert all(label == -100 for at, label in enumerate(row["labels"]) if at not in covered), about
        for at, step_parts in parts.items():
            said = found.get(at, set())
            if not any(step_parts.values()):
                assert not said, (scope, at, about)
                continue
            for text in said:
                for part, good in step_parts.items():
                    told_here = {"reasoning": f"rr{at}\n", "text": f"tt{at}"}.get(part[0], "")
                    if part[0] == "call":
                        command = oracle.by_step[at].commands[part[1]]
                        assert (command in text) == good or (
                            not good and list(oracle.by_step[at].commands.values()).count(command) > 1
                        ), (scope, at, part, text, about)
                    else:
                        assert (told_here in text) == good, (scope, at, part, text, about)
            assert said, (
                scope,
                at,
                step_parts,
                [line for line in rows_of(folder / "tokens.jsonl.excluded.jsonl") if line.get("step") == str(at)],
                about,
            )
    rules.scope = "message"

    verdicts = {step.number: oracle.verdict_for_kto(step) for step in story.steps}
    rated = {(int(row["meta"]["step"]), row["label"]) for row in export(reader, policy, "kto", folder / "kto.jsonl")}
    assert rated == {(at, good) for at, good in verdicts.items() if good is not None}, about
    for row in export(reader, policy, "dpo", folder / "dpo.jsonl"):
        at, redo = int(row["meta"]["step"]), row["meta"]["redo"]
        assert verdicts[at] is False, about
        step = oracle.by_step[int(redo)]
        assert judged[step.number].whole or oracle.after_here(step, "dropped"), about


def find_step(message: str, story: Story) -> int | None:
    """Whose reply it is, by what it says."""
    one = json.loads(message)
    for step in story.steps:
        at, has = step.number, dict(step.parts)
        if "reasoning" in has:
            same = one.get("reasoning_content") == f"rr{at}"
        elif "text" in has:
            same = one["content"] == f"tt{at}"
        else:
            same = any(call["id"] == f"c{at}.1" for call in one.get("tool_calls") or [])
        if same:
            return at
    return None

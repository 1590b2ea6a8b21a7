"""Only replies of models that ``trainable`` names are targets; all others stay context."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from training_log import SESSION, Teller, rows_of

from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.export.training_view import training_view
from apollo_train.masks.trainable_models import names_model
from apollo_train.policy import FilterPolicy, parse_policy
from sessions import events as ev
from sessions.log.reader import LogReader


async def two_models(told: Teller) -> None:
    for number, model in enumerate(("glm-4.6", "claude-opus-4", "zai-org/GLM-4.6-Air"), 1):
        await told.reply(("run", json.dumps({"command": f"c{number}"})), model=model)
        await told.result(1)


def only(*patterns: str) -> FilterPolicy:
    return FilterPolicy().with_trainable(patterns)


async def test_replies_of_other_models_are_context_and_the_report_counts_by_model(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    told.spec = ev.ModelSpec("import", "glm-4.6")
    await two_models(await Teller(told.writer, "01K00000000000000000000001").begin(model=told.spec))
    report = run_export(reader, ["01K00000000000000000000001"], only("glm-*"), "steps", tmp_path / "s.jsonl")
    assert [row["meta"]["step"] for row in rows_of(report.path)] == ["1", "3"]
    assert "c2" in json.dumps(rows_of(report.path)[1]["prompt"])
    assert [line["reason"] for line in rows_of(report.excluded)] == ["not_trainable"]
    assert report.counts.trained_by_model == {"glm-4.6": 1, "zai-org/GLM-4.6-Air": 1}
    view = training_view(reader, "01K00000000000000000000001", only("glm-*"))
    assert view is not None and view.steps[2].reason == "not_trainable"
    every = run_export(reader, ["01K00000000000000000000001"], FilterPolicy(), "steps", tmp_path / "all.jsonl").lines()
    assert "trained by model: 1 claude-opus-4, 1 glm-4.6, 1 zai-org/GLM-4.6-Air" in every
    assert any(line.startswith("no model is left out: --trainable, or `trainable` under [export]") for line in every)


@pytest.mark.parametrize(
    ("pattern", "said", "spec", "named"),
    [
        ("glm-*", "glm-4.6", ev.ModelSpec("import", "claude"), True),
        ("glm-*", "claude-opus-4", ev.ModelSpec("import", "glm-4.6"), False),
        ("glm-*", "zai-org/GLM-4.6", ev.ModelSpec("import", "x"), True),
        ("openai:glm-*", "", ev.ModelSpec("openai", "glm-4.6"), True),
        ("glm-*", "/models/served", ev.ModelSpec("openai", "glm-4.6"), True),
        ("glm-*", "", ev.ModelSpec("import", "unknown"), False),
        ("*", "", ev.ModelSpec("import", "unknown"), True),
    ],
)
def test_a_pattern_names_the_model_that_wrote_the_reply(
    pattern: str, said: str, spec: ev.ModelSpec, named: bool
) -> None:
    body = ev.ModelReplied(request=1, parts=(), finish="stop", model=said)
    assert names_model([pattern], body, spec) is named


async def test_names_that_nothing_here_has_are_told_with_the_nearest(told: Teller, reader: LogReader) -> None:
    await told.act("ls")
    await told.flag(ev.Target(1), actor="human:bert")
    policy = parse_policy(
        'version = 2\n[flags]\nconflict = "adjudicated"\nadjudicators = ["bret"]\n[targets]\ntrainable = ["scriptd"]\n'
        '[rules]\ninner_polls = true\npoll_tools = ["runn", "sleep"]'
    )
    assert plan_export(reader, [SESSION], policy).unused == (
        "flags.adjudicators names 'bret', which nobody who flagged is called, so it decides nothing: "
        "did you mean 'bert'?",
        "rules.poll_tools names 'runn', which no session here calls, so it masks nothing: did you mean 'run'?",
        "trainable names 'scriptd', which no model here matches, so it trains nothing: did you mean 'scripted'?",
    )
    right = parse_policy('version = 2\n[flags]\nconflict = "adjudicated"\nadjudicators = ["bert"]')
    assert plan_export(reader, [SESSION], right).unused == ()

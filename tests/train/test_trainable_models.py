"""Only replies of models that ``trainable`` names are targets; all others stay context."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from training_log import OTHER, SESSION, Teller, rows_of

from apollo_train.cli.main import main as train
from apollo_train.export.open_questions import ModelsUndecided
from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.export.training_view import training_view
from apollo_train.masks.trainable_models import names_model
from apollo_train.policy import FilterPolicy, parse_policy
from apollo_tui.cli.root import apollo
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
    everyone = run_export(reader, ["01K00000000000000000000001"], only("*"), "steps", tmp_path / "all.jsonl").lines()
    assert "trained by model: 1 claude-opus-4, 1 glm-4.6, 1 zai-org/GLM-4.6-Air" in everyone


async def test_replies_of_several_models_are_not_trained_before_somebody_says_whose(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await two_models(told)  # of one session, made with one model: found when its replies are read
    said = (
        r"replies of several models would be trained \(1 claude-opus-4, 1 glm-4.6, 1 zai-org/GLM-4.6-Air\), and nobody "
        r"said whose may be: say --trainable 'PATTERN' \(again for more, '\*' for all\), or `trainable` under"
    )
    for format in ("steps", "openai"):
        with pytest.raises(ModelsUndecided, match=said):
            run_export(reader, [SESSION], FilterPolicy(), format, tmp_path / "out.jsonl")
    assert not list(tmp_path.glob("*out.jsonl*"))
    assert any(line.startswith("nobody has said whose") for line in plan_export(reader, None, FilterPolicy()).lines())
    for free in ("atif", "raw"):
        run_export(reader, [SESSION], FilterPolicy(), free, tmp_path / free)
    old = run_export(reader, [SESSION], parse_policy("version = 1"), "steps", tmp_path / "old.jsonl")
    assert old.counts.trained == 3


async def test_the_commands_name_the_option_where_nobody_can_be_asked(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    await (await Teller(told.writer, OTHER).begin(model=ev.ModelSpec("import", "claude-opus-4"))).act("b")
    log = ["--log", str(told.writer.path)]
    commands = (
        (train, ["build", *log, "--out", str(tmp_path / "a")]),
        (train, ["dataset", *log, "--out", str(tmp_path / "b")]),
        (apollo, [*log, "export", "--out", str(tmp_path / "c.jsonl")]),
    )
    for main, words in commands:
        left = CliRunner().invoke(main, words)
        said = left.output or str(left.exception)
        assert left.exit_code == 1 and "1 claude-opus-4, 1 scripted" in said
        assert "--trainable" in said and len(said.splitlines()) == 1
        good = CliRunner().invoke(main, [*words, "--trainable", "*"])
        assert good.exit_code == 0, good.output


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
        ("tune-*", "tune-lr", ev.ModelSpec("demo", "tune-lr"), True),
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

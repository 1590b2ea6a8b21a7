from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from training_log import SESSION, Teller, kept_policy, rows_of

from apollo_train.cli.main import main
from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS, format_for
from apollo_train.policy import FlagRules
from apollo_train.runtime import CannotExpress
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

DEFAULT = kept_policy()


async def flagged(writer: LogWriter) -> Teller:
    """Two calls of one reply flagged apart, a bare flag, one that the environment excuses, a malformed reply."""
    told = await Teller(writer).begin("Train it.")
    await told.reply(("run", '{"command":"a"}'), ("run", '{"command":"b"}'))
    await told.result(1)
    await told.result(2)
    await told.flag(ev.Target(1, "call", 2), label="x/impatience")
    await told.flag(ev.Target(1, "call", 1), label="x/impatience")
    await told.flag(ev.Target(1, "call", 1), actor="human:bob", label="x/wrong-tool")
    await told.act("c")
    await told.flag(ev.Target(2))
    await told.act("d")
    await told.flag(ev.Target(3), label="environment/timeout")
    await told.reply(("run", "{bad"))
    await told.refuse()
    await told.flag(ev.Target(4), label="x/impatience")
    await told.act("e")
    return told


async def test_the_twin_says_which_labels_masked_a_reply(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await flagged(writer)
    for name in ("steps", "openai", "sts"):
        report = run_export(reader, None, DEFAULT, name, tmp_path / f"{name}.jsonl")
        assert [(line["step"], line["reason"], line.get("labels")) for line in rows_of(report.excluded)] == [
            ("1", "flagged", ["x/impatience", "x/wrong-tool"]),
            ("2", "flagged", ["unspecified"]),
            ("4", "malformed", None),  # its flag is not why
        ]


async def test_manifest_report_and_plan_count_replies_by_label(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await flagged(writer)
    expected = {"x/impatience": 1, "x/wrong-tool": 1, "unspecified": 1}
    report = run_export(reader, None, DEFAULT, "steps", tmp_path / "out.jsonl")
    manifest = json.loads(report.manifest.read_text())
    assert manifest["counts"]["masked_by_label"] == manifest["sessions"][SESSION]["masked_by_label"] == expected
    plan = plan_export(reader, None, DEFAULT, "steps")
    assert plan.counts.masked_by_label == expected
    for lines in (report.lines(), plan.lines()):
        assert [line for line in lines if "label" in line] == [
            "masked by label: 1 unspecified",
            "masked by label: 1 x/impatience",
            "masked by label: 1 x/wrong-tool",
        ]


async def test_what_a_flag_reaches_has_its_label_and_a_dispute_those_that_call_it_bad(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("a")
    await told.flag(ev.Target(1), label="x/impatience")
    await told.act("b")
    await told.tell(ev.RecoveryMarked(at_step=3), actor="human:ann")
    await told.act("c")
    await told.flag(ev.Target(3), label="x/wrong-tool")
    await told.flag(ev.Target(3), verdict="good", actor="human:bob", label="right-there-too")
    await told.act("d")
    policy = kept_policy(flags=FlagRules(propagation="until_recovery", conflict="exclude"))
    report = run_export(reader, None, policy, "steps", tmp_path / "out.jsonl")
    assert [(line["step"], line["reason"], line["labels"]) for line in rows_of(report.excluded)] == [
        ("1", "flagged", ["x/impatience"]),
        ("2", "propagated", ["x/impatience"]),
        ("3", "disputed", ["x/wrong-tool"]),
    ]
    assert report.counts.masked_by_label == {"x/impatience": 2, "x/wrong-tool": 1}


async def test_pairs_that_cannot_be_made_name_the_labels_of_the_flagged_reply(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    for _ in range(2):
        await told.reply(("run", '{"command":"kill"}'))
        await told.refuse(why="skipped_for_advice", shown="skipped")
        await told.flag(ev.Target(told.step), label="x/impatience")
        await told.advise("Wait.")
        await told.act("sleep")
    await told.act("kill")
    await told.flag(ev.Target(told.step), label="x/wrong-tool")
    report = run_export(reader, None, DEFAULT, "dpo", tmp_path / "out.jsonl")
    assert [(line["reason"], line["labels"]) for line in rows_of(report.excluded)] == [("no_redo", ["x/wrong-tool"])]


async def test_rows_say_the_labels_only_when_asked(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await flagged(writer)
    excused = {"step": "3", "part": "reply", "call": None, "verdict": "bad", "label": "environment/timeout"}
    for name in ("steps", "openai", "kto"):
        plain = run_export(reader, None, DEFAULT, name, tmp_path / f"{name}.jsonl")
        report = run_export(reader, None, DEFAULT, format_for(name, labels=True), tmp_path / f"{name}-labels.jsonl")
        before, after = rows_of(plain.path), rows_of(report.path)
        for row in after:
            labels = row["meta"].pop("labels")
            if name == "steps":
                assert labels == ([excused] if row["meta"]["step"] == "3" else [])
            elif name == "openai":
                found = [(label["step"], label["call"], label["label"]) for label in labels]
                assert sorted(found, key=str) == [
                    ("1", 1, "x/impatience"),
                    ("1", 1, "x/wrong-tool"),
                    ("1", 2, "x/impatience"),
                    ("2", None, "unspecified"),
                    ("3", None, "environment/timeout"),
                    ("4", None, "x/impatience"),
                ]
            else:
                assert {label["step"] for label in labels} == {row["meta"]["step"]} and not row["label"]
        assert after == before
        manifest = json.loads(report.manifest.read_text())
        assert manifest["format"]["settings"] == {"labels": True}
        assert "settings" not in json.loads(plain.manifest.read_text())["format"]


def test_formats_without_meta_have_no_place_for_labels() -> None:
    for name in ("raw", "atif", "sts"):
        with pytest.raises(CannotExpress, match="no `meta` for labels"):
            format_for(name, labels=True)
    assert not FORMATS["steps"].labels


async def test_the_commands_take_the_option(writer: LogWriter, tmp_path: Path) -> None:
    await flagged(writer)
    for command, out in (
        ("build", tmp_path / "steps.jsonl"),
        ("dataset", tmp_path / "folder" / "data" / "train.jsonl"),
    ):
        where = tmp_path if command == "build" else tmp_path / "folder"
        done = CliRunner().invoke(main, [command, "--log", str(writer.path), "--labels", "--out", str(where)])
        assert done.exit_code == 0, done.output
        assert "masked by label: 1 x/impatience" in done.output
        assert all("labels" in row["meta"] for row in rows_of(out))

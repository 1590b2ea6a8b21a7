from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest
from click.testing import CliRunner
from tiny_models import engine, renderer, tokenizer
from training_log import SESSION, kept_policy

from apollo_train.cli.main import main
from apollo_train.export.diff import diff_exports
from apollo_train.export.run import run_export
from apollo_train.formats.token_report import render_page, write_report
from apollo_train.formats.tokens import TokensFormat
from apollo_train.masks.annotations import read_annotations
from apollo_train.policy import PRESETS, FilterPolicy, FlagRules, TargetRules
from apollo_train.samples.step_samples import Source
from apollo_train.samples.weights import Weigher
from apollo_train.templates.packing import Row
from sessions.log.reader import LogReader

POLICY = kept_policy(flags=FlagRules(scope="message"), targets=TargetRules(text_only=True))


def rows_of(reader: LogReader, made: TokensFormat, policy: FilterPolicy) -> list[Row]:
    judged = read_annotations(reader, SESSION, reader.position())
    assert judged is not None
    found = made.rows(Source(reader, judged, policy, Weigher(policy)))
    return [row for row in found if isinstance(row, Row)]


def test_rows_say_where_they_are_from_and_decode_to_what_was_said(reader: LogReader, tmp_path: Path) -> None:
    made = TokensFormat(renderer("qwen3"))
    report = run_export(reader, None, POLICY, made, tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in report.path.read_text().splitlines()]
    assert [row["meta"]["step"] for row in rows] == ["1-2", "4-6", "7"]
    for row in rows:
        assert len(row["input_ids"]) == len(row["labels"])
        for step, start, end in row["meta"]["targets"]:
            assert row["labels"][start:end] == row["input_ids"][start:end], step
            assert row["input_ids"][end - 1] == tokenizer("qwen3").convert_tokens_to_ids("<|im_end|>")
        inside = {at for _, start, end in row["meta"]["targets"] for at in range(start, end)}
        assert {at for at, label in enumerate(row["labels"]) if label != -100} == inside
        assert row["meta"]["template"] == made.settings["template_sha256"]
    assert report.counts.trained_tokens == sum(label != -100 for row in rows for label in row["labels"])
    assert report.counts.processed_tokens == sum(len(row["input_ids"]) for row in rows)
    manifest = json.loads(report.manifest.read_text())
    assert manifest["format"]["settings"] == made.settings


def test_the_same_log_and_policy_give_the_same_bytes(reader: LogReader, tmp_path: Path) -> None:
    for name in ("a", "b"):
        made = TokensFormat(renderer("glm"))
        run_export(reader, None, POLICY, made, tmp_path / name)
        write_report(tmp_path / name, made.report, made.settings, overwrite=False)
    for end in ("", ".manifest.json", ".excluded.jsonl", ".report.json"):
        assert (tmp_path / f"a{end}").read_bytes() == (tmp_path / f"b{end}").read_bytes()


def test_a_diff_tells_the_twins_of_token_rows_apart(reader: LogReader, tmp_path: Path) -> None:
    for name, policy in (("a", kept_policy()), ("b", PRESETS["twins"])):
        run_export(reader, None, policy, TokensFormat(renderer("qwen3")), tmp_path / name)
    found = diff_exports(tmp_path / "a", tmp_path / "b", shown=99)
    ends = {"": "not there", "+advice": "trained", "-advice": "trained"}
    assert {c.step: c.after for c in found.changes} == {
        f"{n}{end}": after for n in (4, 6) for end, after in ends.items()
    }


def test_the_report_adds_up(reader: LogReader) -> None:
    made = TokensFormat(renderer("qwen3"))
    rows = rows_of(reader, made, POLICY)
    report = made.report
    assert report.tokens == sum(len(row.ids) for row in rows)
    assert report.trained == sum(map(sum, (row.trained for row in rows)))
    assert report.context + report.trained + sum(report.masked.values()) == report.tokens
    assert report.dropped == {"flagged": 2}
    assert report.no_think == 1
    [found] = report.check.models.values()
    assert found.requests == report.replies
    assert found.drift > 1
    assert any("its server counted" in line for line in report.lines())


def test_an_export_of_messages_compares_its_counts_with_a_named_tokenizer(
    story: Path, reader: LogReader, tmp_path: Path
) -> None:
    tokenizer("qwen3").save_pretrained(tmp_path / "model")
    given = ["dataset", "--log", str(story / "log.sqlite"), "--out", str(tmp_path / "data")]
    ran = CliRunner().invoke(main, [*given, "--tokenizer", str(tmp_path / "model")])
    assert ran.exit_code == 0, ran.output
    own = TokensFormat(renderer("qwen3"), packing="steps")
    rows_of(reader, own, kept_policy(flags=FlagRules(scope="message")))
    [expected] = own.report.check.plain().values()
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert list(manifest["token_check"].values()) == [expected]
    assert ran.output.count("another tokenizer or template") == 1
    again = CliRunner().invoke(main, [*given[:-1], str(tmp_path / "other")])
    assert again.output.count("no tokenizer is named") == 1


def test_the_page_shows_what_is_trained_and_runs_nothing(reader: LogReader) -> None:
    made = TokensFormat(renderer("qwen3"))
    rows_of(reader, made, POLICY)
    text = render_page("<script>x", made.report)
    assert "<script" not in text
    assert "&lt;script&gt;x" in text
    assert '<span class="trained"' in text
    assert "&lt;tool_call&gt;" in text


def test_the_command_writes_jsonl_parquet_report_and_page_that_datasets_loads(story: Path, tmp_path: Path) -> None:
    tokenizer("glm").save_pretrained(tmp_path / "model")
    out = tmp_path / "rows.jsonl"
    args = ["tokens", "--log", str(story / "log.sqlite"), "--tokenizer", str(tmp_path / "model"), "--out", str(out)]
    ran = CliRunner().invoke(main, [*args, "--parquet"])
    assert ran.exit_code == 0, ran.output
    assert "+ " in ran.output
    assert "<|observation|>" in ran.output
    lines = datasets.load_dataset("json", data_files=str(out), split="train", cache_dir=str(tmp_path / "c"))
    columns = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "rows.parquet"), split="train", cache_dir=str(tmp_path / "c")
    )
    assert lines["input_ids"][:] == columns["input_ids"][:]
    assert lines["labels"][:] == columns["labels"][:]
    assert [json.loads(meta)["id"] for meta in columns["meta"]] == [meta["id"] for meta in lines["meta"]]
    assert engine("glm").decode(columns["input_ids"][0]).startswith("[gMASK]<sop>")
    report = json.loads((tmp_path / "rows.jsonl.report.json").read_text())
    assert report["counts"]["rows"] == len(lines)
    again = CliRunner().invoke(main, args)
    assert again.exit_code == 1
    assert "--overwrite" in again.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--max-length", "64"], "--too-long exclude"),
        (["--policy", "nosuch"], "no preset"),
        (["--session", "zzz"], "zzz"),
        (["--chat-template", "/nowhere/x.jinja"], "cannot be read"),
        (["--stop", "<nothing>"], "no single token"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_file(story: Path, tmp_path: Path, more: list[str], said: str) -> None:
    tokenizer("glm").save_pretrained(tmp_path / "model")
    args = [
        "--log",
        str(story / "log.sqlite"),
        "--tokenizer",
        str(tmp_path / "model"),
        "--out",
        str(tmp_path / "o.jsonl"),
    ]
    ran = CliRunner().invoke(main, ["tokens", *args, *more])
    assert ran.exit_code == 1
    assert said in ran.output
    assert ran.output.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model"]

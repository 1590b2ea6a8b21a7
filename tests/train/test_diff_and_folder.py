from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from training_log import OTHER, SESSION, Teller, kept_policy, rows_of

from apollo_train.cli.main import main
from apollo_train.export.dataset_folder import write_folder
from apollo_train.export.diff import Change, NoExport, diff_exports
from apollo_train.export.run import run_export
from apollo_train.policy import PRESETS, AdviceRules, FilterPolicy, FlagRules, SessionRules, SplitRules
from apollo_train.runtime import FileInTheWay, TrainError
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

DEFAULT = kept_policy()


async def two(writer: LogWriter) -> tuple[Teller, Teller]:
    first = await Teller(writer).begin("One.", task_id="one")
    second = await Teller(writer, OTHER).begin("Two.", task_id="two")
    for told in (first, second):
        await told.act("a")
        await told.advise("Slow down.", "strategy")
        await told.act("b")
        await told.act("c")
    return first, second


def export(reader: LogReader, out: Path, policy: FilterPolicy = DEFAULT, name: str = "steps") -> Path:
    return run_export(reader, None, policy, name, out).path


@pytest.mark.parametrize("name", ["steps", "openai"])
async def test_steps_that_changed_are_named_with_what_they_were_and_are(
    writer: LogWriter, reader: LogReader, tmp_path: Path, name: str
) -> None:
    first, _ = await two(writer)
    a = export(reader, tmp_path / "a.jsonl", name=name)
    await first.flag(ev.Target(2))
    b = export(reader, tmp_path / "b.jsonl", name=name)
    found = diff_exports(a, b)
    assert not found.same_bytes and found.position[0] < found.position[1] and not found.policy
    assert found.changes == [Change(SESSION, "2", "trained", "flagged")]
    assert found.reasons == {("trained", "flagged"): 1}
    assert diff_exports(b, a).changes == [Change(SESSION, "2", "flagged", "trained")]
    text = "\n".join(found.lines())
    assert "1 steps: trained → flagged" in text and "log position" in text


async def test_the_same_export_differs_in_nothing(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await two(writer)
    found = diff_exports(export(reader, tmp_path / "a.jsonl"), export(reader, tmp_path / "b.jsonl"))
    assert list(found.lines()) == ["the rows are the same, byte for byte"]


async def test_policies_sessions_and_columns_that_differ_are_said(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await two(writer)
    a = export(reader, tmp_path / "a.jsonl")
    policy = kept_policy(name="mine", sessions=SessionRules(tasks=("one",)), split=SplitRules(test=1.0))
    found = diff_exports(a, export(reader, tmp_path / "b.jsonl", policy))
    assert found.policy == {"sessions.tasks": ([], ["one"]), "split.test": (0.0, 1.0)}
    assert found.sessions == {OTHER: ("in", "session_task")}
    assert found.rewritten == 3 and found.columns == {"split": 3}
    assert not found.changes
    dropped = kept_policy(advice=AdviceRules(strategy="dropped"))
    found = diff_exports(a, export(reader, tmp_path / "c.jsonl", dropped))
    assert found.columns == {"advice": 4, "prompt": 4, "without": 4, "content": 4}


async def test_keys_of_policy_settings_and_columns_are_printed_in_the_order_of_their_names(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await two(writer)
    other = kept_policy(
        advice=AdviceRules(strategy="dropped", knowledge="dropped"),
        flags=FlagRules(min_severity=2, unsure="mask", sources=("human",)),
        split=SplitRules(test=1.0, seed="other"),
    )
    a, b = export(reader, tmp_path / "a.jsonl"), export(reader, tmp_path / "b.jsonl", other)
    printed = json.loads(CliRunner().invoke(main, ["diff", "--json", str(a), str(b)]).stdout)
    assert len(printed["policy"]) >= 5 and list(printed["policy"]) == sorted(printed["policy"])
    assert list(printed["columns"]) == ["advice", "content", "prompt", "split", "without"]


async def test_twins_and_other_formats_are_compared_step_by_step(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await two(writer)
    a = export(reader, tmp_path / "a.jsonl")
    assert not diff_exports(a, export(reader, tmp_path / "s.jsonl", name="openai")).changes
    twins = diff_exports(a, export(reader, tmp_path / "t.jsonl", PRESETS["twins"]))
    assert {(c.before, c.after) for c in twins.changes} == {("not there", "trained"), ("trained", "not there")}


async def test_a_flag_masks_both_twins_of_a_segment(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    first, _ = await two(writer)
    a = export(reader, tmp_path / "a.jsonl", PRESETS["twins"], "openai")
    await first.flag(ev.Target(3))
    found = diff_exports(a, export(reader, tmp_path / "b.jsonl", PRESETS["twins"], "openai"))
    assert found.changes == [
        Change(SESSION, "3", "not there", "flagged"),
        Change(SESSION, "3+advice", "trained", "not there"),
        Change(SESSION, "3-advice", "trained", "not there"),
    ]


async def test_paths_that_are_no_exports_are_one_line(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await two(writer)
    a = export(reader, tmp_path / "a.jsonl")
    (tmp_path / "x.jsonl").write_text("{}")
    (tmp_path / "y.jsonl").write_text("{}")
    (tmp_path / "y.jsonl.manifest.json").write_text('{"apollo": "other"}')
    for wrong in ("x.jsonl", "y.jsonl", "z.jsonl"):
        with pytest.raises(NoExport) as raised:
            diff_exports(a, tmp_path / wrong)
        assert "\n" not in str(raised.value)
    assert diff_exports(a, tmp_path / "a.jsonl.manifest.json").same_bytes


async def test_the_command_says_it_for_people_and_programs(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    first, _ = await two(writer)
    a = str(export(reader, tmp_path / "a.jsonl"))
    await first.flag(ev.Target(1))
    b = str(export(reader, tmp_path / "b.jsonl"))
    done = CliRunner().invoke(main, ["diff", a, b])
    assert done.exit_code == 1 and f"{SESSION} step 1: trained → flagged" in done.output
    told = json.loads(CliRunner().invoke(main, ["diff", a, b, "--json"]).output)
    assert told["reasons"] == [{"before": "trained", "after": "flagged", "steps": 1}]
    assert CliRunner().invoke(main, ["diff", a, a]).exit_code == 0
    missing = CliRunner().invoke(main, ["diff", a, str(tmp_path / "no")])
    assert missing.exit_code == 1 and missing.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["steps", "messages"])
async def test_a_folder_has_a_card_and_a_file_per_split(
    writer: LogWriter, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await two(writer)
    seed = next(s for s in map(str, range(99)) if parted(s))
    policy = kept_policy(split=SplitRules(test=0.5, seed=seed))
    write_folder(reader, None, policy, name, tmp_path / "set")
    whole = rows_of(run_export(reader, None, policy, name, tmp_path / "x.jsonl").path)
    head, _, body = (tmp_path / "set" / "README.md").read_text()[4:].partition("---\n")
    [config] = yaml.safe_load(head)["configs"]
    listed = {file["split"]: rows_of(tmp_path / "set" / file["path"]) for file in config["data_files"]}
    assert set(listed) == {"train", "test"}
    assert sorted(map(str, [*listed["train"], *listed["test"]])) == sorted(map(str, whole))
    tasks: list[Any] = [{row["meta"]["task"] for row in rows} for rows in listed.values()]
    assert tasks[0].isdisjoint(tasks[1])
    assert all(f"| {split} | {len(rows)} |" in body for split, rows in listed.items())
    assert policy.digest in body and "seen by no human" in body
    made = sorted(path.name for path in (tmp_path / "set").iterdir())
    assert made == ["README.md", "data", "excluded.jsonl", "manifest.json", "policy.toml", "preview.html"]
    assert not list(tmp_path.glob(".set*"))


def parted(seed: str) -> bool:
    from apollo_train.samples.row_meta import split_of

    rules = SplitRules(test=0.5, seed=seed)
    return split_of("one", rules) != split_of("two", rules)


async def test_a_folder_is_made_whole_or_not_at_all(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await two(writer)
    (tmp_path / "there").mkdir()
    with pytest.raises(FileInTheWay, match="there is there already"):
        write_folder(reader, None, DEFAULT, "steps", tmp_path / "there")
    for name in ("raw", "atif", "sts"):
        with pytest.raises(TrainError, match=f"{name} holds no rows"):
            write_folder(reader, None, DEFAULT, name, tmp_path / "new")
    with pytest.raises(TrainError, match="session_score"):
        write_folder(reader, None, kept_policy(sessions=SessionRules(min_score=1)), "steps", tmp_path / "new")
    with pytest.raises(TrainError, match="cannot make the folder"):
        write_folder(reader, None, DEFAULT, "steps", tmp_path / "no" / "new")
    assert sorted(path.name for path in tmp_path.iterdir() if "log" not in path.name) == ["there"]
    words = ["--log", str(writer.path), "--out", str(tmp_path / "cli"), "--advice", "kept"]
    done = CliRunner().invoke(main, ["dataset", *words])
    assert done.exit_code == 0 and (tmp_path / "cli" / "README.md").exists()


async def test_a_dispute_is_decided_by_whom_the_policy_names(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    for _ in range(3):
        await told.act()
    for step, verdict in ((1, "good"), (2, "bad")):
        await told.flag(ev.Target(step), actor="human:ann", verdict="bad")
        await told.flag(ev.Target(step), actor="human:bob", verdict="good")
        await told.flag(ev.Target(step), actor="human:chief", verdict=verdict)
    rules = FlagRules(conflict="adjudicated", adjudicators=("chief",))
    report = run_export(reader, None, kept_policy(flags=rules), "steps", tmp_path / "o.jsonl")
    assert [(line["step"], line["reason"]) for line in rows_of(report.excluded)] == [("2", "flagged")]

from __future__ import annotations

import json
from pathlib import Path

import pytest
from training_log import MANY, Teller, kept_policy, rows_of

from apollo_train.export.near_prompts import KEPT, PromptOfSession, find_near_prompts
from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.policy import FilterPolicy, SplitRules
from apollo_train.samples.row_meta import split_of
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter
from sessions.task_ids import make_task_id

HALF = SplitRules(test=0.5)
LONG = "Please find out why the nightly build of the documentation fails, and mend it without changing the theme."


def prompt(number: int, split: str, text: str) -> PromptOfSession:
    return PromptOfSession(f"s{number}", split, text)


def pairs(*prompts: PromptOfSession) -> list[tuple[str, str]]:
    found = find_near_prompts(prompts)
    assert found.number == len(found.pairs) and not found.bounded
    return sorted((one.session, other.session) for one, other in found.pairs)


def test_prompts_that_are_nearly_equal_on_two_sides_are_paired_and_those_of_one_side_are_not() -> None:
    near = LONG.replace("nightly", "weekly").replace("Please find", "Find")
    assert pairs(
        prompt(1, "train", LONG),
        prompt(2, "train", LONG),
        prompt(3, "test", near),
        prompt(4, "validation", LONG.upper()),
        prompt(5, "test", "Write a parser for the log format that the server of the build prints, with tests."),
        prompt(6, "test", ""),
        prompt(7, "train", " "),
    ) == [("s1", "s3"), ("s1", "s4"), ("s2", "s3"), ("s2", "s4"), ("s3", "s4")]


def test_short_prompts_are_compared_too() -> None:
    assert pairs(prompt(1, "train", "Go!"), prompt(2, "test", "go"), prompt(3, "test", "stop")) == [("s1", "s2")]


def test_many_equal_prompts_are_counted_and_the_first_listed() -> None:
    many = [prompt(number, ("train", "test")[number % 2], LONG) for number in range(200)]
    found = find_near_prompts(many)
    assert found.number == 100 * 100 and len(found.pairs) == KEPT and not found.bounded
    assert found.lines()[0] == "near-equal prompts across splits: 10,000 pairs of sessions"


def test_where_not_all_can_be_compared_it_says_so() -> None:
    many = [
        prompt(number, ("train", "test")[number % 2], f"{LONG} {'xyz'[number % 3] * number}") for number in range(600)
    ]
    found = find_near_prompts(many)
    assert found.bounded and found.number > 1000
    assert found.lines()[0].startswith("near-equal prompts across splits: at least ")


async def log_of(writer: LogWriter, *sessions: tuple[str, str, str]) -> None:
    """Sessions of (task id, workspace, prompt)."""
    for name, (task_id, workspace, text) in zip(MANY, sessions, strict=False):
        told = await Teller(writer, name).begin(text, task_id=task_id, source_workspace=workspace or None)
        await told.act("a")


def parted(one: str, other: str) -> str:
    """A seed that has them on two sides."""
    return next(
        seed
        for seed in map(str, range(99))
        if split_of(one, SplitRules(test=0.5, seed=seed)) != split_of(other, SplitRules(test=0.5, seed=seed))
    )


async def test_sessions_of_one_repository_are_on_one_side_unless_a_task_id_says_otherwise(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    first, second = make_task_id("parser", "Mend the lexer."), make_task_id("parser", "Write docs.")
    await log_of(
        writer,
        (first, "", "Mend the lexer."),
        (second, "", "Write docs."),
        ("", "/home/ann/parser", "Add a test."),
        ("own", "/home/ann/parser", "Tidy up."),
        ("", "", "Tidy  UP."),
    )
    seed = next(
        seed
        for seed in map(str, range(999))
        if split_of("repo:parser", rules := SplitRules(test=0.5, seed=seed)) != split_of("own", rules)
        and split_of(first, rules) != split_of(second, rules)
    )
    rules = SplitRules(test=0.5, seed=seed)
    rows = rows_of(run_export(reader, None, kept_policy(split=rules), "steps", tmp_path / "a.jsonl").path)
    meta = {row["meta"]["session"]: row["meta"] for row in rows}
    side = split_of("repo:parser", rules)
    assert [meta[name]["split"] for name in MANY[:3]] == [side] * 3
    assert meta[MANY[3]]["split"] == split_of("own", rules) != side
    tasks = [meta[name]["task"] for name in MANY[:5]]
    assert tasks == [
        first,
        second,
        make_task_id("parser", "Add a test."),
        "own",
        make_task_id("", "tidy up."),
    ]
    old = rows_of(run_export(reader, None, FilterPolicy(version=1, split=rules), "steps", tmp_path / "b.jsonl").path)
    splits = {row["meta"]["session"]: row["meta"]["split"] for row in old}
    assert splits[MANY[0]] == split_of(first, rules) != splits[MANY[1]] == split_of(second, rules)
    assert {row["meta"]["task"][:7] for row in old if row["meta"]["session"] in (MANY[2], MANY[4])} == {"sha256:"}


async def test_the_report_and_the_manifest_list_near_equal_prompts_across_splits(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await log_of(writer, ("one", "", LONG), ("two", "", LONG.replace("Please find", "Find")), ("two", "", "Rest."))
    rules = SplitRules(test=0.5, seed=parted("one", "two"))
    report = run_export(reader, None, kept_policy(split=rules), "steps", tmp_path / "a.jsonl")
    assert report.near_prompts is not None
    plan = plan_export(reader, None, kept_policy(split=rules), "steps")
    assert plan.near_prompts == report.near_prompts and set(report.near_prompts.lines()) <= set(plan.lines())
    lines = report.lines()
    assert "near-equal prompts across splits: 1 pair of sessions" in lines
    one, two = split_of("one", rules), split_of("two", rules)
    assert f"near-equal: {MANY[0]} ({one}) and {MANY[1]} ({two})" in lines
    manifest = json.loads(report.manifest.read_text())
    assert manifest["near_prompts"] == {
        "number": 1, "complete": True, "pairs": [{"sessions": MANY[:2], "splits": [one, two]}],
    }  # fmt: skip


@pytest.mark.parametrize("policy", [kept_policy(), FilterPolicy(version=1, split=HALF)])
async def test_nothing_is_said_of_prompts_where_nothing_is_parted_or_the_policy_is_of_version_1(
    writer: LogWriter, reader: LogReader, tmp_path: Path, policy: FilterPolicy
) -> None:
    await log_of(writer, ("one", "", LONG), ("two", "", LONG))
    report = run_export(reader, None, policy, "steps", tmp_path / "a.jsonl")
    assert not [line for line in report.lines() if "near-equal" in line]
    assert "near_prompts" not in json.loads(report.manifest.read_text())


async def test_a_split_without_near_prompts_says_none(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await log_of(writer, ("one", "", LONG), ("two", "", "Rest."))
    rules = SplitRules(test=0.5, seed=parted("one", "two"))
    report = run_export(reader, None, kept_policy(split=rules), "steps", tmp_path / "a.jsonl")
    assert "near-equal prompts across splits: none" in report.lines()

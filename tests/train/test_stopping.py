from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from training_log import MANY, Teller, kept_policy, many, rows_of

from apollo_train.export.plan import plan_export
from apollo_train.export.report import ExportReport
from apollo_train.export.run import run_export
from apollo_train.output_files import NewFiles
from apollo_train.policy import PRESETS, AdviceRules, SessionRules, WeightRules, parse_policy
from apollo_train.runtime import FileInTheWay
from sessions import events as ev
from sessions import ulid
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

DEFAULT = kept_policy()


def files(report: ExportReport) -> list[bytes]:
    return [path.read_bytes() for path in (report.path, report.excluded, report.manifest)]


class Stop(BaseException):
    """As ctrl+c."""


def stop_at(count: int) -> Any:
    calls = iter(range(10_000))

    def tell(*_: int) -> None:
        if next(calls) == count:
            raise Stop

    return tell


@pytest.mark.parametrize("name", ["steps", "openai", "raw"])
@pytest.mark.parametrize("count", [0, 2, 4])
async def test_an_export_that_was_stopped_goes_on_and_gives_the_same_bytes(
    writer: LogWriter, reader: LogReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, count: int
) -> None:
    await many(writer)
    monkeypatch.setattr("apollo_train.export.report.PROGRESS_EVERY", 1)
    whole = files(run_export(reader, None, DEFAULT, name, tmp_path / "whole.jsonl"))
    out = tmp_path / "out.jsonl"
    with pytest.raises(Stop):
        run_export(reader, None, DEFAULT, name, out, progress=stop_at(count))
    assert not out.exists() and (tmp_path / ".out.jsonl.part").exists()
    told = await Teller(writer, ulid.encode(1_800_000_000_000 << 80)).begin()  # the log has grown meanwhile
    await told.act()
    assert files(run_export(reader, None, DEFAULT, name, out, resume=True)) == whole
    assert not list(tmp_path.glob(".out*"))


async def test_what_was_done_is_not_done_again(
    writer: LogWriter, reader: LogReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many(writer)
    monkeypatch.setattr("apollo_train.export.report.PROGRESS_EVERY", 1)
    out = tmp_path / "out.jsonl"
    with pytest.raises(Stop):
        run_export(reader, None, DEFAULT, "steps", out, progress=stop_at(12))
    first: list[int] = []
    run_export(reader, None, DEFAULT, "steps", out, resume=True, progress=lambda done, _: first.append(done))
    assert first[0] > 8


async def test_a_damaged_or_other_beginning_is_not_gone_on_with(
    writer: LogWriter, reader: LogReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many(writer)
    monkeypatch.setattr("apollo_train.export.report.PROGRESS_EVERY", 1)
    whole = files(run_export(reader, None, DEFAULT, "steps", tmp_path / "whole.jsonl"))
    out, part = tmp_path / "out.jsonl", tmp_path / ".out.jsonl.part"
    for spoil in (lambda data: data[:10], lambda data: b"x" + data[1:], lambda data: data + b"more"):
        with pytest.raises(Stop):
            run_export(reader, None, DEFAULT, "steps", out, overwrite=True, progress=stop_at(9))
        part.write_bytes(spoil(part.read_bytes()))
        assert files(run_export(reader, None, DEFAULT, "steps", out, resume=True, overwrite=True)) == whole
    with pytest.raises(Stop):
        run_export(reader, None, PRESETS["everything"], "steps", out, overwrite=True, progress=stop_at(9))
    assert files(run_export(reader, None, DEFAULT, "steps", out, resume=True, overwrite=True)) == whole


@pytest.mark.kill
async def test_a_killed_export_goes_on_too(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await many(writer)
    whole = files(run_export(reader, None, DEFAULT, "steps", tmp_path / "whole.jsonl"))
    code = (
        "import sys,time; from pathlib import Path; import apollo_train.export.report as t; t.PROGRESS_EVERY = 1\n"
        "from apollo_train.export.run import run_export; from apollo_train.policy import PRESETS\n"
        "from sessions.log.reader import LogReader\n"
        "def tell(done, total):\n    print(done, flush=True)\n    time.sleep(60 if done > 8 else 0)\n"
        "log, out = map(Path, sys.argv[1:])\n"
        "run_export(LogReader(log), None, PRESETS['default'], 'steps', out, progress=tell)\n"
    )
    out = tmp_path / "out.jsonl"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(writer.path), str(out)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) > 8:
            break
    with pytest.raises(FileInTheWay, match="another export is writing"):
        run_export(reader, None, DEFAULT, "steps", out)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert files(run_export(reader, None, DEFAULT, "steps", out, resume=True)) == whole


def test_two_exports_never_write_the_same_file(tmp_path: Path) -> None:
    with NewFiles([tmp_path / "a"], overwrite=True), pytest.raises(FileInTheWay, match="another export is writing"):
        NewFiles([tmp_path / "a"], overwrite=True)
    NewFiles([tmp_path / "a"], overwrite=True).__exit__(None, None, None)


async def test_progress_counts_what_there_is(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await many(writer)
    seen: list[tuple[int, int]] = []
    policy = kept_policy(sessions=SessionRules(sign_off=("good", "partial", "discard", "invalid", "none")))
    run_export(reader, None, policy, "steps", tmp_path / "o.jsonl", progress=lambda *pair: seen.append(pair))
    assert seen[-1] == (21, 21)


async def test_twins_are_written_once_and_all_else_twice(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await told.act("a")
    await told.advise("Slow down.", "strategy")
    await told.act("b")
    advice = AdviceRules(strategy="both")
    report = run_export(reader, None, kept_policy(advice=advice), "steps", tmp_path / "o.jsonl")
    assert [row["meta"]["id"].partition(":")[2] for row in rows_of(report.path)] == ["1", "1", "2+advice", "2-advice"]
    assert report.counts.resampled == 1
    column = kept_policy(advice=advice, weights=WeightRules(apply="column"))
    rows = rows_of(run_export(reader, None, column, "steps", tmp_path / "c.jsonl").path)
    assert [row["meta"]["weight"] for row in rows] == [1.0, 0.5, 0.5]


@pytest.mark.parametrize("name", ["steps", "openai"])
async def test_rows_are_seen_as_often_as_they_weigh(
    writer: LogWriter, reader: LogReader, tmp_path: Path, name: str
) -> None:
    for number, steps in enumerate((2, 8, 30)):
        told = await Teller(writer, MANY[number]).begin(task_id=f"t{number % 2}")
        for step in range(steps):
            await told.act(str(step))
            if step % 2:
                await told.summarise()
    policy = kept_policy(weights=WeightRules(normalise="session"))
    report = run_export(reader, None, policy, name, tmp_path / "o.jsonl")
    seen: dict[str, int] = {}
    for row in rows_of(report.path):
        seen[row["meta"]["session"]] = seen.get(row["meta"]["session"], 0) + 1
    assert max(seen.values()) - min(seen.values()) <= 1 and len(seen) == 3
    left = [line for line in rows_of(report.excluded) if line["reason"] == "resampled"]
    written = {row["meta"]["id"] for row in rows_of(report.path)}
    assert left and {line["id"] for line in left}.isdisjoint(written)
    counts = report.counts
    assert counts.rows == len(rows_of(report.path)) and counts.trained + counts.masked_by["resampled"] == 40
    assert counts.masked == 20 + counts.masked_by["resampled"]  # 20 are summaries
    assert counts.actions_masked["resampled"] == counts.masked_by["resampled"]
    if name == "steps":
        assert (counts.masked_by["resampled"], counts.trained) == (len(left), len(written))
        assert counts.trained_tokens == 10 * len(written) and counts.tokens_masked["resampled"] == 10 * len(left)


async def test_caps_hold_sessions_and_tasks_down(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await many(writer)
    rules = WeightRules(session_cap=2, apply="column")
    rows = rows_of(run_export(reader, None, kept_policy(weights=rules), "steps", tmp_path / "s.jsonl").path)
    total: dict[str, float] = {}
    for row in rows:
        total[row["meta"]["session"]] = total.get(row["meta"]["session"], 0) + row["meta"]["weight"]
    assert all(value <= 2.001 for value in total.values())
    rules = WeightRules(task_cap=3, apply="column")
    rows = rows_of(run_export(reader, None, kept_policy(weights=rules), "steps", tmp_path / "t.jsonl").path)
    by_task: dict[str, float] = {}
    for row in rows:
        by_task[row["meta"]["task"]] = by_task.get(row["meta"]["task"], 0) + row["meta"]["weight"]
    assert by_task == pytest.approx({"t0": 3.0, "t1": 3.0})


async def test_a_policy_may_refuse_what_trainers_ignore(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    from apollo_train.runtime import CannotExpress

    await told.act()
    policy = kept_policy(weights=WeightRules(normalise="task", apply="refuse"))
    with pytest.raises(CannotExpress, match="its trainers ignore weights"):
        run_export(reader, None, policy, "steps", tmp_path / "o.jsonl")
    [row] = rows_of(run_export(reader, None, policy, "llamafactory-v1", tmp_path / "v.jsonl").path)
    assert row["messages"][-1]["loss_weight"] == 1.0
    plain = kept_policy(weights=WeightRules(apply="refuse"))
    assert run_export(reader, None, plain, "steps", tmp_path / "p.jsonl").counts.trained == 1


async def test_the_report_says_what_help_went_in_and_what_each_reason_cost(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("a")
    await told.reply(("run", "{}"), ("run", "{}"))
    await told.result(1)
    await told.result(2)
    await told.flag(ev.Target(2, "call", 1))
    await told.advise("Slow down.")
    await told.act("b")
    await told.tell(ev.EffortSpent(active_ms=180_000), actor="human:ann")
    counts = run_export(reader, None, DEFAULT, "steps", tmp_path / "o.jsonl").counts
    assert (counts.actions, counts.actions_masked, counts.tokens_masked) == (2, {"flagged": 2}, {"flagged": 10})
    assert (counts.helped, counts.advice, counts.flags, counts.calls_lost) == (1, 1, 1, 1)
    lines = "\n".join(counts.lines())
    assert "3 minutes of annotators' time" in lines and "2 calls trained, 2 masked" in lines
    assert "masked: 1 flagged (10 tokens)" in lines


async def test_a_file_of_events_says_nothing_of_trained_replies(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("a")
    report = run_export(reader, None, DEFAULT, "raw", tmp_path / "o.jsonl")
    assert report.lines()[0] == f"1 session, {reader.count(told.session)} rows"
    assert plan_export(reader, None, DEFAULT, "raw").lines()[0] == report.lines()[0]


@pytest.mark.parametrize("key", ["labels", "kept_labels"])
async def test_a_label_that_no_flag_has_is_named_with_the_nearest_that_they_have(
    told: Teller, reader: LogReader, tmp_path: Path, key: str
) -> None:
    await told.act("a")
    await told.act("b")
    await told.flag(ev.Target(1), label="strategy/loop")
    await told.flag(ev.Target(2), verdict="good", label="stratgy/loop")
    wrong = parse_policy(f"version = 1\n[flags]\n{key} = ['stratgy/loop', 'strategy/loop']\n")
    does = "masks" if key == "labels" else "keeps"
    said = f"flags.{key} names 'stratgy/loop', which no bad flag here has, so it {does} nothing: "
    said += "did you mean 'strategy/loop'?"
    assert plan_export(reader, None, wrong).lines().count(said) == 1
    report = run_export(reader, None, wrong, "steps", tmp_path / "o.jsonl")
    assert report.lines().count(said) == 1
    assert json.loads(report.manifest.read_text())["labels_without_flags"] == [said]
    right = parse_policy(f"version = 1\n[flags]\n{key} = ['strategy/loop']\n")
    assert plan_export(reader, None, right).unused == ()
    far = parse_policy(f"version = 1\n[flags]\n{key} = ['q']\n")
    assert plan_export(reader, None, far).unused[0].endswith("they have strategy/loop")

"""Advice in or out: nobody decides it silently, and only general advice goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from training_log import OTHER, Teller, kept_policy, rows_of

from apollo_train.cli.main import main
from apollo_train.export.open_questions import AdviceUndecided, fill_open
from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS
from apollo_train.policy import PRESETS, AdviceRules, FilterPolicy, parse_policy
from sessions import events as ev
from sessions.config import ConfigError, ExportSettings, load_config, remember_setting
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

DROPPED = FilterPolicy(advice=AdviceRules.of_all("dropped"))
BOTH = FilterPolicy(advice=AdviceRules.of_all("both"))


async def advised(told: Teller) -> None:
    """Step 2 follows general advice, 4 advice that holds here only, 6 an answer, 8 advice of which nobody said it."""
    await told.act("ls")
    await told.advise("Write short logs, always.", "strategy", reach="general")
    await told.act("train")
    await told.act("check")
    await told.advise("Now restart it.", "correction", reach="here")
    await told.act("restart", reasoning="It stopped.")
    await told.reply(("ask", '{"text": "Which one?"}'))
    await told.tell(ev.QuestionAsked(question=1, text="Which one?", until=0), step=5, call=1)
    await told.tell(ev.QuestionAnswered(question=1, text="The second."), actor="human:ann")
    await told.result(1, "The second.")
    await told.act("open", reasoning="Take two.")
    await told.act("read")
    await told.advise("Stop there.", reach=None)
    await told.act("halt")
    await told.act("end")


def export(reader: LogReader, out: Path, policy: FilterPolicy, name: str = "steps") -> tuple[list[Any], dict[str, str]]:
    report = run_export(reader, None, policy, name, out, overwrite=True)
    return rows_of(report.path), {line["id"].split(":")[1]: line["reason"] for line in rows_of(report.excluded)}


@pytest.mark.parametrize(
    "name", [name for name in FORMATS if name not in ("raw", "atif", "sts", "verl", "preferences")]
)
async def test_without_a_word_on_advice_no_format_that_holds_prompts_is_written(
    told: Teller, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await advised(told)
    with pytest.raises(AdviceUndecided) as problem:
        run_export(reader, None, FilterPolicy(), name, tmp_path / "x.jsonl")
    said = "these sessions hold 3 pieces of advice and 1 answer to questions, and nobody said what becomes of that: say"
    assert str(problem.value).startswith(f"{said} --advice kept, dropped or both") and "\n" not in str(problem.value)
    assert not list(tmp_path.glob("x.jsonl*"))


async def test_what_tells_all_or_holds_no_advice_does_not_ask(
    told: Teller, writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await advised(told)
    for name in ("raw", "atif", "sts"):
        run_export(reader, None, FilterPolicy(), name, tmp_path / name)
    await (await Teller(writer, OTHER).begin()).act("ls")
    assert run_export(reader, [OTHER], FilterPolicy(), "steps", tmp_path / "s.jsonl").counts.trained == 1
    lines = plan_export(reader, None, FilterPolicy()).lines()
    assert "advice: nobody has said yet whether it is kept, dropped or both; it is counted as kept here" in lines


async def test_dropped_takes_general_advice_alone_and_leaves_out_the_reply_after_what_holds_here(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await advised(told)
    rows, excluded = export(reader, tmp_path / "s.jsonl", DROPPED)
    assert excluded == dict.fromkeys("468", "after_here_advice")
    assert [row["meta"]["step"] for row in rows] == ["1", "2", "3", "5", "7", "9"]
    by_step = {row["meta"]["step"]: row for row in rows}
    assert "Write short logs" not in json.dumps(by_step["9"]["prompt"])
    assert "Now restart it." in json.dumps(by_step["9"]["prompt"]) and by_step["9"]["meta"]["advice"] == [2, 3]
    # The question keeps its answer: nobody "did not answer".
    assert "The second." in json.dumps(by_step["7"]["prompt"]) and "Nobody answered" not in json.dumps(rows)
    assert [by_step[step]["meta"]["prompt"] for step in ("1", "2")] == ["exact", "counterfactual"]
    assert [by_step[step]["meta"].get("without") for step in ("1", "2")] == [None, ["advice"]]


async def test_plan_view_and_whole_conversations_leave_the_same_replies_out(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await advised(told)
    report = run_export(reader, None, DROPPED, "openai", tmp_path / "o.jsonl")
    assert report.counts.masked_by == {"after_here_advice": 3} == plan_export(reader, None, DROPPED).counts.masked_by
    [row] = rows_of(report.path)
    weights = [message["weight"] for message in row["messages"] if message["role"] == "assistant"]
    assert weights == [1, 1, 1, 0, 1, 0, 1, 0, 1]
    assert report.counts.advice_by_reach == {"general": 1, "here": 1, "unknown": 1} and report.counts.answers == 1
    lines = report.lines()
    assert "3 pieces of advice given to these agents: 1 general, 1 here only, 1 reach unknown (counts as here)" in lines
    assert "1 answer of people to questions of these agents" in lines
    assert "1 row with advice taken out of the prompt, which no model ever saw" in lines
    assert "advice: dropped" in lines


async def test_here_keep_trains_them_and_kept_changes_nothing(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await advised(told)
    keep = parse_policy('version = 2\npreset = "unaided"\n[advice]\nhere = "keep"')
    rows, excluded = export(reader, tmp_path / "s.jsonl", keep)
    assert len(rows) == 9 and not excluded
    rows, excluded = export(reader, tmp_path / "k.jsonl", kept_policy())
    assert len(rows) == 9 and not excluded
    assert {row["meta"]["prompt"] for row in rows} == {"exact"}


async def test_twins_weigh_half_each_and_only_the_one_without_advice_misses_the_reply_after_it(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await advised(told)
    rows, excluded = export(
        reader, tmp_path / "s.jsonl", parse_policy('version = 2\npreset = "twins"\n[weights]\napply = "column"')
    )
    ids = [row["meta"]["id"].split(":")[1] for row in rows]
    assert ids[:3] == ["1", "2+advice", "2-advice"]
    assert excluded == {
        "4-advice": "after_here_advice",
        "6-advice": "after_here_advice",
        "8-advice": "after_here_advice",
    }
    assert {"4+advice", "6+advice", "8+advice"} < set(ids)
    assert [row["meta"]["weight"] for row in rows] == [1.0, *[0.5] * (len(rows) - 1)]


async def test_twins_of_a_reply_after_what_holds_here_differ_though_their_prompts_do_not(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("ls")
    await told.advise("Now restart it.", reach="here")
    await told.act("restart")
    await told.act("wait")
    rows, excluded = export(
        reader, tmp_path / "s.jsonl", parse_policy('version = 2\npreset = "twins"\n[weights]\napply = "column"')
    )
    assert [(row["meta"]["step"], row["meta"]["weight"]) for row in rows] == [("1", 1.0), ("2", 0.5), ("3", 1.0)]
    assert excluded == {"2-advice": "after_here_advice"}


async def test_the_newest_word_on_its_reach_counts_and_undone_words_count_not(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("ls")
    number = await told.advise("Write short logs.", reach="general")
    await told.act("train")
    assert not export(reader, tmp_path / "a.jsonl", DROPPED)[1]
    await told.tell(ev.AdviceReach(advice=number, reach="here"), actor="human:ann")
    assert export(reader, tmp_path / "b.jsonl", DROPPED)[1] == {"2": "after_here_advice"}
    await told.tell(ev.AdviceReach(advice=number, reach=None), actor="human:ann")
    assert not export(reader, tmp_path / "c.jsonl", DROPPED)[1]


@pytest.mark.parametrize(
    "refers",
    [
        {"reasoning": "As you said, I write less."},
        {"text": "You're right, logs are too long."},
        {"text": "Understood."},
        {"reasoning": "I cap every line at 80 chars in src/logs/write.py."},
        {"reasoning": "The file write.py has to be changed."},
        {"text": "The user just told me to shorten them."},
    ],
)
async def test_a_reply_that_refers_to_dropped_advice_in_other_words_is_left_out(
    told: Teller, reader: LogReader, tmp_path: Path, refers: dict[str, str]
) -> None:
    await told.act("ls")
    await told.advise("Keep log lines below eighty characters: see src/logs/write.py.")
    await told.act("edit", **refers)
    await told.act("make", reasoning="I build.")
    for name in ("steps", "openai"):
        report = run_export(reader, None, DROPPED, name, tmp_path / name)
        assert [line["reason"] for line in rows_of(report.excluded)] == ["target_refers"]
        assert run_export(reader, None, kept_policy(), name, tmp_path / f"{name}-kept").counts.masked == 0


async def test_numbers_that_the_prompt_has_anyway_are_no_reference(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("ls src", "src/logs/write.py has 4711 lines")
    await told.advise("It is 4711 I worry about.")
    await told.act("wc", reasoning="4711 again.")
    assert not export(reader, tmp_path / "s.jsonl", DROPPED)[1]


def run(*words: object, **env: str) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": "300", **env})


@pytest.mark.parametrize("command", ["build", "dataset"])
async def test_every_command_takes_advice_and_an_error_names_the_option(
    told: Teller, tmp_path: Path, command: str
) -> None:
    await advised(told)
    words = (command, "--log", told.writer.path, "--out")
    failed = run(*words, tmp_path / "a", APOLLO_CONFIG=str(tmp_path / "none.toml"))
    assert (
        failed.exit_code == 1
        and failed.output.count("\n") == 1
        and "say --advice kept, dropped or both" in failed.output
    )
    done = run(*words, tmp_path / "b", "--advice", "dropped", APOLLO_CONFIG=str(tmp_path / "none.toml"))
    assert done.exit_code == 0 and "advice: dropped" in done.output
    (tmp_path / "apollo.toml").write_text('[export]\nadvice = "kept"\n')
    by_config = run(*words, tmp_path / "c", APOLLO_CONFIG=str(tmp_path / "apollo.toml"))
    assert by_config.exit_code == 0 and "advice: kept" in by_config.output
    unaided = run(*words, tmp_path / "d", "--policy", "unaided", APOLLO_CONFIG=str(tmp_path / "apollo.toml"))
    assert "advice: dropped" in unaided.output
    (tmp_path / "old.toml").write_text("version = 1\n")
    old = run(*words, tmp_path / "e", "--policy", tmp_path / "old.toml", APOLLO_CONFIG=str(tmp_path / "none.toml"))
    assert old.exit_code == 0 and "has version 1 and means what that meant" in old.output


def test_the_config_answers_what_a_policy_leaves_open_and_nothing_else(tmp_path: Path) -> None:
    settings = ExportSettings(advice="both", trainable=("glm-*",))
    assert fill_open(PRESETS["default"], settings).advice.modes == {"both"}
    assert fill_open(PRESETS["unaided"], settings).advice.modes == {"dropped"}
    assert fill_open(parse_policy("version = 1"), settings).advice.modes == {"kept"}
    assert fill_open(PRESETS["default"], settings).targets.trainable == ("glm-*",)


def test_an_answer_is_remembered_in_the_config_beside_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    remember_setting(path, "export", "advice", "dropped")
    remember_setting(path, "export", "trainable", ["glm-*"])
    assert load_config(path).export == ExportSettings(advice="dropped", trainable=("glm-*",))
    with pytest.raises(ConfigError, match="write it there yourself"):
        remember_setting(path, "export", "advice", "kept")
    other = tmp_path / "ui.toml"
    other.write_text('# mine\n[ui]\nmotion = "reduced"\n')
    remember_setting(other, "export", "advice", "kept")
    assert other.read_text().startswith("# mine\n") and load_config(other).ui.motion == "reduced"
    assert load_config(other).export.advice == "kept"
    other.write_text('trainable = ["glm-*"]\n')
    with pytest.raises(ConfigError, match=r"trainable: it stands under \[export\]"):
        load_config(other)

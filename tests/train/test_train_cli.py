from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fake_template_engine import FakeEngine
from training_log import SESSION, Teller, new_log, rows_of

from apollo_train.cli.main import main
from apollo_train.export.plan import plan_export
from apollo_train.export.preview import preview
from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS, format_for
from apollo_train.formats.readers import MASK_READERS
from apollo_train.output_files import WriteFailed
from apollo_train.policy import PRESETS, load_policy, parse_policy
from apollo_train.runtime import FileInTheWay, NothingToExport
from apollo_train.samples.session_selection import SESSION_REASONS, select
from sessions import events as ev
from sessions.log.reader import LogReader


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


async def test_build_writes_step_samples_and_segments(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    await told.act("b")
    await told.flag(ev.Target(1))
    done = run("build", "--log", told.writer.path, "--out", tmp_path / "out", "--segments", "openai")
    assert done.exit_code == 0, done.output
    assert "1 reply trained, 1 masked" in done.output
    assert len(rows_of(tmp_path / "out" / "steps.jsonl")) == 1
    [row] = rows_of(tmp_path / "out" / "segments.jsonl")
    assert [m["weight"] for m in row["messages"] if m["role"] == "assistant"] == [0, 1]
    again = run("build", "--log", told.writer.path, "--out", tmp_path / "out")
    assert again.exit_code == 1
    assert again.stderr.startswith("apollo-train: ") and again.stderr.count("\n") == 1
    assert run("build", "--log", told.writer.path, "--out", tmp_path / "out", "--overwrite").exit_code == 0


async def test_build_writes_what_trains_right_for_most_and_no_file_whose_masks_are_ignored(
    told: Teller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told.act("a", reasoning="Look.")
    await told.act("b", reasoning="Kill it.")
    await told.flag(ev.Target(2))
    plain = run("build", "--log", told.writer.path, "--out", tmp_path / "plain")
    assert {path.name for path in (tmp_path / "plain").glob("*.jsonl")} == {"steps.jsonl", "steps.jsonl.excluded.jsonl"}
    assert "loss on its `completion`, read by TRL, Unsloth" in plain.output
    monkeypatch.setattr("apollo_train.cli.tokens.open_engine", lambda *_: FakeEngine())
    named = run("build", "--log", told.writer.path, "--out", tmp_path / "named", "--tokenizer", "model")
    assert named.exit_code == 0, named.output
    files = {path.name for path in (tmp_path / "named").iterdir()}
    assert "tokens.jsonl" in files and "tokens.jsonl.report.json" in files and "steps.jsonl" not in files
    [row] = rows_of(tmp_path / "named" / "tokens.jsonl")
    assert 0 < sum(label != -100 for label in row["labels"]) < len(row["labels"])
    again = run("build", "--log", told.writer.path, "--out", tmp_path / "named", "--tokenizer", "model", "--resume")
    assert again.exit_code == 0 and "tokens.jsonl (tokens) was whole before" in again.output


@pytest.mark.parametrize("name", list(FORMATS))
async def test_plan_report_and_manifest_name_the_readers_that_do_not_look_at_the_masks(
    told: Teller, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await told.act("a")
    await told.flag(ev.Target(1), verdict="good")
    assert set(MASK_READERS) == {*FORMATS, "tokens"}
    if name in ("dpo", "preferences"):  # have no row here
        return
    report = run_export(reader, None, load_policy(), name, tmp_path / "out")
    lines = [line for line in report.lines() if line.startswith("masks: ")]
    assert lines == [MASK_READERS[name].line()]
    assert lines[0] in plan_export(reader, None, load_policy(), name).lines()
    manifest = json.loads(report.manifest.read_text())
    assert manifest["masks"]["not_read_by"] == list(MASK_READERS[name].not_read_by)
    if name in ("messages", "openai", "axolotl", "ms-swift", "slime"):
        assert "not by TRL, Unsloth" in lines[0] and "`apollo-train tokens`" in lines[0]


async def test_inspect_marks_trained_and_masked_by_sign_and_not_by_colour_alone(told: Teller) -> None:
    await told.act("a", text="Good.")
    await told.act("b", text="Bad.")
    await told.flag(ev.Target(2))
    shown = run("inspect", "--log", told.writer.path, "1", "2").output
    assert "masked: flagged" in shown
    assert "- assistant: masked (flagged)\n-   Bad." in shown
    assert "    Good." in shown
    shown = run("inspect", "--log", told.writer.path, "1", "1").output
    assert "+ assistant: trained\n+   Good." in shown
    missing = run("inspect", "--log", told.writer.path, "1", "9")
    assert (missing.exit_code, missing.stderr.count("\n")) == (1, 1)
    assert "has no step 9" in missing.stderr


async def test_inspect_shows_the_flagged_reply_unless_told_otherwise(told: Teller, reader: LogReader) -> None:
    for _ in range(4):
        await told.act()
    await told.flag(ev.Target(2))
    found = preview(reader, SESSION, parse_policy("version = 1"), messages=1)
    assert found is not None
    assert (found.name, found.trained, found.hidden) == ("2", False, 3)
    assert [span.role for span in found.spans] == ["context", "masked"]


async def test_with_scope_call_only_the_flagged_call_is_masked_in_the_preview(told: Teller, reader: LogReader) -> None:
    await told.reply(("run", '{"command":"a"}'), ("run", '{"command":"b"}'), text="Both.")
    await told.flag(ev.Target(1, "call", 2))
    found = preview(reader, SESSION, parse_policy('version = 1\n[flags]\nscope = "call"'), messages=0)
    assert found is not None
    assert [(span.label, span.role) for span in found.spans] == [
        ("assistant", "trained"),
        ("call 1", "trained"),
        ("call 2", "masked"),
    ]


async def test_nothing_foreign_reaches_the_terminal(told: Teller) -> None:
    evil = "x\x1b[2J\x1b]0;title\x07\x1b]52;c;QQ==\x1b\\\x9b31m\x00\u202e[/red]\rlast"
    await told.act(evil, evil, text=evil, reasoning=evil)
    await told.act("b")
    for step in ("1", "2"):
        shown = run("inspect", "--log", told.writer.path, "1", step)
        assert shown.exit_code == 0
        assert not set("\x1b\x07\x00\x9b\u202e\r") & set(shown.output)
        assert "last" in shown.output


def test_policies_can_be_shown_checked_and_named(tmp_path: Path) -> None:
    shown = run("policy", "show", "strict")
    assert parse_policy(shown.output).name == "strict"
    (tmp_path / "good.toml").write_text(shown.output)
    assert "good; policy 'strict'" in run("policy", "check", tmp_path / "good.toml").output
    (tmp_path / "bad.toml").write_text("version = 1\n[flags]\nscope = 'word'\n")
    bad = run("policy", "check", tmp_path / "bad.toml")
    assert bad.exit_code == 1
    assert "flags.scope: there is no 'word': choose one of message, call, format, reasoning" in bad.stderr
    listed = run("policy", "list").output.splitlines()
    assert [line.split()[0] for line in listed] == list(PRESETS)
    assert all(len(line.split()) > 5 for line in listed)
    assert "openai" in run("formats").output


@pytest.mark.parametrize("arguments", [("inspect", "1"), ("build", "--out", "x")])
def test_a_log_that_is_not_there_is_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, "--log", tmp_path / "none.sqlite")
    assert done.exit_code == 1
    assert done.stderr.startswith("apollo-train: there is no log at") and done.stderr.count("\n") == 1


def test_the_light_half_loads_no_screen_and_no_heavy_library() -> None:
    code = "import sys, json, apollo_train.export.run, apollo_train.cli.main; print(json.dumps(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    heavy = {"textual", "rich", "torch", "transformers", "pyarrow", "datasets", "openai", "anthropic", "aiosqlite"}
    assert not heavy & {name.split(".")[0] for name in json.loads(loaded)}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("frobnicate",), "No such command 'frobnicate'. (apollo-train --help)"),
        (("build",), "Missing option '--out'. (apollo-train build --help)"),
        (("formats", "--odd"), "No such option"),
    ],
)
def test_a_mistake_in_the_use_is_one_line(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments), prog_name="apollo-train")
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("apollo-train: ") and says in err


async def test_what_a_format_of_verdicts_lacks_is_said_and_one_is_one(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    with LogReader(told.writer.path) as reader:
        for name, needs in (("dpo", "a pair needs a flagged reply"), ("kto", "a verdict needs a flag")):
            with pytest.raises(NothingToExport, match=f"there is nothing to write: {needs}"):
                run_export(reader, None, load_policy("default"), name, tmp_path / name)
        (first, second, *_) = run_export(reader, None, load_policy("default"), "steps", tmp_path / "s.jsonl").lines()
    assert first.startswith("1 session, 1 row: 1 reply trained, 0 masked")
    assert " tokens processed per trained token" in second or "processed" not in second


async def test_inspect_says_of_a_reply_what_the_export_does_with_it(told: Teller, reader: LogReader) -> None:
    await told.advise("Please let the job run for another hour.", "strategy")
    await told.act("echo let the job run for another hour", text="Good.")
    await told.act("b")
    dropped = parse_policy('version = 1\npreset = "unaided"')
    for policy, step, said in ((dropped, 1, "target_refers"), (dropped, 2, ""), (parse_policy("version = 1"), 1, "")):
        found = preview(reader, SESSION, policy, step=step)
        assert found is not None
        assert (found.trained, found.reason) == (not said, said)
        assert {span.reason for span in found.spans if span.role != "context"} == {said}
    await told.tell(ev.SignedOff(verdict="discard"), actor="human:ann")
    found = preview(reader, SESSION, parse_policy("version = 1"), step=2)
    assert found is not None and (found.trained, found.reason) == (False, "session_sign_off")


async def test_an_export_that_holds_nothing_says_in_words_what_kept_all_out(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    await told.flag(ev.Target(1))
    strict = run("build", "--log", told.writer.path, "--out", tmp_path / "a", "--policy", "strict")
    assert "session_sign_off: its sign-off is none of sessions.sign_off" in strict.stderr
    assert strict.stderr.count("\n") == 1
    assert "flagged: flagged bad" in run("build", "--log", told.writer.path, "--out", tmp_path / "b").stderr


def test_every_reason_that_keeps_a_session_out_has_words() -> None:
    source = Path(inspect.getsourcefile(select) or "").read_text("utf-8")
    assert set(re.findall(r'"(session_\w+)"', source)) == set(SESSION_REASONS)


async def test_an_export_names_the_files_beside_it(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    said = run("build", "--log", told.writer.path, "--out", tmp_path / "out").output
    for name in (path.name for path in (tmp_path / "out").iterdir()):
        assert name in said


async def test_what_is_no_file_to_write_is_told_and_left_as_it_is(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("a")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, says in (("folder", "is a folder"), ("pipe", "is no ordinary file")):
        with pytest.raises(FileInTheWay, match=f"{says}: name the file to write"):
            run_export(reader, None, load_policy(), "steps", tmp_path / name, overwrite=True)
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(WriteFailed, match=r"there is no folder .*nowhere$"):
        run_export(reader, None, load_policy(), "steps", tmp_path / "nowhere" / "x.jsonl")


async def test_a_template_that_was_named_and_never_tried_is_not_asked_for_again(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("a")
    (tmp_path / "odd.jinja").write_text("{{ messages }}")
    fitted = run_export(reader, None, load_policy(), format_for("steps", str(tmp_path / "odd.jinja")), tmp_path / "a")
    plain = run_export(reader, None, load_policy(), "steps", tmp_path / "b")
    assert "TRL was not tried with this template" in fitted.note and "name your template" not in fitted.note
    assert "name your template" in plain.note
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


async def test_a_file_of_several_session_traces_says_that_the_viewer_takes_one(tmp_path: Path) -> None:
    writer = await new_log(tmp_path)
    for session in (SESSION, SESSION[:-1] + "0"):
        await (await Teller(writer, session).begin()).act("a")
    await writer.close()
    with LogReader(tmp_path / "log.sqlite") as reader:
        both = run_export(reader, None, load_policy(), "sts", tmp_path / "both")
        one = run_export(reader, [SESSION], load_policy(), "sts", tmp_path / "one")
    assert any("one session per file" in line for line in both.lines())
    assert not any("one session per file" in line for line in one.lines())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--position", "9999"], "there is no log position 9,999: the log ends at"),
        (["--position", "-1"], "there is no log position -1"),
        (["--segments", "nope"], "nope"),
        (["--policy", "CALL"], "trains a reply whole or not at all"),
    ],
)
async def test_a_build_that_cannot_be_whole_writes_nothing(
    told: Teller, tmp_path: Path, words: list[str], said: str
) -> None:
    await told.act()
    (tmp_path / "call.toml").write_text('version = 1\n[flags]\nscope = "call"\n')
    words = [str(tmp_path / "call.toml") if word == "CALL" else word for word in words]
    failed = run("build", "--log", told.writer.path, "--out", tmp_path / "out", *words)
    assert (failed.exit_code, failed.stderr.count("\n")) == (1, 1)
    assert said in failed.stderr
    assert not (tmp_path / "out").exists()


def test_a_reader_that_has_seen_enough_is_no_error_to_tell_of() -> None:
    command = [sys.executable, "-m", "apollo_train", "policy", "show"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as told:
        assert told.stdout is not None and told.stderr is not None
        told.stdout.close()  # as `head` does, here before anything comes
        assert told.stderr.read() == ""
    assert told.returncode == 1

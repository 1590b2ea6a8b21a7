"""What may not leave the log: found, replaced alike everywhere, masked where tokens can say so, counted, and refused
where it would slip through."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fake_template_engine import FakeEngine, fake_renderer
from training_log import MANY, Teller, kept_policy, rows_of

from apollo_train.cli.main import main
from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS, format_for
from apollo_train.formats.tokens import TokensFormat
from apollo_train.policy import TargetRules
from apollo_train.runtime import CannotExpress
from apollo_train.samples.chat import Turn
from apollo_train.samples.scrub import BadScrub, Scrubber, load_scrub
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

POLICY = kept_policy(targets=TargetRules(text_only=True))
RULES = r"""
[[rule]]
name = "email"
regex = '[\w.]+@[\w.]+\w'

[[rule]]
name = "person"
literal = ["Ada", "Ada Lovelace", "José"]
replacement = "<someone {number}>"
ignore_case = true
"""
SECRETS = ("ada@corp.example", "bob@corp.example", "Lovelace", "José", "jos\\u00e9", "ADA")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return path


@pytest.fixture
def scrubber(rules: Path) -> Scrubber:
    return Scrubber(load_scrub(rules))


def test_the_same_gets_the_same_word_and_another_the_next_number(scrubber: Scrubber) -> None:
    text = "ada@corp.example wrote to bob@corp.example; ada@corp.example is Ada Lovelace, and ADA is Ada."
    assert scrubber.text(text) == (
        "[EMAIL_1] wrote to [EMAIL_2]; [EMAIL_1] is <someone 1>, and <someone 2> is <someone 2>."
    )
    assert scrubber.counts() == {"email": 3, "email values": 2, "person": 3, "person values": 2}


def test_of_two_finds_that_overlap_the_earlier_counts(scrubber: Scrubber) -> None:
    assert scrubber.text("Ada@x.org") == "[EMAIL_1]"


def test_strings_of_arguments_are_found_by_what_they_mean_and_all_else_stays(scrubber: Scrubber) -> None:
    text = '{ "to":"jos\\u00e9", "n" : 3, "cc": ["a\\tb", "bob@corp.example\\n"]}'
    made = scrubber.json(text)
    assert made == '{ "to":"<someone 1>", "n" : 3, "cc": ["a\\tb", "[EMAIL_1]\\n"]}'
    assert json.loads(made)["cc"][1] == "[EMAIL_1]\n"
    assert scrubber.json('{"to": "bob@corp.example"') == '{"to": "[EMAIL_1]"'


def test_a_number_that_is_found_becomes_a_string(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("[[rule]]\nname = 'phone'\nregex = '555\\d+'\n")
    assert Scrubber(load_scrub(tmp_path / "r.toml")).json('{"call": 5551234}') == '{"call": "[PHONE_1]"}'


def test_names_of_tools_stay_and_their_words_do_not(scrubber: Scrubber) -> None:
    tool = {"function": {"name": "ada", "description": "Writes to Ada.", "parameters": {"enum": ["Ada", 3]}}}
    assert scrubber.tools([tool]) == [
        {
            "function": {
                "name": "ada",
                "description": "Writes to <someone 1>.",
                "parameters": {"enum": ["<someone 1>", 3]},
            }
        }
    ]


def test_a_turn_becomes_one_other_turn_and_a_clean_one_stays(scrubber: Scrubber) -> None:
    clean, dirty = Turn({"role": "user", "content": "Hi"}), Turn({"role": "user", "content": "Hi Ada"}, (7,))
    first, again = scrubber.turns([clean, dirty]), scrubber.turns([clean, dirty])
    assert first[0] is clean
    assert first[1] is again[1] is not dirty
    assert (first[1].chat["content"], first[1].sources) == ("Hi <someone 1>", (7,))
    assert dirty.chat["content"] == "Hi Ada"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no [[rule]]"),
        ("[[rule]]\nname = 'a'\n", "rule 1: say either regex or literal"),
        ("[[rule]]\nname = 'a'\nregex = 'x'\nliteral = ['y']\n", "say either regex or literal"),
        ("[[rule]]\nname = 'a b'\nregex = 'x'\n", "name 'a b'"),
        ("[[rule]]\nname = 'a'\nregex = '('\n", "regex: "),
        ("[[rule]]\nname = 'a'\nregex = 'x*'\n", "it finds nothing, everywhere"),
        ("[[rule]]\nname = 'a'\nliteral = ['']\n", "a literal is empty"),
        ("[[rule]]\nname = 'a'\nregex = 'x'\nreplacement = 'y'\n", "put {number}"),
        ("[[rule]]\nname = 'a'\nregex = 'x'\n[[rule]]\nname = 'A'\nregex = 'y'\n", "rule 2: there is a rule A already"),
        ("[[rule]]\nname = 'a'\nregexp = 'x'\n", "regexp"),
        ("[[rule", "no valid TOML"),
    ],
)
def test_rules_that_cannot_hold_are_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(BadScrub) as refused:
        load_scrub(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


async def tell(told: Teller) -> None:
    """A session whose task, reasoning, text, arguments and results name people."""
    await told.reply(
        ("run", '{"command": "mail bob@corp.example jos\\u00e9"}'), text="I write to Bob.", reasoning="Ask ADA first."
    )
    await told.result(1, "from: bob@corp.example, to: ada@corp.example")
    await told.reply(text="Ada Lovelace <ada@corp.example> has it.")


@pytest.fixture
async def named(writer: LogWriter) -> Teller:
    told = await Teller(writer).begin("Tell Ada Lovelace.", task_id="for-Ada")
    await tell(told)
    return told


@pytest.mark.parametrize("format", [name for name, one in FORMATS.items() if one.scrubs])
async def test_no_file_of_an_export_holds_what_was_found(
    named: Teller, tmp_path: Path, rules: Path, format: str
) -> None:
    out = tmp_path / "out" / "rows"
    out.parent.mkdir()
    with LogReader(named.writer.path) as reader:
        run_export(reader, None, POLICY, format_for(format, scrub=rules), out)
    for path in out.parent.iterdir():
        text = path.read_text()
        assert not [word for word in SECRETS if word in text], path.name
    assert "[EMAIL_1]" in out.read_text()


async def test_prompts_and_replies_agree_and_say_that_no_model_saw_them(
    named: Teller, tmp_path: Path, rules: Path
) -> None:
    with LogReader(named.writer.path) as reader:
        run_export(reader, None, POLICY, format_for("steps", scrub=rules), tmp_path / "rows")
    first, second = rows_of(tmp_path / "rows")
    [call] = first["completion"][0]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"command": "mail [EMAIL_1] <someone 3>"}
    assert second["prompt"][-1]["content"] == "from: [EMAIL_1], to: [EMAIL_2]"
    assert second["completion"][0]["content"] == "<someone 1> <[EMAIL_2]> has it."
    for row in (first, second):
        assert (row["meta"]["prompt"], row["meta"]["without"]) == ("counterfactual", ["scrubbed"])
        assert row["meta"]["task"] == "for-<someone 2>"
    manifest = json.loads((tmp_path / "rows.manifest.json").read_text())
    assert re.fullmatch("[0-9a-f]{64}", manifest["format"]["settings"]["scrub_sha256"])
    assert manifest["counts"]["scrubbed"]["email values"] == 2
    assert manifest["counts"]["scrubbed"]["email"] >= 4


async def test_a_session_with_nothing_to_find_is_written_as_before(told: Teller, tmp_path: Path, rules: Path) -> None:
    await told.act("ls")
    with LogReader(told.writer.path) as reader:
        run_export(reader, None, POLICY, format_for("steps"), tmp_path / "plain")
        run_export(reader, None, POLICY, format_for("steps", scrub=rules), tmp_path / "scrubbed")
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "scrubbed").read_bytes()


async def test_what_was_replaced_is_masked_in_files_of_tokens(named: Teller, tmp_path: Path, rules: Path) -> None:
    renderer = fake_renderer()
    format = TokensFormat(renderer, packing="steps", scrub=load_scrub(rules))
    with LogReader(named.writer.path) as reader:
        run_export(reader, None, POLICY, format, tmp_path / "rows")
    engine = renderer.engine
    assert isinstance(engine, FakeEngine)
    for row in rows_of(tmp_path / "rows"):
        trained = "".join(engine.words[label] for label in row["labels"] if label != -100)
        context = engine.decode(row["input_ids"])
        assert "EMAIL_" in context
        assert not re.search(r"EMAIL_|someone", trained), trained
        assert "has it." in trained or "mail" in trained
    assert format.report.masked["scrubbed"] > 0
    roles = {stretch.reason: stretch.text for shown in format.report.shown for stretch in shown.stretches}
    assert "EMAIL_2" in roles["scrubbed"]


async def test_a_word_that_a_template_writes_otherwise_is_left_out(
    named: Teller, tmp_path: Path, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apollo_train.templates.renderer.spellings", lambda word: ("never",))
    format = TokensFormat(fake_renderer(), packing="steps", scrub=load_scrub(rules))
    with LogReader(named.writer.path) as reader, pytest.raises(Exception, match="scrub_unfound"):
        run_export(reader, None, POLICY, format, tmp_path / "rows")


@pytest.mark.parametrize("format", [name for name, one in FORMATS.items() if not one.scrubs])
def test_formats_that_would_let_it_through_refuse(rules: Path, format: str) -> None:
    with pytest.raises(CannotExpress, match="cannot be scrubbed: take `steps`"):
        format_for(format, scrub=rules)


async def test_the_bytes_do_not_depend_on_processes_and_other_sessions(
    writer: LogWriter, tmp_path: Path, rules: Path
) -> None:
    for name in MANY[:3]:
        await tell(await Teller(writer, name).begin("Tell Ada."))
    with LogReader(writer.path) as reader:
        for workers in (1, 2):
            run_export(reader, None, POLICY, format_for("steps", scrub=rules), tmp_path / str(workers), workers=workers)
        run_export(reader, [MANY[2]], POLICY, format_for("steps", scrub=rules), tmp_path / "one")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert set((tmp_path / "one").read_text().splitlines()) < set((tmp_path / "1").read_text().splitlines())


async def test_the_commands_take_rules(named: Teller, tmp_path: Path, rules: Path) -> None:
    def run(*words: Any) -> str:
        done = CliRunner().invoke(main, [*map(str, words), "--log", str(named.writer.path), "--scrub", str(rules)])
        assert done.exit_code == 0, done.output
        return done.output

    said = run("build", "--out", tmp_path / "built")
    assert "scrubbed: 1 value of email in 1 place\n" in said
    assert "bob@" not in (tmp_path / "built" / "steps.jsonl").read_text()
    run("dataset", "--out", tmp_path / "set")
    assert not [path for path in (tmp_path / "set").rglob("*") if path.is_file() and "bob@" in path.read_text()]
    missing = CliRunner().invoke(
        main, ["build", "--out", "x", "--log", str(named.writer.path), "--scrub", str(tmp_path / "no")]
    )
    assert missing.exit_code == 1
    assert "cannot be read" in missing.stderr

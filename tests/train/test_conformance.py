from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from training_log import Teller, rows_of

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))

import record

from apollo_train.adapters.slime_tokens import generate_rollout
from apollo_train.cli.main import main
from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS, UnknownTemplate, format_for
from apollo_train.formats.conformance import EQUAL, conformance, family_of, note_of, reasons
from apollo_train.formats.readers import readers_table
from apollo_train.formats.rows import MessageRows
from apollo_train.policy import PRESETS
from apollo_train.runtime import CannotExpress
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
DEFAULT = PRESETS["default"]
TRAINERS = {name: made.trainer for name, made in FORMATS.items() if made.trainer}
FAMILIES = list(conformance().templates)


def test_the_page_shows_what_is_committed() -> None:
    text = PAGE.read_text("utf-8")
    assert record.page(text, record.tables(json.loads(record.CONFORMANCE.read_text("utf-8")))) == text


def test_every_message_format_was_tried_with_every_template() -> None:
    tried = [result for result in conformance().results if not result.format.startswith("tokens")]
    assert {(each.format, each.trainer) for each in tried} == set(TRAINERS.items())
    assert {(name, family) for name in TRAINERS for family in FAMILIES} == {(r.format, r.template) for r in tried}
    assert all(conformance().versions[result.trainer] for result in conformance().results)


def test_token_rows_are_equal_wherever_they_were_tried() -> None:
    found = [result for result in conformance().results if result.format.startswith("tokens")]
    assert len(found) >= 4 * len(FAMILIES)
    assert {result.says for result in found} == {EQUAL}


LINE_FEEDS = ('also trains "\\n"', 'has 2 rows of 3; also trains "\\n" (turns_do_not_alternate)')
"""A line feed after the stop token, and nothing else besides rows that our file leaves out and counts."""


def test_a_line_feed_after_the_stop_token_is_said_and_is_no_reason_to_refuse() -> None:
    fed = {(result.format, result.template) for result in conformance().results if result.only_line_feed}
    assert fed == {(r.format, r.template) for r in conformance().results if r.says in LINE_FEEDS}
    assert {("steps", "qwen3"), ("steps", "gemma"), ("dpo", "qwen3"), ("kto", "gemma"), ("nemo-rl", "gemma")} <= fed
    assert ("ms-swift", "glm") not in fed and ("llamafactory-v1", "qwen3") not in fed
    assert "the line feed that follows its stop token" in note_of("steps", "qwen3")
    assert "with qwen3, gemma also the line feed after a stop token" in note_of("steps")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", [name for name, made in FORMATS.items() if isinstance(made, MessageRows)])
def test_a_format_refuses_exactly_where_its_trainer_trains_other_tokens(name: str, family: str) -> None:
    made = format_for(name, family)
    refusal = made.refusal(DEFAULT)
    result = conformance().of(name, family)
    if result is None or result.says in (EQUAL, *LINE_FEEDS):
        assert refusal == ""
    else:
        assert refusal.startswith(f"{result.trainer} does not train exactly these masks from {name}")
        assert reasons()[name][family] in refusal
        assert f"apollo-train {name if name in ('dpo', 'kto') else 'tokens'}" in refusal
        assert "\n" not in refusal


def test_each_difference_has_a_reason_and_no_reason_is_left_over() -> None:
    different = {(result.format, result.template) for result in conformance().results if result.says != EQUAL}
    assert different == {(name, family) for name, told in reasons().items() for family in told}
    assert all(
        reason[0].islower() and reason[-1] not in ".;" for told in reasons().values() for reason in told.values()
    )


def test_a_result_that_needs_a_setting_says_so_in_the_report_and_on_the_page() -> None:
    needy = [result for result in conformance().results if result.needs]
    assert [(result.format, result.template) for result in needy] == [("steps", "glm")]
    assert note_of("steps", "glm") == "TRL trains exactly these masks if it is told assistant_only_loss=True"
    assert note_of("steps", "llama3") == ""
    assert "equal, with `assistant_only_loss=True`" in PAGE.read_text("utf-8")


def test_words_of_a_template_are_refused_for_another_of_its_family(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("".join(conformance().templates["qwen3"].marks))
    for name in ("tinker", "tinker-steps"):
        other = format_for(name, str(tmp_path))
        assert "yours is another of its family: take `apollo-train tokens`" in other.refusal(DEFAULT)
    plain = format_for("axolotl", str(tmp_path))
    assert plain.refusal(DEFAULT) == ""


async def test_an_export_for_a_template_that_is_misread_writes_nothing(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("ls", "a", reasoning="Look.")
    with pytest.raises(CannotExpress, match="take `apollo-train tokens`"):
        run_export(reader, None, DEFAULT, format_for("axolotl", "glm"), tmp_path / "out.jsonl")
    with pytest.raises(CannotExpress):
        plan_export(reader, None, DEFAULT, format_for("axolotl", "glm"))
    assert list(tmp_path.glob("out*")) == []


async def test_a_proven_export_says_for_which_template_it_is(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await told.act("ls", "a")
    report = run_export(reader, None, DEFAULT, format_for("steps", "llama3"), tmp_path / "out.jsonl")
    manifest = json.loads(report.manifest.read_text())
    assert manifest["format"]["settings"] == {"template": "llama3"}
    assert manifest["proof"]["templates"]["llama3"] == EQUAL
    assert manifest["proof"]["versions"]
    assert not any("--template" in line for line in report.lines())


async def test_an_export_without_a_template_says_which_ones_are_proven(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("ls", "a")
    report = run_export(reader, None, DEFAULT, "axolotl", tmp_path / "out.jsonl")
    plan = plan_export(reader, None, DEFAULT, "axolotl")
    for lines in (report.lines(), plan.lines()):
        [line] = [line for line in lines if "name your template" in line]
        assert "Axolotl" in line and "llama3" in line
    [line] = [line for line in plan_export(reader, None, DEFAULT, "slime").lines() if line.startswith("slime ")]
    assert "apollo-train tokens" in line
    assert not any("template" in line for line in plan_export(reader, None, DEFAULT, "atif").lines())


def test_weights_that_a_trainer_reads_itself_stay_its_own() -> None:
    assert format_for("llamafactory-v1", "qwen3").weighs
    assert not format_for("steps", "llama3").weighs
    assert format_for("atif", "llama3") is FORMATS["atif"]
    assert format_for("steps") is FORMATS["steps"]


def test_a_template_is_known_by_its_name_its_file_or_its_models_folder(tmp_path: Path) -> None:
    marks = {family: " ".join(template.marks) for family, template in conformance().templates.items()}
    for family, text in marks.items():
        assert family_of(family) == family
        folder = tmp_path / family
        folder.mkdir()
        (folder / "chat_template.jinja").write_text(text)
        assert family_of(str(folder)) == family_of(str(folder / "chat_template.jinja")) == family
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": marks["glm"]}))
    assert family_of(str(tmp_path)) == "glm"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    assert family_of(str(tmp_path)) == ""
    assert family_of("") == ""
    for wrong in ("no-such-template", str(tmp_path / "glm" / "x")):
        with pytest.raises(UnknownTemplate, match="llama3"):
            family_of(wrong)


async def test_the_command_takes_a_template(writer: LogWriter, tmp_path: Path) -> None:
    told = await Teller(writer).begin("Train it.")
    await told.act("ls", "a")
    base = ["dataset", "--log", str(writer.path), "--format", "steps"]
    good = CliRunner().invoke(main, [*base, "--template", "llama3", "--out", str(tmp_path / "good")])
    assert good.exit_code == 0, good.output
    [row] = rows_of(tmp_path / "good" / "data" / "train.jsonl")
    assert row["completion"][0]["tool_calls"][0]["function"]["arguments"] == {"command": "ls"}
    other = ["dataset", "--log", str(writer.path), "--format", "axolotl", "--template", "glm"]
    bad = CliRunner().invoke(main, [*other, "--out", str(tmp_path / "bad")])
    assert bad.exit_code == 1
    assert bad.output.startswith("apollo-train: Axolotl does not train exactly these masks")
    assert not (tmp_path / "bad").exists()
    unknown = CliRunner().invoke(main, [*base, "--template", "xyz", "--out", str(tmp_path / "bad")])
    assert unknown.exit_code == 1
    assert "no template 'xyz'" in unknown.output


def test_slime_gets_token_rows_as_they_are() -> None:
    labels = [[-100, -100, 7, 8], [-100, 5, -100, 6]]
    samples = [[SimpleNamespace(prompt=[1, 2, 7, 8][:], label=row)] for row in labels]
    buffer = SimpleNamespace(get_samples=lambda number: samples[:number])
    made = generate_rollout(SimpleNamespace(rollout_batch_size=2), 0, buffer)
    assert [(one.tokens, one.response_length, one.loss_mask) for (one,) in made] == [
        ([1, 2, 7, 8], 2, [1, 1]),
        ([1, 2, 7, 8], 3, [1, 0, 1]),
    ]
    with pytest.raises(AssertionError):
        generate_rollout(SimpleNamespace(rollout_batch_size=2), 0, buffer, evaluation=True)


def test_the_page_shows_who_reads_the_masks_of_which_file() -> None:
    text = PAGE.read_text("utf-8")
    assert record.page(text, {"readers": readers_table()}) == text

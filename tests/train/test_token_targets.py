from __future__ import annotations

import asyncio
import importlib.util
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sample_sessions
from click.testing import CliRunner
from fake_template_engine import FakeEngine, fake_renderer
from training_log import kept_policy

from apollo_train.cli.main import main
from apollo_train.export.run import run_export
from apollo_train.formats import UnknownFormat, find_format
from apollo_train.formats.parquet import write_parquet
from apollo_train.formats.token_report import render_page, write_report
from apollo_train.formats.tokens import TokensFormat, TooLong
from apollo_train.policy import PRESETS, FilterPolicy, FlagRules, TargetRules
from apollo_train.runtime import NothingToExport, TrainError
from apollo_train.templates.engine import NoTokenizer, TemplateRefused, open_engine
from apollo_train.templates.normaliser import normalise_messages
from apollo_train.templates.renderer import Renderer
from apollo_train.templates.stop_tokens import UnknownTemplate, find_stop_tokens
from apollo_train.trainers.data import UnequalWeights, read_rows, require_equal_weights
from apollo_train.trainers.metrics import keep_until
from apollo_train.trainers.models import NoModel, require_trainers
from apollo_train.trainers.record import NothingToResume, read_record, require_same_run
from apollo_train.trainers.settings import TrainSettings
from sessions.log.reader import LogReader

POLICY = kept_policy(flags=FlagRules(scope="call"), targets=TargetRules(text_only=True))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story")
    asyncio.run(sample_sessions.story(folder))
    return folder / "log.sqlite"


def export(log: Path, out: Path, made: TokensFormat, policy: FilterPolicy = POLICY) -> list[dict[str, object]]:
    with LogReader(log) as reader:
        run_export(reader, None, policy, made, out)
    return [json.loads(line) for line in out.read_text().splitlines()]


class OneCall(FakeEngine):
    """As Llama 3's template."""

    def render(
        self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], *, generation: bool, thinking: bool
    ) -> str:
        if any(len(message.get("tool_calls", ())) > 1 for message in messages):
            raise TemplateRefused("the template of 'llama' refused a conversation: only single tool-calls at once!")
        return super().render(messages, tools, generation=generation, thinking=thinking)


def one_call(**settings: Any) -> TokensFormat:
    made = fake_renderer()
    return TokensFormat(Renderer(OneCall(), made.stops, made.traits), **settings)


WORDS = "the template of 'llama' refused a conversation: only single tool-calls at once! (what comes after it"


def test_a_template_that_refuses_is_quoted_with_the_step_where_it_began(log: Path, tmp_path: Path) -> None:
    made = one_call()
    export(log, tmp_path / "rows.jsonl", made)
    [line] = [line for line in made.report.lines() if "refusal" in line]
    assert line.startswith(f"the first refusal: at step 5 of session 1 {WORDS}") and "--chat-template FILE" in line
    with pytest.raises(NothingToExport) as empty:
        export(log, tmp_path / "none.jsonl", one_call(max_length=8, too_long="exclude"))
    said = str(empty.value)
    assert "3 template_refuses" in said and "3 too_long" in said and said.startswith("no reply is left to train (")
    assert f"; first at step 5 of session 1 {WORDS}" in said and "\n" not in said


def test_rows_train_targets_and_nothing_else(log: Path, tmp_path: Path) -> None:
    made = TokensFormat(fake_renderer(), attention_mask=True)
    rows = export(log, tmp_path / "rows.jsonl", made)
    engine = made.renderer.engine
    trained = [engine.decode([n for n in row["labels"] if n != -100]) for row in rows]  # type: ignore[attr-defined]
    assert trained == [
        '<think>\nLook first.\n</think>\n\nI look.\n<call>run {"command": "ls"}</call><|im_end|>'
        '<think>\nRead it.\n</think>\n\n\n<call>run {"command": "cat a"}</call><|im_end|>',
        '<think>\nNow build.\n</think>\n\n\n<call>run {"command": "make"}</call><|im_end|>'
        '<think>\nTwo.\n</think>\n\nBoth.\n<call>run {"command": "b"}</call><|im_end|>'
        '\n<call>run {"command": "ls -l"}</call><|im_end|>',
        "<think>\nFinish.\n</think>\n\nAll is done.<|im_end|>",
    ]
    assert all(row["attention_mask"] == [1] * len(row["input_ids"]) for row in rows)  # type: ignore[arg-type]
    assert made.report.masked_actions == {"flagged": 1}
    assert made.report.pack_broken == 2


def test_a_reply_with_every_cell_masked_is_dropped_with_its_reason(log: Path, tmp_path: Path) -> None:
    made = TokensFormat(fake_renderer())
    whole = kept_policy(flags=FlagRules(scope="message"), targets=TargetRules(text_only=True))
    export(log, tmp_path / "rows.jsonl", made, whole)
    assert made.report.dropped == {"flagged": 2}
    assert made.report.masked == {}


def test_the_report_and_the_page_lie_beside_the_rows(log: Path, tmp_path: Path) -> None:
    made = TokensFormat(fake_renderer())
    export(log, tmp_path / "rows.jsonl", made)
    report, shown = write_report(tmp_path / "rows.jsonl", made.report, made.settings, overwrite=False)
    counts = json.loads(report.read_text())["counts"]
    assert counts["trained"] + counts["context"] + sum(counts["masked"].values()) == counts["tokens"]
    text = shown.read_text()
    assert '<span class="masked" title="step 5 call 1 masked flagged">' in text
    assert "<script" not in render_page("<script>", made.report)


def test_too_long_names_the_choices(log: Path, tmp_path: Path) -> None:
    with pytest.raises(TooLong, match="--too-long exclude"):
        export(log, tmp_path / "rows.jsonl", TokensFormat(fake_renderer(), max_length=60))
    assert list(tmp_path.iterdir()) == []


def test_a_normaliser_moves_the_system_text_and_joins_turns_only_where_it_must() -> None:
    chats = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}, {"role": "user", "content": "a"}]
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    reply = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert normalise_messages(chats) == chats
    assert [m["content"] for m in normalise_messages(chats, system=False)] == ["s\n\nu", "a"]
    assert [m["content"] for m in normalise_messages(chats, system=False, runs=False)] == ["s\n\nu\n\na"]
    assert normalise_messages([chats[0], reply], system=False)[0] == {"role": "user", "content": "s"}
    made = normalise_messages([reply])[0]
    assert made["content"] == ""
    assert made["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert normalise_messages([reply], objects=False)[0]["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    assert call["function"]["arguments"] == '{"a":1}'


def test_an_unknown_template_is_told_how_to_be_known() -> None:
    engine = FakeEngine()
    engine.template = "nothing known"
    with pytest.raises(UnknownTemplate, match="--stop TOKEN"):
        find_stop_tokens(engine)
    assert find_stop_tokens(engine, ("<|im_end|>",)).after_call == 1


@pytest.mark.skipif(importlib.util.find_spec("transformers") is not None, reason="the trainers' environment is here")
def test_without_the_trainers_environment_one_line_says_what_to_do(log: Path, tmp_path: Path) -> None:
    with pytest.raises(NoTokenizer, match="make train-env"):
        open_engine("nowhere")
    with pytest.raises(NoModel, match="make train-env"):
        require_trainers()
    args = ["--log", str(log), "--model", "m", "--output", str(tmp_path / "o")]
    for method in ("sft", "dpo", "kto"):
        ran = CliRunner().invoke(main, [method, *args])
        assert ran.exit_code == 1
        assert "make train-env" in ran.output
        assert ran.output.count("\n") == 1
    ran = CliRunner().invoke(main, ["tokens", "--log", str(log), "--tokenizer", "m", "--out", str(tmp_path / "o")])
    assert "make train-env" in ran.output
    with pytest.raises(TrainError, match="pyarrow"):
        write_parquet(tmp_path / "x", tmp_path / "y")


def test_the_list_of_commands_imports_no_trainer() -> None:
    ran = CliRunner().invoke(main, ["--help"])
    assert all(name in ran.output for name in ("tokens", "sft", "dpo", "kto", "build"))


def test_unequal_weights_are_refused_unless_rows_are_repeated_for_them(tmp_path: Path) -> None:
    lines = [{"input_ids": [1, 2], "labels": [-100, 2], "meta": {"split": "train", "weight": w}} for w in (1.0, 0.5)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    rows = read_rows(path, "sft")["train"]
    with pytest.raises(UnequalWeights, match=r"weights\.apply = 'resample'"):
        require_equal_weights(rows, "column")
    require_equal_weights(rows, "resample")
    rows.weights[0] = 0.5
    require_equal_weights(rows, "column")
    assert (rows.tokens, rows.trained) == (4, 2)


def test_twins_are_written_as_often_as_they_weigh(log: Path, tmp_path: Path) -> None:
    policy = msgspec.structs.replace(PRESETS["twins"], targets=TargetRules(text_only=True))
    rows = export(log, tmp_path / "rows.jsonl", TokensFormat(fake_renderer(), "steps"), policy)
    often = Counter(str(row["meta"]["id"]).partition(":")[2] for row in rows)  # type: ignore[index]
    assert often == {
        "1": 2,
        "2": 2,
        "4+advice": 1,
        "4-advice": 1,
        "6+advice": 1,
        "6-advice": 1,
        "7+advice": 1,
        "7-advice": 1,
    }


def test_metrics_after_the_checkpoint_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    keep_until(path, 3)
    path.write_text("".join(json.dumps({"step": n}) + "\n" for n in range(1, 6)))
    keep_until(path, 3)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]
    keep_until(path, 0)
    assert path.read_text() == ""


def test_only_the_same_run_is_resumed(tmp_path: Path) -> None:
    with pytest.raises(NothingToResume, match="without --resume"):
        read_record(tmp_path)
    require_same_run({"method": "sft", "model": "m"}, {"method": "sft", "model": "m"})
    with pytest.raises(NothingToResume, match="another model"):
        require_same_run({"method": "sft", "model": "m"}, {"method": "sft", "model": "n"})


def test_no_library_default_cuts_rows() -> None:
    arguments = TrainSettings(model="m", output=Path("o")).arguments(bf16=False, cpu=True, evaluate=False)
    assert arguments["max_length"] is None
    assert arguments["bf16"] is False
    assert arguments["gradient_checkpointing"] is True


def test_whoever_asks_for_tokens_by_name_is_told_where_they_are() -> None:
    with pytest.raises(UnknownFormat, match="apollo-train tokens --tokenizer"):
        find_format("tokens")

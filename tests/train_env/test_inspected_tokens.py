from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sample_sessions import random_story
from tiny_models import renderer, tokenizer
from training_log import SESSION, kept_policy

from apollo_train.cli.main import main
from apollo_train.cli.tokens import row_of
from apollo_train.export.training_view import training_view
from apollo_train.formats.tokens import TokensFormat
from apollo_train.masks.annotations import read_annotations
from apollo_train.policy import ADVICE_KINDS, AdviceRules, FlagRules, TargetRules
from apollo_train.samples.char_spans import masks_parts_of_tokens
from apollo_train.samples.step_samples import Source
from apollo_train.samples.weights import Weigher
from apollo_train.templates.packing import Row
from sessions.log.reader import LogReader

NAME = f"{SESSION[:-4]}0003"
DROPPED: dict[str, Any] = dict.fromkeys(ADVICE_KINDS, "dropped")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inspected")
    asyncio.run(random_story(folder, 3, steps=16))
    return folder / "log.sqlite"


@pytest.mark.parametrize(
    ("version", "scope"), [(1, "format"), (1, "message"), (1, "call"), (1, "reasoning"), (2, "message"), (2, "call")]
)
@pytest.mark.parametrize("advice", [{}, DROPPED], ids=["kept", "dropped"])
@pytest.mark.parametrize("name", ["qwen3", "llama3"])
def test_what_is_inspected_is_what_is_exported_token_by_token(
    log: Path, name: str, version: int, scope: Any, advice: dict[str, Any]
) -> None:
    policy = kept_policy(
        version=version, flags=FlagRules(scope=scope), targets=TargetRules(text_only=True), advice=AdviceRules(**advice)
    )
    made = TokensFormat(renderer(name), packing="steps")
    with LogReader(log) as reader:
        judged = read_annotations(reader, NAME, reader.position())
        view = training_view(reader, NAME, policy, cells=masks_parts_of_tokens(policy))
        assert judged is not None and view is not None
        exported = {}
        lost = {}
        for row in made.rows(Source(reader, judged, policy, Weigher(policy))):
            if isinstance(row, Row):
                exported[int(row.last.sample.meta["step"])] = row
            else:
                lost[row.seq] = row.reason
        assert exported and lost
        for step, seen in view.steps.items():
            row = row_of(reader, NAME, policy, made, step)
            if not isinstance(row, Row):
                assert row is not None and step not in exported
                assert row.reason == lost[seen.seq]
                continue
            assert row.labels == (exported[step].labels if step in exported else [-100] * len(row.ids))
            # The spans of the app say the same of each part that the template tells apart.
            for piece in row.replies[0].step.pieces:
                span = seen.of(piece.part, piece.call)
                if span is not None:
                    assert span.reason == piece.reason
                else:
                    assert piece.reason or all(span.trained for span in seen.spans)


def test_the_command_shows_the_tokens_of_one_step(log: Path, tmp_path: Path) -> None:
    tokenizer("qwen3").save_pretrained(tmp_path)
    start = ["inspect", "--log", str(log), "1", "1", "--tokenizer", str(tmp_path)]
    shown = CliRunner().invoke(main, start)
    assert shown.exit_code == 0, shown.output
    assert "tokens trained" in shown.output
    assert "<|im_end|>" in shown.output
    for words, said in ((["99"], "has no step 99"), (["--stop", "nothing like it"], "has no single token")):
        missing = CliRunner().invoke(main, [*start[:4], *(words if words[0].isdigit() else ["1", *words]), *start[5:]])
        assert (missing.exit_code, said in missing.output, missing.output.count("\n")) == (1, True, 1)

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fake_template_engine import fake_renderer
from training_log import OTHER, SESSION, Teller, kept_policy

from apollo_train.cli.main import main
from apollo_train.export.report import ExportReport
from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS
from apollo_train.formats.tokens import TokensFormat
from apollo_train.masks.annotations import read_annotations
from apollo_train.policy import AdviceRules, FilterPolicy, TargetRules
from apollo_train.samples.step_samples import Source, StepSample, make_step_samples
from apollo_train.samples.weights import Weigher
from apollo_train.templates.renderer import Renderer, StepTokens
from apollo_train.templates.token_check import NOT_CHECKED, PER_SESSION, check_tokens
from sessions import events as ev
from sessions.events.messages import Usage
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

DEFAULT = kept_policy(targets=TargetRules(trainable=("*",)))
COMMANDS = ("ls", "pwd", "make")


async def counted(told: Teller, usages: Sequence[Usage | None]) -> None:
    for command, usage in zip(COMMANDS, usages, strict=True):
        await told.act(command, reasoning="Think.", usage=usage)


def lengths(reader: LogReader, session: str) -> list[tuple[int, int]]:
    """Of each reply the tokens of its prompt and its own, as the fake tokenizer counts."""
    judged = read_annotations(reader, session, reader.position())
    assert judged is not None
    found = []
    for sample in make_step_samples(Source(reader, judged, DEFAULT, Weigher(DEFAULT))):
        assert isinstance(sample, StepSample)
        made = fake_renderer().step(sample)
        assert isinstance(made, StepTokens)
        found.append((len(made.prompt), len(made.target)))
    return found


async def two_models(writer: LogWriter, reader: LogReader, off: int) -> None:
    """A session whose server counts as the fake tokenizer does, and one of another model that counts ``off`` more."""
    draft = await Teller(writer, "01J00000000000000000000000").begin(model=ev.ModelSpec("openai", "draft"))
    await counted(draft, [None] * 3)
    true = lengths(reader, draft.session)
    same = await Teller(writer, SESSION).begin(model=ev.ModelSpec("openai", "same"))
    await counted(same, [Usage(prompt, reply) for prompt, reply in true])
    other = await Teller(writer, OTHER).begin(model=ev.ModelSpec("openai", "other"))
    await counted(other, [Usage(prompt + off, reply) for prompt, reply in true])


def exported(
    reader: LogReader, folder: Path, counter: Renderer | None, name: Any = "openai", policy: FilterPolicy = DEFAULT
) -> tuple[ExportReport, dict[str, Any]]:
    report = run_export(reader, None, policy, name, folder / "out.jsonl", overwrite=True, counter=counter)
    return report, json.loads(report.manifest.read_text())


async def test_each_model_is_compared_with_its_own_server(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await two_models(writer, reader, off=1)
    report, manifest = exported(reader, tmp_path, fake_renderer())
    check = manifest["token_check"]
    assert set(check) == {"openai:same", "openai:other"}
    assert (check["openai:same"]["requests"], check["openai:same"]["drift"]) == (3, 0.0)
    assert check["openai:other"]["server"] - check["openai:other"]["own"] == 3
    same, other = sorted(report.checked, key=lambda line: "other" in line)
    assert same == "for 3 requests to openai:same this tokenizer counts as its server did, within 0.1%"
    assert "for 3 requests to openai:other its server counted" in other
    assert "it has another tokenizer or template" in other
    assert set(report.checked) <= set(report.lines())
    assert report.page is not None
    assert "counts as its server did" in report.page.read_text()


@pytest.mark.parametrize("name", [name for name, made in FORMATS.items() if made.unit in ("step", "segment")])
async def test_without_a_tokenizer_every_format_says_that_nothing_was_checked(
    told: Teller, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await counted(told, [Usage(1, 1)] * 3)
    report, manifest = exported(reader, tmp_path, None, name)
    assert NOT_CHECKED in report.lines()
    assert manifest["token_check"] is None


async def test_a_small_difference_is_none_and_the_limit_is_a_thousandth(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await two_models(writer, reader, off=0)
    report, _ = exported(reader, tmp_path, fake_renderer())
    assert all("within 0.1%" in line for line in report.checked)
    judged = {SESSION: 3}
    check = check_tokens(reader, judged, DEFAULT, fake_renderer(), reader.position())
    found = check.models["openai:same"]
    found.server, found.own = 10_000, 10_010
    assert "within 0.1%" in next(check.lines())
    found.own = 10_011
    assert "+0.1%" in next(check.lines())
    assert "another tokenizer or template" in next(check.lines())


async def test_servers_that_count_nothing_are_told_of(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await counted(told, [None] * 3)
    report, manifest = exported(reader, tmp_path, fake_renderer())
    assert report.checked == ("token counts are not checked against the servers': none counted these requests",)
    assert manifest["token_check"] == {}


async def test_prompts_without_advice_are_compared_as_they_were_sent(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    draft = await Teller(writer, OTHER).begin()
    for told, usages in ((draft, [None] * 3), (await Teller(writer, SESSION).begin(), None)):
        usages = usages or [Usage(prompt, reply) for prompt, reply in lengths(reader, OTHER)]
        await told.act("ls", reasoning="Think.", usage=usages[0])
        await told.advise("Use the other disk.", "knowledge")
        await told.act("pwd", reasoning="Think.", usage=usages[1])
        await told.act("make", reasoning="Think.", usage=usages[2])
    policy = kept_policy(advice=AdviceRules(knowledge="dropped"))
    _, manifest = exported(reader, tmp_path, fake_renderer(), "steps", policy)
    [found] = manifest["token_check"].values()
    assert (found["requests"], found["drift"]) == (3, 0.0)


async def test_of_a_long_session_some_requests_are_compared_late_ones_too(told: Teller, reader: LogReader) -> None:
    total = 5 * PER_SESSION + 3
    for number in range(total):
        await told.act("ls", usage=Usage(1000 + number, 1))
    check = check_tokens(reader, {SESSION: total}, DEFAULT, fake_renderer(), reader.position())
    [found] = check.models.values()
    assert PER_SESSION // 2 < found.requests <= PER_SESSION
    assert found.server > found.requests * (1001 + total // 2)


async def test_rows_of_tokens_are_compared_by_model_too(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await two_models(writer, reader, off=5)
    made = TokensFormat(fake_renderer())
    run_export(reader, None, DEFAULT, made, tmp_path / "rows.jsonl")
    found = made.report.check.plain()
    assert (found["openai:same"]["drift"], found["openai:other"]["drift"] < 0) == (0.0, True)
    assert sum("another tokenizer or template" in line for line in made.report.lines()) == 1


async def test_a_tokenizer_that_is_not_there_is_one_line(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await counted(told, [None] * 3)
    given = ["--log", str(reader.path), "--out", str(tmp_path / "data"), "--tokenizer", str(tmp_path / "nowhere")]
    ran = CliRunner().invoke(main, ["build", *given])
    assert ran.exit_code == 1
    assert len(ran.output.strip().splitlines()) == 1
    assert not (tmp_path / "data" / "steps.jsonl").exists()

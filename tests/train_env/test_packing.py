from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sample_sessions
from tiny_models import TEMPLATES, renderer
from training_log import kept_policy

from apollo_train.formats.tokens import TokensFormat
from apollo_train.masks.annotations import read_annotations
from apollo_train.policy import PRESETS, FilterPolicy, FlagRules, TargetRules
from apollo_train.samples.step_samples import Exclusion, Source
from apollo_train.samples.weights import Weigher
from apollo_train.templates import growing_prompt
from apollo_train.templates.packing import IGNORED, Packing, Row
from sessions.log.reader import LogReader

POLICY = kept_policy(flags=FlagRules(scope="call"), targets=TargetRules(text_only=True, summaries=True))


def rows(
    reader: LogReader, name: str, packing: Packing, policy: FilterPolicy = POLICY, *, whole: bool = False
) -> tuple[list[Row], TokensFormat]:
    made = TokensFormat(renderer(name), packing)
    made.renderer.whole = whole
    found: list[Row] = []
    for summary in reader.summaries():
        judged = read_annotations(reader, summary.session, reader.position())
        assert judged is not None
        source = Source(reader, judged, policy, Weigher(policy))
        found += [row for row in made.rows(source) if not isinstance(row, Exclusion)]
    return found, made


def trained(found: list[Row]) -> Counter[Any]:
    """Each trained token with all that is before it: what a causal model learns, and nothing else."""
    learnt: Counter[Any] = Counter()
    for row in found:
        before = hashlib.sha256()
        for number, label in zip(row.ids, row.labels, strict=True):
            if label != IGNORED:
                assert label == number
                learnt[before.hexdigest(), number] += 1
            before.update(number.to_bytes(4, "big"))
    return learnt


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_rounds_train_exactly_the_tokens_and_contexts_that_step_samples_train(tmp_path: Path, name: str) -> None:
    lengths, learnt = Counter[str](), 0
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        asyncio.run(
            sample_sessions.random_story(folder, seed, calls=1 if name == "llama3" else 2, talk=name == "gemma")
        )
        with LogReader(folder / "log.sqlite") as reader:
            rounds, packed = rows(reader, name, "rounds")
            steps, _ = rows(reader, name, "steps")
        assert trained(rounds) == trained(steps)
        assert len(steps) == packed.report.replies
        lengths["rounds"] += sum(len(row.ids) for row in rounds)
        lengths["steps"] += sum(len(row.ids) for row in steps)
        learnt += sum(trained(steps).values())
    assert learnt > 200
    assert lengths["rounds"] < 0.9 * lengths["steps"]


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_the_joined_ids_of_a_long_session_are_those_of_whole_renderings(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_prompt, "SURE", 0)
    calls, talk = 1 if name == "llama3" else 2, name == "gemma"
    asyncio.run(sample_sessions.random_story(tmp_path, 7, calls=calls, talk=talk, steps=40))
    with LogReader(tmp_path / "log.sqlite") as reader:
        joined, packed = rows(reader, name, "rounds")
        whole, _ = rows(reader, name, "rounds", whole=True)
    assert packed.report.replies > 20 and len(joined) < packed.report.replies
    assert [(row.ids, row.labels) for row in joined] == [(row.ids, row.labels) for row in whole]


def test_advice_ends_a_round_where_the_template_forgets_reasoning_and_the_report_counts_it(story: Path) -> None:
    with LogReader(story / "log.sqlite") as reader:
        found, made = rows(reader, "qwen3", "rounds")
        steps = [[r.step.sample.mask.step for r in row.replies] for row in found]
        assert steps == [[1, 2], [4, 5, 6], [7]]
        assert made.report.pack_broken == 2
        found, made = rows(reader, "llama3", "rounds")
        assert [[r.step.sample.mask.step for r in row.replies] for row in found] == [[1, 2, 4]]
        assert made.report.pack_broken == 0


def test_twins_never_share_a_row(story: Path) -> None:
    policy = msgspec.structs.replace(PRESETS["twins"], targets=TargetRules(text_only=True))
    with LogReader(story / "log.sqlite") as reader:
        found, _ = rows(reader, "qwen3", "rounds", policy)
    for row in found:
        assert len({reply.step.sample.id[-7:] for reply in row.replies if "advice" in reply.step.sample.id}) <= 1
        assert len({reply.step.sample.meta["weight"] for reply in row.replies}) == 1
    assert {row.last.sample.meta["weight"] for row in found} == {0.5, 1.0}

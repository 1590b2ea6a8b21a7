from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_models import TEMPLATES, renderer
from training_log import kept_policy

from apollo_train.export.run import run_export
from apollo_train.masks.annotations import read_annotations
from apollo_train.policy import TargetRules
from apollo_train.samples.step_samples import Source, StepSample, make_step_samples
from apollo_train.samples.weights import Weigher
from apollo_train.templates.renderer import StepTokens
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request

GOLDEN = Path(__file__).parents[1] / "golden" / "openai-1-anthropic-1.sqlite"
"""Sessions of the real adapters: reasoning, parallel and malformed calls, advice, a nudge and a summary."""
POLICY = kept_policy(targets=TargetRules(text_only=True, summaries=True))
NAMES = [name for name in TEMPLATES if name != "gemma"]
"""Gemma's template takes neither tools nor a system role, so that no server could serve this session with it."""


@pytest.fixture
def golden(tmp_path: Path) -> Iterator[LogReader]:
    with LogReader(Path(shutil.copy(GOLDEN, tmp_path / "log.sqlite"))) as made:
        yield made


def session_of(reader: LogReader, provider: str) -> str:
    [found] = [
        summary.session
        for summary in reader.summaries()
        for event in reader.events(summary.session, kinds=("session.created",))
        if isinstance(event.body, ev.SessionCreated) and event.body.model.provider == provider
    ]
    return found


def samples(reader: LogReader, provider: str) -> list[StepSample]:
    judged = read_annotations(reader, session_of(reader, provider), reader.position())
    assert judged is not None
    source = Source(reader, judged, POLICY, Weigher(POLICY))
    return [sample for sample in make_step_samples(source, lambda mask: True) if isinstance(sample, StepSample)]


def body_of(reader: LogReader, sample: StepSample) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(rebuild_request(reader, sample.meta["session"], sample.mask.request))
    return body


def served(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages as a server hands them to its template: the arguments' text is read, and nothing else is done."""

    def call(made: dict[str, Any]) -> dict[str, Any]:
        function = made["function"]
        return {**made, "function": {**function, "arguments": json.loads(function["arguments"])}}

    return [
        {**message, "tool_calls": [call(made) for made in message["tool_calls"]]}
        if message.get("tool_calls")
        else message
        for message in body["messages"]
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_of_the_export_is_what_the_template_makes_of_the_body_that_was_sent(
    golden: LogReader, name: str
) -> None:
    made = renderer(name)
    seen = 0
    for sample in samples(golden, "openai"):
        step = made.step(sample)
        if not isinstance(step, StepTokens):
            continue
        body = body_of(golden, sample)
        text = made.engine.render(served(body), body.get("tools") or [], generation=True, thinking=not step.no_think)
        assert made.engine.decode(step.prompt) == text
        seen += 1
    # This Llama takes one call at a time, and GLM's template no target whose arguments are no JSON.
    assert seen == {"llama3": 2, "qwen3": 6, "glm": 5}[name]


def test_the_golden_session_has_what_could_go_wrong(golden: LogReader) -> None:
    bodies = [body_of(golden, sample) for sample in samples(golden, "openai")]
    calls = [c["function"] for b in bodies for m in b["messages"] for c in m.get("tool_calls", ())]
    texts = [str(m["content"]) for b in bodies for m in b["messages"] if m["role"] == "user"]
    assert any(c["arguments"] == "{}" and c["name"] == "plan" for c in calls)
    assert any("<advice-" in text for text in texts)
    assert any("I made a plan and took it back." in text for text in texts)
    assert any(b.get("tools") is None for b in bodies)
    assert any(m.get("reasoning_content") for b in bodies for m in b["messages"])


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_rows_have_tools_key_by_key_as_a_body_of_chat_form_has_them(
    golden: LogReader, tmp_path: Path, provider: str
) -> None:
    [asked] = {
        json.dumps(body["tools"])
        for sample in samples(golden, "openai")
        if (body := body_of(golden, sample)).get("tools")
    }
    report = run_export(golden, [session_of(golden, provider)], POLICY, "steps", tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in report.path.read_text("utf-8").splitlines()]
    told = {row["tools"] for row in rows if row["tools"]}
    assert {json.dumps(json.loads(text)) for text in told} == {asked}

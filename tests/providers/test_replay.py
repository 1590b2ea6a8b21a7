from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from provider_testbed import user_message

import sessions.importers.files
from sessions import events as ev
from sessions.events import ModelSpec
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.importers.base import ImportedSession
from sessions.importers.recording import RecordedResult, RecordedStep, recording_of
from sessions.providers.base import CallContext, Delta, ProviderError, Reply
from sessions.providers.registry import adapter_for
from sessions.providers.replay import Replay

STEPS = (
    RecordedStep(
        (ReasoningPart("I look around first."), CallPart("c1", "run", '{"command": "ls"}')),
        (RecordedResult("a.py", duration_ms=3_000),),
        duration_ms=10_000,
    ),
    RecordedStep((TextPart("All is well."),), duration_ms=0),
)


@dataclass
class Recorded:
    steps: tuple[RecordedStep, ...]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    naps: list[float] = []

    async def sleep(seconds: float, *_: Any) -> None:
        naps.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return naps


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    monkeypatch.setattr(sessions.importers.files, "load_recording", lambda path: Recorded(STEPS), raising=False)
    return ModelSpec("replay", str(tmp_path / "run.jsonl"), quirks={"speed": 20.0})


async def play(spec: ModelSpec, step: int) -> tuple[Reply, list[Delta]]:
    adapter = adapter_for(spec)
    wire = [message.json for message in adapter.wire(spec, [user_message("Go.")])]
    body = adapter.body(spec, "Be good.", (), wire, purpose="step")
    items = [item async for item in adapter.stream(spec, body, CallContext("s", step))]
    assert isinstance(items[-1], Reply)
    return items[-1], items[:-1]


async def test_a_step_plays_in_pieces_at_recorded_pace_by_speed(spec: ModelSpec, slept: list[float]) -> None:
    reply, deltas = await play(spec, 1)
    assert reply.parts == STEPS[0].parts
    assert reply.finish == "calls"
    assert "".join(delta.text for delta in deltas if delta.index == 0) == "I look around first."
    assert [delta.name for delta in deltas if delta.channel == "call"] == ["run"]
    assert len(slept) > 2
    assert sum(slept) == pytest.approx(10 / 20)
    reply, _ = await play(spec, 2)
    assert reply.finish == "stop"


async def test_the_recorded_result_comes_back_instead_of_running_anything(spec: ModelSpec, slept: list[float]) -> None:
    replay = adapter_for(spec)
    assert isinstance(replay, Replay) and replay.playback is replay
    assert (await replay.result(spec, 1, 1)).output == "a.py"
    assert slept == [pytest.approx(3 / 20)]
    missing = await replay.result(spec, 1, 2)
    assert missing.outcome == "unknown"
    assert "1.2" in missing.output


async def test_the_end_is_known_and_nothing_is_made_up_past_it(spec: ModelSpec) -> None:
    replay = adapter_for(spec)
    assert isinstance(replay, Replay)
    assert [await replay.is_over(step) for step in (1, 2, 3)] == [False, True, True]
    with pytest.raises(ProviderError, match="the recording has 2 steps, no step 3"):
        await play(spec, 3)


async def test_a_recording_that_cannot_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"cannot replay .*nowhere\.jsonl") as caught:
        await play(ModelSpec("replay", str(tmp_path / "nowhere.jsonl")), 1)
    assert caught.value.reason == "fatal"


def test_a_recording_says_what_the_model_saw_of_each_result() -> None:
    created = ev.SessionCreated(number=1, title="t", task="Go.", model=ModelSpec("replay", "x"))
    parts = (CallPart("c1", "run", "{}"), CallPart("c2", "run", "{}"))
    cut = ev.ActionResult(
        call_id="c2", outcome="ok", output=ev.LongText("abc"), shown=ev.LongText("a…"), hidden_chars=2
    )
    bodies = [
        (created, None, None),
        (ev.ModelReplied(request=1, parts=parts, finish="calls"), 1, None),
        (ev.ActionResult(call_id="c1", outcome="ok", output=ev.LongText("plain")), 1, 1),
        (cut, 1, 2),
    ]
    events = [ev.NewEvent("s", body, step, call) for body, step, call in bodies]
    recorded = recording_of(ImportedSession("s", events, []))
    assert [(one.output, one.shown, one.hidden_chars) for one in recorded.steps[0].results] == [
        ("plain", None, 0),
        ("abc", "a…", 2),
    ]

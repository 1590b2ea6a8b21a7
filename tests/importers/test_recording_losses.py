"""What an import cannot keep: it is in the log, on every screen and in the rows, and bars what it must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training_log import SESSION, Teller, new_log

from apollo_train.export.run import run_export
from apollo_train.formats import format_for
from apollo_train.masks.annotations import read_annotations
from apollo_train.policy import FilterPolicy, TargetRules
from apollo_train.samples.segments import Segment, make_segments
from apollo_train.samples.step_samples import Exclusion, Source, StepSample, make_step_samples
from apollo_train.samples.weights import Weigher
from apollo_tui.cli.output import say_active, session_row
from apollo_tui.state.session_facts import facts_of
from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, Usage
from sessions.fold.notes import SessionNotes
from sessions.fold.recording import RecordingBook
from sessions.importers.base import ImportedSession
from sessions.importers.builder import Call, SessionBuilder
from sessions.importers.content_losses import find_losses
from sessions.importers.files import import_file
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter
from widgets.entry_kinds import build
from widgets.facts import facts_lines
from widgets.models import SessionView
from widgets.rows import outcome_line

POLICY = FilterPolicy(targets=TargetRules(text_only=True))


def built(*lost: tuple[int, tuple[ev.LostPart, ...]], reasoning: tuple[ev.LostPart, ...] = ()) -> ImportedSession:
    """Three steps; what the task (0) and the results of the steps lack, and the first reply."""
    losses = dict(lost)
    builder = SessionBuilder("test", "one")
    builder.add_user("Look at it.", lost=losses.get(0, ()))
    for step in (1, 2):
        builder.add_reply("", [Call(f"c{step}", "run", "{}")], lost=reasoning if step == 1 else ())
        builder.add_result(f"c{step}", "ok", lost=losses.get(step, ()))
    builder.add_reply("It is red.")
    return builder.finish().with_source("a.jsonl")


async def stored(folder: Path, session: ImportedSession) -> Path:
    async with await LogWriter.open(folder / "log.sqlite") as writer:
        await writer.append(*session.with_number(1).events, blobs=session.blobs)
        return writer.path


def source(reader: LogReader, session: str) -> Source:
    judged = read_annotations(reader, session, reader.position())
    assert judged is not None
    return Source(reader, judged, POLICY, Weigher(POLICY, {session: 3}, {}))


async def rows(folder: Path, session: ImportedSession) -> tuple[list[StepSample], dict[str, str]]:
    with LogReader(await stored(folder, session)) as reader:
        found = list(make_step_samples(source(reader, session.session)))
    trained = [one for one in found if isinstance(one, StepSample)]
    return trained, {one.step: one.reason for one in found if isinstance(one, Exclusion)}


@pytest.mark.parametrize("part", ["image", "audio", "video", "file", "result", "instruction", "part"])
async def test_replies_that_read_what_was_lost_are_no_targets_and_those_before_it_are(
    tmp_path: Path, part: ev.LostPart
) -> None:
    trained, left_out = await rows(tmp_path, built((1, (part,))))
    assert [row.mask.step for row in trained] == [1] and left_out == {"2": "incomplete", "3": "incomplete"}
    assert trained[0].meta["prompt"] == "reconstructed" and "without" not in trained[0].meta


async def test_a_policy_can_train_what_was_lost_all_the_same_and_the_rows_say_so(tmp_path: Path) -> None:
    session = built((1, ("image",)))
    policy = FilterPolicy(targets=TargetRules(text_only=True, incomplete="train"))
    with LogReader(await stored(tmp_path, session)) as reader:
        judged = read_annotations(reader, session.session, reader.position())
        assert judged is not None
        found = list(make_step_samples(Source(reader, judged, policy, Weigher(policy, {session.session: 3}, {}))))
    rows = [one.meta for one in found if isinstance(one, StepSample)]
    assert [(row["prompt"], row.get("without")) for row in rows] == [
        ("reconstructed", None), ("exact_opaque", ["image"]), ("exact_opaque", ["image"])]  # fmt: skip


async def test_an_image_in_the_task_bars_all_replies_also_after_a_summary(tmp_path: Path) -> None:
    session = built((0, ("image",)))
    assert await rows(tmp_path, session) == ([], dict.fromkeys("123", "incomplete"))


async def test_a_summary_ends_what_a_lost_result_bars(tmp_path: Path) -> None:
    builder = SessionBuilder("test", "two")
    builder.add_user("Look.")
    builder.add_reply("", [Call("c", "run", "{}")])
    builder.add_result("c", "", lost=("image",))
    builder.add_reply("", [Call("d", "run", "{}")])
    builder.add_result("d", "ok")
    builder.add_summary("It was red.")
    builder.add_reply("Done.")
    trained, left_out = await rows(tmp_path, builder.finish().with_source("a.jsonl"))
    assert [row.mask.step for row in trained] == [1, 3] and left_out == {"2": "incomplete"}


async def test_hidden_reasoning_bars_nothing_and_later_rows_say_exact_opaque(tmp_path: Path) -> None:
    trained, left_out = await rows(tmp_path, built(reasoning=("reasoning",)))
    assert [row.mask.step for row in trained] == [1, 2, 3] and not left_out
    assert [row.meta["prompt"] for row in trained] == ["reconstructed", "exact_opaque", "exact_opaque"]
    assert [row.meta.get("without") for row in trained] == [None, ["reasoning"], ["reasoning"]]


async def test_a_segment_says_of_its_trained_replies_alone_what_their_prompts_lack(tmp_path: Path) -> None:
    session = built((2, ("image",)), reasoning=("reasoning",))
    with LogReader(await stored(tmp_path, session)) as reader:
        [segment] = [one for one in make_segments(source(reader, session.session)) if isinstance(one, Segment)]
    assert segment.meta["prompt"] == "exact_opaque" and segment.meta["without"] == ["reasoning"]
    assert segment.trained == [None, True, None, True, None, False]


def test_the_book_says_what_was_lost_where_and_in_which_file() -> None:
    session = built((0, ("image", "image")), (2, ("image", "file")), reasoning=("reasoning",))
    lines = RecordingBook(event for event in session.events).lines_of_file  # type: ignore[arg-type]
    assert lines[0] == (
        "a.jsonl: 3 images could not be kept (the task, step 2); the replies that read this are not trained by default"
    )
    assert "a.jsonl: 1 reply with hidden reasoning could not be kept (step 1)" in lines
    assert any(line.startswith("a.jsonl: 1 attached file could not") for line in lines)
    assert "a.jsonl: the file has no system prompt" in lines


async def test_notes_stay_with_the_session_on_its_screen_after_a_restart(tmp_path: Path) -> None:
    session = built((1, ("image",)))
    with LogReader(await stored(tmp_path, session)) as reader:
        summary = reader.summary(session.session)
        assert summary is not None
        remarks = SessionNotes(reader.events(session.session))
        view = SessionView(session.session, 1, "a", summary.state)
        lines = facts_lines(facts_of(summary, view, {}, summary.last_at, remarks=remarks), 36)
    text = " ".join("".join(span for span, _ in line) for line in lines)
    assert "recording a.jsonl 1 image could not be kept" in " ".join(text.split())


async def test_totals_of_the_run_count_for_the_session_and_for_no_reply(tmp_path: Path) -> None:
    builder = SessionBuilder("test", "three")
    builder.add_user("Go.")
    builder.add_reply("a", cost=0.25)
    builder.add_reply("b")
    builder.add_totals(Usage(1000, 50), 0.5)
    session = builder.finish().with_source("a.jsonl")
    with LogReader(await stored(tmp_path, session)) as reader:
        summary = reader.summary(session.session)
    assert summary is not None
    assert (summary.input_tokens, summary.output_tokens, summary.cost, summary.unpriced) == (1000, 50, 0.5, 0)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("plain", []),
        (None, []),
        ([{"type": "text", "text": "a"}, "b"], []),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,x"}}], ["image"]),
        ([{"type": "image", "source": {"path": "a.png"}}, {"type": "text", "text": "a"}], ["image"]),
        ([{"type": "image", "image_urls": ["a", "b"]}], ["image", "image"]),
        ([{"type": "input_image", "file_id": "x"}, {"type": "input_audio"}, {"type": "input_file"}],
         ["image", "audio", "file"]),
        ([{"type": "tool_result", "content": [{"type": "image"}, {"type": "text", "text": "a"}]}], ["image"]),
        ([{"type": "document", "source": {"type": "text", "data": "a"}}], []),
        ([{"type": "resource", "resource": {"text": "a"}}, {"type": "resource", "resource": {"blob": "x"}}], ["file"]),
        ([{"type": "hologram"}], ["part"]),
        ({"type": "image"}, ["image"]),
        ("see ![plot](data:image/png;base64,iVBO) and ![b]( data:image/gif;base64,R0)", ["image", "image"]),
        ("<MSWEA_MULTIMODAL_CONTENT><CONTENT_TYPE>image_url</CONTENT_TYPE>x</MSWEA_MULTIMODAL_CONTENT>", ["image"]),
        ("data:image/png;base64,iVBO", ["image"]),
        ("a text about data:image/png;base64 and its uses", []),
    ],
)  # fmt: skip
def test_what_is_no_text_is_found_wherever_it_hides(content: Any, wanted: list[str]) -> None:
    assert find_losses(content) == wanted


async def test_the_wait_for_a_person_is_no_active_time(tmp_path: Path) -> None:
    minute, start = 60_000, 1_767_600_000_000
    builder = SessionBuilder("test", "four", started=start)
    builder.add_user("Go.", start)
    builder.add_reply("Done.", at=start + minute)
    builder.add_user("And this.", start + 600 * minute)
    builder.add_reply("Done, too.", at=start + 602 * minute)
    session = builder.finish().with_source("a.jsonl")
    with LogReader(await stored(tmp_path, session)) as reader:
        summary = reader.summary(session.session)
    assert summary is not None and (summary.active_ms, summary.state) == (3 * minute, "finished")


async def test_what_a_file_says_no_times_of_is_shown_as_unknown(tmp_path: Path) -> None:
    session = built()
    with LogReader(await stored(tmp_path, session)) as reader:
        summary = reader.summary(session.session)
        assert summary is not None
        view = SessionView(session.session, 1, "a", summary.state, step=summary.step)
        lines = ["".join(span for span, _ in line) for line in facts_lines(facts_of(summary, view, {}, 10**12), 36)]
        events = reader.events(session.session)
    words = [line.split() for line in lines]
    assert ["active", "not", "known"] in words and ["tokens", "not", "known"] in words
    assert say_active(summary, 10**12) == "–" and session_row(summary, 10**12)["active_ms"] is None
    started = next(event for event in events if isinstance(event.body, ev.ActionStarted))
    result = next(event for event in events if isinstance(event.body, ev.ActionResult))
    entry = build(started, [result], None, None)
    text = "".join(span for span, _ in outcome_line(entry))
    assert "✓ –" in text and "0.0 s" not in text


def test_a_duration_is_that_of_the_file_or_the_time_between_call_and_result() -> None:
    builder = SessionBuilder("test", "five", started=1000)
    builder.add_user("Go.", 1000)
    calls = [Call("a", "run", "{}"), Call("b", "run", "{}"), Call("c", "run", "{}")]
    builder.add_reply("", calls, at=5000, asked_at=2000, duration_ms=2500)
    builder.add_result("a", "", at=9000)
    builder.add_result("b", "", at=9500, duration_ms=100)
    builder.add_result("c", "")
    results = [event.body for event in builder.events if isinstance(event.body, ev.ActionResult)]
    assert [body.duration_ms for body in results] == [4000, 100, 0]
    asked = next(event for event in builder.events if isinstance(event.body, ev.ModelRequested))
    replied = next(event for event in builder.events if isinstance(event.body, ev.ModelReplied))
    assert (asked.at, replied.at) == (2000, 5000)


async def test_encrypted_reasoning_of_our_own_host_makes_later_prompts_opaque_until_a_summary(tmp_path: Path) -> None:
    writer = await new_log(tmp_path)
    told = await Teller(writer, shape="anthropic").begin()
    block = {"type": "redacted_thinking", "data": "x"}
    call = CallPart("c1.1", "run", "{}")
    told.step += 1
    asked = await told.request()
    reply = ev.ModelReplied(request=asked, parts=(ReasoningPart("", block), call), finish="calls")
    await told.tell(reply, step=1, actor="agent")
    await told.result()
    await told.act("b")
    await told.summarise()
    await told.act("c")
    with LogReader(writer.path) as reader:
        found = list(make_step_samples(source(reader, SESSION)))
    await writer.close()
    trained = [one for one in found if isinstance(one, StepSample)]
    assert [(row.mask.step, row.meta["prompt"], row.meta.get("without")) for row in trained] == [
        (1, "exact", None),
        (2, "exact_opaque", ["reasoning"]),
        (3, "exact", None),
    ]


async def test_an_imported_session_comes_back_from_a_raw_export_with_its_notes(tmp_path: Path) -> None:
    session = built((1, ("image",)), reasoning=("reasoning",))
    out = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    with LogReader(await stored(tmp_path, session)) as reader:
        run_export(reader, None, FilterPolicy(), format_for("raw", ""), out[0])
    [back] = import_file(out[0])
    assert RecordingBook(back.events).lines_of_file == RecordingBook(session.events).lines_of_file  # type: ignore[arg-type]
    (tmp_path / "again").mkdir()
    with LogReader(await stored(tmp_path / "again", back)) as reader:
        run_export(reader, None, FilterPolicy(), format_for("raw", ""), out[1])
    assert out[0].read_bytes() == out[1].read_bytes()

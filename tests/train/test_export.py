from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from training_log import OTHER, SESSION, Teller, kept_policy, rows_of

from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS, UnknownFormat
from apollo_train.formats.rows import find_break
from apollo_train.output_files import WriteFailed
from apollo_train.policy import PRESETS, SessionRules, TargetRules
from apollo_train.runtime import FileInTheWay, NothingToExport
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

DEFAULT = kept_policy()


async def a_day(told: Teller) -> None:
    await told.act("a", reasoning="First.")
    await told.reply(("run", "{bad"))
    await told.refuse()
    await told.act("b")
    await told.flag(ev.Target(3, "call", 1), label="x/impatience")
    await told.advise("Mind the gap.", "knowledge")
    await told.read_all()
    await told.act("c")
    await told.tell(ev.EvalScored(score=0.4, used=1), step=4)
    await told.tell(ev.StateChanged(state="finished"))


def weights(row: dict[str, Any], field: str) -> list[Any]:
    return [message[field] for message in row["messages"] if message["role"] == "assistant"]


@pytest.mark.parametrize(
    ("name", "field", "yes"), [("openai", "weight", 1), ("messages", "loss", True), ("axolotl", "train", True)]
)
async def test_weights_are_0_exactly_for_the_flagged_and_the_malformed(
    told: Teller, reader: LogReader, tmp_path: Path, name: str, field: str, yes: Any
) -> None:
    await a_day(told)
    report = run_export(reader, None, DEFAULT, name, tmp_path / "out.jsonl")
    [row] = rows_of(report.path)
    assert weights(row, field) == [yes, type(yes)(0), type(yes)(0), yes]
    assert all(field not in message for message in row["messages"] if message["role"] != "assistant")
    assert row["prefix_checked"] is True
    assert find_break(row["messages"]) == ""
    assert isinstance(row["tools"], str if name == "messages" else list)
    contents = [m["content"] for m in row["messages"] if m["role"] == "assistant"]
    assert contents == ([None] * 4 if name == "openai" else [""] * 4)


async def test_the_twin_names_each_reply_that_is_left_out_and_why(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await a_day(told)
    for name in ("steps", "openai"):
        report = run_export(reader, None, DEFAULT, name, tmp_path / f"{name}.jsonl")
        assert [(row["step"], row["reason"]) for row in rows_of(report.excluded)] == [
            ("2", "malformed"),
            ("3", "flagged"),
        ]
        assert report.counts.masked_by == {"malformed": 1, "flagged": 1}


async def test_steps_rows_hold_prompt_completion_tools_and_meta(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await a_day(told)
    report = run_export(reader, None, DEFAULT, "steps", tmp_path / "steps.jsonl")
    rows = rows_of(report.path)
    assert [row["meta"]["step"] for row in rows] == ["1", "4"]
    assert set(rows[0]) == {"prompt", "completion", "tools", "meta"}
    assert [message["role"] for message in rows[0]["completion"]] == ["assistant"]
    assert rows[0]["completion"][0]["reasoning_content"] == "First."
    assert json.loads(rows[0]["tools"])[0]["function"]["name"] == "run"
    arguments = [c["function"]["arguments"] for m in rows[1]["prompt"] for c in m.get("tool_calls", ())]
    assert all(isinstance(text, str) for text in arguments)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("verl", "dpo")])
async def test_the_same_position_and_policy_give_the_same_bytes_whatever_came_after(
    told: Teller, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await a_day(told)
    if name == "preferences":
        other = await Teller(told.writer, OTHER).begin()
        await other.act("ls")
        await told.tell(ev.PreferenceStated(other=OTHER, verdict="better"), actor="human:ann")
    position = reader.position()
    first = run_export(reader, None, DEFAULT, name, tmp_path / "first.jsonl")
    body = ev.ExportWritten(path="x", format=name, policy="p", position=position)
    await told.tell(body, actor="human:ann")
    await told.flag(ev.Target(1))
    await told.tell(ev.SignedOff(verdict="discard"), actor="human:ann")
    second = run_export(reader, None, DEFAULT, name, tmp_path / "second.jsonl", position=position)
    for before, after in (
        (first.path, second.path),
        (first.excluded, second.excluded),
        (first.manifest, second.manifest),
    ):
        assert before.read_bytes() == after.read_bytes()
    assert str(tmp_path) not in first.manifest.read_text()


async def test_the_plan_counts_what_the_export_then_holds(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await a_day(told)
    for name in ("steps", "openai"):
        plan = plan_export(reader, None, DEFAULT, name)
        report = run_export(reader, None, DEFAULT, name, tmp_path / f"{name}.jsonl")
        for field in ("sessions", "steps", "trained", "masked", "masked_by", "trained_tokens", "unseen_tokens"):
            assert getattr(plan.counts, field) == getattr(report.counts, field), field
        assert plan.per_session[SESSION].trained == 2
        assert plan.counts.trained_tokens == 20
        assert plan.counts.unseen_share == 0.5
        assert any("50.0% of the trained tokens were seen by no human" in line for line in plan.lines())


async def test_the_manifest_says_by_which_rules_and_from_where(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    from blake3 import blake3

    await a_day(told)
    report = run_export(reader, None, DEFAULT, "steps", tmp_path / "steps.jsonl")
    manifest = json.loads(report.manifest.read_text())
    assert manifest["policy"]["flags"]["conflict"] == "mask"
    assert manifest["policy_sha256"] == DEFAULT.digest
    assert manifest["position"] == reader.position()
    assert manifest["counts"]["trained"] == 2
    assert manifest["blake3"]["data"] == blake3(report.path.read_bytes()).hexdigest()
    assert manifest["blake3"]["excluded"] == blake3(report.excluded.read_bytes()).hexdigest()


async def test_a_file_that_is_there_is_never_replaced_unasked(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await a_day(told)
    out = tmp_path / "out.jsonl"
    out.write_text("mine")
    out.with_name("out.jsonl.excluded.jsonl").write_text("mine, too")
    with pytest.raises(FileInTheWay, match=r"/out\.jsonl is there already"):
        run_export(reader, None, DEFAULT, "steps", out)
    assert out.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.glob("*out*")) == ["out.jsonl", "out.jsonl.excluded.jsonl"]
    run_export(reader, None, DEFAULT, "steps", out, overwrite=True)
    assert len(rows_of(out)) == 2


async def test_an_export_that_fails_leaves_nothing_behind(
    told: Teller, reader: LogReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_day(told)
    before = sorted(path.name for path in tmp_path.iterdir())

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("apollo_train.output_files.os.fsync", full)
    with pytest.raises(WriteFailed, match="No space left"):
        run_export(reader, None, DEFAULT, "steps", tmp_path / "out.jsonl")
    with pytest.raises(WriteFailed, match=r"cannot write .*/nowhere/out\.jsonl: there is no folder"):
        run_export(reader, None, DEFAULT, "steps", tmp_path / "nowhere" / "out.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


async def test_empty_selections_and_unknown_formats_are_one_line_each(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.reply(text="Only talk.")
    with pytest.raises(NothingToExport, match="1 text_only"):
        run_export(reader, None, DEFAULT, "steps", tmp_path / "out.jsonl")
    with pytest.raises(NothingToExport, match="session_score"):
        run_export(reader, None, kept_policy(sessions=SessionRules(min_score=1.0)), "steps", tmp_path / "out.jsonl")
    with pytest.raises(UnknownFormat, match="choose one of steps, messages, openai"):
        plan_export(reader, None, DEFAULT, "nope")


@pytest.mark.parametrize(
    ("rules", "taken"),
    [
        (SessionRules(), True),
        (SessionRules(states=("running",)), False),
        (SessionRules(states=("finished",)), True),
        (SessionRules(min_score=0.3), True),
        (SessionRules(min_score=0.5), False),
        (SessionRules(sign_off=("good",)), False),
        (SessionRules(tasks=("t1",)), True),
        (SessionRules(tasks=("t2",)), False),
        (SessionRules(tags=("hard", "x")), True),
        (SessionRules(tags=("easy",)), False),
        (SessionRules(models=("scripted",)), True),
        (SessionRules(models=("openai:other",)), False),
        (SessionRules(created_from="2023-11-14", created_to="2023-11-14"), True),
        (SessionRules(created_from="2023-11-15"), False),
        (SessionRules(created_to="2023-11-13"), False),
        (SessionRules(annotators=("ann",)), True),
        (SessionRules(annotators=("bob",)), False),
    ],
)
async def test_the_policy_chooses_sessions(
    writer: LogWriter, reader: LogReader, rules: SessionRules, taken: bool
) -> None:
    told = await Teller(writer).begin(task_id="t1", tags=("hard",))
    await a_day(told)
    plan = plan_export(reader, None, kept_policy(sessions=rules))
    assert (SESSION in plan.per_session) is taken
    assert bool(plan.left_out) is not taken


async def test_sessions_are_chosen_by_the_tags_that_they_have_by_then(told: Teller, reader: LogReader) -> None:
    await told.act()
    policy = kept_policy(sessions=SessionRules(tags=("easy",)))
    assert plan_export(reader, None, policy).left_out == {SESSION: "session_tag"}
    await told.tell(ev.SessionTagged(added=("easy",)), actor="human:ann")
    assert plan_export(reader, None, policy).left_out == {}
    await told.tell(ev.SessionTagged(removed=("easy",)), actor="human:bob")
    assert plan_export(reader, None, policy).left_out == {SESSION: "session_tag"}


async def test_judged_up_to_a_step_takes_nothing_from_a_colleagues_sign_off(told: Teller, reader: LogReader) -> None:
    await told.act()
    policy = kept_policy(sessions=SessionRules(sign_off=("good",)))
    await told.tell(ev.SignedOff(up_to_step=1), actor="human:bob")
    assert plan_export(reader, None, policy).left_out == {SESSION: "session_sign_off"}
    await told.tell(ev.SignedOff(verdict="good"), actor="human:ann")
    assert plan_export(reader, None, policy).left_out == {}
    await told.tell(ev.SignedOff(verdict="discard"), actor="human:cleo")
    assert plan_export(reader, None, policy).left_out == {SESSION: "session_sign_off"}


async def test_replayed_and_discarded_sessions_stay_out_by_default(writer: LogWriter, reader: LogReader) -> None:
    replayed = await Teller(writer).begin(origin="replay")
    await replayed.act()
    discarded = await Teller(writer, OTHER).begin()
    await discarded.act()
    await discarded.tell(ev.SignedOff(verdict="discard"), actor="human:ann")
    plan = plan_export(reader, None, DEFAULT)
    assert plan.left_out == {SESSION: "session_replayed", OTHER: "session_sign_off"}
    everything = plan_export(reader, None, PRESETS["everything"])
    assert everything.counts.trained == 2


async def test_an_unanswered_call_makes_no_chat_row_but_step_samples(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.reply(("run", "{}"), ("run", "{}"))
    await told.result(1)
    await told.act()
    assert run_export(reader, None, DEFAULT, "steps", tmp_path / "s.jsonl").counts.trained == 2
    with pytest.raises(NothingToExport, match="2 broken_conversation"):
        run_export(reader, None, DEFAULT, "openai", tmp_path / "o.jsonl")


async def test_summaries_train_as_rows_of_their_own(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await told.act("a")
    await told.summarise("Did a.")
    await told.act("b")
    policy = kept_policy(targets=TargetRules(summaries=True))
    for name in ("steps", "openai"):
        report = run_export(reader, None, policy, name, tmp_path / f"{name}.jsonl")
        assert [row["meta"]["step"] for row in rows_of(report.path)] in (["1", "S1", "2"], ["S1", "1", "2"])
        assert report.counts.trained == 3


async def test_flags_on_steps_that_do_not_exist_are_counted(told: Teller, reader: LogReader) -> None:
    await told.act()
    await told.flag(ev.Target(99))
    await told.flag(ev.Target(1), until_recovery=True)
    counts = plan_export(reader, None, DEFAULT).counts
    assert (counts.lost_flags, counts.unresolved, counts.still_open) == (1, 0, 1)
    position = reader.position()
    await told.summarise()
    await told.act()
    for target in (
        ev.Target(2, "call", 1),
        ev.Target(2, "reasoning"),
        ev.Target(1, "summary"),
        ev.Target(1, "span", None, 9),
    ):
        await told.flag(target)
    assert plan_export(reader, None, DEFAULT).counts.lost_flags == 1
    for target in (ev.Target(2, "call", 2), ev.Target(2, "summary"), ev.Target(5, "span", None, 9)):
        await told.flag(target)
    counts = plan_export(reader, None, DEFAULT).counts
    assert counts.lost_flags == 4
    assert "4 flags on a step, a call or a summary that does not exist" in list(counts.lines())
    assert plan_export(reader, None, DEFAULT, position=position).counts.lost_flags == 1


async def test_a_flag_on_a_call_is_found_behind_any_number_of_cut_replies(told: Teller, reader: LogReader) -> None:
    for _ in range(12):
        asked = await told.request()
        await told.tell(ev.ReplyInterrupted(request=asked), step=told.step + 1)
    await told.act()
    await told.flag(ev.Target(told.step, "call", 1))
    await told.flag(ev.Target(told.step, "call", 2))
    assert plan_export(reader, None, DEFAULT).counts.lost_flags == 1


async def test_progress_ends_at_the_whole(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await a_day(told)
    seen: list[tuple[int, int]] = []
    run_export(reader, None, DEFAULT, "steps", tmp_path / "o.jsonl", progress=lambda *pair: seen.append(pair))
    assert seen[-1] == (4, 4)


async def test_foreign_text_goes_through_as_it_is(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    evil = "[/foo] [bold \x1b[2J\x1b]52;c;AA\x07 \x00 漢字 \ud800 ok\r\nend"
    await told.act("a", text=evil)
    await told.act("b")
    report = run_export(reader, None, DEFAULT, "steps", tmp_path / "o.jsonl")
    rows = rows_of(report.path)
    clean = evil.replace("\ud800", "\ufffd")
    assert rows[0]["completion"][0]["content"] == clean
    assert rows[1]["prompt"][2]["content"] == clean
    assert report.path.read_bytes().count(b"\n") == 2

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from training_log import OTHER, SESSION, Teller, kept_policy, rows_of

from apollo_train.export.plan import plan_export
from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS
from apollo_train.formats.rows import find_break
from apollo_train.policy import AdviceRules, FilterPolicy, FlagRules
from apollo_train.runtime import CannotExpress, NothingToExport
from sessions import events as ev
from sessions.importers.files import import_file
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
WRITE = bool(os.environ.get("APOLLO_WRITE_GOLDEN"))
DEFAULT = kept_policy()
PLAIN = ("verl", "llamafactory-v0", "ms-swift")
MARKS: dict[str, tuple[str, Any, Any]] = {
    "openai": ("weight", 1, 0),
    "ms-swift": ("loss", True, False),
    "axolotl": ("train", True, False),
    "slime": ("step_loss_mask", 1, 0),
    "tinker": ("trainable", True, False),
    "llamafactory-v1": ("loss_weight", 1.0, 0.0),
}


async def supervised(writer: LogWriter) -> Teller:
    """Someone stops a call, and the agent does something else."""
    told = await Teller(writer).begin("Train it.", task_id="example", title="example")
    await told.reply(("run", '{"command":"kill 1"}'), reasoning="It looks stuck.")
    await told.refuse(why="skipped_for_advice", shown="This call was not run.")
    await told.flag(ev.Target(1, "call", 1), label="x/impatience")
    await told.advise("The job is healthy.", "knowledge")
    await told.act("tail log", "loss 0.4", reasoning="I read the log.")
    await told.read_all()
    await told.tell(ev.StateChanged(state="finished"))
    return told


async def plain(writer: LogWriter) -> Teller:
    told = await Teller(writer).begin("Train it.", task_id="example", title="example")
    await told.act("python train.py", "loss 0.4", reasoning="Start it.")
    await told.act("cat loss.txt", "0.4")
    await told.tell(ev.StateChanged(state="finished"))
    return told


async def preferred(writer: LogWriter) -> None:
    """Somebody says which of two sessions is better."""
    told = await plain(writer)
    other = await Teller(writer, OTHER).begin("Train it.", task_id="example", title="another")
    await other.act("kill 1", "killed")
    word = ev.PreferenceStated(other=OTHER, verdict="better", note="it let the job run")
    await told.tell(word, actor="human:ann")


def rows(reader: LogReader, folder: Path, name: str, policy: FilterPolicy = DEFAULT) -> list[dict[str, Any]]:
    return rows_of(run_export(reader, None, policy, name, folder / f"{name}.jsonl", overwrite=True).path)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "raw"])
async def test_the_example_on_the_page_is_what_is_written(
    writer: LogWriter, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await (plain if name in PLAIN else preferred if name == "preferences" else supervised)(writer)
    found = rows(reader, tmp_path, name)
    told = "\n".join(json.dumps(row, ensure_ascii=False) for row in (found if name == "sts" else found[-1:]))
    page = PAGE.read_text("utf-8")
    block = re.compile(rf"(### {re.escape(name)}\n(?:(?!\n###? ).)*?```json\n)(.*?)\n?(^```$)", re.S | re.M)
    match = block.search(page)
    assert match is not None, f"docs/formats.md has no example under '### {name}'"
    if WRITE:
        pretty = told if name == "sts" else shortened(found[-1])
        PAGE.write_text(page[: match.start(2)] + f"{pretty}\n" + page[match.start(3) :], "utf-8")
        return
    shown = [json.loads(line) for line in match[2].splitlines()] if name == "sts" else [json.loads(match[2])]
    assert shown == [json.loads(line) for line in told.splitlines()]


def shortened(value: Any, indent: int = 0) -> str:
    """JSON that fits a page: what is short stands on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent <= 130 or not isinstance(value, dict | list) or not value:
        return line
    pad = " " * (indent + 1)
    if isinstance(value, list):
        inner = [pad + shortened(one, indent + 1) for one in value]
    else:
        inner = [f"{pad}{json.dumps(key)}: {shortened(one, indent + 1)}" for key, one in value.items()]
    ends = "[]" if isinstance(value, list) else "{}"
    return f"{ends[0]}\n" + ",\n".join(inner) + f"\n{' ' * indent}{ends[1]}"


@pytest.mark.parametrize("name", sorted(MARKS.keys() - {"ms-swift"}))  # its loader stops at advice after a result
async def test_exactly_the_flagged_reply_is_masked(
    writer: LogWriter, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await supervised(writer)
    field, yes, no = MARKS[name]
    [row] = rows(reader, tmp_path, name)
    assert [m[field] for m in row["messages"] if m["role"] == "assistant"] == [no, yes]
    others = [m.get(field) for m in row["messages"] if m["role"] != "assistant"]
    everywhere = {"tinker": False, "llamafactory-v1": 0.0}
    assert set(others) == {everywhere.get(name)}


async def test_messages_say_the_same_by_all_names(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await supervised(writer)
    [row] = rows(reader, tmp_path, "messages")
    masked, trained = (m for m in row["messages"] if m["role"] == "assistant")
    for field, yes, no in MARKS.values():
        if field != "trainable":  # Tinker refuses it on messages it does not expect it on
            assert (trained[field], masked[field]) == (yes, no)
    assert "trainable" not in trained


async def test_slime_has_its_tools_in_metadata_and_llamafactory_its_content_in_parts(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await supervised(writer)
    [slime] = rows(reader, tmp_path, "slime")
    assert slime["metadata"]["tools"][0]["function"]["name"] == "run" and "tools" not in slime
    [v1] = rows(reader, tmp_path, "llamafactory-v1")
    assert [part["type"] for part in v1["messages"][-1]["content"]] == ["reasoning", "tool_call"]
    assert json.loads(v1["messages"][-1]["content"][1]["value"]) == {
        "name": "run",
        "arguments": {"command": "tail log"},
    }
    assert all(isinstance(part["value"], str) for m in v1["messages"] for part in m["content"])


async def test_step_formats_train_their_last_message_only(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await plain(writer)
    steps = rows(reader, tmp_path, "steps")
    for name in ("nemo-rl", "tinker-steps"):
        found = rows(reader, tmp_path, name)
        assert [len(row["messages"]) for row in found] == [len(row["prompt"]) + 1 for row in steps]
        if name == "nemo-rl":
            assert [row["messages"] for row in found] == [[*row["prompt"], *row["completion"]] for row in steps]
        assert all("trainable" not in message for row in found for message in row["messages"])
    assert rows(reader, tmp_path, "nemo-rl")[0]["task_name"] == "apollo"
    v0 = rows(reader, tmp_path, "llamafactory-v0")
    assert [turn["from"] for turn in v0[-1]["conversations"]] == [
        "human",
        "function_call",
        "observation",
        "function_call",
    ]
    assert v0[-1]["system"] == "You are an agent."
    assert v0[0]["conversations"][-1]["value"].startswith("<think>\nStart it.\n</think>")


async def test_llamafactory_v0_leaves_out_and_names_what_its_loader_would_drop(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("a")
    await told.advise("Slow down.")
    await told.act("b")
    await told.act("c", text="Now c.")
    report = run_export(reader, None, DEFAULT, "llamafactory-v0", tmp_path / "v0.jsonl")
    assert report.counts.trained == 1
    assert report.counts.masked_by == {"turns_do_not_alternate": 2}


async def test_verl_refuses_a_mask_and_cuts_what_follows_the_last_trained_reply(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("a")
    await told.act("b")
    await told.reply(text="Done.")
    [row] = rows(reader, tmp_path, "verl")
    assert row["messages"][-1]["tool_calls"][0]["function"]["arguments"] == '{"command": "b"}'
    assert row["meta"]["cut"] == 2 and find_break(row["messages"]) == ""
    await told.flag(ev.Target(1))
    with pytest.raises(
        CannotExpress, match=r"verl trains every reply of a row, and 1 of .* take `apollo-train tokens`"
    ):
        rows(reader, tmp_path, "verl")


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("raw", "atif", "sts", "preferences")])
@pytest.mark.parametrize("scope", ["call", "reasoning"])
async def test_message_formats_refuse_to_mask_parts_of_a_reply(
    told: Teller, reader: LogReader, tmp_path: Path, name: str, scope: Any
) -> None:
    await told.act()
    policy = kept_policy(flags=FlagRules(scope=scope))
    for attempt in (plan_export, run_export):
        with pytest.raises(
            CannotExpress, match=rf"{name} trains a reply whole .* take `apollo-train tokens`"
        ) as raised:
            attempt(reader, None, policy, name, *([tmp_path / "x"] if attempt is run_export else []))  # type: ignore[operator]
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "x").exists()


async def test_a_pair_is_at_the_prompt_before_the_advice(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await supervised(writer)
    [row] = rows(reader, tmp_path, "dpo")
    assert [message["role"] for message in row["prompt"]] == ["system", "user"]
    assert row["rejected"][0]["tool_calls"][0]["function"]["arguments"] == '{"command":"kill 1"}'
    assert row["chosen"][0]["tool_calls"][0]["function"]["arguments"] == '{"command": "tail log"}'
    [verdict] = rows(reader, tmp_path, "kto")
    assert verdict["label"] is False and verdict["completion"] == row["rejected"]


async def test_flags_that_make_no_pair_are_counted_with_the_reason(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("a")
    await told.flag(ev.Target(1))
    await told.advise("Slow down.")
    await told.act("b")
    with pytest.raises(NothingToExport, match="1 ran"):
        rows(reader, tmp_path, "dpo")
    await told.flag(ev.Target(2), verdict="good", label="right-there-too")
    assert len(rows(reader, tmp_path, "dpo")) == 1
    assert sorted(row["label"] for row in rows(reader, tmp_path, "kto")) == [False, True]


async def test_atif_goes_out_and_in_with_its_flags_and_advice(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    told = await supervised(writer)
    await told.flag(ev.Target(1, "span", to_step=2), verdict="unsure", label="x/odd", severity=2, actor="judge:j")
    await told.tell(ev.SignedOff(verdict="partial", note="ok"), actor="human:ann")
    await told.tell(ev.RecoveryMarked(at_step=2), actor="human:ann")
    run_export(reader, None, DEFAULT, "atif", tmp_path / "t.json")
    [session] = import_file(tmp_path / "t.json")
    kinds: Any = (ev.FlagSet, ev.SignedOff, ev.AdviceQueued, ev.AdviceDelivered, ev.RecoveryMarked)
    again = {(e.actor, e.body) for e in session.events if isinstance(e.body, (*kinds, ev.AdviceReach))}

    def bare(event: Any) -> Any:
        body = event.body
        return {k: v for k, v in json.loads(json.dumps(body_plain(body))).items() if k not in ("flag", "woke", "reach")}

    before = [e for e in reader.events(SESSION) if isinstance(e.body, kinds)]
    after = [e for e in session.events if isinstance(e.body, kinds)]
    assert sorted(map(str, map(bare, before))) == sorted(map(str, map(bare, after)))
    assert {actor for actor, body in again if isinstance(body, ev.FlagSet)} == {"human:ann", "judge:j"}
    assert [body.reach for _, body in again if isinstance(body, ev.AdviceReach)] == ["general"]
    async with await LogWriter.open(tmp_path / "again.sqlite") as other:
        await other.append(*session.with_number(1).events, blobs=session.blobs)
        with LogReader(other.path) as second:
            run_export(second, None, DEFAULT, "atif", tmp_path / "u.json")
            one, two = (json.loads((tmp_path / name).read_text()) for name in ("t.json", "u.json"))
            flags = [step["extra"]["apollo"].get("annotations") for step in two["steps"] if step["source"] == "agent"]
            assert flags[0][0]["label"] == "x/impatience" and len(one["steps"]) == len(two["steps"])
            assert plan_export(second, None, DEFAULT).counts.masked_by == {"flagged": 1}


def body_plain(body: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(body)


async def test_trajectories_cannot_be_told_without_their_advice(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act()
    policy = kept_policy(advice=AdviceRules(knowledge="dropped"))
    for name in ("atif", "sts"):
        with pytest.raises(CannotExpress, match=f"{name} tells what happened"):
            rows(reader, tmp_path, name, policy)


async def test_atif_masks_single_calls_where_the_policy_does(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await told.reply(("run", '{"command":"a"}'), ("run", '{"command":"b"}'))
    await told.result(1)
    await told.result(2)
    await told.act("c")
    await told.flag(ev.Target(1, "call", 2))
    alone = kept_policy(flags=FlagRules(scope="call"))
    for policy, trained in ((alone, [True, False]), (DEFAULT, [False, False])):
        [document] = rows(reader, tmp_path, "atif", policy)
        step = next(step for step in document["steps"] if step["source"] == "agent")
        assert [call["extra"]["apollo"]["trainable"] for call in step["tool_calls"]] == trained
    assert step["extra"]["apollo"]["trainable"] is False and step["extra"]["apollo"]["reason"] == "flagged"
    assert [step["step_id"] for step in document["steps"]] == list(range(1, len(document["steps"]) + 1))

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from training_log import OTHER, Teller, kept_policy, rows_of

from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS
from apollo_train.formats.base import Format
from apollo_train.formats.rows import MessageRows
from apollo_train.policy import PRESETS, FilterPolicy, TargetRules, WeightRules
from apollo_train.runtime import NothingToExport
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

TEXT = kept_policy(targets=TargetRules(text_only=True))


async def advised(writer: LogWriter) -> Teller:
    """Two replies with reasoning, advice between them, a text at the end; the first reply is flagged."""
    told = await Teller(writer).begin("Find it.")
    await told.act("ls", "a", reasoning="Where?")
    await told.act("cat a", "x", reasoning="Read it.", text="I look.")
    await told.flag(ev.Target(1))
    await told.advise("Look at b.")
    await told.act("cat b", "y", reasoning="They are right.")
    await told.reply(text="Done.", reasoning="Found.")
    return told


def shaped(name: str, family: str) -> Format:
    """The format in the form for this template, also where its trainer would misread it."""
    made = FORMATS[name]
    assert isinstance(made, MessageRows)
    return made.adopt_form(family)


def rows(reader: LogReader, folder: Path, made: Format, policy: FilterPolicy = TEXT) -> list[dict[str, Any]]:
    return rows_of(run_export(reader, None, policy, made, folder / "out.jsonl", overwrite=True).path)


def arguments(messages: list[dict[str, Any]]) -> list[Any]:
    return [call["function"]["arguments"] for m in messages for call in m.get("tool_calls", ())]


@pytest.mark.parametrize("family", ["llama3", "qwen3", "glm"])
async def test_arguments_are_objects_for_templates_that_want_them(
    writer: LogWriter, reader: LogReader, tmp_path: Path, family: str
) -> None:
    await advised(writer)
    plain = rows(reader, tmp_path, FORMATS["steps"])
    found = rows(reader, tmp_path, shaped("steps", family))
    assert [row["meta"]["id"] for row in found] == [row["meta"]["id"] for row in plain]
    for one, other in zip(plain, found, strict=True):
        texts = arguments([*one["prompt"], *one["completion"]])
        assert all(isinstance(text, str) for text in texts)
        assert arguments([*other["prompt"], *other["completion"]]) == [json.loads(text) for text in texts]


async def test_a_template_without_a_system_role_gets_its_text_in_the_first_user_turn(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    told = await Teller(writer).begin("Find it.")
    await told.reply(text="I look.")
    await told.advise("Look at b.")
    await told.reply(text="Done.")
    [row] = rows(reader, tmp_path, shaped("axolotl", "gemma"))
    assert [m["role"] for m in row["messages"]] == ["user", "assistant", "user", "assistant"]
    assert row["messages"][0]["content"] == "You are an agent.\n\nFind it."
    assert "tools" not in row
    first, last = rows(reader, tmp_path, shaped("steps", "gemma"))
    assert first["prompt"] == [{"role": "user", "content": "You are an agent.\n\nFind it."}]
    assert [m["role"] for m in last["prompt"]] == ["user", "assistant", "user"]
    assert last["tools"] is None


async def test_user_turns_that_follow_each_other_are_one_where_roles_must_alternate(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    told = await Teller(writer).begin("Find it.")
    await told.advise("Look at b.")
    await told.reply(text="Done.")
    [row] = rows(reader, tmp_path, shaped("axolotl", "gemma"))
    said = "You are an agent.\n\nFind it.\n\n<advice-n0>\nLook at b.\n</advice-n0>"
    assert [m["content"] for m in row["messages"]] == [said, "Done."]
    [plain] = rows(reader, tmp_path, FORMATS["axolotl"])
    assert [m["role"] for m in plain["messages"]] == ["system", "user", "user", "assistant"]


@pytest.mark.parametrize("family", ["qwen3", "glm"])
async def test_a_segment_ends_where_the_template_drops_the_reasoning_before(
    writer: LogWriter, reader: LogReader, tmp_path: Path, family: str
) -> None:
    await advised(writer)
    [whole] = rows(reader, tmp_path, FORMATS["messages"])
    first, second = rows(reader, tmp_path, shaped("messages", family))
    trained = [[m["train"] for m in row["messages"] if "train" in m] for row in (whole, first, second)]
    assert trained == [[False, True, True, True], [False, True], [False, False, True, True]]
    assert second["messages"][:4] == [m | ({"train": False} if "train" in m else {}) for m in whole["messages"][:4]]
    assert [row["meta"]["id"] for row in (first, second)] == [f"{whole['meta']['id']}/{n}" for n in (1, 2)]
    assert first["messages"][-1]["role"] == "assistant"
    assert first["meta"]["weight"] == second["meta"]["weight"] == 1.0


async def test_rounds_share_a_weight_that_is_of_all_their_replies(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await advised(writer)
    policy = kept_policy(targets=TEXT.targets, weights=WeightRules(normalise="session", apply="field"))
    [whole] = rows(reader, tmp_path, FORMATS["llamafactory-v1"], policy)
    found = rows(reader, tmp_path, shaped("llamafactory-v1", "qwen3"), policy)
    weights = [row["meta"]["weight"] for row in found]
    assert weights == pytest.approx([whole["meta"]["weight"] / 3, whole["meta"]["weight"] * 2 / 3])


@pytest.mark.parametrize("name", ["messages", "steps"])
async def test_replies_without_reasoning_are_no_targets_for_templates_that_think(
    writer: LogWriter, reader: LogReader, tmp_path: Path, name: str
) -> None:
    told = await Teller(writer).begin("Find it.")
    await told.act("ls", "a")
    await told.act("cat b", "y", reasoning="Read it.")
    await told.act("cat c", "z")
    report = run_export(reader, None, TEXT, shaped(name, "qwen3"), tmp_path / "out.jsonl")
    [row] = rows_of(report.path)
    if name == "messages":
        assert [m["train"] for m in row["messages"] if "train" in m] == [False, True, False]
    else:
        assert row["completion"][0]["reasoning_content"] == "Read it."
    twin = [json.loads(line) for line in report.excluded.read_text().splitlines()]
    assert [(line["step"], line["reason"]) for line in twin] == [("1", "no_think_form"), ("3", "no_think_form")]
    assert report.counts.trained == 1
    assert report.counts.masked_by == {"no_think_form": 2}


async def test_a_session_without_any_reasoning_has_nothing_for_such_a_template(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    told = await Teller(writer).begin("Find it.")
    await told.act("ls", "a")
    with pytest.raises(NothingToExport, match="no_think_form"):
        run_export(reader, None, TEXT, shaped("axolotl", "glm"), tmp_path / "out.jsonl")


async def test_processes_write_the_same_bytes_of_a_format_for_a_template(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await advised(writer)
    told = await Teller(writer, OTHER).begin("Find it.")
    await told.act("ls", "a", reasoning="Where?")
    made = FORMATS["messages"].adapt_to_template("qwen3")
    one = run_export(reader, None, TEXT, made, tmp_path / "one.jsonl", workers=1)
    two = run_export(reader, None, TEXT, made, tmp_path / "two.jsonl", workers=2)
    assert one.path.read_bytes() == two.path.read_bytes()
    assert len(rows_of(one.path)) == 3


async def test_ms_swift_reads_reasoning_in_the_text_and_stops_at_a_user_turn_after_a_result(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await advised(writer)
    report = run_export(reader, None, TEXT, shaped("ms-swift", "qwen3"), tmp_path / "out.jsonl")
    [row] = rows_of(report.path)
    said = [m for m in row["messages"] if m["role"] == "assistant"]
    assert [m["content"] for m in said] == [
        "<think>\nWhere?\n</think>\n\n",
        "<think>\nRead it.\n</think>\n\nI look.\n",
    ]
    assert not any("reasoning_content" in m for m in said)
    twin = [json.loads(line) for line in report.excluded.read_text().splitlines()]
    assert [(row["step"], row["reason"]) for row in twin] == [
        ("1", "flagged"),
        ("3", "turns_do_not_alternate"),
        ("4", "turns_do_not_alternate"),
    ]


async def test_tinker_gets_reasoning_as_a_part_of_its_own(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await advised(writer)
    [row] = rows(reader, tmp_path, FORMATS["tinker"])
    contents = [m["content"] for m in row["messages"]]
    assert all(isinstance(content, list) for content in contents)
    assert contents[0] == [{"type": "text", "text": "You are an agent."}]
    assert contents[2] == [{"type": "thinking", "thinking": "Where?"}]
    assert contents[4] == [{"type": "thinking", "thinking": "Read it."}, {"type": "text", "text": "I look."}]
    assert not any("reasoning_content" in m for m in row["messages"])


async def test_an_empty_reply_without_loss_ends_each_row_for_axolotl_and_qwen_alone(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await advised(writer)
    found = rows(reader, tmp_path, shaped("axolotl", "qwen3"))
    assert [row["messages"][-1] for row in found] == [{"role": "assistant", "content": "", "train": False}] * 2
    assert [row["messages"][-2]["train"] for row in found] == [True, True]
    [whole] = rows(reader, tmp_path, FORMATS["axolotl"])
    assert [m for row in found[1:] for m in row["messages"][:-1]][-1] == whole["messages"][-1]
    assert rows(reader, tmp_path, shaped("axolotl", "llama3"))[0]["messages"][-1]["content"] == "Done."


@pytest.mark.parametrize("name", ["tinker", "tinker-steps"])
async def test_tinker_gets_all_of_qwens_words_as_text(
    writer: LogWriter, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await advised(writer)
    found = rows(reader, tmp_path, shaped(name, "qwen3"))
    messages = [m for row in found for m in row["messages"]]
    assert all(isinstance(m["content"], str) and set(m) <= {"role", "content", "trainable"} for m in messages)
    assert not any("tools" in row for row in found)
    assert "<tools>" in messages[0]["content"]
    last = found[-1]["messages"]
    assert last[-1]["content"] == "<think>\nFound.\n</think>\n\nDone."
    assert last[2]["content"] == '<tool_call>\n{"name": "run", "arguments": {"command": "ls"}}\n</tool_call>'
    assert last[3] | {"trainable": False} == {
        "role": "user",
        "content": "<tool_response>\na\n</tool_response>",
        "trainable": False,
    }
    if name == "tinker":
        trained = [[m["trainable"] for m in row["messages"] if m["role"] == "assistant"] for row in found]
        assert trained == [[False, True], [False, False, True, True]]


async def test_text_beside_a_call_is_kept_for_llamafactory(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    told = await Teller(writer).begin("Find it.")
    await told.act("cat a", "x", reasoning="Read it.", text="I look.")
    [row] = rows(reader, tmp_path, FORMATS["llamafactory-v0"])
    call = '{"name":"run","arguments":{"command":"cat a"}}'
    assert row["conversations"][-1] == {
        "from": "function_call",
        "value": f"<think>\nRead it.\n</think>\n\nI look.\n<tool_call>{call}</tool_call>",
    }


async def test_the_bytes_of_a_format_in_its_own_form_do_not_depend_on_the_detour(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await advised(writer)
    [row] = rows(reader, tmp_path, FORMATS["messages"], PRESETS["everything"].with_advice("kept"))
    [again] = rows(reader, tmp_path, shaped("messages", "llama3"), PRESETS["everything"].with_advice("kept"))
    assert row == again

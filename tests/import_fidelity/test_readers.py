"""Our own readers of recordings: what they read, that they know nothing of the product, and that they find faults."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from recorded_conversation import ADVICE, FAILURE, FIRST, LAST, LISTING, RECORDED, SECOND, TASK

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "benchmarks" / "import"
main = importlib.import_module("benchmarks.import.__main__")
compare = importlib.import_module("benchmarks.import.compare")
faults = importlib.import_module("benchmarks.import.faults")
recordings = importlib.import_module("benchmarks.import.recordings")

SAYS_FAILURE = {"claude-code", "codex", "gemini-cli", "inspect", "openhands"}
SAYS_USAGE = {"atif", "claude-code", "codex", "gemini-cli", "inspect", "openhands"}
TELLS_PEOPLE = set(RECORDED) - {"mini-swe-agent", "swe-agent"}
"""Formats in which a user's turn during the work is a person's; elsewhere it is what the environment answered."""


def read(format: str) -> Any:
    (session,) = main.read(format, RECORDED[format]())
    return session


@pytest.mark.parametrize("format", RECORDED)
def test_each_reader_reads_the_same_conversation(format: str) -> None:
    session = read(format)
    assert session.task == TASK
    assert [reply.text for reply in session.replies] == [FIRST, SECOND, LAST]
    calls = [
        [(c.name, c.arguments, c.result.split("\n")[-1 if format == "codex" else 0]) for c in r.calls]
        for r in session.replies
    ]
    assert calls == [[("run", {"c": "ls"}, LISTING)], [("run", {"c": "pytest"}, FAILURE)], []]
    turns = [[(turn.text, turn.person) for turn in reply.turns] for reply in session.replies]
    assert turns == [[(ADVICE, format in TELLS_PEOPLE)], [], []]
    if format in SAYS_FAILURE:
        assert session.replies[1].calls[0].failed is True
        assert session.replies[0].calls[0].failed is not True
    if format in SAYS_USAGE:
        assert (session.replies[0].usage.prompt, session.replies[0].usage.reply) == (100, 20)
    if format != "chat":
        assert session.replies[0].model == "m"


@pytest.mark.parametrize("format", RECORDED)
@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_put_in_on_purpose_is_found(format: str, fault: Any) -> None:
    expected = [read(format)]
    assert compare.differences(expected, [read(format)]) == []
    changed = fault([read(format)])
    if changed is None:
        assert fault.__name__ in {"train_what_was_left", "swap_task_and_advice", "count_usage_twice"}
        return
    kinds = {difference.kind for difference in compare.differences(expected, changed)}
    assert kinds & faults.FAULTS[fault]


def test_three_faults_can_be_put_into_each_recording_that_has_advice() -> None:
    for format in TELLS_PEOPLE:
        put_in = [fault.__name__ for fault in faults.FAULTS if fault([read(format)]) is not None]
        assert {"lose_result", "glue_replies", "swap_task_and_advice"} <= set(put_in), format


def test_a_rewound_way_in_the_main_line_is_found() -> None:
    data = (ROOT / "tests" / "cases" / "import" / "claude_rewind.jsonl").read_bytes()
    expected = main.read("claude-code", data)
    assert [session.role for session in expected] == ["main", "branch"]
    changed = faults.train_what_was_left(expected)
    assert {difference.kind for difference in compare.differences(expected, changed)} >= {"replies", "branches"}


def test_readers_are_short_and_know_nothing_of_the_product() -> None:
    modules = sorted((PACKAGE / "readers").glob("*.py"))
    assert len(modules) == len(main.READERS) + 1
    for module in [*modules, PACKAGE / "transcript.py"]:
        text = module.read_text("utf-8")
        assert len(text.splitlines()) <= 300, module.name
        imported = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {getattr(node, "module", None) or node.names[0].name for node in imported}  # type: ignore[union-attr]
        assert not {name for name in names if name.split(".")[0] in {"sessions", "apollo_tui", "apollo_train"}}, module
    for module in PACKAGE.rglob("*.py"):
        if module.name == "speed.py":  # measures the product, and compares nothing
            continue
        assert "importers" not in module.read_text("utf-8"), module


def test_the_list_names_forty_recordings_of_eight_formats_and_none_is_committed() -> None:
    listed = recordings.recordings()
    assert len(listed) >= 40
    assert len({each.format for each in listed}) >= 8
    assert {each.format for each in listed} == set(main.READERS)
    assert len({each.sha256 for each in listed}) == len(listed)
    for each in listed:
        assert re.fullmatch(r"[0-9a-f]{40}", each.commit) and re.fullmatch(r"[0-9a-f]{64}", each.sha256)
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", each.repository) and each.shows and 0 < each.bytes <= 5_000_000
        assert not list(ROOT.joinpath("tests").rglob(each.file_name))

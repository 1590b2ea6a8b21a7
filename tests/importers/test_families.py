"""A session with its branches and sub-agents in a log: shown with what they left, and not trained by default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from imported_sessions import CASES

from apollo_train.export.run import run_export
from apollo_train.formats import find_format
from apollo_train.masks.annotations import read_annotations
from apollo_train.policy import FilterPolicy, SessionRules, TargetRules
from apollo_train.runtime import NothingToExport
from apollo_train.samples.session_selection import find_exclusion
from apollo_tui.state.board import BoardState
from sessions import events as ev
from sessions.fold.beginning import say_beginning
from sessions.importers.base import ImportedSession
from sessions.importers.files import import_file
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request
from sessions.log.writer import LogWriter
from widgets.facts import facts_lines
from widgets.models import FactsView


async def stored(folder: Path, sessions: list[ImportedSession]) -> Path:
    async with await LogWriter.open(folder / "log.sqlite") as writer:
        for number, session in enumerate(sessions, 1):
            await writer.append(*session.with_number(number).events, blobs=session.blobs)
        return writer.path


@pytest.mark.parametrize(
    ("file", "reasons"),
    [("claude_rewind.jsonl", ["", "session_branch"]), ("cc-subagent.jsonl", ["session_child"])],
)
async def test_branches_and_children_take_no_part_in_an_export(tmp_path: Path, file: str, reasons: list[str]) -> None:
    path = await stored(tmp_path, import_file(CASES / file))
    out = tmp_path / "rows.jsonl"
    policy = FilterPolicy(targets=TargetRules(text_only=True)).with_advice("kept")
    with LogReader(path) as reader:
        found = []
        for summary in sorted(reader.summaries(), key=lambda one: one.number):
            judged = read_annotations(reader, summary.session, reader.position())
            assert judged is not None
            assert find_exclusion(judged, SessionRules(branches=True, children=True)) == ""
            found.append(find_exclusion(judged, SessionRules()))
        assert found == reasons
        if "" not in reasons:
            with pytest.raises(NothingToExport, match="session_child: a sub-agent of another session"):
                run_export(reader, None, policy, find_format("messages"), out)
            return
        run_export(reader, None, policy, find_format("messages"), out)
    rows = out.read_text().splitlines()
    assert len(rows) == 1 and "rm -rf build" not in rows[0] and "ABANDONED" not in rows[0]


async def test_the_prompts_of_a_branch_can_be_rebuilt(tmp_path: Path) -> None:
    path = await stored(tmp_path, import_file(CASES / "claude_rewind.jsonl"))
    with LogReader(path) as reader:
        for summary in reader.summaries():
            for event in reader.events(summary.session, kinds=("model.request",)):
                json.loads(rebuild_request(reader, summary.session, event.seq))


async def test_lists_and_facts_say_of_which_session_one_is_a_branch(tmp_path: Path) -> None:
    main, branch = import_file(CASES / "claude_rewind.jsonl")
    path = await stored(tmp_path, [main, branch])
    board = BoardState("human:ada")
    with LogReader(path) as reader:
        board.load(reader.summaries(), reader.position())
    view = board.view(branch.session, 0)
    assert (view.begins, board.view(main.session, 0).begins) == ("branch of 1", "")
    facts = "\n".join("".join(text for text, _ in line) for line in facts_lines(FactsView(session=view), 60))
    assert "branch of 1" in facts


def test_a_beginning_in_words() -> None:
    assert say_beginning(None, {}) == ""
    assert say_beginning(ev.Beginning("A", 4, "child"), {"A": "3"}) == "child of 3"
    assert say_beginning(ev.Beginning("", 0, "child"), {}) == "child of a session that is not in this log"


async def test_a_branch_comes_back_from_a_raw_export_as_what_it_is(tmp_path: Path) -> None:
    main, branch = import_file(CASES / "claude_rewind.jsonl")
    path = await stored(tmp_path, [main, branch])
    out = tmp_path / "raw.jsonl"
    with LogReader(path) as reader:
        run_export(reader, [branch.session], FilterPolicy(), find_format("raw"), out)
    ancestor, back = sorted(import_file(out), key=lambda one: one.created.begins is not None)
    assert ancestor.session == main.session
    assert back.created.begins == branch.created.begins and back.session == branch.session
    assert [event.body for event in back.events[1:]] == [event.body for event in branch.events[1:]]

from __future__ import annotations

import time

import pytest

from sessions.task_ids import find_origin, group_of, make_task_id, name_origin, normalise_prompt


@pytest.mark.parametrize(
    "place",
    [
        "git@github.com:acme/Parser.git",
        "https://someone:secret@github.com/acme/parser",
        "ssh://git@host:22/acme/parser.git/",
        "file:///srv/git/parser.git",
        "/home/ann/parser",
        "/Users/bob/code/Parser/",
        "C:\\Users\\bob\\parser",
        "/home/ann/parser/.claude/worktrees/quick-fix",
        "/root/.codex/worktrees/ab12/parser",
        "/workspace/parser",
        "/home/ann/parser/src",
    ],
)
def test_a_repository_has_one_name_by_its_remote_and_by_each_of_its_folders(place: str) -> None:
    assert name_origin(place) == "parser"


@pytest.mark.parametrize("place", ["", "/", "~", "/home/ann", "/root", "/workspace", "/app", "/tmp", "/testbed/"])
def test_a_folder_that_any_session_could_have_is_no_origin(place: str) -> None:
    assert name_origin(place) == ""
    assert make_task_id(find_origin({"cwd": place}), "Go.").startswith("prompt:")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/repo", "repo"),
        ("/home/ann/project", "project"),
        ("/home/ann/app", "app"),
        ("git@h:acme/app.git", "app"),
        ("/home/ann/acme/src", "acme"),
        ("/srv/a b\x1b[31m#c", "a-b-31m-c"),
    ],
)
def test_a_vague_folder_is_told_by_the_one_above_it_and_no_name_has_marks(place: str, name: str) -> None:
    assert name_origin(place) == name


def test_the_remote_goes_before_the_folder() -> None:
    assert find_origin({"cwd": "/home/ann/copy", "repository": "https://h/acme/parser.git"}) == "parser"
    assert find_origin({"cwd": "/home/ann/copy", "repository": 7}) == "copy"
    assert find_origin({"format": "codex"}) == ""


def test_the_same_prompt_has_one_id_however_it_is_written() -> None:
    first = make_task_id("parser", "Fix the Parser in /home/ann/x/Parser.py:\n  3 tests fail since 2026-01-02")
    again = make_task_id("parser", "fix the parser in ~/code/parser.py: 14 tests fail since 2026-03-04 ")
    assert first == again and first != make_task_id("parser", "Fix the lexer in /home/ann/x/Parser.py: 3 tests fail")
    assert first.startswith("repo:parser#") and len(first) == len("repo:parser#") + 12
    assert normalise_prompt("Run 3f2a9c11-12ab-4cde-9f00-123456789abc, and/or decade") == "run 0, and/or decade"


def test_all_tasks_of_a_repository_are_one_group_and_ids_of_others_are_their_own() -> None:
    one, other = make_task_id("parser", "Fix it."), make_task_id("parser", "Write the docs.")
    assert one != other and group_of(one) == group_of(other) == "repo:parser"
    for task in ("org__repo-7", "o/r#12", "repo:parser#12", "prompt:0123456789ab", ""):
        assert group_of(task) == task


def test_a_long_prompt_costs_time_by_its_length() -> None:
    began = time.monotonic()
    for piece in ("/a", "/a/", "1", "abcdef01-", "/ab ", "..", "a.b/"):
        normalise_prompt(piece * (400_000 // len(piece)) + "!")
    assert time.monotonic() - began < 60

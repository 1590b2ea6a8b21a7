from __future__ import annotations

from pathlib import Path

import pytest

from sessions.events import EvaluateSpec, Limits
from sessions.taskfile import TaskFile, TaskFileError, load_task

FULL = """---
title: "Tune: the rate"
workspace: ./start
evaluate:
  command: python3 score.py
  better: lower
  timeout: 60
  files: [score.py]
limits: {steps: 60, active_hours: 2.5, tokens: 1_000_000, money: 5, evaluations: 0}
tools: [run, wait]
tags: demo
---

# Heading

Do it.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "start").mkdir()
    (tmp_path / "score.py").touch()
    return tmp_path


def load(folder: Path, text: str) -> TaskFile:
    path = folder / "tune-lr.md"
    path.write_text(text)
    return load_task(path)


def test_everything_that_can_be_said_is_read(folder: Path) -> None:
    assert load(folder, FULL) == TaskFile(
        id="tune-lr",
        title="Tune: the rate",
        text="# Heading\n\nDo it.\n",
        workspace=folder / "start",
        evaluate=EvaluateSpec(command="python3 score.py", better="lower", timeout=60.0, files=("score.py",)),
        limits=Limits(steps=60, active_hours=2.5, tokens=1_000_000, money=5.0, evaluations=0),
        tools=("run", "wait"),
        tags=("demo",),
    )


def test_plain_text_is_a_task_and_its_heading_the_title(folder: Path) -> None:
    assert load(folder, "# Tune it ##\n\nPlease.\n").title == "Tune it"
    assert load(folder, "Please.\n---\nnot front matter\n").title == "tune-lr"
    assert load(folder, "---\n---\nPlease.").text == "Please.\n"


def test_line_ends_marks_and_odd_spaces_do_no_harm(folder: Path) -> None:
    path = folder / "t.md"
    path.write_bytes(b"\xef\xbb\xbf---\r\ntitle: x\r\n---\r\na\x0bb\r\n")
    task = load_task(path)
    assert (task.title, task.text) == ("x", "a\x0bb\n")


@pytest.mark.parametrize(
    ("front", "says"),
    [
        ("titel: x", r":2: unknown key 'titel'; did you mean title\?"),
        ("zzz: x", ":2: unknown key 'zzz'; expected one of title, workspace"),
        ("title: x\nlimits:\n  step: 5", r":4: unknown key 'step' in limits; did you mean steps\?"),
        ("limits:\n  steps: many", ":3: limits.steps: expected a whole number above 0, got 'many'"),
        ("limits:\n  steps: 1.5", ":3: limits.steps: expected a whole number above 0, got '1.5'"),
        ("limits:\n  steps: '5'", ":3: limits.steps: expected a whole number"),
        ("limits:\n  money: -1", ":3: limits.money: expected a number above 0, got '-1'"),
        ("limits:\n  money: .inf", ":3: limits.money: expected a number above 0"),
        ("limits:\n  evaluations: -1", ":3: limits.evaluations: expected a whole number from 0 on"),
        ("limits: 5", ":2: limits: expected a mapping with the keys steps, active_hours"),
        ("evaluate:\n  better: higher", ":3: evaluate: there is no command"),
        ("evaluate:\n  command: x\n  better: more", ":4: evaluate.better: expected higher or lower, got 'more'"),
        ("evaluate:\n  command: x\n  files: [a.py]", r":4: evaluate.files: expected files that exist.*a\.py does not"),
        ("evaluate: score.py", ":2: evaluate: expected a mapping"),
        ("workspace: ./gone", ":2: workspace: expected a folder that exists"),
        ("tools: [run, wait_for]", r":2: tools: expected names of tools \(wait_for is none; did you mean wait"),
        ("tools: [run, {x: 1}]", ":2: tools: expected a text, got a mapping"),
        ("stream: live", ":2: stream: expected buffered or pass, got 'live'"),
        ("title: [a]", ":2: title: expected a text, got a list"),
        ("title:", ":2: title: expected a text, got nothing"),
        ("title: a\ntitle: b", ":3: title is given twice"),
        ("title: a\n  bad: [", r":3: .*expected valid YAML"),
        ("- a\n- b", ":2: expected a mapping"),
        ("? [a]\n: b", ":2: unknown key a list"),
    ],
)
def test_mistakes_are_told_with_file_line_and_what_was_expected(folder: Path, front: str, says: str) -> None:
    with pytest.raises(TaskFileError, match=says) as caught:
        load(folder, f"---\n{front}\n---\nDo it.\n")
    assert str(caught.value).startswith(str(folder / "tune-lr.md:"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("---\ntitle: x\n", ":1: the front matter has no end"),
        ("---\ntitle: x\n---\n\n", ":4: there is no text"),
        ("", ":1: there is no text"),
    ],
)
def test_a_task_without_end_or_text_is_refused(folder: Path, text: str, says: str) -> None:
    with pytest.raises(TaskFileError, match=says):
        load(folder, text)


def test_what_cannot_be_read_is_refused_with_its_place(folder: Path) -> None:
    with pytest.raises(TaskFileError, match="cannot be read: No such file"):
        load_task(folder / "gone.md")
    (folder / "latin.md").write_bytes(b"one\ncaf\xe9\n")
    with pytest.raises(TaskFileError, match=r"latin\.md:2: not valid UTF-8"):
        load_task(folder / "latin.md")

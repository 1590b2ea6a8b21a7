from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

import pytest

from sessions import events as ev
from sessions.fold.file_history import Edit, FileHistory
from sessions.fold.undone_edits import CannotUndo, text_before
from sessions.tools.edits import unified_diff

SESSION = "01JAAAAAAAAAAAAAAAAAAAAAAA"


class Told:
    """Events in their order, each at a time of its own."""

    def __init__(self) -> None:
        self.events: list[ev.Event] = []

    def add(
        self, at: int, body: ev.Body, step: int | None = None, call: int | None = None, actor: str = "agent"
    ) -> int:
        seq = len(self.events) + 1
        self.events.append(ev.Event(seq, SESSION, seq, step, call, body.kind, body.v, at, actor, None, body))
        return seq

    def call(self, step: int, begin: int, end: int | None, name: str, **arguments: Any) -> None:
        self.add(begin, ev.ActionStarted(call_id=f"c{step}", name=name, arguments=arguments), step, 1)
        if end is not None:
            self.add(end, ev.ActionResult(call_id=f"c{step}", outcome="ok", output=ev.LongText("")), step, 1)

    def history(self) -> FileHistory:
        made = FileHistory()
        made.fold(self.events)
        return made


def who(history: FileHistory, path: str, at: int) -> tuple[str, str, bool] | None:
    found = history.who_changed(path, at)
    return (found.place, found.name, found.sure) if found is not None else None


def test_a_file_tool_is_known_by_name_and_a_command_by_its_time() -> None:
    told = Told()
    told.call(1, 1_000, 2_000, "run", command="make")
    told.add(5_000, ev.ActionStarted(call_id="c2", name="edit_file", arguments={"path": "a.py"}), 2, 1)
    told.add(5_100, ev.FileChanged(path="a.py", after="x"), 2, 1)
    told.add(5_101, ev.ActionResult(call_id="c2", outcome="ok", output=ev.LongText("")), 2, 1)
    history = told.history()
    assert who(history, "a.py", 5_050) == ("2.1", "edit_file", True)
    assert who(history, "made.o", 1_500) == ("1.1", "run", False)
    assert who(history, "made.o", 3_000) is None
    assert history.steps_of("a.py") == ["2.1"] and history.steps_of("made.o") == []


def test_a_change_after_its_call_belongs_to_the_job_that_goes_on() -> None:
    told = Told()
    told.add(1_000, ev.ActionStarted(call_id="c1", name="run", arguments={"command": "train"}), 1, 1)
    told.add(1_001, ev.JobStarted(job=3, command="train", pid=1, start_time="", boot_id="", folder=""), 1, 1)
    told.add(2_000, ev.ActionResult(call_id="c1", outcome="ok", output=ev.LongText("")), 1, 1)
    for step in range(2, 400):
        told.call(step, step * 10_000, step * 10_000 + 10, "wait", job=3)
    history = told.history()
    assert who(history, "ckpt", 3_999_000) == ("1.1", "3", False)
    told.add(4_100_000, ev.JobEnded(job=3, exit_code=0))
    assert who(told.history(), "ckpt", 4_200_000) is None


def test_an_edit_of_a_harness_is_known_by_the_path_on_the_machine() -> None:
    told = Told()
    model = ev.ModelSpec("openai", "m")
    told.add(1, ev.SessionCreated(number=1, title="t", task="t", model=model, workspace="/w/space"))
    told.call(1, 1_000, 2_000, "Edit", file_path="/w/space/src/a.py", old_string="1", new_string="2")
    assert who(told.history(), "src/a.py", 1_500) == ("1.1", "Edit", True)


def test_a_shell_is_sure_only_where_nothing_of_the_agent_ran() -> None:
    told = Told()
    opened = told.add(1_000, ev.ShellOpened(inside="not contained"), actor="human:ada")
    told.add(2_000, ev.ShellClosed(opened=opened, files=(ev.TouchedFile("a.py"),)), actor="human:ada")
    assert who(told.history(), "a.py", 1_500) == ("", "human:ada", True)
    told.call(1, 1_400, None, "run", command="make")
    assert who(told.history(), "b.py", 1_500) == ("1.1", "run", False)


def edits_of(*texts: bytes | None) -> list[Edit]:
    told = Told()
    for step, (before, after) in enumerate(pairwise(texts), 1):
        diff = unified_diff("a.py", *((one or b"").decode(errors="replace") for one in (before, after)))
        hashes = [None if one is None else hashlib.sha256(one).hexdigest() for one in (before, after)]
        told.add(
            step * 1_000,
            ev.FileChanged(path="a.py", before=hashes[0], after=hashes[1], diff=ev.LongText(diff.text)),
            step,
            1,
        )
    return told.history().edits["a.py"]


@pytest.mark.parametrize(
    "texts",
    [
        (None, b"one\ntwo\n"),
        (b"one\ntwo\n", b"one\nthree\n", b"zero\none\nthree\n"),
        (b"no end", b"no end\n", b"", b"again"),
        ("ü\r\nzwei\r\n".encode(), "ü\r\ndrei\r\n".encode()),
        (b"\n".join(b"%d" % n for n in range(300)), b"\n".join(b"%d" % (n * (n % 90 != 7)) for n in range(300))),
        (b"a\n--- b\n+++ c\n@@ x\n", b"a\n--- d\n+++ c\n@@ x\n- y\n"),
    ],
)
def test_a_text_is_what_it_was_before_the_edits_that_the_log_has(texts: tuple[bytes | None, ...]) -> None:
    edits = edits_of(*texts)
    assert text_before(texts[-1], edits, lambda text: text.text) == texts[0]
    assert text_before(texts[-1], edits[1:], lambda text: text.text) == texts[1]


def test_edits_are_not_taken_back_from_what_something_else_has_changed() -> None:
    edits = edits_of(b"one\n", b"two\n")
    with pytest.raises(CannotUndo, match=r"something else has changed it since 1\.1"):
        text_before(b"three\n", edits, lambda text: text.text)
    edits = edits_of(b"\xff\n", b"\xfe\n")
    with pytest.raises(CannotUndo, match="no plain text"):
        text_before(b"\xfe\n", edits, lambda text: text.text)

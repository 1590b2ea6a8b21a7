from __future__ import annotations

import pytest

from apollo_tui.state.file_looks import Looks
from apollo_tui.state.workspace_table import (
    MS,
    Origin,
    Question,
    WorkspaceTable,
    author_of,
    file_rows,
    say_heading,
    wish_for,
)
from sessions import events as ev
from sessions.containment.workspace_walk import Found, Listing, Wish
from sessions.fold.file_history import FileHistory

CREATED, LEFT, NOW = 10_000, 50_000, 100_000


def found(path: str, changed: int, *, size: int = 10, modified: int | None = None, kind: str = "file") -> Found:
    return Found(path, kind, size, (changed if modified is None else modified) * MS, changed * MS)


def listing(*files: Found, more: int = 0, whole: bool = True, clock: int = NOW) -> Listing:
    return Listing(files, len(files), more, whole, clock * MS)


def history(*told: tuple[int, int, ev.Body]) -> FileHistory:
    made = FileHistory()
    created = ev.SessionCreated(number=1, title="t", task="t", model=ev.ModelSpec("openai", "m"))
    events = [(CREATED, None, created), *told]
    made.fold(
        ev.Event(n, "s", n, step, 1 if step else None, body.kind, 1, at, "agent", None, body)
        for n, (at, step, body) in enumerate(events, 1)
    )
    return made


def call(step: int, at: int, name: str = "run") -> list[tuple[int, int, ev.Body]]:
    started = ev.ActionStarted(call_id="c", name=name, arguments={})
    return [(at, step, started), (at + 100, step, ev.ActionResult(call_id="c", outcome="ok", output=ev.LongText("")))]


def table(
    *files: Found, origin: Origin | None = None, left: int = LEFT, told: FileHistory | None = None
) -> WorkspaceTable:
    return WorkspaceTable(listing(*files), origin or Origin(whole=True), told or history(), left, NOW)


def shown(made: WorkspaceTable, **asked: object) -> list[tuple[str, str]]:
    return [(row.path, row.note) for row in made.select(Question(**asked))]  # type: ignore[arg-type]


def test_what_was_copied_and_is_as_it_was_has_not_changed() -> None:
    origin = Origin({"a": (10, 5 * MS), "b": (10, 5 * MS), "gone": (3, 5 * MS)}, whole=True)
    made = table(
        found("a", 20_000, modified=5),  # moved away and back, or given another mode
        found("b", 60_000, size=11),
        found("new", 55_000),
        found("old", 9_000),
        origin=origin,
    )
    assert shown(made) == [("b", "changed"), ("new", "new"), ("gone", "removed")]
    assert shown(made, which="left") == [("b", "changed"), ("new", "new")]
    assert [path for path, _ in shown(made, which="all")] == ["a", "b", "new", "old"]
    assert shown(made, pattern="N") == []
    assert shown(made, pattern="n") == [("new", "new"), ("gone", "removed")]


def test_nothing_is_called_removed_or_new_where_not_all_was_seen() -> None:
    origin = Origin({"gone": (3, 5 * MS)}, whole=True)
    cut = WorkspaceTable(listing(found("x", 20_000), whole=False), origin, history(), LEFT, NOW)
    assert shown(cut) == [("x", "new")]
    unknown = table(found("x", 20_000), origin=Origin(why_not="it works in the folder itself"))
    assert shown(unknown) == [("x", "changed")]
    tool = history((19_000, 1, ev.FileChanged(path="x", before=None, after="h")))
    assert shown(table(found("x", 20_000), origin=Origin(), told=tool)) == [("x", "new")]


def test_each_file_is_attributed_to_what_ran_then() -> None:
    made = table(
        found("a", 20_050), found("b", 30_050), found("c", 40_000), told=history(*call(1, 20_000), *call(2, 30_000))
    )
    rows = file_rows(made.select(Question()))
    author = author_of(made)
    assert [(row.path, author(row)) for row in rows] == [("c", "unknown"), ("b", "~2.1 run"), ("a", "~1.1 run")]
    assert shown(made, which="step", step=1) == [("a", "new")]


def test_clocks_of_another_side_are_set_right() -> None:
    ahead = Listing((found("a", 1_000_000 + 20_050),), 1, 0, True, (NOW + 1_000_000) * MS)
    made = WorkspaceTable(ahead, Origin(whole=True), history(*call(1, 20_000)), LEFT, NOW)
    (row,) = made.select(Question())
    assert (row.changed, made.say_author(row)) == (20_050, "~1.1 run")


def test_the_heading_says_what_is_left_out_and_what_is_new() -> None:
    made = table(found("a", 60_000), found("b", 20_000))
    assert say_heading(made, Question(), 2, NOW) == "changed since the start: 2 files · • 1 since you left"
    assert say_heading(made, Question(which="left"), 1, NOW) == "changed since you left 50 s ago: 1 file"
    never = table(found("a", 60_000), left=0)
    assert "you were never here before" in say_heading(never, Question(which="left"), 0, NOW)
    cut = WorkspaceTable(listing(found("a", 60_000), more=41_000, whole=False), Origin(), history(), 0, NOW)
    assert say_heading(cut, Question(which="all"), 1, NOW).endswith("1 of 41,001 and more: type / to narrow")


@pytest.mark.parametrize(
    ("asked", "made_for", "cut", "expected"),
    [
        (Question(), None, False, Wish()),
        (Question(which="all"), Wish(), False, None),
        (Question(pattern="x"), Wish(), False, None),
        (Question(pattern="y"), Wish(pattern="x"), False, Wish(pattern="y")),
        (Question(inside=(".git",)), Wish(), False, Wish(inside=(".git",))),
        (Question(which="left"), Wish(), True, Wish(since=LEFT * MS)),
        (Question(which="all", pattern="x"), Wish(), True, Wish(pattern="x")),
        (Question(which="left"), Wish(since=LEFT * MS), True, None),
    ],
)
def test_it_is_walked_again_only_for_what_is_not_known(
    asked: Question, made_for: Wish | None, cut: bool, expected: Wish | None
) -> None:
    known = listing(more=5 if cut else 0) if made_for is not None else None
    assert wish_for(asked, known, made_for, CREATED, LEFT) == expected


def test_the_last_look_is_the_one_at_something_else() -> None:
    looks = Looks(most=100)
    assert looks.before("s", "a", b"1") is None
    looks.note("s", "a", b"1")
    assert looks.before("s", "a", b"1") is None
    assert looks.before("s", "a", b"2") == b"1"
    looks.note("s", "a", b"2")
    looks.note("s", "a", b"2")
    assert looks.before("s", "a", b"2") == b"1"
    looks.note("s", "b", b"x" * 99)
    assert looks.before("s", "a", b"3") is None

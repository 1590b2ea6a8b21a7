from __future__ import annotations

import pytest

from widgets.cells import text_of
from widgets.content_text import text_rows
from widgets.diff_text import changed_rows, diff_lines

DIFF = """commit 1
diff --git a/x b/x
--- a/x
+++ b/x
@@ -1,3 +1,2 @@ def f
 kept
-gone
--- a comment of SQL that is gone
+came
\\ No newline at end of file
- no part of it
+ neither is this"""


def shown(text: str, language: str = "") -> list[tuple[str, set[str]]]:
    return [(text_of(row.line), {role for _, role in row.line}) for row in text_rows(text, "output", language)]


def test_a_diff_in_an_output_is_red_and_green_as_far_as_its_hunks_count() -> None:
    assert [roles for _, roles in shown(DIFF)] == [
        {"text"}, {"dim"}, {"dim"}, {"dim"}, {"dim"}, {"text"}, {"remove"}, {"remove"}, {"add"}, {"dim"}, {"text"},
        {"text"},
    ]  # fmt: skip
    assert "\n".join(text for text, _ in shown(DIFF)) == DIFF, "the sign stays: colour is not all that tells"


def test_a_preview_of_a_diff_has_its_changes_and_says_how_many_more_there_are() -> None:
    diff = "--- x\n+++ x\n@@ -1,3 +1,3 @@\n a\n-b\n+c\n-d\n+e"
    assert changed_rows(diff, 3) == (
        (("-b", "remove"),), (("+c", "add"),), (("-d", "remove"),), (("… 1 more changed lines", "dim"),),
    )  # fmt: skip
    assert [line[0][1] for line in diff_lines(diff)] == ["dim", "dim", "dim", "text", "remove", "add", "remove", "add"]


@pytest.mark.parametrize("form", ["{:>6}  {}", "{}|{}", "{:>5}→{}", "{:>6}\t{}"])
def test_a_listing_has_its_numbers_dim_and_its_code_in_the_roles_of_the_language(form: str) -> None:
    code = ["def f():", '    """Why', "", '    not code"""', "    return 1"]
    listing = "\n".join(form.format(number, line) for number, line in enumerate(code, 7))
    rows = shown(f"[x.py]\n{listing}\n(more below)", "python")
    assert rows[0] == ("[x.py]", {"dim"}) and rows[-1] == ("(more below)", {"dim"})
    assert "code-keyword" in rows[1][1] and rows[4][1] == {"dim", "code-comment"}, "a text over several lines is one"
    assert rows[1][0].endswith("def f():")


def test_lines_that_tell_of_a_problem_are_red_beside_their_words() -> None:
    output = "ok\nTraceback (most recent call last):\nValueError: x\nerror: no such\nerrors: 0\nan Error: here"
    assert [roles for _, roles in shown(output)] == [{"text"}, {"error"}, {"error"}, {"error"}, {"text"}, {"text"}]


def test_nothing_foreign_is_parsed_as_markup_or_gets_through() -> None:
    for kind in ("plain", "markdown", "output", "code", "command"):
        [row] = text_rows("\x1b[31m[bold]x[/bold]\x1b]0;t\x07\u202e", kind, "python")  # type: ignore[arg-type]
        assert text_of(row.line) == "[bold]x[/bold]�" == row.raw

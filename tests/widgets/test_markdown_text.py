from __future__ import annotations

import time

import pytest

from widgets.cells import text_of
from widgets.markdown_text import markdown_rows
from widgets.models import Role

TEXT = """# The plan of it #
Some **bold** words and `code **x**`.
- one
  * [x] two `y`
> said **before**
---
| name | value |
|:-----|------:|
| a | `1` |
| a wide cell | 2 |

```python
def f(x):  # why
    return "s"
```
1. [here](https://x.y)
~~~
**no marks** in code"""

SHOWN = """The plan of it
Some bold words and `code **x**`.
• one
  ☑ two `y`
▎ said before
────────────
name        │ value
────────────┼──────
a           │ `1`
a wide cell │ 2

│ def f(x):  # why
│     return "s"
1. here (https://x.y)
│ **no marks** in code"""


def roles(text: str) -> dict[str, Role]:
    return {piece: role for row in markdown_rows(text) for piece, role in row.line}


def test_marks_of_markdown_become_roles_and_glyphs() -> None:
    assert "\n".join(text_of(row.line) for row in markdown_rows(TEXT)) == SHOWN
    found = roles(TEXT)
    assert (found["The plan of it"], found["bold"], found["`code **x**`"]) == ("heading", "strong", "code")
    assert (found["def"], found["f"], found["# why"], found['"s"']) == (
        "code-keyword",
        "code-name",
        "code-comment",
        "code-string",
    )


def test_every_row_knows_what_was_written_and_all_rows_are_the_whole_text() -> None:
    assert "\n".join(row.raw for row in markdown_rows(TEXT)) == TEXT
    assert "\n".join(row.raw for row in markdown_rows("```sh\n```\nx")) == "```sh\n```\nx"


@pytest.mark.parametrize(
    "line",
    [
        "all of *.py and *.txt, but not **/*.md or src/**/x",
        "__init__.py calls my_own_name and 2**3**4 of a ** b ** c",
        "an open ` tick and **two stars",
        "#hashtag, -5 degrees, +1, a|b",
        "[1] and (2) and [a] (b) and list[int](x y)",
        "<b>tags</b> [/foo] [bold red]x[/] &amp;",
    ],
)
def test_what_is_no_markdown_for_sure_stands_as_it_was_written(line: str) -> None:
    assert [(text_of(row.line), {role for _, role in row.line}) for row in markdown_rows(line)] == [(line, {"text"})]


def test_hostile_marks_cost_no_time() -> None:
    started = time.process_time()
    for text in ("`" * 3999, "**a" * 1300, "[" * 3999, "# " * 2000, "|" * 3999 + "\n" + "|-" * 1999 + "|", "> " * 2000):
        list(markdown_rows(text))
    assert time.process_time() - started < 2

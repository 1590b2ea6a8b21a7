from __future__ import annotations

import json
import time

import pytest

from widgets.cells import text_of
from widgets.content_text import text_rows
from widgets.json_text import MOST, json_line, json_rows

TEXT = (
    '{"loss": 1.50, "steps": [1,2,3], "model": {"name": "a \\"b\\"", "tied": null}, "none": {}, "why": "'
    + "w" * 60
    + '"}'
)


def test_json_is_laid_out_with_every_value_as_it_was_written() -> None:
    rows = json_rows(TEXT)
    assert rows is not None
    assert [text_of(row.line) for row in rows] == [
        "{",
        '  "loss": 1.50,',
        '  "steps": [1, 2, 3],',
        '  "model": {"name": "a \\"b\\"", "tied": null},',
        '  "none": {},',
        '  "why": "' + "w" * 60 + '"',
        "}",
    ]
    roles = {text.strip(): role for row in rows for text, role in row.line}
    assert (roles['"loss"'], roles["1.50"], roles['"a \\"b\\""'], roles["null"]) == (
        "code-name",
        "code-number",
        "code-string",
        "code-keyword",
    )


@pytest.mark.parametrize("text", [TEXT, json.dumps(json.loads(TEXT), indent=4), f"{TEXT}\n{TEXT}\n", " [1] ", "[]"])
def test_the_rows_of_json_are_the_whole_text(text: str) -> None:
    rows = json_rows(text)
    assert rows is not None
    assert "".join(row.raw + "\n" * row.ends for row in rows) == text + "\n"


@pytest.mark.parametrize(
    "text", ["", "[INFO] started", "[1/3] built", "{x: 1}", '{"a": 1', '{"a": 1} and more', "3", '"x"']
)
def test_other_texts_are_no_json(text: str) -> None:
    assert json_rows(text) is None


def test_json_of_megabytes_is_laid_out_at_its_beginning_only_and_loses_nothing() -> None:
    text = json.dumps([{"id": number, "words": "some words here"} for number in range(50_000)])
    assert len(text) > 2_000_000
    started = time.process_time()
    rows = text_rows(text, "output")
    assert time.process_time() - started < 3
    assert "".join(row.raw + "\n" * row.ends for row in rows) == text + "\n"
    assert len(rows) < MOST / 20
    assert any("too long to be laid out" in text_of(row.line) for row in rows)


def test_what_a_tool_wrote_is_read_without_the_json_that_it_was_handed_over_in() -> None:
    text = r'{"output":"cc: \"x\"\nError: \\n y\tz\n\u001b[31mred\n","metadata":{"exit_code":127}}'
    rows = text_rows(text, "output")
    assert [text_of(row.line) for row in rows] == [
        'cc: "x"',
        "Error: \\n y z",
        "red",
        '"metadata": {"exit_code": 127}',
    ]
    assert rows[1].line[0][1] == "error"
    assert "".join(row.raw + "\n" * row.ends for row in rows) == text + "\n"
    alone = text_rows('{"text": "a\\nb"}', "output")
    assert [(text_of(row.line), row.raw, row.ends) for row in alone] == [
        ("a", '{"text": "a\\n', False),
        ("b", 'b"}', True),
    ]
    nested = json.dumps({"results": [{"output": "a\nb"}]})
    assert text_rows(nested, "output") == json_rows(nested), "it is not all that this says"


def test_a_short_value_stands_on_one_row() -> None:
    assert json_line('["a", 1]') == (
        ("[", "dim"),
        ('"a"', "code-string"),
        (",", "dim"),
        (" ", "text"),
        ("1", "code-number"),
        ("]", "dim"),
    )

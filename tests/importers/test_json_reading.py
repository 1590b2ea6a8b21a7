"""JSON of foreign files: the fast reader takes what it takes as Python's own does, and leaves it the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sessions.importers.documents import loads, read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a\\ud83d\\ude00b"', "a😀b"),
        ('"half \\ud83d"', "half \ud83d"),
        ("[NaN, Infinity, -Infinity, 1e999]", [None] * 4),
        ("123456789012345678", 123456789012345678),
        ("1234567890123456789", 1234567890123456789.0),
        ('{"id": "1234567890123456789", "n": 7}', {"id": "1234567890123456789", "n": 7}),
        ("-0.0", -0.0),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("9" * 400, None),
    ],
)
@pytest.mark.parametrize("as_bytes", [False, True])
def test_values_are_as_the_log_can_store_them(text: str, value: Any, as_bytes: bool) -> None:
    found = loads(text.encode() if as_bytes else text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["", "{", "01", '"a\tb"', "[1,]", "tru", "1 2", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_of_whatever_encoding_are_read_each_for_itself(tmp_path: Path, end: bytes) -> None:
    lines = [b'{"n": 1}', b'{"n": "\xff"}', b"", b"no json", '{"n": "\N{BLACK STAR}"}'.encode(), b"[1]", b'{"n": 5}']
    found = read_document(write(tmp_path, b"\xef\xbb\xbf" + end.join(lines) + end))
    assert found.value is None
    assert found.records == [{"n": 1}, {"n": "\ufffd"}, {"n": "★"}, {"n": 5}]
    assert (found.broken, found.cut) == (2, False)


@pytest.mark.parametrize("piece", [b'{"n": 2', b'{"n": "\xe2\x98', b'{"n": tru', b'{"n": -'])
def test_a_last_line_without_its_end_is_cut_and_not_broken(tmp_path: Path, piece: bytes) -> None:
    found = read_document(write(tmp_path, b'{"n": 1}\n{"n": 1}\n' + piece))
    assert found.records == [{"n": 1}] * 2
    assert (found.broken, found.cut) == (0, True)


def test_one_value_over_many_lines_is_one_value(tmp_path: Path) -> None:
    value = {"a": [1, 2], "b": {"c": "d"}}
    found = read_document(write(tmp_path, json.dumps(value, indent=1).encode()))
    assert found.value == value
    assert found.records == [value]


def test_so_is_an_object_on_one_line_with_empty_lines_behind_it(tmp_path: Path) -> None:
    found = read_document(write(tmp_path, b'{"a": 1}\n\n \n'))
    assert (found.value, found.records) == ({"a": 1}, [{"a": 1}])

"""The bytes of a file: encodings, line ends, values side by side, and what is said of those that are no text."""

from __future__ import annotations

import codecs
import gzip
import json
from pathlib import Path

import pytest
from backports import zstd

from sessions.importers.base import CannotImport
from sessions.importers.files import DAMAGED, import_file
from sessions.importers.sources import find_sources

ROWS = [
    {"messages": [{"role": "user", "content": said}, {"role": "assistant", "content": "Yes."}]}
    for said in ("Mend the menü.", "Mend the two \u2028 lines.")
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
PRETTY = "\n".join(json.dumps(row, indent=2) for row in ROWS)
SAME_LINE = "".join(json.dumps(row) for row in ROWS)


def tasks(path: Path, data: bytes) -> list[str]:
    path.write_bytes(data)
    return [session.created.task for session in import_file(path)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(LINES.encode(), id="utf-8"),
        pytest.param(codecs.BOM_UTF8 + LINES.encode(), id="with a mark"),
        pytest.param(LINES.encode("utf-16"), id="utf-16"),
        pytest.param(codecs.BOM_UTF16_BE + LINES.encode("utf-16-be"), id="utf-16, the other way round"),
        pytest.param(LINES.encode("utf-16-le"), id="utf-16 without a mark"),
        pytest.param(LINES.encode("utf-32"), id="utf-32"),
        pytest.param(LINES.replace("\n", "\r\n").encode(), id="crlf"),
        pytest.param(LINES.replace("\n", "\r").encode(), id="cr"),
        pytest.param(LINES.rstrip().encode(), id="without the last line end"),
        pytest.param(("\n" + LINES.replace("\n", "\n\n")).encode(), id="empty lines"),
        pytest.param(PRETTY.encode(), id="values over many lines"),
        pytest.param(SAME_LINE.encode(), id="values on one line"),
        pytest.param(json.dumps(ROWS).encode(), id="one list"),
        pytest.param(b"".join(b"\x1e" + line.encode() + b"\n" for line in LINES.split("\n")[:-1]), id="json-seq"),
    ],
)
def test_a_file_says_the_same_however_its_bytes_stand(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    assert tasks(path, data) == ["Mend the menü.", "Mend the two \u2028 lines."]
    assert find_sources([str(tmp_path)]).others == 0, "a folder takes it for a recording"
    assert not any(DAMAGED in session.warnings for session in import_file(path))


def test_bytes_that_are_no_text_are_told_of(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert tasks(path, LINES.encode("latin-1", "replace"))[0] == "Mend the men�."
    assert all(DAMAGED in session.warnings for session in import_file(path))


def test_an_end_in_the_middle_of_a_sign_is_a_cut_and_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    data = (LINES + json.dumps({"x": "ü"}, ensure_ascii=False)).encode()
    for end in range(len(LINES.encode()) + 1, len(data)):
        assert len(tasks(path, data[:end])) == 2
        [note] = {note for session in import_file(path) for note in session.warnings if "cut off" in note}
        assert note and DAMAGED not in import_file(path)[0].warnings


def test_zeros_that_a_disk_left_at_the_end_are_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert len(tasks(path, LINES.encode() + b"\0" * 512)) == 2
    assert any("cut off" in note for note in import_file(path)[0].warnings)


def test_a_line_in_which_two_programs_wrote_at_once_is_two_records(tmp_path: Path) -> None:
    first, second = (json.dumps(row) for row in ROWS)
    data = f"{first}\n{first.replace('menü', 'door')}{second}\n".replace("men\\u00fc", "gate", 1)
    assert len(tasks(tmp_path / "rows.jsonl", data.encode())) == 3


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (codecs.BOM_UTF8, "it is empty"),
        (b'[\n{"messages": []},\n]', "its JSON is wrong in line 3: "),
        (b'{"a": 1,}', "its JSON is wrong in line 1: "),
        (b"hello", "it holds no JSON"),
        (json.dumps({"messages": [{"role": "ai", "content": "x"}]}).encode(), "messages of the role 'ai'"),
        (json.dumps({"prompt": [], "chosen": [], "rejected": []}).encode(), "it holds pairs of replies"),
    ],
)
def test_a_refusal_says_why_a_file_holds_nothing(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(data)
    with pytest.raises(CannotImport) as raised:
        import_file(path)
    assert says in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_packed_file_is_called_cut_off_wherever_it_ends(tmp_path: Path, ending: str) -> None:
    data = (gzip.compress if ending == ".gz" else zstd.compress)(LINES.encode())
    path = tmp_path / f"rows.jsonl{ending}"
    for end in range(1, len(data)):
        path.write_bytes(data[:end])
        try:
            found = import_file(path)
        except CannotImport as problem:
            assert "cut off" in str(problem)
        else:
            assert any("cut off" in note for note in found[0].warnings)


def test_a_recording_whose_reply_is_cut_away_says_so(tmp_path: Path) -> None:
    lines = [
        {"type": "user", "sessionId": "s", "uuid": "u", "message": {"role": "user", "content": "Mend it."}},
        {"type": "assistant", "sessionId": "s", "uuid": "a", "message": {"id": "m", "content": "Yes, at once."}},
    ]
    data = "\n".join(map(json.dumps, lines))
    path = tmp_path / "s.jsonl"
    for end in (len(data) - 3, len(data) - 40, 30):
        path.write_text(data[:end])
        with pytest.raises(CannotImport, match="cut off"):
            import_file(path)

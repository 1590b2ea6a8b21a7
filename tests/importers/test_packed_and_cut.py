"""Files that are packed, and files whose end is missing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from backports import zstd
from foreign_recordings import FILES, dump_lines

from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.files import import_file

LINES = [name for name, file in FILES.items() if "\n" in dump_lines(file.content)]
DOCUMENTS = [name for name in FILES if name not in LINES]


def text_of(name: str) -> bytes:
    return dump_lines(FILES[name].content).encode()


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("name", FILES)
def test_a_packed_recording_is_the_same_recording(tmp_path: Path, name: str, ending: str) -> None:
    plain = tmp_path / FILES[name].name
    plain.write_bytes(text_of(name))
    packed = tmp_path / f"{FILES[name].name}{ending}"
    packed.write_bytes((gzip.compress if ending == ".gz" else zstd.compress)(text_of(name)))
    for one, other in zip(import_file(plain), import_file(packed), strict=True):
        assert (one.session, one.events[:-1]) == (other.session, other.events[:-1])  # the last names the file


def test_a_packed_file_is_known_by_its_bytes_and_not_by_its_ending(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    path.write_bytes(gzip.compress(text_of("claude")))
    assert import_file(path)[0].events


@pytest.mark.parametrize("name", DOCUMENTS)
def test_one_value_that_is_cut_off_is_refused_as_such(tmp_path: Path, name: str) -> None:
    data = text_of(name)
    path = tmp_path / FILES[name].name
    for end in range(2, len(data) - 1, max(1, len(data) // 97)):
        path.write_bytes(data[:end])
        with pytest.raises(CannotImport, match=r" is cut off: its JSON ends in the middle, so nothing of it is whole$"):
            import_file(path)


@pytest.mark.parametrize("pretty", [1, 4])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_so_is_one_that_is_written_over_many_lines(tmp_path: Path, name: str, pretty: int) -> None:
    data = json.dumps(FILES[name].content, indent=pretty)
    path = tmp_path / FILES[name].name
    for end in range(2, len(data) - 1, max(1, len(data) // 97)):
        path.write_text(data[:end])
        with pytest.raises(CannotImport, match=" is cut off: "):
            import_file(path)


CUT = "the file is cut off in its last line: what is whole before it is imported"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", LINES)
def test_lines_without_their_end_are_imported_up_to_it_and_say_so(tmp_path: Path, name: str, packed: bool) -> None:
    def read(data: bytes) -> list[ImportedSession]:
        path.write_bytes(gzip.compress(data) if packed else data)
        return import_file(path)

    path = tmp_path / FILES[name].name
    whole = text_of(name)
    before = whole.rstrip(b"\n").rpartition(b"\n")[0] + b"\n"
    assert not any(CUT in session.warnings for session in read(whole) + read(before))
    for end in range(len(before) + 1, len(whole.rstrip(b"\n")), max(1, (len(whole) - len(before)) // 23)):
        for cut, plain in zip(read(whole[:end]), read(before), strict=True):
            assert [event.body for event in cut.events[:-1]] == [event.body for event in plain.events[:-1]]
            assert cut.warnings == [*plain.warnings, CUT]


def test_a_line_that_is_damaged_in_the_middle_of_a_file_is_no_cut_end(tmp_path: Path) -> None:
    lines = text_of("claude").splitlines()
    path = tmp_path / FILES["claude"].name
    path.write_bytes(b"\n".join([*lines[:-1], lines[-2][:40], lines[-1]]))
    session = import_file(path)[0]
    assert CUT not in session.warnings and any("no JSON object (1)" in note for note in session.warnings)


def test_our_own_raw_format_without_its_end_is_refused_and_nothing_of_it_is_imported(tmp_path: Path) -> None:
    rows = [b'{"apollo":"raw","v":1,"session":"01JH0000000000000000000000"}']
    rows += [b'{"event":{"seq":1,"kind":"note.written","v":1,"at":1,"actor":"human:ann","body":{"text":"x"}}}']
    path = tmp_path / "s.jsonl"
    for end in range(len(rows[0]) + 2, sum(map(len, rows)) + 1, 7):
        path.write_bytes(b"\n".join(rows)[:end])
        with pytest.raises(
            CannotImport, match=r"^s\.jsonl is cut off in the middle of a line: nothing of it is imported$"
        ):
            import_file(path)


def test_a_packed_file_without_its_end_that_is_one_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.json.gz"
    path.write_bytes(gzip.compress(text_of("inspect"))[:-30])
    with pytest.raises(CannotImport, match=r"^log\.json is cut off"):
        import_file(path)


def test_what_is_packed_and_damaged_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl.zst"
    path.write_bytes(zstd.compress(text_of("claude"))[:40] + b"\x00" * 40)
    with pytest.raises(CannotImport, match=r"^s\.jsonl") as raised:
        import_file(path)
    assert "\n" not in str(raised.value)


def test_an_archive_without_its_table_of_contents_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    path.write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(CannotImport, match=r"log\.eval is a zip archive that is damaged or cut off"):
        import_file(path)

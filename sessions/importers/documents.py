"""Foreign files as plain values: JSON, JSON lines, zip archives and folders of event files, read without surprises."""

from __future__ import annotations

import codecs
import json
import math
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from sessions.importers.base import CannotImport
from sessions.importers.encodings import decode, encoding_of
from sessions.importers.packed import MAX_BYTES, cut_off, plain_path, read_head, read_unpacked
from sessions.importers.zip_entries import read_entry

STATE: Final = "BaseState"
"""The kind of the record that is the saved state of an OpenHands conversation, beside its events."""
_DIGITS: Final = 18
_OBJECTS: Final = msgspec.json.Decoder(dict[str, Any])
ZIP: Final = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it was read: ``value`` if it is one JSON value, ``records`` if it is objects one after the other."""

    path: Path
    value: Any = None
    records: list[dict[str, Any]] = field(default_factory=list)
    broken: int = 0
    """Lines that are no JSON object."""
    archive: bool = False
    cut: bool = False
    """The file ends in the middle of a record: what is whole before it is in ``records``."""
    damaged: bool = False
    """Some of its bytes are no text: U+FFFD stands for them."""
    problem: str = ""
    """Why it holds nothing, in a few words."""

    @property
    def table(self) -> dict[str, Any]:
        """``value`` if it is an object, else an empty one."""
        return self.value if isinstance(self.value, dict) else {}


def loads(text: str | bytes) -> Any:
    """JSON as the log can store it: no NaN or infinity (None instead), no integer that 64 bits do not hold.

    Raises ValueError.
    """
    try:
        data = text.encode() if isinstance(text, str) else text
        if _LONG_NUMBER not in data.translate(_DIGITS_AS_0):
            return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # what the strict reader refuses may be JSON as Python takes it: NaN, half a surrogate
    try:
        return _DECODER.decode(text.decode() if isinstance(text, bytes) else text)
    except RecursionError as problem:
        raise ValueError("nested too deeply") from problem


def read_document(path: Path) -> Document:
    """The file (or folder of event files). Raises CannotImport."""
    try:
        if path.is_dir():
            return Document(path, records=list(_folder(path)))
        if zipfile.is_zipfile(path):
            return Document(path, archive=True)
    except OSError as problem:
        raise CannotImport(f"cannot read {path}: {problem.strerror or problem}") from problem
    if read_head(path, len(ZIP)) == ZIP:
        raise CannotImport(f"{path.name} is a zip archive that is damaged or cut off: its table of contents is missing")
    held = read_unpacked(path)
    records = _good_lines(held.data)
    if records is not None:
        return Document(plain_path(path), None, records, cut=held.cut)
    found = decode(held.data)
    document = _document(plain_path(path), found.text, held.cut or found.cut)
    return replace(document, damaged=found.damaged)


def _document(path: Path, text: str, cut: bool) -> Document:
    if not text.strip():
        return Document(path, problem="" if cut else "it is empty", cut=cut)
    try:
        value = loads(text)
    except ValueError as problem:
        if _ends_early(text, problem):
            raise cut_off(path) from None
        if "\n" in text[: getattr(problem, "pos", 0)].strip() and (values := _values(text)) is not None:
            return Document(path, None, values[0], cut=cut or values[1])
        document = _lines(path, text, cut)
        where = f"its JSON is wrong in line {getattr(problem, 'lineno', 1):,}: {getattr(problem, 'msg', problem)}"
        begun = text.lstrip()[:1] in ("{", "[") and not document.records
        return replace(document, problem=where) if begun else document
    objects = value if isinstance(value, list) else [value]
    return Document(path, value, [one for one in objects if isinstance(one, dict)], cut=cut)


def read_archive(path: Path) -> Iterator[tuple[str, Any]]:
    """Name and value of each JSON file in an archive, in the order of their names. Raises CannotImport."""
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
                if entry.filename.endswith(".json"):
                    if entry.file_size > MAX_BYTES:
                        raise CannotImport(f"{path.name}: {entry.filename} is larger than {MAX_BYTES >> 20:,} MB")
                    yield entry.filename, loads(read_entry(path, archive, entry))
    except NotImplementedError as problem:
        raise CannotImport(f"{path.name} is compressed in a way that is not known here ({problem})") from problem
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, RuntimeError) as problem:
        raise CannotImport(f"{path.name} is damaged: {problem}") from problem


def text_of(content: Any, kinds: tuple[str, ...] = ("text", "input_text", "output_text")) -> str:
    """The text in a content field: text itself, or the text parts of a list; anything else has none."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return ""
    parts = (part if isinstance(part, str) else _part(part, kinds) for part in content)
    return "\n\n".join(text for text in parts if text)


def as_text(value: Any) -> str:
    """Text as it is, anything else as JSON, nothing as ""."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def table(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one: foreign fields are never trusted to be there."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; an empty list for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def count(value: Any) -> int:
    """A count, 0 if it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def money(value: Any) -> float | None:
    """US dollars; None if it is none, or nothing: a tool that knows no prices says 0."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def milliseconds(value: Any) -> int | None:
    """Milliseconds of a number of seconds, None if it is none."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return round(value * 1000) if good else None


def time_ms(value: Any) -> int | None:
    """A time in Unix ms from ISO text, seconds or milliseconds; None if it is none of these."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return int(value if value > 1e11 else value * 1000) if 0 < value < 1e14 else None
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _part(part: Any, kinds: tuple[str, ...]) -> str:
    if not isinstance(part, dict) or part.get("type", "text") not in kinds:
        return ""
    return part["text"] if isinstance(part.get("text"), str) else ""


def _folder(path: Path) -> Iterator[dict[str, Any]]:
    folder = path / "events" if (path / "events").is_dir() else path
    for file in sorted(folder.glob("*.json")):
        try:
            value = loads(file.read_bytes())
        except ValueError as problem:
            raise CannotImport(f"{file.name} in {path.name} is no JSON: {problem}") from problem
        yield from items([value])
    state = folder.parent / "base_state.json"
    if state.is_file():
        try:
            yield {**table(loads(state.read_bytes())), "kind": STATE}
        except ValueError:
            return  # it only says more of what the events say


def _good_lines(data: bytes) -> list[dict[str, Any]] | None:
    """The records of a file of objects in UTF-8, two or more, a line each; None for any other, which is read as text.

    As bytes: a sign beyond Latin would make a text of all of it four times as long, to be cut into lines.
    """
    end = data.find(b"\n")
    if end < 0 or not data[end : end + 100].strip() or encoding_of(data[:4]) not in ("utf-8", "utf-8-sig"):
        return None
    data = data.removeprefix(codecs.BOM_UTF8)
    records: list[dict[str, Any]] = []
    if _LONG_NUMBER not in data.translate(_DIGITS_AS_0):
        try:
            records = _OBJECTS.decode_lines(data)
            return records if len(records) > 1 else None
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass  # line by line it may be JSON as Python takes it
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        try:
            value = loads(line)
        except ValueError:
            return None
        if not isinstance(value, dict):
            return None
        records.append(value)
    return records if len(records) > 1 else None


def _lines(path: Path, text: str, cut: bool) -> Document:
    records: list[dict[str, Any]] = []
    broken = 0
    lines = text.split("\n" if "\n" in text else "\r")
    last = max((number for number, line in enumerate(lines) if line.strip()), default=-1)
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            value = loads(line)
        except ValueError as problem:
            # Where only the end is missing, the rest is whole; elsewhere a line is damaged.
            if number == last and (cut or _ends_early(line, problem)):
                cut = True
            elif (values := _values(line)) is not None and not values[1]:
                records += values[0]  # two programs wrote to it at once
            else:
                broken += 1
            continue
        if isinstance(value, dict):
            records.append(value)
        else:
            broken += 1
    return Document(path, None, records, broken, cut=cut)


def _values(text: str) -> tuple[list[dict[str, Any]], bool] | None:
    """The objects of a text that is one JSON value after the other, and whether the last one is cut off; None if it
    holds anything else."""
    records: list[dict[str, Any]] = []
    place = 0
    while (place := _SPACE.match(text, place).end()) < len(text):  # type: ignore[union-attr]  # it matches nothing, too
        try:
            value, place = _DECODER.raw_decode(text, place)
        except RecursionError:
            return None
        except ValueError as problem:
            return (records, True) if records and _ends_early(text[place:], _moved(problem, place)) else None
        if not isinstance(value, dict):
            return None
        records.append(value)
    return records, False


def _moved(problem: ValueError, place: int) -> ValueError:
    """The same problem of a text that begins ``place`` signs later."""
    if not isinstance(problem, json.JSONDecodeError):
        return problem
    return json.JSONDecodeError(problem.msg, problem.doc[place:], problem.pos - place)


def _ends_early(text: str, problem: ValueError) -> bool:
    """Whether the JSON is wrong only in that it does not go on."""
    begun = text.rstrip()
    if not isinstance(problem, json.JSONDecodeError) or begun.lstrip("\ufeff \t\r\n")[:1] not in ("{", "["):
        return False
    rest = begun[problem.pos :]
    if not rest or problem.msg.startswith("Unterminated string"):
        return True
    piece = problem.msg.startswith("Invalid") or any(word.startswith(rest) for word in ("true", "false", "null", "-"))
    return (piece and len(rest) <= _LONGEST_PIECE) or bool(_END_OF_NUMBER.fullmatch(rest))


def _parse_whole(text: str) -> int | float | None:
    return int(text) if len(text) <= _DIGITS else _parse_number(text)


def _parse_number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


_LONG_NUMBER: Final = b"0" * (_DIGITS + 1)
_DIGITS_AS_0: Final = bytes.maketrans(b"123456789", b"0" * 9)
_SPACE: Final = re.compile(r"\s*")
_END_OF_NUMBER: Final = re.compile(r"\.|(?:\.\d+)?[eE][+-]?")
"""What a number can end with that goes on."""
_LONGEST_PIECE: Final = 6
"""Characters of a literal, or of an escape in a text."""
_DECODER: Final = json.JSONDecoder(parse_constant=lambda _: None, parse_int=_parse_whole, parse_float=_parse_number)

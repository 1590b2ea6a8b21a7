"""A file recorded elsewhere as sessions: whose format it is, and what is in it.

``import_file`` gives all sessions of a file or none; ``load_recording`` gives what ``replay:`` plays.
Our own formats are known by their first bytes; what other agents recorded by what is in it (``detect``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sessions.garbage_collection import hold_collector
from sessions.importers import detect, innovatorbench, likeness, raw
from sessions.importers.base import CannotImport, ImportedSession, NoKnownFormat
from sessions.importers.documents import read_document
from sessions.importers.packed import read_head
from sessions.importers.recording import RecordedSession, recording_of
from sessions.terminal_text import plain_line

HEAD_BYTES: Final = 4096
"""What a format is recognised by."""

OWN: Final[dict[str, tuple[Callable[[bytes], bool], Callable[[Path], list[ImportedSession]]]]] = {
    "raw": (raw.recognises, raw.parse),
    "innovatorbench": (innovatorbench.recognises, innovatorbench.parse),
}
FORMATS: Final = (*OWN, *detect.NAMES)
"""The names that ``--format`` takes, besides ``auto``."""

CUT: Final = "the file is cut off in its last line: what is whole before it is imported"
"""What a session of such a file says; once the file is whole, importing it again goes on from there."""


DAMAGED: Final = "some bytes of the file are no text: � stands for each in what is imported"


def import_file(path: Path, format: str = "auto") -> list[ImportedSession]:
    """The sessions in ``path``. Raises CannotImport, one line, if anything about the file is wrong."""
    return read_recording(path, format)[1]


def read_recording(path: Path, format: str = "auto") -> tuple[str, list[ImportedSession]]:
    """The name of the file's format, and its sessions. Raises CannotImport; NoKnownFormat if it is none of them."""
    with hold_collector():
        return _read_recording(path, format)


def _read_recording(path: Path, format: str) -> tuple[str, list[ImportedSession]]:
    if format not in ("auto", *FORMATS):
        raise CannotImport(f"there is no import format {format!r}: choose one of auto, {', '.join(FORMATS)}")
    if path.exists() and not path.is_file() and not path.is_dir():
        # A pipe that nobody writes to would hold a thread of the host, and with it the host's end, for ever.
        raise CannotImport(f"{path.name} is no file and no folder: save it as a file first")
    head = _head(path)
    own = next((name for name, (recognises, _) in OWN.items() if format in ("auto", name) and recognises(head)), "")
    if own or format in OWN:
        name = own or format
        found = OWN[name][1](path)
    else:
        name, found = _read_foreign(path, format)
    if not found:
        raise CannotImport(f"{path.name} holds no session")
    # Our own format has said already what is to be said of a session.
    return name, found if name == "raw" else [session.with_source(path.name) for session in found]


def _read_foreign(path: Path, format: str) -> tuple[str, list[ImportedSession]]:
    document = read_document(path)
    shape = detect.shape_of(document, format)
    if shape is None and document.cut and not document.records:
        raise CannotImport(f"{path.name} is cut off before its first record is whole")
    if shape is None:
        looks = likeness.describe(document)
        what = "in no format that is known here" if format == "auto" else f"no file of {format}"
        what += " (and cut off)" if document.cut else ""
        raise NoKnownFormat(f"{path.name} is {what}{f': {looks}' if looks else ''} ({', '.join(FORMATS)})")
    name, parse = shape
    try:
        found = parse(document)
    except CannotImport as problem:
        named = str(problem).startswith(document.path.name)
        end = "; the file is cut off" if document.cut else ""
        raise CannotImport(f"{problem if named else f'{path.name}: {problem}'}{end}") from problem
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as problem:
        # Foreign shapes change without notice: what a reader did not think of is the file's affair, not a crash.
        raise CannotImport(f"{path.name} is not as {name} writes it: {plain_line(str(problem))}") from problem
    for session in found:
        session.warnings.extend([CUT] * document.cut + [DAMAGED] * document.damaged)
    return name, found


def _is_cut_for_branch(session: ImportedSession, found: list[ImportedSession]) -> bool:
    """Whether the file has the session only up to where another one of it left."""
    borders = [one.created.begins.seq for one in found if _left(one) == session.session and one.created.begins]
    # Behind the border there is at most the state that the import of it ends in.
    return bool(borders) and len(session.events) <= max(borders) + 1


def _left(session: ImportedSession) -> str:
    begins = session.created.begins
    return begins.session if begins is not None and begins.kind == "branch" else ""


def _head(path: Path) -> bytes:
    return b"" if path.is_dir() else read_head(path, HEAD_BYTES)


def load_recording(path: Path) -> RecordedSession:
    """The one trajectory in ``path``, to play again, without its branches and sub-agents. Raises CannotImport."""
    found = import_file(path)
    found = [one for one in found if not _is_cut_for_branch(one, found)]
    found = [one for one in found if one.created.begins is None] or found
    if len(found) > 1:
        raise CannotImport(f"{path.name} holds {len(found)} sessions: export the one to play on its own")
    return recording_of(found[0])

"""Files recorded elsewhere, read into events. Pure parsing: nothing is written here, the host appends.

``import_file`` gives all sessions of a file or none; ``load_recording`` gives what ``replay:`` plays.
To add a format: a module with ``recognises(head) -> bool`` and ``parse(path) -> list[ImportedSession]``, and a line in
``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sessions.importers import innovatorbench, raw
from sessions.importers.base import CannotImport, ImportedSession, as_copy
from sessions.importers.recording import RecordedSession, recording_of

HEAD_BYTES: Final = 4096
"""What a format is recognised by."""

FORMATS: Final[dict[str, tuple[Callable[[bytes], bool], Callable[[Path], list[ImportedSession]]]]] = {
    "raw": (raw.recognises, raw.parse),
    "innovatorbench": (innovatorbench.recognises, innovatorbench.parse),
}


def import_file(path: Path, format: str = "auto") -> list[ImportedSession]:
    """The sessions in ``path``. Raises CannotImport, one line, if anything about the file is wrong."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as problem:
        raise CannotImport(f"cannot read {path}: {problem.strerror or problem}") from problem
    if format == "auto":
        format = next((name for name, (recognises, _) in FORMATS.items() if recognises(head)), "")
        if not format:
            raise CannotImport(f"{path.name} is in no format that is known here ({', '.join(FORMATS)})")
    if format not in FORMATS:
        raise CannotImport(f"there is no import format {format!r}: choose one of auto, {', '.join(FORMATS)}")
    found = FORMATS[format][1](path)
    if not found:
        raise CannotImport(f"{path.name} holds no session")
    return found


def load_recording(path: Path) -> RecordedSession:
    """The one trajectory in ``path``, to play again. Raises CannotImport."""
    found = import_file(path)
    if len(found) > 1:
        raise CannotImport(f"{path.name} holds {len(found)} sessions: export the one to play on its own")
    return recording_of(found[0])


__all__ = ["FORMATS", "CannotImport", "ImportedSession", "RecordedSession", "as_copy", "import_file", "load_recording"]

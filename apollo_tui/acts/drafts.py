"""What an annotator has typed and not sent: one 0600 file per log, session and annotator, replaced atomically.

An answer, an edit of queued advice and a correction have a file beside that of the advice: neither costs the other.
A draft is cleared only when the host has acknowledged it. The folder belongs to one log (``LogPaths.drafts``).
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Literal

import msgspec

from sessions.events import Target
from sessions.events.text import valid_unicode


class Draft(msgspec.Struct, frozen=True, omit_defaults=True):
    """Text for ``session``. ``answers``: the question it answers; ``edits``: the queued advice it replaces.

    ``request`` is made once, before the first attempt to send: a repeat after a lost socket cannot queue it twice.
    """

    session: str
    text: str
    started_at: int
    about: Target | None = None
    answers: int | None = None
    edits: int | None = None
    corrects: Target | None = None
    """What it is a correction of; each target has a draft of its own."""
    request: str = ""
    also: tuple[str, ...] = ()
    """Other sessions that get the same advice."""
    reach: Literal["general", "here", ""] = ""
    """How far advice reaches; of an edit what it is to reach from now on; "": nothing was said."""

    @property
    def slot(self) -> str:
        """Which of the session's drafts it is."""
        if self.corrects is not None:
            return f"correction-{self.corrects}"
        if self.answers is not None:
            return "answer"
        if self.also:
            return "several"
        return "advice" if self.edits is None else f"edit-{self.edits}"


class Drafts:
    """The drafts of one annotator on one log."""

    def __init__(self, folder: Path, actor: str) -> None:
        self.folder = folder
        self.actor = actor

    def path(self, session: str, slot: str = "advice") -> Path:
        """The file of one session's draft."""
        return self.folder / f"{session}.{slot}{self.suffix}"

    @property
    def suffix(self) -> str:
        """The end of the names of this annotator's files."""
        safe = re.sub(r"[^A-Za-z0-9_.-]", lambda found: f"%{ord(found.group()):x}", self.actor)
        return f".{safe}.json"

    def load(self, session: str, slot: str = "advice") -> Draft | None:
        """The stored draft; a file that cannot be read is set aside, never overwritten."""
        return self._read(self.path(session, slot))

    def _read(self, path: Path) -> Draft | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Draft)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError:
            path.replace(path.with_suffix(".unreadable"))
            return None

    def save(self, draft: Draft) -> None:
        """Store the draft; an empty one is cleared. Raises OSError when the disk refuses."""
        if not draft.text:
            self.clear(draft.session, draft.slot)
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".draft-", dir=self.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(msgspec.structs.replace(draft, text=valid_unicode(draft.text))))
            Path(name).replace(self.path(draft.session, draft.slot))
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise

    def clear(self, session: str, slot: str = "advice") -> None:
        """Forget a draft of ``session``."""
        self.path(session, slot).unlink(missing_ok=True)

    def all(self) -> list[Draft]:
        """Every unsent draft of this annotator."""
        if not self.folder.is_dir():
            return []
        found = (self._read(path) for path in sorted(self.folder.iterdir()) if path.name.endswith(self.suffix))
        return [draft for draft in found if draft is not None]


def join_drafts(stored: Draft | None, wanted: Draft) -> Draft:
    """What the composer opens with: nothing that was typed is lost, and nothing of another question is reused."""
    if stored is None or (stored.answers, stored.edits) != (wanted.answers, wanted.edits):
        return wanted
    if not wanted.text or wanted.text == stored.text or wanted.edits is not None or wanted.corrects is not None:
        return stored
    return msgspec.structs.replace(stored, text=f"{stored.text}\n{wanted.text}", request="")

"""What an annotator wants of the panes of one log, kept in a 0600 file beside the drafts."""

from __future__ import annotations

from pathlib import Path

import msgspec

from apollo_tui.acts.drafts import Drafts
from apollo_tui.state.pane_choice import KeptPanes
from sessions.private_files import open_private


class PaneMemory:
    """The file of one annotator on one log."""

    def __init__(self, drafts: Drafts) -> None:
        self._path = drafts.folder.parent / f"panes{drafts.suffix}"

    def load(self) -> KeptPanes:
        """What was kept; nothing where nothing was, or where the file is spoilt."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=KeptPanes)
        except (OSError, msgspec.MsgspecError):
            return KeptPanes()  # it costs a key to set again

    def keep(self, panes: KeptPanes) -> None:
        """Keep this. Raises OSError when the disk refuses."""
        part = Path(f"{self._path}.part")
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open_private(part) as file:
            file.write(msgspec.json.encode(panes))
        part.replace(self._path)

"""What a program left of the modes that it set, read from the bytes that the terminal got."""

from __future__ import annotations

import re
from typing import Final

_TOLD: Final = re.compile(r"\x1b\[\?([0-9;]+)([hl])|\x1b\[(?:>[0-9]*|<)u|\x1b\[2[23];2t")
ON_BEFORE: Final = frozenset({"7", "25"})
"""On in a fresh terminal: lines wrap, the cursor is seen."""


def changed_modes(raw: str) -> set[str]:
    """Modes that are not as in a fresh terminal: private ones by number, ``keys`` and ``title`` by what is pushed."""
    modes: dict[str, bool] = {}
    keys = titles = 0
    for found in _TOLD.finditer(raw):
        said = found[0]
        if said.endswith("u"):
            keys += 1 if ">" in said else -1
        elif said.endswith("t"):
            titles += 1 if "22;" in said else -1
        else:
            modes |= dict.fromkeys(found[1].split(";"), found[2] == "h")
    changed = {mode for mode, on in modes.items() if on != (mode in ON_BEFORE)}
    return changed | ({"keys"} if keys else set()) | ({"title"} if titles else set())

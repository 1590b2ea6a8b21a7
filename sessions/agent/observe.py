"""What the model is shown of foreign text: nothing that could be taken for advice."""

from __future__ import annotations

import re
from typing import Final

_LOOK_ALIKE: Final = re.compile(r"[<\uff1c\u2039\u3008](?=\s*[/\u2044\u2215]?\s*advice\b)", re.IGNORECASE)


def escape_advice(text: str) -> str:
    """``text`` in which no tag can be taken for the one that advice arrives in."""
    return _LOOK_ALIKE.sub("&lt;", text)

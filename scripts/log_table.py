"""Keeps the table of event kinds in docs/log.md equal to sessions/events/: ``python scripts/log_table.py``."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "log.md"
BEGIN, END = "<!-- kinds: made by scripts/log_table.py -->", "<!-- /kinds -->"


def table() -> str:
    """The table in Markdown, a row per kind, by name; fields with a default are in brackets."""
    from sessions.events import ANCHORS, KINDS

    rows = ["| kind | v | fields | says |", "|---|---|---|---|"]
    for kind, body in sorted(KINDS.items()):
        fields = [
            f"`{field.name}`" if field.required else f"[`{field.name}`]" for field in msgspec.structs.fields(body)
        ]
        said = " ".join((inspect.getdoc(body) or "").split()).replace("``", "`").replace("|", "\\|")
        mark = " ¶" if kind in ANCHORS else ""
        rows.append(f"| `{kind}`{mark} | {body.v} | {' '.join(fields)} | {said} |")
    return "\n".join(rows)


def page(text: str) -> str:
    """``text`` with its table replaced by today's."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(PAGE.read_text()))

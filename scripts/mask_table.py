"""Keeps the table of reasons in docs/training.md equal to masks/rules.py: ``python scripts/mask_table.py``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "training.md"
BEGIN, END = "<!-- reasons: made by scripts/mask_table.py -->", "<!-- /reasons -->"


def table() -> str:
    """The table in Markdown, a row per reason in order of precedence."""
    from apollo_train.masks.rules import PROMPT_REASONS, RULES

    rows = ["| reason | asked of | meaning |", "|---|---|---|"]
    for rule in RULES:
        whole = ", and all of its reply" if rule.scope != "reply" and rule.reply else ""
        rows.append(f"| `{rule.reason}` | {rule.scope}{whole} | {rule.meaning} |")
    rows += [f"| `{reason}` | prompt or row | {meaning} |" for reason, meaning in PROMPT_REASONS.items()]
    return "\n".join(rows)


def page(text: str) -> str:
    """``text`` with its table replaced by today's."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(PAGE.read_text()))

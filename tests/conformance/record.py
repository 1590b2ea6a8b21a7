"""Compare a run with the results that are committed, or put it in their place.

``python tests/conformance/record.py FOLDER TRAINER DATE [--write] < pip-freeze``: FOLDER has ``results.json``. With
``--write`` the results go to ``apollo_train/formats/conformance.json`` and the tables in docs/conformance.md follow.
Without it, the exit code is 1 where they differ. Imports nothing but the standard library.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONFORMANCE = ROOT / "apollo_train" / "formats" / "conformance.json"
REASONS = ROOT / "apollo_train" / "formats" / "reasons.json"
PAGE = ROOT / "docs" / "conformance.md"
TOLD = ("torch", "transformers", "tokenizers", "datasets")
"""Packages whose versions are told for each trainer, besides its own."""


def versions_of(freeze: str, trainer: str) -> dict[str, str]:
    """The versions in pip's list that matter; of a source checkout the commit (``NAME @ COMMIT``)."""
    found = dict(re.findall(r"^([\w.-]+)(?:==| @ )(\S+)$", freeze, re.M))
    mine = {name: version for name, version in found.items() if _same(name, trainer) or name.lower() in TOLD}
    return dict(sorted(mine.items(), key=lambda pair: pair[0].lower()))


def _same(name: str, trainer: str) -> bool:
    return re.sub(r"[_.-]+", "-", name.lower()) in (trainer, f"{trainer}-cookbook")


def merged(found: dict[str, Any], results: list[dict[str, str]], versions: dict[str, str], date: str) -> dict[str, Any]:
    """The committed results with those of one trainer in their place."""
    trainer = results[0]["trainer"]
    before = [row for row in found["results"] if row["trainer"] != trainer]
    return {
        "templates": found["templates"],
        "versions": dict(sorted({**found["versions"], trainer: versions}.items())),
        "dates": dict(sorted({**found["dates"], trainer: date}.items())),
        "results": sorted([*before, *results], key=lambda row: row["trainer"].lower()),
    }


def tables(found: dict[str, Any]) -> dict[str, str]:
    """The tables of the page, by the name in its markers."""
    names, reasons = list(found["templates"]), json.loads(REASONS.read_text("utf-8"))
    ran = ["| trainer | run on | versions |", "|---|---|---|"]
    for trainer, versions in found["versions"].items():
        told = ", ".join(f"{name} {version}" for name, version in versions.items())
        ran.append(f"| {trainer} | {found['dates'][trainer]} | {told} |")
    wide = [f"| trainer | our file | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    long = ["| trainer | our file | template | what it trains | why |", "|---|---|---|---|---|"]
    for trainer, form in dict.fromkeys((row["trainer"], row["format"]) for row in found["results"]):
        mine = {r["template"]: r for r in found["results"] if (r["trainer"], r["format"]) == (trainer, form)}
        wide.append(f"| {trainer} | `{form}` | {' | '.join(_short(mine.get(name)) for name in names)} |")
        long += [
            f"| {trainer} | `{form}` | {name} | {_cell(row['says'])} | {reasons.get(form, {}).get(name, '')} |"
            for name, row in mine.items()
            if row["says"] != "equal"
        ]
    return {"versions": "\n".join(ran), "results": "\n".join(wide), "differences": "\n".join(long)}


def _short(row: dict[str, str] | None) -> str:
    """A result in a word or two."""
    if row is None or row["says"] != "equal":
        return "–" if row is None else "**no**"
    return f"equal, with `{row['needs']}`" if row.get("needs") else "equal"


def _cell(text: str) -> str:
    """Texts in quotes as code, with no sign that ends a cell."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', lambda found: f"`{found[0]}`", text).replace("|", "\\|")


def page(text: str, made: dict[str, str]) -> str:
    """The page with its tables between ``<!-- NAME -->`` and ``<!-- end -->``."""
    for name, table in made.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m, t=table: f"{m[1]}{t}\n{m[2]}", text, flags=re.S
        )
    return text


def main(folder: str, trainer: str, date: str, *, write: bool) -> int:
    """Compare or write; the number of results that differ."""
    freeze = sys.stdin.read()  # read in any case: who writes it must not be cut off
    results = json.loads((Path(folder) / "results.json").read_text())
    found = json.loads(CONFORMANCE.read_text("utf-8"))
    known = [row for row in found["results"] if row["trainer"] == results[0]["trainer"]]
    if write:
        found = merged(found, results, versions_of(freeze, trainer), date)
        CONFORMANCE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
        PAGE.write_text(page(PAGE.read_text("utf-8"), tables(found)), "utf-8")
        return 0
    different = [row for row in results if row not in known]
    for row in different:
        print(f"not as recorded: {row['format']} with {row['template']}: {row['says']}", file=sys.stderr)
    return len(different)


if __name__ == "__main__":
    sys.exit(min(1, main(*sys.argv[1:4], write="--write" in sys.argv)))

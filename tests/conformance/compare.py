"""What a trainer trains against what it should, as a line of a table. Imports nothing but the standard library."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Labelled = tuple[Sequence[int], Sequence[int]]
"""Token ids and labels of one row, as they come out of a trainer's collator."""

NAMES = ("llama3", "qwen3", "glm", "gemma")


def expected(case: Path, packing: str) -> list[dict[str, Any]]:
    """The rows that a file of ours must come to."""
    found: list[dict[str, Any]] = json.loads((case / "expected.json").read_text())[packing]
    return found


def rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def verdict(case: Path, packing: str, theirs: Iterable[Labelled], decode: Callable[[list[int]], str]) -> str:
    """``equal``, or in words what is trained too much and too little."""
    wanted = expected(case, packing)
    found = [(list(ids), [at for at, label in enumerate(labels) if label != -100]) for ids, labels in theirs]
    if len(found) != len(wanted):
        return f"{len(found)} rows of {len(wanted)}"
    problems: set[str] = set()
    for want, (ids, trained) in zip(wanted, found, strict=True):
        problems |= _problems(want, ids, trained, decode)
    return "; ".join(sorted(problems)) or "equal"


def _problems(want: dict[str, Any], ids: list[int], trained: list[int], decode: Callable[[list[int]], str]) -> set[str]:
    shared = min(len(ids), len(want["ids"]))
    if ids[:shared] != want["ids"][:shared]:
        at = next(n for n in range(shared) if ids[n] != want["ids"][n])
        said, wanted = (_short(decode(row[at : at + 12])) for row in (ids, want["ids"]))
        return {f"other text from token {at}: {said} for {wanted}"}
    if trained == want["trained"]:
        return set()
    extra = sorted(set(trained) - set(want["trained"]))
    missing = sorted(set(want["trained"]) - set(trained))
    said = set()
    if extra:
        said.add(f"also trains {_short(decode([ids[n] for n in extra]))}")
    if missing:
        said.add(f"does not train {_short(decode([want['ids'][n] for n in missing]))}")
    return said


def _short(text: str) -> str:
    shown = json.dumps(text, ensure_ascii=False)
    return shown if len(shown) <= 60 else f"{shown[:40]}…{shown[-16:]}"


def table(trainer: str, folder: Path, checks: dict[str, Callable[[Path], str]]) -> list[str]:
    """Run every check on every template and print the table's lines; a refusal of theirs is a result too."""
    lines = []
    for what, check in checks.items():
        for name in NAMES:
            try:
                said = check(folder / name)
            except Exception as problem:  # whatever a foreign loader says no with is its verdict
                said = f"refuses: {type(problem).__name__}: {(str(problem).strip() or '-').splitlines()[0][:110]}"
            lines.append(f"| {trainer} | {what} | {name} | {said} |")
            print(lines[-1], flush=True)
    return lines

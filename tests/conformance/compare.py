"""What a trainer trains against what it should, as a line of a table. Imports nothing but the standard library."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

Labelled = tuple[Sequence[int], Sequence[int]]
"""Token ids and labels of one row, as they come out of a trainer's collator."""

MOST = 3
"""Texts of one kind that a line of the table names."""
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
    problems: dict[str, list[str]] = {}
    if len(found) != len(wanted):
        problems["has"] = [f"{len(found)} rows of {len(wanted)}"]
    for want, (ids, trained) in _matched(wanted, found):
        for kind, texts in _problems(want, ids, trained, decode):
            problems.setdefault(kind, []).extend(texts)
    unique = {kind: list(dict.fromkeys(texts)) for kind, texts in problems.items()}
    return "; ".join(f"{kind} {', '.join(texts[:MOST])}" for kind, texts in unique.items()) or "equal"


def _matched(
    wanted: list[dict[str, Any]], found: list[tuple[list[int], list[int]]]
) -> Iterator[tuple[dict[str, Any], tuple[list[int], list[int]]]]:
    """Each row with the one that it should be: the next one, or where some are missing the one most like it."""
    left = list(wanted)
    for row in found:
        if not left:
            return
        best = (
            0 if len(found) == len(wanted) else max(range(len(left)), key=lambda at: _shared(left[at]["ids"], row[0]))
        )
        yield left.pop(best), row


def _shared(one: list[int], other: list[int]) -> int:
    """How long both begin with the same ids."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _problems(
    want: dict[str, Any], ids: list[int], trained: list[int], decode: Callable[[list[int]], str]
) -> Iterator[tuple[str, list[str]]]:
    """What is wrong with a row, and the texts that it is wrong about."""
    shared = min(len(ids), len(want["ids"]))
    if ids[:shared] != want["ids"][:shared]:
        at = next(n for n in range(shared) if ids[n] != want["ids"][n])
        said, wanted = (_short(decode(row[at : at + 12])) for row in (ids, want["ids"]))
        yield "has other text:", [f"{said} for {wanted}"]
        return
    for kind, places, row in (
        ("also trains", set(trained) - set(want["trained"]), ids),
        ("does not train", set(want["trained"]) - set(trained), want["ids"]),
    ):
        if places:
            yield kind, [_short(decode([row[n] for n in run])) for run in _runs(sorted(places))]


def _runs(places: list[int]) -> list[list[int]]:
    """Places in stretches without a gap."""
    runs: list[list[int]] = []
    for at in places:
        if runs and runs[-1][-1] == at - 1:
            runs[-1].append(at)
        else:
            runs.append([at])
    return runs


def _short(text: str) -> str:
    shown = json.dumps(text, ensure_ascii=False)
    return shown if len(shown) <= 60 else f"{shown[:40]}…{shown[-16:]}"


def ours(case: Path, form: str) -> Path:
    """The file of this format. Raises Refused where our own exporter wrote none."""
    refused = case / f"{form}.refused"
    if refused.exists():
        raise Refused(refused.read_text().split(", and ")[0])
    return case / f"{form}.jsonl"


def left_out(case: Path, form: str) -> str:
    """Why our own exporter left out replies that it was to train, in brackets; "" if it left out none."""
    twin = case / f"{form}.jsonl.excluded.jsonl"
    reasons = (
        {row["reason"] for row in rows(twin)} - {"flagged", "no_think_form", "no_redo"} if twin.exists() else set()
    )
    return f" ({', '.join(sorted(reasons))})" if reasons else ""


class Refused(Exception):
    """The format itself cannot say these masks."""


def table(
    trainer: str,
    folder: Path,
    checks: dict[str, Callable[[Path], str]],
    needs: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> None:
    """Run every check on every template and print the table's lines; a refusal of theirs is a result too.

    ``needs`` names for a file and a template the setting of the trainer that the check gave it.
    ``FOLDER/results.json`` holds the same for ``record.py``.
    """
    results = []
    for what, check in checks.items():
        for name in NAMES:
            try:
                said = check(folder / name) + left_out(folder / name, what)
            except Refused as problem:
                said = f"our exporter refuses: {problem}"
            except Exception as problem:  # whatever a foreign loader says no with is its verdict
                said = f"refuses: {type(problem).__name__}: {(str(problem).strip() or '-').splitlines()[0][:110]}"
            more = {"needs": needs[what, name]} if (what, name) in needs else {}
            results.append({"trainer": trainer, "format": what, "template": name, "says": said, **more})
            print(f"| {trainer} | {what} | {name} | {said} |", flush=True)
    (folder / "results.json").write_text(json.dumps(results))

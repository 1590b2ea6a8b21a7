"""A folder that ``datasets`` loads: rows by split, the twin file, the manifest, and a card that says what they are."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from apollo_train.export.report import ExportReport, Progress
from apollo_train.export.run import run_export
from apollo_train.export.terms import describe_terms
from apollo_train.formats import find_format
from apollo_train.formats.base import Format
from apollo_train.policy import FilterPolicy, policy_toml
from apollo_train.runtime import FileInTheWay, TrainError
from apollo_train.templates.renderer import Renderer
from sessions.log.reader import LogReader
from sessions.private_files import make_private_folder, open_private, write_private
from sessions.terminal_text import plain_line

SPLITS: Final = ("train", "validation", "test")


class _Meta(msgspec.Struct):
    split: str = "train"


class _Row(msgspec.Struct):
    meta: _Meta


def write_folder(
    reader: LogReader,
    sessions: Sequence[str] | None,
    policy: FilterPolicy,
    format: str | Format,
    folder: Path,
    *,
    position: int | None = None,
    progress: Progress | None = None,
    counter: Renderer | None = None,
) -> ExportReport:
    """Fill a new ``folder``; it appears whole or not at all. Raises FileInTheWay and whatever ``run_export`` raises."""
    format = find_format(format)
    if not format.has_meta:
        raise TrainError(f"{format.name} holds no rows that datasets could load: take steps, or a format of messages")
    if folder.exists():
        raise FileInTheWay(f"{folder} is there already: choose another name")
    try:
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as problem:
        raise TrainError(f"cannot make the folder {folder}: {problem.strerror}") from problem
    try:
        report = run_export(
            reader,
            sessions,
            policy,
            format,
            unfinished / "rows.jsonl",
            position=position,
            progress=progress,
            counter=counter,
        )
        rows = _split(report.path, unfinished / "data")
        report.path.unlink()
        report.excluded.rename(unfinished / "excluded.jsonl")
        report.manifest.rename(unfinished / "manifest.json")
        if report.page is not None:
            report.page.rename(unfinished / "preview.html")
        write_private(unfinished / "policy.toml", policy_toml(policy))
        write_private(unfinished / "README.md", card(folder.name, format, policy, report, rows))
        unfinished.rename(folder)
    except OSError as problem:
        raise TrainError(f"cannot write {folder}: {problem.strerror}") from problem
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    report.path, report.excluded = folder / "data", folder / "excluded.jsonl"
    report.manifest, report.page = folder / "manifest.json", folder / "preview.html"
    return report


def _split(source: Path, folder: Path) -> dict[str, int]:
    """The rows in a file per split; how many each has. A split without rows has no file."""
    make_private_folder(folder)
    rows = dict.fromkeys(SPLITS, 0)
    decoder = msgspec.json.Decoder(_Row)
    files: dict[str, Any] = {}
    try:
        with source.open("rb") as lines:
            for line in lines:
                split = decoder.decode(line).meta.split
                if split not in files:
                    files[split] = open_private(folder / f"{split}.jsonl")
                files[split].write(line)
                rows[split] = rows.get(split, 0) + 1
    finally:
        for file in files.values():
            file.close()
    return {split: number for split, number in rows.items() if number}


def card(name: str, format: Format, policy: FilterPolicy, report: ExportReport, rows: dict[str, int]) -> str:
    """The dataset card. Nothing in it depends on when or where it was written."""
    files = "".join(f"  - split: {split}\n    path: data/{split}.jsonl\n" for split in rows)
    counts = "\n".join(f"- {plain_line(line)}" for line in report.counts.lines())
    said = "\n".join(f"- {plain_line(line)}" for line in describe_terms(report.terms, len(report.per_session)))
    table = "\n".join(f"| {split} | {number:,} |" for split, number in rows.items())
    tasks = len(report.per_session)
    return f"""---
pretty_name: {msgspec.json.encode(name).decode()}
tags:
- agent-traces
- human-supervision
configs:
- config_name: default
  data_files:
{files}---

# {plain_line(name)}

Trajectories of LLM agents with the flags and the advice of the people who supervised them, written by Apollo as
`{format.name}`: {format.about}.

| split | rows |
|---|---|
{table}

Splits go by task: no task is in two of them. {tasks:,} sessions take part; `manifest.json` names them.

## Terms

{said}

## What is trained

{counts}

`excluded.jsonl` lists every reply that is no target, with the one reason why. Share of trained tokens that no human
saw: {report.counts.unseen_share:.1%}.

## Policy

`{policy.name}`, SHA-256 `{policy.digest}`, at log position {report.position}; the whole of it:

```toml
{policy_toml(policy)}```

Rows hold what agents read and wrote, word for word: look through them before you publish them.
"""

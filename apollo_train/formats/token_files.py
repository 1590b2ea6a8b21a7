"""What lies beside a file of tokens: its report as JSON, a static page of decoded rows, and the rows as Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from apollo_train import pages
from apollo_train.errors import TrainError
from apollo_train.formats.token_report import TokenReport
from apollo_train.writing import NewFiles

BATCH: Final = 256
"""Rows per Parquet row group: bounded memory whatever the file's size."""


def report_paths(out: Path) -> tuple[Path, Path]:
    """Where the report and the page of ``out`` lie."""
    return out.with_name(f"{out.name}.report.json"), out.with_name(f"{out.name}.preview.html")


def write_report(out: Path, report: TokenReport, settings: dict[str, Any], *, overwrite: bool) -> tuple[Path, Path]:
    """Write the report and the page beside ``out``."""
    paths = report_paths(out)
    whole = {"apollo": "token-report", "v": 1, "settings": settings, "counts": report.counts()}
    with NewFiles(paths, overwrite=overwrite) as files, files.told():
        report_file, page_file = files.files
        report_file.line(json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False).encode())
        page_file.line(page(out.name, report).encode())
        files.put()
    return paths


def page(title: str, report: TokenReport) -> str:
    """The page, complete in itself; all foreign text is escaped."""
    return pages.page(title, report.lines(), _rows(report))


def _rows(report: TokenReport) -> Iterator[str]:
    for row in report.shown:
        yield f"<h2>{pages.safe(row.id)}</h2><p>{row.trained:,} of {row.tokens:,} tokens trained</p><pre>"
        for stretch in row.stretches:
            about = " ".join(word for word in (stretch.label, stretch.role, stretch.reason) if word)
            yield pages.span(stretch.text, stretch.role, about)
        yield "</pre>"


def write_parquet(source: Path, out: Path) -> None:
    """The rows of a JSONL file of tokens as Parquet; ``meta`` becomes JSON text, so that rows never merge."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as problem:
        raise TrainError(
            "Parquet needs pyarrow, which is not installed here: `make train-env`, then .venv-train/bin/apollo-train"
        ) from problem
    numbers = pa.list_(pa.int32())
    with source.open("rb") as lines:
        names = [name for name in json.loads(next(lines)) if name != "meta"]
    schema = pa.schema([*((name, numbers) for name in names), ("meta", pa.string())])
    part = out.with_name(f".{out.name}.part")
    try:
        with pq.ParquetWriter(part, schema) as writer:
            for batch in _batches(source):
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
        part.replace(out)
    except OSError as problem:
        raise TrainError(f"cannot write {out}: {problem.strerror}") from problem
    finally:
        part.unlink(missing_ok=True)


def _batches(source: Path) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    with source.open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            batch.append({**row, "meta": json.dumps(row["meta"], ensure_ascii=False)})
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch

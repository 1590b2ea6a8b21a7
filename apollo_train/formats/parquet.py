"""Rows of token ids as Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from apollo_train.runtime import TrainError

BATCH: Final = 256
"""Rows per Parquet row group: bounded memory whatever the file's size."""


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

"""What an import costs: of a recording four times as long as another, and against reading the file with ``json``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

from benchmarks.budgets.figures import HEAD, Figure, listed, median
from benchmarks.budgets.machine import Contention
from sessions.importers.files import import_file
from sessions.log.writer import LogWriter

from .generated_recordings import write_recording

SMALL: Final = 5_000_000
LARGE: Final = 20_000_000
FORMATS: Final = ("claude-code", "codex")
LINEAR: Final = 5.0
AGAINST_JSON: Final = 10.0


def speed(folder: Path, quick: bool) -> Iterator[Figure]:
    """Recordings of 5 and 20 MB: read into events and stored in a fresh log; file and control take turns."""
    for format in FORMATS:
        small, large = folder / f"{format}-small.jsonl", folder / f"{format}-large.jsonl"
        write_recording(small, format, SMALL)
        write_recording(large, format, LARGE)
        shorter, longer, parsed = [], [], []
        busy = Contention([])
        began = perf_counter()
        for _ in range(3 if quick else 7):
            shorter.append(import_cpu(small, folder))
            longer.append(import_cpu(large, folder))
            parsed.append(parse_cpu(large))
        wall = (perf_counter() - began) / len(longer)
        others = busy.percent()
        raw = f"{listed(longer)} against {listed(shorter)} CPU-s; a round {wall:.1f} s"
        yield Figure(
            f"import of 20 MB ({format}), CPU, against 5 MB",
            median(longer) / median(shorter),
            "×",
            LINEAR,
            None,
            raw,
            others,
        )
        raw = f"{listed(longer)} against {listed(parsed)} CPU-s"
        yield Figure(
            f"import of 20 MB ({format}), CPU, against `json`",
            median(longer) / median(parsed),
            "×",
            AGAINST_JSON,
            None,
            raw,
            others,
        )


def print_speed(folder: Path, *, quick: bool) -> int:
    """Print the rows; how many miss what they must."""
    print(HEAD, flush=True)
    missed = 0
    for figure in speed(folder, quick):
        print(figure.row(), flush=True)
        missed += "missed" in figure.verdict
    return missed


def import_cpu(file: Path, folder: Path) -> float:
    """CPU seconds of all that the host does with a file: read, encode, fold, compress, store."""
    log = folder / "log.sqlite"
    before = process_time()
    asyncio.run(_store(file, log))
    spent = process_time() - before
    for left in folder.glob(f"{log.name}*"):
        left.unlink()
    return spent


async def _store(file: Path, log: Path) -> None:
    found = await asyncio.to_thread(import_file, file)
    async with await LogWriter.open(log) as writer:
        for number, session in enumerate(found, 1):
            numbered = session.with_number(number)
            await writer.append(*numbered.events, blobs=numbered.blobs)


def parse_cpu(file: Path) -> float:
    """CPU seconds of reading the same file with ``json``, a record a line."""
    before = process_time()
    with file.open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    spent = process_time() - before
    assert records
    return spent

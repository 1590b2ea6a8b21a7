"""Exports of a large generated log against a control: reading the same rows and dumping them with orjson.

``python -m benchmarks.export --events 1000000``. Times are CPU seconds of one process; ratios above 1 are faster than
the control. Needs orjson, which the product does not (benchmarks/README.md).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.export.generate import generate

PAGE: Final = 500
STEP_SESSIONS: Final = 40
"""Step samples repeat their prompts, so that they are measured on this many sessions only."""
COLUMNS: Final = "id, session, seq, step, call, kind, v, at, actor, CAST(body AS BLOB)"


def rows(log: sqlite3.Connection, session: str, kinds: Iterable[str] = ()) -> Iterator[tuple[Any, ...]]:
    """The events of a session, a page at a time."""
    after = 0
    chosen = f"AND kind IN ({','.join(repr(kind) for kind in kinds)})" if kinds else ""
    query = f"SELECT {COLUMNS} FROM events WHERE session = ? AND seq > ? {chosen} ORDER BY seq LIMIT {PAGE}"
    while found := log.execute(query, (session, after)).fetchall():
        yield from found
        after = found[-1][2]


def blobs_of(log: sqlite3.Connection, names: list[str]) -> dict[str, bytes]:
    """Blobs by hash."""
    marks = ",".join("?" * len(names))
    found = log.execute(f"SELECT hash, codec, data FROM blobs WHERE hash IN ({marks})", names)
    return {name: zlib.decompress(data) if codec == "zlib" else data for name, codec, data in found}


def control_raw(log: sqlite3.Connection, sessions: list[str], out: Path) -> None:
    """All events and all blobs that they name, each read, decoded and dumped again."""
    import orjson

    with out.open("wb") as file:
        for session in sessions:
            for page in _paged(rows(log, session)):
                wanted: list[str] = []
                for row in page:
                    body = orjson.loads(row[9])
                    wanted += [ref["hash"] for ref in body.get("append", ())]
                    wanted += [
                        body[key]["blob"]
                        for key in ("output", "text")
                        if isinstance(body.get(key), dict) and "blob" in body[key]
                    ]
                    line = {"seq": row[2], "kind": row[5], "v": row[6], "at": row[7], "actor": row[8], "body": body}
                    file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
                for name, data in blobs_of(log, wanted).items() if wanted else ():
                    file.write(orjson.dumps({"blob": name, "text": data.decode()}, option=orjson.OPT_APPEND_NEWLINE))


def control_messages(log: sqlite3.Connection, sessions: list[str], out: Path) -> None:
    """The requests, replies, flags and messages of each session, read and decoded; a row per context, dumped."""
    import orjson

    kinds = (
        "session.created",
        "model.request",
        "model.reply",
        "action.refused",
        "flag.set",
        "cursor.moved",
        "summary.written",
    )
    with out.open("wb") as file:
        for session in sessions:
            names: list[str] = []
            context: list[dict[str, Any]] = []

            def write(messages: list[dict[str, Any]], session: str = session) -> None:
                if messages:
                    file.write(orjson.dumps({"messages": messages, "meta": {"session": session}}))

            for page in _paged(rows(log, session, kinds)):
                bodies = [(row[5], orjson.loads(row[9])) for row in page]
                names = [ref["hash"] for kind, body in bodies if kind == "model.request" for ref in body["append"]]
                held = blobs_of(log, names) if names else {}
                for kind, body in bodies:
                    if kind != "model.request":
                        continue
                    if body.get("parent") is None:
                        write(context)
                        context = []
                    context += [orjson.loads(held[ref["hash"]]) for ref in body["append"]]
            write(context)


def control_dump(written: Path, out: Path) -> float:
    """CPU seconds to dump the rows of a file that are in memory already, the same bytes, with orjson."""
    import orjson

    spent = 0.0
    with written.open("rb") as lines, out.open("wb") as file:
        for line in lines:
            row = orjson.loads(line)
            began = time.process_time()
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            spent += time.process_time() - began
    return spent


def _paged(found: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    page: list[tuple[Any, ...]] = []
    for row in found:
        page.append(row)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def measure(log: Path, name: str, folder: Path) -> dict[str, Any]:
    """One format: our seconds, the control's, peak memory; in this process."""
    from apollo_train.export import run_export
    from apollo_train.policy import PRESETS
    from sessions.log.reader import LogReader

    out = folder / f"{name}.jsonl"
    with LogReader(log) as reader:
        sessions = sorted(summary.session for summary in reader.summaries())
        sessions = sessions[:STEP_SESSIONS] if name == "steps" else sessions
        began = time.process_time()
        report = run_export(reader, sessions, PRESETS["default"], name, out, overwrite=True)
        ours = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = out.stat().st_size
    began = time.process_time()
    if name == "steps":
        control = control_dump(out, folder / "control.jsonl")
    else:
        connection = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
        {"raw": control_raw}.get(name, control_messages)(connection, sessions, folder / "control.jsonl")
        connection.close()
        control = time.process_time() - began
    told = {"format": name, "sessions": len(sessions), "rows": report.counts.rows, "MB": round(size / 1e6, 1)}
    told |= {"ours s": round(ours, 2), "control s": round(control, 2), "ratio": round(control / ours, 2)}
    out.unlink()
    return told | {"peak MB": round(peak)}


def main() -> None:
    """Measure each format in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--log", type=Path, help="A log that was generated before, to keep it.")
    parser.add_argument("--folder", type=Path, help="Where to write; it needs about three times the log's size.")
    parser.add_argument("--format", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.format:
        print(json.dumps(measure(given.log, given.format, given.folder)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        log = given.log or Path(folder) / "log.sqlite"
        if not log.exists():
            print(f"{asyncio.run(generate(log, given.events)):,} events generated")
        for name in ("raw", "messages", "openai", "steps"):
            command = [
                sys.executable,
                "-m",
                "benchmarks.export",
                "--log",
                str(log),
                "--folder",
                folder,
                "--format",
                name,
            ]
            print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    main()

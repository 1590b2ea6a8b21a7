"""Exports of a large generated log against a control: reading the same rows and dumping them with orjson.

``python -m benchmarks.export --events 1000000``. Times are CPU seconds, and by the clock; ratios above 1 are
faster than the control. Needs orjson, which the product does not (benchmarks/export/README.md).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
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


def control_steps(log: sqlite3.Connection, sessions: list[str], out: Path) -> None:
    """The requests, replies and messages of each session, read and decoded; a row per reply, its prompt dumped anew."""
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
            context: list[dict[str, Any]] = []
            tools, named = "", ""
            for page in _paged(rows(log, session, kinds)):
                bodies = [(row[5], row[3], orjson.loads(row[9])) for row in page]
                asked = [body for kind, _, body in bodies if kind == "model.request"]
                names = [ref["hash"] for body in asked for ref in body["append"]]
                held = blobs_of(log, [*names, *{body["tools"] for body in asked if body.get("tools")}]) if asked else {}
                for kind, step, body in bodies:
                    if kind == "model.request":
                        context = [] if body.get("parent") is None else context
                        context += [orjson.loads(held[ref["hash"]]) for ref in body["append"]]
                        if body.get("tools", "") != named:
                            named = body["tools"]
                            tools = orjson.dumps(orjson.loads(held[named])).decode()
                    elif kind == "model.reply":
                        said = [{"role": "assistant", "parts": body["parts"]}]
                        meta = {"session": session, "step": step}
                        row = {"prompt": context, "completion": said, "tools": tools, "meta": meta}
                        file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def control_dump(written: Path, out: Path) -> tuple[float, float]:
    """Seconds (CPU, and by the clock) to dump the rows of a file that are in memory, the same bytes, with orjson."""
    import orjson

    cpu = wall = 0.0
    with written.open("rb") as lines, out.open("wb") as file:
        for line in lines:
            row = orjson.loads(line)
            began, at = time.process_time(), time.perf_counter()
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            cpu, wall = cpu + time.process_time() - began, wall + time.perf_counter() - at
    return cpu, wall


def _paged(found: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    page: list[tuple[Any, ...]] = []
    for row in found:
        page.append(row)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def measure(log: Path, name: str, folder: Path, count: int, workers: int, repeat: int) -> dict[str, Any]:
    """One format: our seconds, the control's, peak memory; in this process, or (``workers`` > 1) with helpers."""
    from apollo_train.export.run import run_export
    from apollo_train.policy import PRESETS
    from sessions.log.reader import LogReader

    out, other = folder / f"{name}.jsonl", folder / "control.jsonl"
    controls = {"raw": control_raw, "steps": control_steps}
    ours, control = [], []
    with LogReader(log) as reader, contextlib.closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as connection:
        sessions = sorted(summary.session for summary in reader.summaries())[: count or None]
        for _ in range(repeat):
            began = _spent()
            report = run_export(
                reader, sessions, PRESETS["default"].with_advice("kept"), name, out, overwrite=True, workers=workers
            )
            ours.append(_since(began))
            began = _spent()
            controls.get(name, control_messages)(connection, sessions, other)
            control.append(_since(began))
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]
    mine, theirs = map(min, zip(*ours, strict=True)), map(min, zip(*control, strict=True))
    (cpu, wall), (their_cpu, their_wall) = mine, theirs
    told = {"format": name, "workers": workers, "sessions": len(sessions), "rows": report.counts.rows}
    told |= {"MB": round(out.stat().st_size / 1e6, 1), "ours s": round(cpu, 2), "ours wall s": round(wall, 2)}
    told |= {"control s": round(their_cpu, 2), "control wall s": round(their_wall, 2)}
    told |= {"ratio": round(their_cpu / cpu, 2), "wall ratio": round(their_wall / wall, 2)}
    if name == "steps":
        dump, dump_wall = map(min, zip(*(control_dump(out, other) for _ in range(repeat)), strict=True))
        told |= {"dump alone s": round(dump, 2), "dump alone wall s": round(dump_wall, 2)}
        told |= {"of dump alone": round(dump / cpu, 2), "wall of dump alone": round(dump_wall / wall, 2)}
    out.unlink()
    other.unlink()
    return told | {"peak MB": round(peak)}


def _spent() -> tuple[float, float]:
    """CPU seconds of this process and of those that it has waited for, and the clock."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system, time.perf_counter()


def _since(began: tuple[float, float]) -> tuple[float, float]:
    now = _spent()
    return now[0] - began[0], now[1] - began[1]


def main() -> None:
    """Measure each format in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--log", type=Path, help="A log that was generated before, to keep it.")
    parser.add_argument("--folder", type=Path, help="Where to write; it needs about three times the log's size.")
    parser.add_argument("--workers", type=int, default=1, help="Processes that make the rows.")
    parser.add_argument("--steps-sessions", type=int, default=STEP_SESSIONS, help="Sessions that steps are made of.")
    parser.add_argument("--repeat", type=int, default=1, help="Times, ours and the control in turn; the best of each.")
    parser.add_argument("--format", default="", help="Only this one.")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        count = given.steps_sessions if given.format == "steps" else 0
        print(json.dumps(measure(given.log, given.format, given.folder, count, given.workers, given.repeat)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        log = given.log or Path(folder) / "log.sqlite"
        if not log.exists():
            print(f"{asyncio.run(generate(log, given.events)):,} events generated")
        for name in (given.format,) if given.format else ("raw", "messages", "openai", "steps"):
            command = [sys.executable, "-m", "benchmarks.export", "--here", "--log", str(log), "--folder", folder]
            command += ["--format", name, "--workers", str(given.workers)]
            command += ["--steps-sessions", str(given.steps_sessions), "--repeat", str(given.repeat)]
            print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()

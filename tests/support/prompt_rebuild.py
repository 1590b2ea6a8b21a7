"""Prompts rebuilt as a stranger would: from a copy of the log, in a process that has run nothing else."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.rebuild import request_chain

REBUILD = """
import hashlib, json, pathlib, sys
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request

for line in sys.stdin:
    found = []
    with LogReader(pathlib.Path(line.rstrip())) as reader:
        for summary in reader.summaries():
            for event in reader.events(summary.session, kinds=("model.request",)):
                digest = hashlib.sha256(rebuild_request(reader, summary.session, event.seq)).hexdigest()
                assert digest == event.body.sha256, (summary.session, event.seq)
                found.append((summary.session, event.seq, digest))
    print(json.dumps(found), flush=True)
"""


class Rebuilder:
    """The other process. It sees nothing of this one but the paths of copied logs."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", "-c", REBUILD]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, log: Path, copy: Path) -> dict[tuple[str, int], str]:
        """The SHA-256 of every request of ``log`` by (session, seq), rebuilt from ``copy``; each is the stored one."""
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        # The newest commits of a log in use are in the file beside it, so it is copied through SQLite.
        with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as here, closing(sqlite3.connect(copy)) as there:
            here.backup(there)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{copy}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"{copy} could not be rebuilt"
        return {(session, seq): digest for session, seq, digest in json.loads(answer)}

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=10)


def assert_prompts_grow(reader: LogReader, session: str) -> int:
    """Between summaries each prompt of a step begins with the one before it; returns how many were extended."""
    before: list[str] = []
    extended = 0
    for event in reader.events(session, kinds={"model.request", "summary.written"}):
        if isinstance(event.body, ev.SummaryWritten):
            before = []
        elif isinstance(event.body, ev.ModelRequested) and event.body.purpose == "step":
            messages = [ref.hash for ref in request_chain(reader, session, event.seq)]
            assert messages[: len(before)] == before, f"request {event.seq} does not extend the one before it"
            extended += bool(before)
            before = messages
    return extended

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.export.generate import generate

CODE = r"""
import re, sys
from pathlib import Path
from apollo_train.export.run import run_export
from apollo_train.policy import PRESETS
from sessions.log.reader import LogReader
log, name, out, count = sys.argv[1:]
with LogReader(Path(log)) as reader:
    sessions = [summary.session for summary in reader.summaries()][:int(count)]
    run_export(reader, sessions, PRESETS["default"].with_advice("kept"), name, Path(out))
# Of this program alone: ru_maxrss would also know how large the process was that started it.
print(int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def peak_mb(log: Path, name: str, sessions: int) -> tuple[int, int]:
    """Peak memory in MB, and how much was written, in bytes."""
    out = log.with_name(f"{name}-{sessions}.jsonl")
    command = [sys.executable, "-c", CODE, str(log), name, str(out), str(sessions)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout), out.stat().st_size


async def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    await generate(log, 5_000)
    for name in ("raw", "messages", "steps"):
        (small, few), (large, many) = peak_mb(log, name, 1), peak_mb(log, name, 5)
        assert many > 4 * few
        assert large < small + 12 and large < 300, (name, small, large)

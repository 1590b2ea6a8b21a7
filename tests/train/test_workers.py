from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from training_log import MANY, many

from apollo_train.cli.progress import Rate, progress_bar
from apollo_train.export.report import ExportReport
from apollo_train.export.run import run_export
from apollo_train.export.workers import MOST, WORTH, WorkerLost, workers_for
from apollo_train.formats.base import Format, Line, Unit
from apollo_train.policy import PRESETS, FilterPolicy, WeightRules
from apollo_train.samples.step_samples import Source
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

DEFAULT = PRESETS["default"]


def files(report: ExportReport) -> list[bytes]:
    paths = sorted(report.path.parent.glob(f"{report.path.name}*"))
    return [path.read_bytes().replace(report.path.name.encode(), b"") for path in paths]


@dataclass
class Gathering(Format):
    """Rows of one session each, and a report of them."""

    fail: str = ""
    die: str = ""
    name: str = "gathering"
    version: int = 1
    unit: Unit = "step"
    about: str = ""
    own_report: bool = True
    seen: tuple[str, ...] = ()
    report: tuple[str, ...] = ()

    def take_report(self) -> Any:
        told, self.seen = self.seen, ()
        return told

    def add_report(self, told: Any) -> None:
        self.report += tuple(told)

    def lines(self, source: Source) -> Any:
        if source.judged.session == self.fail:
            raise WorkerLost("no such thing")
        if source.judged.session == self.die:
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen += (source.judged.session,)
        yield Line(b"{}", trained=1, id=f"{source.judged.session}:1")


@pytest.mark.parametrize("name", ["steps", "openai", "raw"])
async def test_any_number_of_processes_writes_the_same_bytes(
    writer: LogWriter, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await many(writer)
    made = [files(run_export(reader, None, DEFAULT, name, tmp_path / f"{n}.jsonl", workers=n)) for n in (1, 2, 4)]
    assert len(made[0]) >= 3 and made[0] == made[1] == made[2]
    assert not multiprocessing.active_children()


async def test_rows_written_as_often_as_they_weigh_are_the_same_too(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await many(writer)
    policy = FilterPolicy(weights=WeightRules(normalise="session"))
    one, two = (files(run_export(reader, None, policy, "steps", tmp_path / f"{n}.jsonl", workers=n)) for n in (1, 2))
    assert one == two


async def test_a_report_is_gathered_in_order_from_all_processes(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await many(writer)
    for number in (1, 2):
        made = Gathering()
        run_export(reader, None, PRESETS["everything"], made, tmp_path / f"{number}.jsonl", workers=number)
        assert list(made.report) == MANY and not made.seen


async def test_what_fails_in_a_process_is_said_here_and_leaves_nothing(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await many(writer)
    before = set(tmp_path.iterdir())
    with pytest.raises(WorkerLost, match="no such thing"):
        run_export(reader, None, DEFAULT, Gathering(fail=MANY[1]), tmp_path / "o.jsonl", workers=2)
    with pytest.raises(WorkerLost, match=r"ended early .code -9.*workers 1"):
        run_export(reader, None, DEFAULT, Gathering(die=MANY[4]), tmp_path / "o.jsonl", workers=2)
    assert set(tmp_path.iterdir()) == before and not multiprocessing.active_children()


class Stop(BaseException):
    """As ctrl+c."""


async def test_a_stopped_export_of_many_processes_goes_on_with_any_number(
    writer: LogWriter, reader: LogReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many(writer)
    monkeypatch.setattr("apollo_train.output_files.Journal.mark", _stopping(4))
    with pytest.raises(Stop):
        run_export(reader, None, DEFAULT, "steps", tmp_path / "o.jsonl", workers=2)
    monkeypatch.undo()
    assert not multiprocessing.active_children() and (tmp_path / ".o.jsonl.part").exists()
    whole = files(run_export(reader, None, DEFAULT, "steps", tmp_path / "whole.jsonl"))
    assert files(run_export(reader, None, DEFAULT, "steps", tmp_path / "o.jsonl", resume=True, workers=2)) == whole


def _stopping(after: int) -> Any:
    from apollo_train.output_files import Journal

    mark, calls = Journal.mark, iter(range(1, 100))

    def stop(self: Any, *given: Any) -> None:
        mark(self, *given)
        if next(calls) == after:
            raise Stop

    return stop


@pytest.mark.kill
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
async def test_a_killed_export_leaves_no_process_and_goes_on(
    writer: LogWriter, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await many(writer)
    whole = files(run_export(reader, None, DEFAULT, "steps", tmp_path / "whole.jsonl"))
    out, script = tmp_path / "out.jsonl", tmp_path / "main.py"
    script.write_text(
        "import sys, time, multiprocessing; from pathlib import Path\n"
        "from apollo_train.export.run import run_export; from apollo_train.policy import PRESETS\n"
        "from apollo_train.output_files import Journal; from sessions.log.reader import LogReader\n"
        "if __name__ == '__main__':\n"
        "    mark, calls = Journal.mark, iter(range(100))\n"
        "    def slow(self, *given):\n"
        "        mark(self, *given)\n"
        "        if next(calls) == 2:\n"
        "            print(*[child.pid for child in multiprocessing.active_children()], flush=True)\n"
        "            time.sleep(60)\n"
        "    Journal.mark = slow\n"
        "    log, out = map(Path, sys.argv[1:])\n"
        "    run_export(LogReader(log), None, PRESETS['default'], 'steps', out, workers=2)\n"
    )
    child = subprocess.Popen(
        [sys.executable, str(script), str(writer.path), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert child.stdout is not None
    workers = [int(word) for word in child.stdout.readline().split()]
    assert len(workers) == 2
    if name == "SIGKILL":
        child.kill()
    else:
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to all of them
    said = child.communicate(timeout=30)[1]
    assert said.count("Traceback") == (name == "SIGINT"), said
    async with asyncio.timeout(30):
        while any(Path(f"/proc/{pid}/cmdline").exists() and _alive(pid) for pid in workers):
            await asyncio.sleep(0.01)
    assert not list(tmp_path.glob("tmp*"))
    assert files(run_export(reader, None, DEFAULT, "steps", out, resume=True)) == whole


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_processes_are_taken_unasked_where_they_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert workers_for(WORTH[True] - 1, 100, replies=True) == 1
    assert workers_for(WORTH[True], 100, replies=True) == MOST
    assert workers_for(WORTH[True], 100, replies=False) == 1
    assert workers_for(WORTH[False], 3, replies=False) == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert workers_for(10**6, 100, replies=True) == 1


def test_a_bar_says_how_fast_it_goes_and_only_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 2.0, 4.0])
    rate = Rate(lambda: next(times))
    rate.take(1000)  # done by an earlier run
    assert rate.text == ""
    rate.take(3000)
    assert rate.text == "1,000/s"
    rate.take(9000)
    assert rate.text == "2,000/s"
    with progress_bar("rows") as tell:
        assert tell is None
    assert capsys.readouterr().err == ""


def test_formats_go_to_other_processes() -> None:
    import pickle

    from apollo_train.formats import FORMATS

    for made in FORMATS.values():
        assert pickle.loads(pickle.dumps(made)).name == made.name

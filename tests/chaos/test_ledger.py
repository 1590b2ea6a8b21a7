"""What the chaos run would call lost, done twice or stuck: a run that can find nothing proves nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from training_log import SESSION, Teller

from benchmarks.chaos.ledger import Ledger, read_ledger
from benchmarks.chaos.product import Product
from benchmarks.chaos.victims import KINDS
from benchmarks.soak.__main__ import Sample, find_growth
from sessions import events as ev
from sessions.log.writer import LogWriter

COMMAND = '{"command": "sleep 0.1; echo m1-%d.1 >> traces"}'


async def ledger_of(
    folder: Path, traces: str, *, ended: bool = True, open_call: bool = False, acts: tuple[str, ...] = ()
) -> Ledger:
    """The ledger of a session of two steps that left these traces."""
    product = Product(folder, {})
    (folder / "work").mkdir()
    (folder / "work" / "traces").write_text(traces)
    async with await LogWriter.open(product.paths.log) as writer:
        told = await Teller(writer).begin(workspace=str(folder / "work"))
        for step in (1, 2):
            await told.reply(("run", COMMAND % step))
            await told.result()
        if open_call:
            await told.reply(("run", COMMAND % 3))
            begun = ev.ActionStarted(call_id="c3.1", name="run", arguments={"command": "echo m1-3.1 >> traces"})
            await told.tell(begun, step=3, call=1)
        if ended:
            await told.tell(ev.StateChanged(state="finished"))
    ledger = Ledger(kills=Counter(dict.fromkeys(KINDS, 1)))
    read_ledger(product, ledger, {SESSION: "m1"}, set(acts))
    return ledger


@pytest.mark.parametrize(
    ("traces", "more", "lost", "repeated", "stuck"),
    [
        ("m1-1.1\nm1-2.1\n", {}, 0, 0, 0),
        ("m1-1.1\n", {}, 1, 0, 0),
        ("m1-1.1\nm1-2.1\nm1-2.1\n", {}, 0, 1, 0),
        ("m1-1.1\nm1-2.1\nm9-1.1\n", {}, 1, 0, 0),
        ("m1-1.1\nm1-2.1\n", {"ended": False}, 0, 0, 1),
        ("m1-1.1\nm1-2.1\n", {"open_call": True}, 0, 0, 1),
        ("m1-1.1\nm1-2.1\n", {"acts": ("flag-1",)}, 1, 0, 0),
    ],
)
async def test_the_ledger_finds_what_is_lost_done_twice_or_stuck(
    tmp_path: Path, traces: str, more: dict[str, object], lost: int, repeated: int, stuck: int
) -> None:
    ledger = await ledger_of(tmp_path, traces, **more)  # type: ignore[arg-type]
    assert (len(ledger.lost), len(ledger.repeated), len(ledger.stuck)) == (lost, repeated, stuck), ledger.table()
    assert ledger.good is (not (lost or repeated or stuck))
    assert (ledger.told_done, ledger.prompts) == (2, 3 if more.get("open_call") else 2)
    assert "| kills | 6 (host 1, watcher 1," in ledger.table()


def test_the_soak_calls_growth_growth() -> None:
    def sample(n: int, **more: float) -> Sample:
        values = {"host_mb": 100.0, "host_files": 30, "app_mb": 120.0, "app_files": 20, "wal_mb": 4.0, **more}
        return Sample(hours=n, steps=n * 100, seconds=n, log_mb=n * 3.0, **values)  # type: ignore[arg-type]

    assert find_growth([sample(n) for n in range(9)]) == []
    for name, by in (("host_mb", 20.0), ("host_files", 5), ("app_mb", 30.0), ("app_files", 5), ("wal_mb", 9.0)):
        grown = find_growth([sample(n, **{name: 30 + n * by}) for n in range(9)])
        assert len(grown) == 1 and grown[0].startswith(name), (name, grown)

"""All files that exports leave are their owner's alone, though the umask would let everybody read and write them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from training_log import Teller, kept_policy

from apollo_train.cli.main import main
from apollo_train.export.run import run_export
from apollo_train.formats import format_for
from sessions import events as ev
from sessions.log.reader import LogReader


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and stat.S_IMODE(path.stat().st_mode) != 0o600]


async def test_a_data_set_is_private(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    await told.act("b")
    await told.flag(ev.Target(1))
    for command, out in (("build", "built"), ("dataset", "set")):
        done = CliRunner().invoke(main, [command, "--log", str(told.writer.path), "--out", str(tmp_path / out)])
        assert done.exit_code == 0, done.output
        assert len(list((tmp_path / out).rglob("*.json*"))) >= 3
        assert open_to_others(tmp_path / out) == []
        assert stat.S_IMODE((tmp_path / out).stat().st_mode) == 0o700


async def test_an_overwritten_export_is_private_however_open_the_file_was_before(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    out = tmp_path / "rows"
    out.mkdir()
    (out / "rows.jsonl").write_text("old")
    (out / "rows.jsonl").chmod(0o666)
    with LogReader(told.writer.path) as reader:
        run_export(reader, None, kept_policy(), format_for("steps"), out / "rows.jsonl", overwrite=True)
    assert len(list(out.iterdir())) >= 3
    assert open_to_others(out) == []

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from apollo_tui.cli.root import apollo


@pytest.mark.parametrize(("options", "verdict"), [((), "bad"), (("--allow-network-fs",), "warn")])
def test_the_doctor_says_that_a_log_lies_on_a_network_filesystem_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], verdict: str
) -> None:
    monkeypatch.setattr("sessions.log.filesystem.filesystem_of", lambda path, mounts: "nfs4")
    told = CliRunner().invoke(apollo, ["--log", str(tmp_path / "log.db"), *options, "doctor"]).stdout
    (line,) = [line for line in told.splitlines() if " log  " in line]
    assert line.startswith(f"{verdict} ")
    assert "is on a network filesystem (nfs4)" in line
    assert "choose a local --log" in line

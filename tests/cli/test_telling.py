from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from apollo_tui.cli.main import apollo


@pytest.mark.parametrize(
    ("config", "level", "said"),
    [
        ("", "ok", "no command"),
        ('[host]\nnotify = "sh -c true"\n', "ok", "sh -c true"),
        ('[host]\nnotify = "no-such-notifier --now"\n', "bad", "no-such-notifier is not found"),
    ],
)
def test_the_doctor_says_whether_anybody_would_hear_of_a_session_in_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, level: str, said: str
) -> None:
    (tmp_path / "config.toml").write_text(config)
    monkeypatch.setenv("APOLLO_CONFIG", str(tmp_path / "config.toml"))
    out = CliRunner().invoke(apollo, ["--log", str(tmp_path / "log.db"), "doctor", "--json"]).stdout
    found = {finding["id"]: finding for finding in json.loads(out)}
    assert (found["notify"]["verdict"], said in found["notify"]["said"]) == (level, True)
    assert "title" in found["alerts"]["said"]

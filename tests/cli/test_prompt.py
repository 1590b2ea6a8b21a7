"""``apollo prompt``: what was sent, byte for byte, and what it says where the log does not agree."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from apollo_tui.cli.root import main

GOLDEN = Path(__file__).parents[1] / "log" / "golden" / "v1.sqlite"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return Path(shutil.copy(GOLDEN, tmp_path / "log.sqlite"))


def said(capfdbinary: pytest.CaptureFixture[bytes], *args: str) -> tuple[int, bytes, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(args))
    out, err = capfdbinary.readouterr()
    return int(ended.value.code or 0), out, err.decode()


def test_the_bytes_are_those_that_the_log_vouches_for(log: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code, out, err = said(capfdbinary, "--log", str(log), "prompt", "2", "3")
    assert code == 0
    assert f"sha256 {hashlib.sha256(out).hexdigest()} as in the log; exact" in err
    code, pretty, _ = said(capfdbinary, "--log", str(log), "prompt", "2", "3", "--pretty")
    assert (code, json.loads(pretty)) == (0, json.loads(out))
    assert b"\n  " in pretty


def test_a_prompt_that_does_not_agree_with_its_hash_is_an_error(
    log: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    code, out, _ = said(capfdbinary, "--log", str(log), "prompt", "2", "1")
    wrong = hashlib.sha256(out).hexdigest()
    with closing(sqlite3.connect(log)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE events SET body = replace(body, ?, ?)", (wrong, "0" * 64))
        connection.commit()
    code, out, err = said(capfdbinary, "--log", str(log), "prompt", "2", "1")
    assert (code, out, err.count("\n")) == (1, b"", 1)
    assert "0" * 64 in err and wrong in err

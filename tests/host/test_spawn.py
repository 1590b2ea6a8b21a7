from __future__ import annotations

from pathlib import Path

import pytest

from sessions.host.spawn import child_environment, rotate
from sessions.host.version import package_root


def test_a_host_inherits_what_it_needs_and_no_key() -> None:
    base = {"PATH": "/bin", "LC_ALL": "C.UTF-8", "https_proxy": "http://p", "APOLLO_LOG": "x", "XDG_DATA_HOME": "/d"}
    secrets = {"OPENAI_API_KEY": "k", "AWS_SECRET_ACCESS_KEY": "k", "PYTHONPATH": "/evil", "PYTHONSTARTUP": "/evil.py"}
    env = child_environment(base | secrets)
    assert base.items() <= env.items()
    assert not {"OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "PYTHONSTARTUP"} & env.keys()
    assert env.get("PYTHONPATH", str(package_root())) == str(package_root())


def test_an_installed_package_needs_no_path_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessions.host.spawn.sysconfig.get_path", lambda _: str(package_root()))
    assert "PYTHONPATH" not in child_environment({"PYTHONPATH": "/evil"})


def test_a_long_log_file_moves_aside_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    rotate(path, 10)
    for number in range(6):
        path.write_text(f"{number}" * 10)
        rotate(path, 10)
        assert not path.exists()
    kept = {each.name: each.read_text()[0] for each in tmp_path.iterdir()}
    assert kept == {"host.log.1": "5", "host.log.2": "4", "host.log.3": "3"}
    path.write_text("short")
    rotate(path, 10)
    assert path.exists()

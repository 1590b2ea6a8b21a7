from __future__ import annotations

from pathlib import Path

import pytest

from apollo_tui.terminal.shell_command import on_log, program


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "an environment" / "bin" / "apollo"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_script_that_is_in_no_path_is_called_by_where_it_lies(script: Path, tmp_path: Path) -> None:
    assert program(str(script), str(tmp_path)) == f"'{script}'"


def test_a_script_that_was_called_relatively_is_found_from_anywhere(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert program("an environment/bin/apollo", "") == f"'{script}'"


def test_what_a_shell_finds_is_called_by_its_name(script: Path, tmp_path: Path) -> None:
    assert program(str(script), str(script.parent)) == "apollo"
    link = tmp_path / "apollo"  # as pipx installs it
    link.symlink_to(script)
    assert program(str(script), str(tmp_path)) == "apollo"


def test_another_apollo_in_the_path_is_not_this_one(script: Path, tmp_path: Path) -> None:
    other = tmp_path / "apollo"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert program(str(script), str(tmp_path)) == f"'{script}'"


def test_what_is_no_script_of_that_name_is_called_apollo(tmp_path: Path) -> None:
    assert program(str(tmp_path / "__main__.py"), "") == "apollo"
    assert on_log(tmp_path / "a log.db").endswith(f" --log '{tmp_path}/a log.db'")

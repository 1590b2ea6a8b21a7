"""Rules of the repository that a reviewer would otherwise have to remember."""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES = 600


def tracked(pattern: str = "*") -> list[Path]:
    done = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_module_is_longer_than_600_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in tracked("*.py")
        if "tests" not in path.parts and (count := len(path.read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


def test_constraints_name_versions_and_no_addresses() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+-]+", line) for line in lines), lines


def test_every_dependency_is_pinned_and_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    pinned = {
        re.split("==", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=]", requirement)[0].lower()
        assert name in pinned, f"{name} has no line in constraints.txt"
        line = next(line for line in text.splitlines() if f'"{requirement}"' in line)
        assert "#" in line, f"{requirement} has no reason beside it"


def test_the_readme_calls_the_two_commands_that_the_makefile_has() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "demo-stop"):
        assert f"make {target}" in readme
        assert re.search(rf"^{target}:", makefile, re.M)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_every_row_of_the_budgets_is_found_where_the_table_says() -> None:
    from benchmarks.budgets.__main__ import ROWS

    for place in ROWS.values():
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(f"benchmarks.budgets.rows.{module}"), function))

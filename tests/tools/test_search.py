from __future__ import annotations

from pathlib import Path

import pytest
from tool_testbed import Bench

from sessions.tools import search


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench.at(tmp_path)
    (bench.workspace / "src").mkdir()
    (bench.workspace / "src/a.py").write_text("import os\nneedle = 1\n")
    (bench.workspace / "b.txt").write_text("no\nNeedle\nneedle here\n")
    (bench.workspace / "c.bin").write_bytes(b"needle\0")
    (bench.workspace / ".git").mkdir()
    (bench.workspace / ".git/x").write_text("needle")
    return bench


async def test_matches_come_with_their_places(bench: Bench) -> None:
    result = await bench.do("search", pattern="needle")
    assert result.output == (
        "b.txt:3: needle here\nsrc/a.py:2: needle = 1\n"
        "[2 matches in 2 files; 1 binary, linked or large files were left out]"
    )
    assert result.data == {"matches": 2, "files": 2}


async def test_globs_and_paths_narrow_the_search(bench: Bench) -> None:
    assert "b.txt" not in (await bench.do("search", pattern="needle", glob="*.py")).output
    assert (await bench.do("search", pattern="needle", glob="**/*.txt")).data["matches"] == 1
    assert (await bench.do("search", pattern="needle", path="src")).output.startswith("src/a.py:2:")
    assert (await bench.do("search", pattern="(?i)needle", path="b.txt")).data["matches"] == 2


async def test_nothing_found_and_nothing_to_search_are_told(bench: Bench) -> None:
    assert (await bench.do("search", pattern="absent", glob="*.py")).output == "[no match]"
    assert "no 'nowhere'" in await bench.failure("search", pattern="x", path="nowhere")
    assert "no regular expression" in await bench.failure("search", pattern="(")


async def test_a_long_line_is_shown_around_its_match(bench: Bench) -> None:
    (bench.workspace / "long").write_text("x" * 500_000 + "needle" + "y" * 500_000)
    line = (await bench.do("search", pattern="needle", path="long")).output.splitlines()[0]
    assert "needle" in line
    assert len(line) < 400


async def test_a_pattern_that_takes_for_ever_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "TIMEOUT", 0.5)
    (bench.workspace / "evil").write_text("a" * 40 + "!")
    assert "took longer" in await bench.failure("search", pattern="^(a+)+$", path="evil")


async def test_many_matches_are_counted_and_the_first_shown(bench: Bench) -> None:
    (bench.workspace / "many").write_text("hit\n" * 1000)
    output = (await bench.do("search", pattern="hit", path="many")).output
    assert output.endswith("[1000 matches in 1 files, the first 200 shown]")

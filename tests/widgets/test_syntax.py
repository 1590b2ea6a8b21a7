from __future__ import annotations

import sys
from pathlib import Path
from time import thread_time

import pytest

from widgets import cells, syntax
from widgets.syntax import BLOCK, LEAD, SyntaxColours, language_of

SOURCE = Path(syntax.__file__).read_text().split("\n")


def test_lines_keep_their_text_and_get_roles() -> None:
    colours = SyntaxColours("python", SOURCE)
    assert [cells.text_of(colours.line(at)) for at in range(len(SOURCE))] == SOURCE
    at = next(at for at, line in enumerate(SOURCE) if line.startswith("from __future__"))
    assert colours.line(at)[0] == ("from", "code-keyword")
    assert {role for at in range(len(SOURCE)) for _, role in colours.line(at)} >= {
        "code-keyword", "code-string", "code-comment", "code-number", "code-name", "text",
    }  # fmt: skip


def test_only_what_comes_into_sight_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = SyntaxColours._tokens

    def count(self: SyntaxColours, text: str):  # type: ignore[no-untyped-def]
        for kind, value in real(self, text):
            read.append(value.count("\n"))
            yield kind, value

    monkeypatch.setattr(SyntaxColours, "_tokens", count)
    colours = SyntaxColours("python", ["x = 1"] * 10_000)
    for at in range(40):
        colours.line(at)
    assert sum(read) <= 41
    colours.line(7_777)
    assert sum(read) <= 41 + BLOCK + LEAD
    colours.line(7_777)
    assert sum(read) <= 41 + BLOCK + LEAD


def test_a_line_that_is_long_and_a_language_that_is_foreign_do_no_harm() -> None:
    long = "x = '" + "y" * 5_000 + "'"
    (line,) = (SyntaxColours("python", [long]).line(0),)
    assert cells.text_of(line) == long
    assert cells.text_of(SyntaxColours("json", ["\x00 not json {{{"]).line(0)) == "\x00 not json {{{"
    assert [language_of(path) for path in ("Makefile", "a.tar.gz", "x", "a/Dockerfile")] == ["make", "", "", "docker"]
    assert language_of("run", "#!/usr/bin/env -S python3.11 -u") in ("python", "")


@pytest.mark.parametrize("language", ["python", "c", "yaml"])
def test_a_text_that_is_made_to_be_slow_loses_its_colours(language: str) -> None:
    """Each screen of it costs less than a second of the processor, whatever it is."""
    for piece in (" ", "(", '"', "/*"):
        lines = [(piece * 400)[:400]] * 50
        began = thread_time()
        colours = SyntaxColours(language, lines)
        for at in range(50):
            assert cells.text_of(colours.line(at)) == lines[at]
        assert thread_time() - began < 3.0, (language, piece)


def test_the_colours_are_loaded_when_they_are_needed() -> None:
    import subprocess

    code = "import sys, widgets.syntax, widgets.document; assert not any('pygments.lexers' in m for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

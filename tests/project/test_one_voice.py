"""Whatever a command says passes one function; no module of the product writes to the terminal by itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("apollo_tui", "apollo_train", "sessions", "widgets")
VOICE = "apollo_train/cli/terminal_output.py"
OF_CLICK = {"echo", "secho", "prompt", "confirm", "progressbar", "echo_via_pager", "pause", "edit", "get_text_stream"}
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
OTHERS = {
    "apollo_tui/cli/__init__.py": "a constant, before anything is imported",
    "apollo_train/__main__.py": "a constant, before anything is imported",
    "apollo_tui/cli/root.py": "a closed pipe is replaced by nothing",
    "apollo_tui/cli/terminal_check.py": "the sequences whose arrival a person is asked about",
    "apollo_tui/keys.py": "the generator of docs/keys.md",
    "apollo_tui/app.py": "the number of the terminal, to ask whether it takes more",
    "apollo_tui/terminal/restoration.py": "the modes of the terminal, undone: no text",
    "sessions/host/main.py": "the log of the host",
    "sessions/host/host_log.py": "the log of the host",
    "sessions/host/watcher.py": "the log of the host",
    "sessions/jobs/holder.py": "a pipe to the host, the output of a job",
    "sessions/tools/searcher.py": "a pipe to the host",
    "sessions/containment/": "pipes to the host, and what a person's shell says",
    "sessions/demo/": "what the demo's agents run",
}
"""Who else writes to stdout or stderr, and what."""


def voices(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each place that can write to the terminal."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node.lineno, "print"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            place = f"{node.value.id}.{node.attr}"
            if node.value.id == "click" and node.attr in OF_CLICK:
                yield node.lineno, place
            if node.value.id == "sys" and node.attr in STREAMS:
                yield node.lineno, place
        elif isinstance(node, ast.ImportFrom) and node.module in ("click", "sys", "rich", "rich.console"):
            for name in node.names:
                if name.name in OF_CLICK | STREAMS | ({"print"} if node.module == "rich" else set()):
                    yield node.lineno, f"{node.module}.{name.name}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "write":
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and first.value in (1, 2):
                yield node.lineno, f"write({first.value})"


def only_asks(source: str, line: int) -> bool:
    """Whether the stream of this line is only asked what it is."""
    said = source.splitlines()[line - 1]
    return "isatty()" in said or ".encoding" in said


def test_no_module_writes_to_the_terminal_by_itself() -> None:
    found = []
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name == VOICE or any(name.startswith(other) for other in OTHERS):
                continue
            source = path.read_text()
            found += [f"{name}:{line} {what}" for line, what in voices(source) if not only_asks(source, line)]
    assert found == [], f"say it by {VOICE}, or name the place and the reason in OTHERS"


@pytest.mark.parametrize(
    "source",
    [
        "print('x')",
        "import click\nclick.echo('x')",
        "import click\nclick.secho('x')",
        "from click import echo",
        "import sys\nsys.stderr.write('x')",
        "import sys\nprint_to = sys.stdout",
        "from sys import stdout",
        "import os\nos.write(2, b'x')",
        "import click\nwith click.progressbar([1]): pass",
    ],
)
def test_the_search_finds_every_way_to_write(source: str) -> None:
    assert list(voices(source))


def test_the_list_of_others_names_only_modules_that_write() -> None:
    for name in OTHERS:
        paths = [ROOT / name] if name.endswith(".py") else list((ROOT / name).rglob("*.py"))
        assert any(list(voices(path.read_text())) for path in paths), name

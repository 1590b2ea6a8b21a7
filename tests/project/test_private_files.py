"""What holds words of a log is its owner's alone, also where the umask would let everybody read it."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessions.private_files import open_private, write_private

ROOT = Path(__file__).parents[2]
WRITERS = {"write_text", "write_bytes", "touch"}


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_a_private_file_has_its_mode_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    os.umask(umask)
    write_private(tmp_path / "new", "words")
    assert mode(tmp_path / "new") == 0o600


def test_a_file_that_everybody_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_text("before")
    path.chmod(0o666)
    with open_private(path, "ab") as file:
        file.write(b" and after")
    assert (mode(path), path.read_text()) == (0o600, "before and after")


def test_a_device_keeps_its_mode() -> None:
    before = mode(Path("/dev/null"))
    write_private(Path("/dev/null"), "nothing")
    assert mode(Path("/dev/null")) == before


def writes_openly(tree: ast.AST) -> Iterator[int]:
    """Lines where a file is opened for writing, but for `open_private`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        # `Path.open("wb")` has the mode first, the function `open` second.
        at = 1 if isinstance(function, ast.Name) else 0
        given = [*node.args[at : at + 1], *(word.value for word in node.keywords if word.arg == "mode")]
        modes = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if name in WRITERS or (name == "open" and any(set(text) & set("wax+") for text in modes)):
            yield node.lineno


@pytest.mark.parametrize("folder", ["apollo_train", "apollo_tui"])
def test_nothing_of_ours_writes_a_file_but_by_that_function(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in writes_openly(ast.parse(path.read_text()))
        if path.name != "app.py"  # its write_bytes goes to the terminal
    ]
    assert found == []

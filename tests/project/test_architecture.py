"""What the page about the architecture names is there."""

from __future__ import annotations

import importlib
import re
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
INTERFACES = re.findall(r"^\| `([\w.]+)` \| (.*) \|$", PAGE, re.M)
WALKS = PAGE.partition("## Three walks")[2].partition("\n## ")[0]
ROOMS = re.findall(r"^\| (`\w+/.*?) \| .* \| (.*) \|$", PAGE, re.M)


@pytest.mark.parametrize(("name", "said"), INTERFACES)
def test_an_interface_has_what_the_page_says_of_it(name: str, said: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(importlib.import_module(module), attribute)
    for member in re.findall(r"`(\w+)`", said):
        assert hasattr(found, member), f"{name} has no {member}"


@pytest.mark.parametrize(("folders", "first"), ROOMS)
def test_a_room_has_the_modules_to_begin_with(folders: str, first: str) -> None:
    rooms = [ROOT / folder for folder in re.findall(r"`([\w/]+/)`", folders)]
    assert all(room.is_dir() for room in rooms)
    for name in re.findall(r"`([\w/]+)`", first):
        assert any((room / f"{name}.py").is_file() or (room / name).is_dir() for room in rooms), name


def test_a_walk_passes_modules_that_there_are() -> None:
    passed = re.findall(r"`(\w+/[\w/]+)`", WALKS)
    assert len(passed) > 40
    assert [name for name in passed if not (ROOT / f"{name}.py").is_file()] == []


def test_the_page_has_rooms_and_interfaces() -> None:
    assert len(ROOMS) >= 10 and len(INTERFACES) >= 10


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("apollo_tui", "widgets", "apollo_train", "sessions", cache_dir=None)
    # Imports inside functions and those for types alone count too.
    TopologicalSorter({one: graph.find_modules_directly_imported_by(one) for one in graph.modules}).prepare()
    assert len(graph.modules) > 300

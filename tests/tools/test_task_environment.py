from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sessions.events import EnvironmentSpec
from sessions.taskfile import TaskFileError, parse_task
from sessions.tools.registry import MalformedCall, decode, names_for, schemas
from sessions.tools.task_environment import BadEnvironment, environment_tools


def made(tmp_path: Path, factory: str) -> dict[str, object]:
    spec = EnvironmentSpec(factory)
    return dict(environment_tools(spec, session="s", workspace=tmp_path / "w", folder=tmp_path))


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("os.path", "no entry point"),
        ("no_such_module_of_ours:f", "cannot be imported: ModuleNotFoundError"),
        ("toy_environment:absent", "no callable 'absent'"),
        ("toy_environment:NUMBER", "no callable 'NUMBER'"),
        ("toy_environment:broken", "could not be made: KeyError: 'stages'"),
        ("toy_environment:nothing", "made no tool"),
        ("toy_environment:clashing", "a tool 'run' already"),
        ("toy_environment:no_tools", "is no tool"),
    ],
)
def test_whatever_is_wrong_with_an_environment_is_told_in_one_line(tmp_path: Path, factory: str, said: str) -> None:
    with pytest.raises(BadEnvironment) as problem:
        made(tmp_path, factory)
    assert said in str(problem.value)
    assert "\n" not in str(problem.value)
    assert factory in str(problem.value)


def test_nothing_is_imported_for_a_task_that_names_no_environment(tmp_path: Path) -> None:
    sys.modules.pop("toy_environment", None)
    assert environment_tools(None, session="s", workspace=tmp_path, folder=tmp_path) == {}
    assert "toy_environment" not in sys.modules
    assert not (tmp_path / "environment").exists()
    made(tmp_path, "toy_environment:counter")
    assert "toy_environment" in sys.modules


def test_an_environment_s_tools_are_told_and_checked_as_the_product_s_own(tmp_path: Path) -> None:
    spec = EnvironmentSpec("toy_environment:counter")
    own = environment_tools(spec, session="s", workspace=tmp_path / "w", folder=tmp_path)
    names = names_for(("finish",), has_scorer=False, own=own)
    assert names == ("count", "finish")
    assert next(tool.description for tool in schemas(names, own)) == "Count up. The last number ends the session."
    wrong = decode("count", '{"by": "far"}', names, own)
    assert isinstance(wrong, MalformedCall)
    assert "by (integer)" in wrong.problem
    assert not isinstance(decode("count", '{"by": 2}', names, own), MalformedCall)


def test_a_task_names_its_environment_with_or_without_options(tmp_path: Path) -> None:
    path = tmp_path / "task.md"
    short = parse_task("---\nenvironment: a.b:c\n---\nGo.", path)
    assert short.environment == EnvironmentSpec("a.b:c")
    long = parse_task("---\nenvironment:\n  factory: a:c\n  options: {last: 4, names: [x, y]}\n---\nGo.", path)
    assert long.environment == EnvironmentSpec("a:c", {"last": 4, "names": ["x", "y"]})
    assert parse_task("Go.", path).environment is None


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("environment: a.b", ":2: environment: expected a Python entry point"),
        ("environment:\n  options: {}", ":3: environment: there is no factory"),
        ("environment:\n  factory: a:b\n  option: {}", "did you mean options?"),
        ("environment:\n  factory: a:b\n  options: 3", ":4: environment.options: expected a mapping"),
        ("environment:\n  factory: a:b\n  options: {d: 2020-01-01}", "expected plain texts"),
    ],
)
def test_a_badly_named_environment_is_told_with_its_line(tmp_path: Path, front: str, said: str) -> None:
    with pytest.raises(TaskFileError) as problem:
        parse_task(f"---\n{front}\n---\nGo.", tmp_path / "task.md")
    assert said in str(problem.value)

from __future__ import annotations

import json
import pkgutil
from importlib import import_module
from typing import Any

import pytest

import sessions.tools
from sessions.tools import registry
from sessions.tools.base import Arguments
from sessions.tools.registry import NAMES, MalformedCall, decode, names_for, schemas
from sessions.tools.run import RunArguments


def walk(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for item in node for found in walk(item)]
    if not isinstance(node, dict):
        return []
    return [node, *(found for value in node.values() for found in walk(value))]


def test_schemas_are_plain_objects_that_every_server_takes() -> None:
    for tool in schemas():
        assert tool.parameters["type"] == "object"
        assert tool.parameters["additionalProperties"] is False
        for node in walk(tool.parameters):
            assert not {"$ref", "$defs", "anyOf", "title"} & set(node)
            assert "enum" not in node or node["type"] == "string"
        json.dumps(tool.parameters)


def test_every_tool_of_the_folder_is_registered_once() -> None:
    modules = [
        import_module(f"sessions.tools.{module.name}") for module in pkgutil.iter_modules(sessions.tools.__path__)
    ]
    found = [
        value.name
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__ and is_tool(value)
    ]
    assert sorted(found) == sorted(NAMES)


def is_tool(kind: type) -> bool:
    arguments = getattr(kind, "arguments", None)
    return isinstance(arguments, type) and issubclass(arguments, Arguments) and callable(getattr(kind, "run", None))


def test_tools_that_logs_hold_calls_of_stay_and_keep_their_order() -> None:
    """Models are told of the tools in this order, and a prompt only grows: a new one needs no place here."""
    kept = (
        *("run", "job_output", "job_input", "job_kill", "wait", "read_file", "write_file", "edit_file"),
        *("search", "plan", "evaluate", "ask_human", "finish"),
    )
    assert tuple(name for name in NAMES if name in kept) == kept


def test_every_tool_and_every_field_is_described() -> None:
    for tool in schemas():
        assert len(tool.description) > 20
        assert "\n" not in tool.description
        assert all(field.get("description") for field in tool.parameters["properties"].values()), tool.name


def test_an_optional_field_is_told_as_such_and_null_is_taken() -> None:
    (search,) = schemas(["search"])
    assert search.parameters["properties"]["glob"]["type"] == "string"
    assert search.parameters["required"] == ["pattern"]
    assert decode("search", '{"pattern": "x", "glob": null}') == decode("search", '{"pattern": "x"}')


def test_good_arguments_become_a_struct_and_go_into_the_log_with_their_defaults() -> None:
    arguments = decode("run", '{"command": "ls"}')
    assert isinstance(arguments, RunArguments)
    assert registry.as_json(arguments) == {"command": "ls", "timeout": 120, "background": False, "tty": False}


def test_blank_arguments_count_as_an_empty_object() -> None:
    assert not isinstance(decode("evaluate", " "), MalformedCall)
    assert isinstance(decode("run", ""), MalformedCall)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("run", '{"command": "ls"', "no valid JSON"),
        ("run", "ls -l", "no valid JSON"),
        ("run", '["ls"]', "must be a JSON object, not an array"),
        ("run", '"ls"', "must be a JSON object, not a string"),
        ("run", "null", "not null"),
        ("run", "{}", "missing required field `command`. Expected: command (string, required)"),
        ("run", '{"command": 7}', "command: expected `str`, got `int`"),
        ("run", '{"command": "x", "timeot": 7}', "unknown field `timeot`"),
        ("run", '{"command": ""}', "command"),
        ("wait", '{"seconds": 1801}', "seconds: expected `float` <= 1800"),
        ("plan", '{"items": [{"text": "x", "status": "soon"}]}', "items[0].status: invalid enum value 'soon'"),
        ("evaluate", '{"now": true}', "It takes no arguments"),
        ("run", "[" * 100_000, "nested too deeply"),
        ("run", '{"command": ' + "9" * 5000 + "}", "no valid JSON"),
    ],
)
def test_broken_arguments_are_told_in_words(name: str, text: str, says: str) -> None:
    found = decode(name, text)
    assert isinstance(found, MalformedCall)
    assert found.why == "malformed"
    assert says in found.problem


def test_an_unknown_tool_gets_near_names_of_this_session_only() -> None:
    found = decode("read_fil", "{}", ("run", "read_file"))
    assert found == MalformedCall(
        "unknown_tool", "There is no tool 'read_fil'. Did you mean `read_file`? The tools are: run, read_file."
    )
    assert isinstance(decode("evaluate", "{}", ("run",)), MalformedCall)


def test_lone_surrogates_do_not_get_through() -> None:
    arguments = decode("run", '{"command": "a\\ud800b"}')
    assert isinstance(arguments, RunArguments)
    assert arguments.command == "a\ufffdb"


def test_a_session_always_has_finish_and_evaluate_only_with_a_scorer() -> None:
    assert names_for(("run",), has_scorer=True) == ("run", "finish")
    assert "evaluate" not in names_for((), has_scorer=False)
    assert names_for((), has_scorer=True) == NAMES

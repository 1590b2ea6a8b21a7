"""What is wrong with a file of a known shape, in a line for the person who wrote it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_CHOICE: Final = re.compile(r"Invalid enum value (.*)", re.DOTALL)


def explain_problem(problem: msgspec.ValidationError, whole: type[msgspec.Struct]) -> str:
    """``problem`` as one line: where it is in a file of the shape ``whole``, what is wrong, and what is expected."""
    what, _, where = str(problem).partition(" - at `$")
    path = where.strip("`.")
    keys = [part for part in re.sub(r"\[[^\]]*\]", "", path).split(".") if part]
    return f"{path or 'top level'}: {_describe_problem(what, keys, whole)}"


def _describe_problem(what: str, keys: Sequence[str], whole: type[msgspec.Struct]) -> str:
    if unknown := _UNKNOWN.fullmatch(what):
        known = _type_at(keys, whole)
        names = [*known.__struct_fields__, *(() if keys else ("preset",))] if _is_table(known) else []
        return f"there is no key {unknown[1]!r}: {_near(unknown[1], names)}"
    if choice := _CHOICE.fullmatch(what):
        return f"there is no {choice[1]}: {_near(choice[1].strip(chr(39)), _choices(_type_at(keys, whole)))}"
    if what.endswith(("got `date`", "got `datetime`", "got `time`")):
        return 'a date stands in quotes, like "2026-11-22"'
    return what


def _near(said: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(said, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"choose one of {', '.join(names)}"


def _type_at(keys: Sequence[str], whole: type[msgspec.Struct]) -> Any:
    found: Any = whole
    for key in keys:
        found = get_type_hints(found).get(key) if _is_table(found) else None
    return found


def _is_table(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, msgspec.Struct)


def _choices(found: Any) -> list[str]:
    """The words that a type allows, through lists and unions."""
    if get_origin(found) is Literal:
        return [str(word) for word in get_args(found)]
    return [word for part in get_args(found) for word in _choices(part)]

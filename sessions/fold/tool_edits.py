"""What a call changes in files, as far as its arguments tell: exact replacements, whole files, line ranges, patches.

The forms are those that tools of many agents share; nothing here goes by the name of a tool. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

PATHS: Final = ("file_path", "filePath", "path", "filename", "notebook_path", "file")
OLD: Final = ("old_string", "oldString", "old_str", "old")
NEW: Final = ("new_string", "newString", "new_str", "new", "new_source")
CONTENTS: Final = ("content", "file_text", "contents")
PATCHES: Final = ("patch", "patchText", "input", "diff")
TOLD: Final = frozenset({*PATHS, *OLD, *NEW, *CONTENTS, *PATCHES, "edits"})
"""Arguments that diffs say whole."""

MOST_COMPARED: Final = 3_000
"""Edits of more lines on both sides are shown as one replacement: comparing them takes too long."""
NEAR: Final = 3
"""Lines around a change."""

_BEGIN: Final = "*** Begin Patch"
_FILE: Final = re.compile(r"\*\*\* (?:Add|Update|Delete) File: (.+)")


class TextEdit(msgspec.Struct, frozen=True):
    """One change of one file. ``old`` is None where it is not told: a whole file is written, or the lines ``where``."""

    path: str
    old: str | None
    new: str
    where: str = ""

    @property
    def whole(self) -> bool:
        """Whether it says all that the file holds then."""
        return self.old is None and not self.where


class EditDiff(msgspec.Struct, frozen=True):
    """What a call changes in one file, as the lines of a diff, and how many it adds and removes.

    ``partly``: what stood there before is not told, so that what it removes is not known.
    """

    path: str
    text: str
    added: int
    removed: int
    partly: bool = False


def read_edits(arguments: Mapping[str, Any]) -> tuple[TextEdit, ...]:
    """The changes that the arguments of a call tell, in order; none for a call that is no edit."""
    for key in PATCHES:
        patch = arguments.get(key)
        if isinstance(patch, str) and patch.lstrip().startswith(_BEGIN):
            return tuple(_read_patch(patch))
    path = _text(arguments, PATHS)
    if not path:
        return ()
    several = arguments.get("edits")
    if isinstance(several, list):
        each = (_replacement(_text(one, PATHS) or path, one) for one in several if isinstance(one, dict))
        return tuple(edit for edit in each if edit is not None)
    if (edit := _replacement(path, arguments)) is not None:
        return (edit,)
    content = _text(arguments, CONTENTS)
    if content is None:
        return ()
    lines = [arguments.get(key) for key in ("start", "end")]
    where = f"lines {lines[0]} to {lines[1]}" if all(isinstance(line, int) for line in lines) else ""
    return (TextEdit(path, None, content, where),)


def edit_diffs(edits: Iterable[TextEdit]) -> list[EditDiff]:
    """One diff for each file, in the order in which they are changed."""
    by_path: dict[str, list[TextEdit]] = {}
    for edit in edits:
        by_path.setdefault(edit.path, []).append(edit)
    return [_diff(path, found) for path, found in by_path.items()]


def _diff(path: str, edits: Iterable[TextEdit]) -> EditDiff:
    lines: list[str] = []
    partly = False
    for edit in edits:
        partly = partly or edit.old is None
        if edit.where:
            lines.append(f"@@ {edit.where}")
        elif lines:
            lines.append("@@")
        lines += _compare((edit.old or "").splitlines(), edit.new.splitlines())
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return EditDiff(path, "\n".join(lines), added, removed, partly)


def _compare(old: list[str], new: list[str]) -> Iterator[str]:
    if len(old) > MOST_COMPARED and len(new) > MOST_COMPARED:
        yield from (f"-{line}" for line in old)
        yield from (f"+{line}" for line in new)
        return
    import difflib  # the app starts without it

    # The first two lines name files, and where in the file it stands is not told.
    found = list(difflib.unified_diff(old, new, n=NEAR, lineterm=""))[2:]
    yield from ("@@" if line.startswith("@@ ") else line for line in found[1:])


def _replacement(path: str, arguments: Mapping[str, Any]) -> TextEdit | None:
    old, new = _text(arguments, OLD), _text(arguments, NEW)
    return TextEdit(path, old, new) if old is not None and new is not None else None


def _read_patch(patch: str) -> Iterator[TextEdit]:
    """The hunks of a patch in the form of ``apply_patch``."""
    path, before, after = "", list[str](), list[str]()
    for line in [*patch.splitlines(), "*** End Patch"]:
        if line.startswith(("*** ", "@@")):
            if before != after:
                yield TextEdit(path, "\n".join(before), "\n".join(after))
            before, after = [], []
            if (file := _FILE.fullmatch(line.rstrip())) is not None:
                path = file[1]
            continue
        if line[:1] in ("-", " ", ""):
            before.append(line[1:])
        if line[:1] in ("+", " ", ""):
            after.append(line[1:])


def _text(arguments: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    return next((value for key in keys if isinstance(value := arguments.get(key), str)), None)

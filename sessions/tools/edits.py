"""`write_file` and `edit_file`: changes of files in the workspace, each with its diff in the log."""

from __future__ import annotations

import asyncio
import difflib
import hashlib
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from sessions.containment.file_access import FileTrouble
from sessions.events import FileChanged
from sessions.events.text import long_text
from sessions.tools.base import Arguments, ToolContext, ToolFailure, ToolResult

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_NEAR_LINES: Final = 20_000
"""In longer files no near line is looked for."""
MAX_COMPARED: Final = 3000
"""Changed regions of more lines on both sides are shown as one replacement: comparing them takes too long."""
CONTEXT: Final = 3
"""Lines around a change in a diff."""


@dataclass(frozen=True, slots=True)
class Diff:
    """A unified diff and how many lines it adds and removes."""

    text: str
    added: int
    removed: int


def unified_diff(path: str, before: str, after: str) -> Diff:
    """What turns ``before`` into ``after``; an absent file is the empty text."""
    old, new = _lines(before), _lines(after)
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    same_end = 0
    while same_end < min(len(old), len(new)) - same and old[-1 - same_end] == new[-1 - same_end]:
        same_end += 1
    first = max(0, same - CONTEXT)
    tail = max(0, same_end - CONTEXT)
    old_part, new_part = old[first : len(old) - tail], new[first : len(new) - tail]
    if len(old_part) > MAX_COMPARED and len(new_part) > MAX_COMPARED:
        gone, come = old[same : len(old) - same_end], new[same : len(new) - same_end]
        body = [f"@@ -{same + 1},{len(gone)} +{same + 1},{len(come)} @@\n"]
        body += [f"-{line}" for line in gone] + [f"+{line}" for line in come]
    else:
        body = [_shift_header(line, first) for line in list(difflib.unified_diff(old_part, new_part, n=CONTEXT))[2:]]
    if not body:
        return Diff("", 0, 0)
    lines = [f"--- {path}\n", f"+++ {path}\n", *(_end_line(line) for line in body)]
    return Diff(
        "".join(lines),
        sum(line.startswith("+") for line in body),
        sum(line.startswith("-") for line in body),
    )


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a line feed ends one."""
    *whole, rest = text.split("\n")
    return [f"{line}\n" for line in whole] + ([rest] if rest else [])


def _shift_header(line: str, by: int) -> str:
    """A hunk's header with its line numbers counted from the top of the file."""
    if not line.startswith("@@") or not by:
        return line
    _, old, new, rest = line.split(" ", 3)
    return f"@@ {_shift_range(old, by)} {_shift_range(new, by)} {rest}"


def _shift_range(place: str, by: int) -> str:
    number, comma, count = place[1:].partition(",")
    return f"{place[0]}{int(number) + by}{comma}{count}"


def _end_line(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


class WriteFileArguments(Arguments, frozen=True):
    """Write a whole text file in the workspace, new or in place of what is there. Folders are made as needed."""

    path: Annotated[str, Meta(description="Path of the file, relative to the workspace.", min_length=1)]
    content: Annotated[str, Meta(description="The whole content.")]


class EditFileArguments(Arguments, frozen=True):
    """Replace a piece of a text file. `old` must be in the file exactly once, whitespace included, unless `all`."""

    path: Annotated[str, Meta(description="Path of the file, relative to the workspace.", min_length=1)]
    old: Annotated[
        str, Meta(description="The exact text to replace, with enough around it to be unique.", min_length=1)
    ]
    new: Annotated[str, Meta(description="What to put in its place.")]
    all: Annotated[bool, Meta(description="Replace every place where it is.")] = False


class WriteFile:
    """Writes a whole file, atomically."""

    name = "write_file"
    arguments = WriteFileArguments

    async def run(self, arguments: WriteFileArguments, context: ToolContext) -> ToolResult:
        """Write it and log what changed."""
        try:
            name, before = await context.files.read_before(arguments.path, MAX_BYTES)
            return await _put_content(context, arguments.path, name, before, arguments.content.encode())
        except FileTrouble as trouble:
            raise ToolFailure(str(trouble)) from None


class EditFile:
    """Replaces exact text; bytes that are no UTF-8 and line ends stay as they are."""

    name = "edit_file"
    arguments = EditFileArguments

    async def run(self, arguments: EditFileArguments, context: ToolContext) -> ToolResult:
        """Edit it and log what changed."""
        try:
            name, before = await context.files.read_before(arguments.path, MAX_BYTES)
            if before is None:
                before = await context.files.read(arguments.path, MAX_BYTES)  # which says what is near
            after, where = await asyncio.to_thread(_replace_text, before, arguments)
            return await _put_content(context, arguments.path, name, before, after, where)
        except FileTrouble as trouble:
            raise ToolFailure(str(trouble)) from None


def _replace_text(before: bytes, arguments: EditFileArguments) -> tuple[bytes, str]:
    """The content after the edit, and in how many places it was made if in several."""
    text = before.decode(errors="surrogateescape")
    old, new = arguments.old, arguments.new
    if old not in text and "\r\n" in text and "\r" not in old:
        old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
    count = text.count(old)
    if not count:
        raise ToolFailure(f"`old` is not in {arguments.path!r}{_near(text, old)}")
    if count > 1 and not arguments.all:
        raise ToolFailure(
            f"`old` is {count} times in {arguments.path!r} (lines {_lines_of(text, old)}): "
            "add more of what is around it, or set `all`"
        )
    after = text.replace(old, new).encode(errors="surrogateescape")
    return after, f"{count} places" if count > 1 else ""


async def _put_content(
    context: ToolContext, path: str, name: str, before: bytes | None, after: bytes, where: str = ""
) -> ToolResult:
    if before == after:
        return ToolResult(f"{name} is unchanged: it has this content already.", data={"path": name})
    await context.files.write(path, after)
    return await asyncio.to_thread(_change_result, name, before, after, where)


def _change_result(name: str, before: bytes | None, after: bytes, where: str) -> ToolResult:
    diff = unified_diff(name, _text(before or b""), _text(after))
    text, blobs = long_text(diff.text)
    event = FileChanged(
        path=name,
        before=None if before is None else hashlib.sha256(before).hexdigest(),
        after=hashlib.sha256(after).hexdigest(),
        diff=text,
        added=diff.added,
        removed=diff.removed,
    )
    done = "Created" if before is None else "Changed"
    message = f"{done} {name}: {diff.added} lines added, {diff.removed} removed{f', in {where}' if where else ''}."
    return ToolResult(message, data={"path": name}, events=(event,), blobs=tuple(blobs))


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _lines_of(text: str, piece: str) -> str:
    places: list[str] = []
    at = text.find(piece)
    while at >= 0 and len(places) < 10:
        places.append(str(text.count("\n", 0, at) + 1))
        at = text.find(piece, at + len(piece))
    return ", ".join(places) + (", …" if at >= 0 else "")


def _near(text: str, old: str) -> str:
    """Where something like ``old`` is, for a model that misremembers a file."""
    lines = text.split("\n")
    wanted = next((line for line in old.split("\n") if line.strip()), "").strip()
    if not wanted or len(lines) > MAX_NEAR_LINES:
        return ": read the file again"
    for number, line in enumerate(lines, 1):
        if line.strip() == wanted:
            return f": line {number} has its first line, but the whitespace or the lines after it differ"
    near = difflib.get_close_matches(wanted, {line.strip()[:500] for line in lines if line.strip()}, n=1, cutoff=0.6)
    if not near:
        return ": nothing like it is there; read the file again"
    number = next(number for number, line in enumerate(lines, 1) if line.strip()[:500] == near[0])
    return f": the nearest is line {number}: {near[0][:200]}"

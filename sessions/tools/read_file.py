"""`read_file`: lines of a text file in the workspace."""

from __future__ import annotations

import asyncio
import mimetypes
from typing import Annotated, Final

from msgspec import Meta

from sessions.containment.file_access import FileTrouble
from sessions.tools.base import Arguments, ToolContext, ToolFailure, ToolResult

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_CHARS: Final = 28_000
"""Of one answer, so that the model sees it whole."""
MAX_LINE: Final = 2_000
SNIFFED: Final = 8192


class ReadFileArguments(Arguments, frozen=True):
    """Read a text file of the workspace, with line numbers. Long files come in parts: go on with `start`."""

    path: Annotated[str, Meta(description="Path of the file, relative to the workspace.", min_length=1)]
    start: Annotated[int, Meta(description="First line, from 1; a negative number counts from the end.")] = 1
    lines: Annotated[int, Meta(description="How many lines at most.", ge=1)] = 500


class ReadFile:
    """Reads; never blocks on a fifo, never follows a link out of the workspace."""

    name = "read_file"
    arguments = ReadFileArguments

    async def run(self, arguments: ReadFileArguments, context: ToolContext) -> ToolResult:
        """Return the numbered lines."""
        try:
            data = await context.files.read(arguments.path, MAX_BYTES)
        except FileTrouble as trouble:
            raise ToolFailure(str(trouble)) from None
        if b"\0" in data[:SNIFFED]:
            kind = mimetypes.guess_type(arguments.path)[0] or "of unknown type"
            raise ToolFailure(f"{arguments.path!r} is a binary file ({kind}, {len(data):,} bytes)")
        output, first, last, count = await asyncio.to_thread(_number_lines, data, arguments.start, arguments.lines)
        return ToolResult(output, data={"lines": count, "from": first, "to": last, "bytes": len(data)})


def _number_lines(data: bytes, start: int, wanted: int) -> tuple[str, int, int, int]:
    """The text to show, its first and last line (0: none), and how many lines the file has."""
    text = data.decode(errors="replace")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    first = max(1, len(lines) + 1 + start if start < 0 else start)
    if not lines:
        return "[the file is empty]", 0, 0, 0
    if first > len(lines):
        raise ToolFailure(f"there is no line {first}: the file has {len(lines):,} lines")
    rows: list[str] = []
    size = 0
    for number, line in enumerate(lines[first - 1 : first - 1 + wanted], first):
        row = f"{number:6}\t{_cut(line.rstrip(chr(13)))}"
        size += len(row) + 1
        if rows and size > MAX_CHARS:
            break
        rows.append(row)
    last = first + len(rows) - 1
    notes = []
    if last < len(lines):
        notes.append(f"lines {first:,} to {last:,} of {len(lines):,}; go on with start={last + 1}")
    if "\ufffd" in text and b"\xef\xbf\xbd" not in data:
        notes.append("not valid UTF-8: U+FFFD stands for what could not be read")
    return "\n".join([*rows, *(f"[{note}]" for note in notes)]), first, last, len(lines)


def _cut(line: str) -> str:
    if len(line) <= MAX_LINE:
        return line
    return f"{line[:MAX_LINE]} [… {len(line) - MAX_LINE:,} more characters in this line]"

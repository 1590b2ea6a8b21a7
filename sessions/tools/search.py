"""`search`: a regular expression over the files of the workspace."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from msgspec import Meta

from sessions.containment.file_access import FileTrouble
from sessions.tools.base import Arguments, ToolContext, ToolFailure, ToolResult

TIMEOUT: Final = 30.0
SHOWN: Final = 200
"""Matching lines shown."""
STOP: Final = 10_000
"""Matches after which counting stops."""


class SearchArguments(Arguments, frozen=True):
    """Search files of the workspace for a regular expression, line by line. Version control, virtual environments,
    binary files and files over 8 MB are left out.
    """

    pattern: Annotated[str, Meta(description="A regular expression (Python's).", min_length=1)]
    path: Annotated[str, Meta(description="A folder or a file, relative to the workspace.")] = "."
    glob: Annotated[str | None, Meta(description="Only files that fit, such as *.py or src/**/*.c.")] = None


class Search:
    """Searches in a process of its own, with a time limit."""

    name = "search"
    arguments = SearchArguments

    async def run(self, arguments: SearchArguments, context: ToolContext) -> ToolResult:
        """Return matching lines with their places."""
        try:
            re.compile(arguments.pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ToolFailure(f"{arguments.pattern!r} is no regular expression: {error}") from None
        wish = {
            "path": arguments.path,
            "pattern": arguments.pattern,
            "glob": arguments.glob,
            "limit": SHOWN,
            "stop": STOP,
        }
        try:
            found = await context.files.search(wish, TIMEOUT)
        except TimeoutError:
            raise ToolFailure(
                f"the search took longer than {TIMEOUT:.0f} s: give a smaller path, a glob, or a simpler pattern"
            ) from None
        except FileTrouble as trouble:
            raise ToolFailure(f"the search failed: {trouble}", environment=True) from None
        if "trouble" in found:
            raise ToolFailure(found["trouble"])
        return ToolResult(_result_text(found), data={"matches": found["matches"], "files": found["files"]})


def _result_text(found: dict[str, Any]) -> str:
    left_out = f"; {found['skipped']} binary, linked or large files were left out" if found["skipped"] else ""
    if not found["matches"]:
        return f"[no match{left_out}]"
    more = f", the first {len(found['found'])} shown" if found["matches"] > len(found["found"]) else ""
    many = "at least " if found["stopped"] else ""
    counts = f"[{many}{found['matches']} matches in {found['files']} files{more}{left_out}]"
    return "\n".join([*found["found"], counts])

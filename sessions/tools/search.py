"""`search`: a regular expression over the files of the workspace."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta

import sessions
from sessions.tools.base import Arguments, ToolContext, ToolFailure, ToolResult
from sessions.tools.workspace_paths import resolve_inside

TIMEOUT: Final = 30.0
SHOWN: Final = 200
"""Matching lines shown."""
STOP: Final = 10_000
"""Matches after which counting stops."""
BOOTSTRAP: Final = "import sys; sys.path.append(sys.argv[1]); from sessions.tools.searcher import main; main()"


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
        start = resolve_inside(context.workspace, arguments.path)
        if not start.exists():
            raise ToolFailure(f"there is no {arguments.path!r} in the workspace")
        wish = {
            "root": str(context.workspace.resolve()),
            "path": str(start),
            "pattern": arguments.pattern,
            "glob": arguments.glob,
            "limit": SHOWN,
            "stop": STOP,
        }
        found = await _run_searcher(wish)
        return ToolResult(_result_text(found), data={"matches": found["matches"], "files": found["files"]})


async def _run_searcher(wish: dict[str, Any]) -> dict[str, Any]:
    root = str(Path(sessions.__file__).resolve().parents[1])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", BOOTSTRAP, root,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd="/", env={"LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT):
            out, err = await process.communicate(json.dumps(wish).encode())
    except TimeoutError:
        raise ToolFailure(
            f"the search took longer than {TIMEOUT:.0f} s: give a smaller path, a glob, or a simpler pattern"
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = err.decode(errors="replace").strip().rpartition("\n")[2]
        raise ToolFailure(f"the search failed: {last or f'exit code {process.returncode}'}", environment=True)
    found: dict[str, Any] = json.loads(out)
    return found


def _result_text(found: dict[str, Any]) -> str:
    left_out = f"; {found['skipped']} binary, linked or large files were left out" if found["skipped"] else ""
    if not found["matches"]:
        return f"[no match{left_out}]"
    more = f", the first {len(found['found'])} shown" if found["matches"] > len(found["found"]) else ""
    many = "at least " if found["stopped"] else ""
    counts = f"[{many}{found['matches']} matches in {found['files']} files{more}{left_out}]"
    return "\n".join([*found["found"], counts])

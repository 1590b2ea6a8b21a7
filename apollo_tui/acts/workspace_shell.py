"""A shell in a session's workspace, inside what contains the session: the log hears that it opens, and what changed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from apollo_tui.backend.feed import Feed, NotDone
from sessions.containment import shell_inside, shell_relay
from sessions.containment.choice import is_remote
from sessions.containment.errors import SpaceError
from sessions.containment.remote_command import shell_there
from sessions.containment.session_spaces import session_space
from sessions.containment.spaces import DIRECT, PACKAGE_ROOT, shell
from sessions.events import SessionCreated
from sessions.host import protocol
from sessions.private_files import write_private
from sessions.redaction import scrub_env
from sessions.ulid import new_ulid
from sessions.workspace import WORKSPACE
from widgets.sanitise import clean_line


async def open_shell(
    feed: Feed,
    session: str,
    created: SessionCreated,
    name: str,
    suspend: Callable[[], AbstractContextManager[None]],
    env: Mapping[str, str] = os.environ,
) -> str:
    """Open it, wait for its end, and say what changed. ``suspend`` leaves the terminal to it. Raises NotDone."""
    opened = await feed.call(protocol.OpenShell(request=new_ulid(), session=session))
    folder = feed.paths.session_folder(session)
    trouble = ""
    try:
        start = _plan(created, folder, env)
        first = clean_line(f"a shell in the workspace of {name}, {opened.note}, which the log tells · exit comes back")
        with suspend():
            trouble = _run({**start, "first": first}, folder / f"shell-{opened.seq}.json")
    except (SpaceError, OSError) as problem:
        trouble = f"no shell could be started: {problem}"
    closed = await feed.call(protocol.CloseShell(request=new_ulid(), session=session, opened=opened.seq))
    if trouble:
        raise NotDone(f"{trouble}; {closed.note}")
    return f"the shell is closed: {closed.note}"


def _plan(created: SessionCreated, folder: Path, env: Mapping[str, str]) -> dict[str, object]:
    """How it is started. Raises SpaceError."""
    workspace = Path(created.workspace) if created.workspace else folder / WORKSPACE
    space = session_space(created.contained, folder, workspace)
    place = space.place_of(workspace)
    if created.contained is not None and is_remote(created.contained.inside):
        there = shell_there(shlex.split(created.contained.inside), place)
        return {"argv": there, "env": space.helper_env(), "wish": None}
    inside = space.environment({**scrub_env(env), "PWD": place})
    wanted = env.get("SHELL", "")
    return {
        "argv": space.helper(shell_inside.__name__),
        "env": space.helper_env(),
        "wish": {
            "shells": list(dict.fromkeys([*([wanted] if wanted.startswith("/") else []), shell(), "/bin/sh"])),
            "cwd": place,
            "env": inside,
        },
    }


def _run(start: dict[str, object], file: Path) -> str:
    """Run it on this terminal until it ends. What it ended with is its own business; "" unless it never began."""
    write_private(file, json.dumps(start))
    argv = [sys.executable, "-I", "-S", "-c", DIRECT, PACKAGE_ROOT, shell_relay.__name__, str(file)]
    subprocess.run(argv, check=False)
    if file.exists():
        file.unlink()
        return "no shell could be started"
    return ""

"""The space of a session on another side: another machine or a container that a command line leads to.

Nothing of it is seen from here. The workspace is sent there once; commands, file tools and the scorer run there. It
takes a POSIX shell and ``tar``; file tools and ``search`` want a ``python3``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sessions.containment import remote_command
from sessions.containment.errors import SpaceError
from sessions.containment.remote_command import GO_HOME, PLACE, last_words, over_there
from sessions.containment.spaces import DIRECT, PACKAGE_ROOT, Space, Start
from sessions.workspace import WorkspaceError, remove_tree

CALL_SECONDS: Final = 60.0
COPY_SECONDS: Final = 3600.0
LAST_SECONDS: Final = 30.0
"""For a line to end once all has come over it."""
ARRIVE: Final = GO_HOME + 'umask 077; mkdir -p "$1.part" && tar -xf - -C "$1.part" && mv "$1.part" "$1"'
END_ALL: Final = """\
cd "$1" 2>/dev/null || exit 0
for p in jobs/*/pid evaluations/*/pid; do
  [ -e "$p" ] && [ ! -e "${p%pid}exit" ] && kill -s KILL -- "-$(cat "$p")" 2>/dev/null
done
exit 0
"""
WITH_PYTHON: Final = """\
command -v python3 > /dev/null && exec python3 -I -S -c "$1"
cat > /dev/null
echo "there is no python3 on the other side, which file tools need: use run" >&2
exit 127
"""
REMOVE: Final = f"""\
{GO_HOME}({END_ALL})
chmod -R u+rwx "$1" 2>/dev/null
rm -rf "$1"
[ ! -e "$1" ]
"""
REMOVE_SECONDS: Final = 20.0
SENT: Final = "sent.json"
KEPT: Final = frozenset({"TERM", "PAGER", "GIT_PAGER", "GIT_TERMINAL_PROMPT", "PYTHONUNBUFFERED", "APOLLO_JOB"})
"""Variables that go along: the others name things of this machine."""


class RemoteSpace(Space):
    """``prefix`` leads there. ``trees`` are folders here that are sent there, each under a name of its own.

    ``in_place`` is a folder over there that is used as it is.
    """

    def __init__(
        self, prefix: str, name: str, folder: Path, trees: Mapping[Path, str], *, in_place: str | None = None
    ) -> None:
        super().__init__()
        self.kind = prefix
        self._prefix = shlex.split(prefix)
        self._root = f"{PLACE}/{name}"
        self._folder = folder
        self._trees = trees
        self._in_place = in_place
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Send the trees, each once."""
        async with self._opening:
            await asyncio.to_thread(self._send_trees)

    def place_of(self, path: Path) -> str:
        """Where a folder from here is over there."""
        if self._in_place is not None:
            return self._in_place
        for tree, name in self._trees.items():
            if path.is_relative_to(tree):
                return "/".join((self._root, name, *path.relative_to(tree).parts))
        raise SpaceError(f"{path} is not where {self.kind} leads to")

    def helper(self, module: str, *arguments: str, detach: bool = False) -> list[str]:
        """A job's holder runs here; what reads files runs there, its source sent along."""
        if module == "sessions.jobs.holder":
            return super().helper(module, *arguments, detach=detach)
        return over_there(self._prefix, ["sh", "-c", WITH_PYTHON, "sh", _bundle(module)])

    def helper_env(self) -> dict[str, str]:
        """The host's: what leads to the other side is found and authorised by it."""
        return dict(os.environ)

    def start_of(self, command: str, cwd: Path, env: Mapping[str, str], job: str) -> Start:
        """The holder here holds the line; the command runs there, and is found again when the line was lost."""
        there = {name: value for name, value in env.items() if name in KEPT}
        for name, value in env.items():
            with contextlib.suppress(SpaceError):
                if name not in ("PWD", "HOME") and value.startswith("/"):
                    there[name] = self.place_of(Path(value))
        wish = {
            "prefix": self._prefix,
            "folder": f"{self._root}/{job}",
            "cwd": self.place_of(cwd),
            "command": command,
            "env": there,
        }
        argv = [sys.executable, "-I", "-S", "-c", DIRECT, PACKAGE_ROOT, remote_command.__name__, json.dumps(wish)]
        return Start(argv, "/", dict(env))

    async def pull(self, workspace: Path) -> None:
        """Bring the workspace's content here, for a scorer's copy. Raises SpaceError."""
        await asyncio.to_thread(self._pull, workspace)

    async def close(self) -> None:
        """End every process of the session that is left there; its files stay."""
        script = GO_HOME + END_ALL
        with contextlib.suppress(SpaceError):
            await asyncio.to_thread(self._call, script, self._root)

    def _send_trees(self) -> None:
        for tree, name in self._trees.items():
            mark = self._folder / f"{name}.{SENT}"
            if mark.exists():
                continue
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._call(GO_HOME + 'mkdir -p "$1"; rm -rf "$2" "$2.part"', self._root, f"{self._root}/{name}")
            packed = subprocess.Popen(["tar", "-cf", "-", "-C", str(tree), "."], stdout=subprocess.PIPE)
            argv = over_there(self._prefix, ["sh", "-c", ARRIVE, "sh", f"{self._root}/{name}"])
            try:
                done = subprocess.run(argv, stdin=packed.stdout, capture_output=True, timeout=COPY_SECONDS, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise SpaceError(f"nothing can be sent to {self.kind}: {error}") from None
            finally:
                _end(packed)
            if done.returncode:
                raise SpaceError(f"nothing can be sent to {self.kind}: {_last_words(done)}")
            mark.write_text(json.dumps({"to": f"{self._root}/{name}"}))

    def _pull(self, workspace: Path) -> None:
        argv = over_there(self._prefix, ["sh", "-c", GO_HOME + 'tar -cf - -C "$1" .', "sh", self.place_of(workspace)])
        fresh = workspace.with_name(f"{workspace.name}.pulled")
        remove_tree(fresh)
        fresh.mkdir(parents=True)
        packed = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            done = subprocess.run(
                ["tar", "-xf", "-", "-C", str(fresh)], stdin=packed.stdout, capture_output=True, timeout=COPY_SECONDS,
                check=False,
            )  # fmt: skip
            sent = packed.wait(LAST_SECONDS)  # it has nothing left to send
        except (OSError, subprocess.TimeoutExpired) as error:
            remove_tree(fresh)
            raise SpaceError(f"the workspace cannot be had from {self.kind}: {error}") from None
        finally:
            _end(packed)
        if done.returncode or sent:
            remove_tree(fresh)
            raise WorkspaceError(f"the workspace cannot be had from {self.kind}: {_last_words(done)}")
        remove_tree(workspace)
        fresh.rename(workspace)

    def _call(self, script: str, *arguments: str) -> None:
        argv = over_there(self._prefix, ["sh", "-c", script, "sh", *arguments])
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=CALL_SECONDS, check=False
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SpaceError(f"{self.kind} does not answer: {error}") from None
        if done.returncode:
            raise SpaceError(f"{self.kind} does not answer: {_last_words(done)}")


def remove_there(prefix: str, name: str) -> str:
    """End what is left of a session on another side, and remove its folder there. Returns why it could not, or ""."""
    argv = over_there(shlex.split(prefix), ["sh", "-c", REMOVE, "sh", f"{PLACE}/{name}"])
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=REMOVE_SECONDS, check=False,
            start_new_session=True,  # without a terminal nobody is asked for a password
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no answer within {REMOVE_SECONDS:.0f} s"
    except OSError as error:
        return error.strerror or str(error)
    return _last_words(done) if done.returncode else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Have a process that leads there end, if it has not, and let go of what it sent."""
    if process.stdout is not None:
        process.stdout.close()
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel is left to it
        process.wait(LAST_SECONDS)


def _last_words(done: subprocess.CompletedProcess[bytes]) -> str:
    return last_words(done) or f"exit code {done.returncode}"


def _bundle(module: str) -> str:
    """A program of our stdlib-only modules that runs ``module.main()`` in the home over there."""
    names = ["sessions.untrusted_files", "sessions.containment.file_access"]
    if module not in names:
        names.append(module)
    sources = {name: (Path(PACKAGE_ROOT) / f"{name.replace('.', '/')}.py").read_text() for name in names}
    return (
        "import os, sys, types\n"
        "home = os.path.expanduser('~')\n"
        f"place = home + '/{PLACE}'\n"
        "os.chdir(home if os.path.isdir(place) and os.access(place, os.W_OK) else '/tmp')\n"
        f"sources = {sources!r}\n"
        "for name, source in sources.items():\n"
        "    module = sys.modules[name] = types.ModuleType(name)\n"
        "    exec(compile(source, name, 'exec'), module.__dict__)\n"
        "module.main()\n"
    )

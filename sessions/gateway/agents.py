"""Agent programs as data: how each is started, pointed at its endpoint, asked to go on, and told a person's words.

Ours are in ``agents.toml`` beside this module; a file of the same name beside the config adds to them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from sessions.errors import ApolloError
from sessions.events import AdviceTurn, Handover, Harness

DEFAULT_FILE: Final = Path(__file__).with_name("agents.toml")
NAME: Final = "agents.toml"
"""Of the file beside the config."""
VERSION_S: Final = 10.0
"""So long a program may take to say its version."""
_PLACE: Final = re.compile(r"\{(task|model|address|url|token|home)\}")


class BadAgents(ApolloError):
    """The file of agents cannot be used; one line names the file and what is wrong."""


ToolRole = Literal["run", "edit", "wait"]


class AgentPreset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One agent program. docs/agents.md says what each field is for."""

    title: str
    dialect: Literal["chat", "responses", "messages"]
    command: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    contained: tuple[str, ...] = ()
    contained_env: dict[str, str] = {}
    env: dict[str, str] = {}
    files: dict[str, str] = {}
    version: tuple[str, ...] = ()
    acp: tuple[str, ...] = ()
    acp_contained: tuple[str, ...] = ()
    advice: str = ""
    summary_tools: tuple[str, ...] = ()
    tools: dict[str, ToolRole] = {}
    stream: Handover | None = None
    advice_turn: AdviceTurn = "own"

    def harness(
        self,
        name: str,
        command: tuple[str, ...] = (),
        version: str = "",
        stream: Handover = "buffered",
        *,
        acp: bool = False,
    ) -> Harness:
        """The agent of a session; ``command``: a person's own, in place of the preset's, as it stands. ``stream``: how
        it is handed replies where the preset does not say. ``acp``: it is talked to in the Agent Client Protocol."""
        own, contained = (self.acp, self.acp_contained) if acp else (self.command, self.contained)
        return Harness(
            name=name,
            command=command or own,
            acp=acp,
            verbatim=bool(command),
            resume=() if command or acp else self.resume,
            contained=() if command else contained,
            contained_env=self.contained_env,
            env=self.env,
            files=self.files,
            version=version,
            advice=self.advice,
            summary_tools=self.summary_tools,
            tools=dict(self.tools),
            stream=self.stream or stream,
            advice_turn=self.advice_turn,
        )


def read_agents(config_folder: Path) -> dict[str, AgentPreset]:
    """All presets by name, in the order of their files. Raises BadAgents."""
    found = _read(DEFAULT_FILE)
    own = config_folder / NAME
    return found | _read(own) if own.exists() else found


def expand(text: str, values: Mapping[str, str]) -> str:
    """``text`` with its places filled; braces that are none of them stay.

    >>> expand('{"url":"{url}/v1"}', {"url": "http://127.0.0.1:1"})
    '{"url":"http://127.0.0.1:1/v1"}'
    """
    return _PLACE.sub(lambda place: values.get(place[1], place[0]), text)


def read_version(preset: AgentPreset) -> str | None:
    """What an installed program says of its version, "" if it says nothing in one line; None: it is not installed."""
    program = (preset.version or preset.command or preset.acp)[:1]
    if not program or shutil.which(program[0]) is None:
        return None
    if "--help" in preset.version or not preset.version:
        return ""
    try:
        done = subprocess.run(
            preset.version, capture_output=True, text=True, timeout=VERSION_S, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[-1].strip()[:80] if done.returncode == 0 and lines else ""


def _read(path: Path) -> dict[str, AgentPreset]:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), dict[str, AgentPreset])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as problem:
        raise BadAgents(f"{path}: {problem}") from problem

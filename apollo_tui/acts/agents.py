"""The agent of a new session: ours, or a program that is installed here or that a person gives the command of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from sessions.errors import ApolloError
from sessions.events import AdviceTurn, Handover
from sessions.gateway.agents import NAME, AgentPreset, read_agents, read_version
from sessions.host.protocol import CreateSession
from sessions.paths import config_path

TALKED_TO: Final = "acp"
"""What stands after an agent's name where it is to be talked to: ``codex acp``."""


class UnknownAgent(ApolloError):
    """There is no such agent, or its program is not installed here."""


def read_choice(text: str) -> tuple[str, bool]:
    """The agent that a person wrote into one field, and whether it is to be talked to.

    >>> read_choice("codex acp")
    ('codex', True)
    """
    words = text.split()
    acp = len(words) > 1 and words[-1].lower() == TALKED_TO
    return " ".join(words[:-1] if acp else words), acp


def can_start(name: str) -> bool:
    """Whether a preset says how the program of this name is started. Raises BadAgents."""
    preset = read_agents(config_path().parent).get(name)
    return preset is not None and bool(preset.command or preset.acp)


def only_talks(name: str) -> bool:
    """Whether the preset of this name starts its program to be talked to, and in no other way. Raises BadAgents."""
    preset = read_agents(config_path().parent).get(name)
    return preset is not None and bool(preset.acp) and not preset.command


def agent_names() -> list[str]:
    """What can be written to have an agent started here, as ``read_choice`` reads it; none where the file of agents
    cannot be used."""
    try:
        presets = read_agents(config_path().parent)
    except ApolloError:
        return []
    return [choice for name, preset in presets.items() for choice in _choices(name, preset)]


def _choices(name: str, preset: AgentPreset) -> Iterator[str]:
    if preset.command and shutil.which(preset.command[0]):
        yield name
    if preset.acp and shutil.which(preset.acp[0]):
        yield f"{name} {TALKED_TO}"


def check_agent(name: str, *, acp: bool = False) -> AgentPreset:
    """The preset of an agent that can be started by its name alone, ``acp``: to be talked to in the Agent Client
    Protocol, as it is anyway where its preset knows no other way. Raises UnknownAgent and BadAgents."""
    presets = read_agents(config_path().parent)
    preset = presets.get(name)
    if preset is None:
        raise UnknownAgent(f"there is no agent {name!r}; there are {', '.join(presets)}, and your own command")
    command = preset.acp if acp else preset.command or preset.acp
    if acp and not command:
        raise UnknownAgent(
            f"it is not known how {preset.title} is started for ACP: give the command (apollo run --acp -- COMMAND), "
            f"or write it as `acp` of [{name}] into {config_path().with_name(NAME)}"
        )
    if not command:
        raise UnknownAgent(f"{preset.title} is a library: give the command that runs your script")
    if shutil.which(command[0]) is None:
        raise UnknownAgent(f"{preset.title} is not installed here: there is no program {command[0]!r}")
    return preset


def with_agent(
    request: CreateSession,
    name: str,
    command: tuple[str, ...] = (),
    *,
    starts: bool = True,
    stream: Handover = "buffered",
    acp: bool = False,
    advice_turn: AdviceTurn | None = None,
) -> CreateSession:
    """The request of a session whose agent is a program of this name.

    ``command``: how a person starts it, in place of the preset's. ``starts`` False: somebody starts it elsewhere.
    ``stream``: how it is handed replies, where neither request nor preset say so. ``acp``: it is talked to in the Agent
    Client Protocol, as it is where its preset knows no other way. ``advice_turn``: whether advice is a turn of its own,
    where a person says so. Raises UnknownAgent and BadAgents.
    """
    if starts and not command:
        preset = check_agent(name, acp=acp)
        acp = acp or not preset.command
    else:
        preset = read_agents(config_path().parent).get(name) or AgentPreset(title=name, dialect="chat")
    harness = preset.harness(name, command, (read_version(preset) or "") if starts else "", stream, acp=acp)
    if advice_turn is not None:
        harness = msgspec.structs.replace(harness, advice_turn=advice_turn)
    if not starts:
        harness = msgspec.structs.replace(harness, command=(), resume=())
    contained = request.contained
    if starts and contained is not None and harness.command:
        # Where it lies in the person's home, say, it can be read inside the prefix, too, and nothing else of that home.
        places = tuple(p for p in find_installation(harness.command[0]) if p not in contained.read)
        contained = msgspec.structs.replace(contained, read=(*contained.read, *places))
    return msgspec.structs.replace(request, harness=harness, contained=contained)


def find_installation(program: str) -> tuple[str, ...]:
    """What beside the system a program needs to run: its package, and what interprets it.

    A script of npm lies in ``…/node_modules``, one of Python in ``bin`` of its environment, whose interpreter may lie
    in a third place. Of a folder that holds more than one program, such as ``~/.local``, only the program itself.
    """
    found = shutil.which(program)
    if found is None:
        return ()
    here = Path(found).absolute()
    files = dict.fromkeys((here, here.resolve(), *_interpreters(here)))
    return tuple(str(place) for place in dict.fromkeys(map(_root_of, files)) if not place.is_relative_to("/usr"))


def _root_of(program: Path) -> Path:
    """The folder that holds all of a program and no other; where there is none, the program itself."""
    for folder in program.parents:
        if folder.name == "node_modules":
            return folder
    root = program.parent.parent
    alone = (root / "pyvenv.cfg").exists() or (root / "lib").is_dir()
    return root if program.parent.name == "bin" and alone and not _is_shared(root) else program


def _is_shared(folder: Path) -> bool:
    """Whether a folder holds what has nothing to do with a program: a home, what is above it, ``~/.local``."""
    homes = {Path.home(), Path.home().resolve()}
    shared = {folder for home in homes for folder in (home, home / ".local", *home.parents)}
    return folder in shared


def _interpreters(program: Path) -> list[Path]:
    try:
        with program.open("rb") as file:
            first = file.readline(512)
    except OSError:
        return []
    if not first.startswith(b"#!"):
        return []
    words = first[2:].decode(errors="replace").split()
    name = next((word for word in words if not word.endswith("/env") and not word.startswith("-")), "")
    found = shutil.which(name)
    return [Path(found), Path(found).resolve()] if found else []

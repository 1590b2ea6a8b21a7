"""Whether the model of a new session answers, asked before the session is made: what is wrong, and where to set it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from sessions.config import BASE_URL_VARIABLES, KEY_VARIABLES, Config
from sessions.errors import ApolloError
from sessions.events import ModelSpec
from sessions.gateway.agents import read_agents
from sessions.host.api_keys import keys_path, read_keys
from sessions.paths import config_path
from sessions.providers.endpoint_check import ASK_S, Dialect, ask_endpoint
from sessions.providers.endpoint_faults import EndpointFault, FaultKind

THAT_PASS: Final[frozenset[FaultKind]] = frozenset({"busy", "server", "slow"})
OF_THE_MODEL: Final[frozenset[FaultKind]] = frozenset({"key", "model", "request"})
"""Faults that belong to the model; the others are the server's."""


class NoAnswer(ApolloError):
    """The model would not answer. ``of_model``: its name or its key is what is wrong, else its server; ``passes``: it
    may by itself, and a session would ask again."""

    def __init__(self, message: str, *, of_model: bool, passes: bool = False) -> None:
        super().__init__(message)
        self.of_model = of_model
        self.passes = passes


async def check_model(
    spec: ModelSpec, named: str, config: Config, *, agent: str = "", typed_url: bool = False, seconds: float = ASK_S
) -> None:
    """Ask the server of ``spec`` for one token, as its agent will. ``named``: what the person wrote for the model;
    ``agent``: the program that is the session's agent, "" for ours; ``typed_url``: they also wrote the base URL.

    Raises NoAnswer, with what is wrong and where to set it; BadAgents where the file of agents cannot be used.
    """
    key = find_key(spec.key_env, os.environ)
    dialect: Dialect | None = None
    if agent:
        preset = read_agents(config_path().parent).get(agent)
        dialect = preset.dialect if preset is not None else "chat"
    try:
        await ask_endpoint(spec, key, dialect, seconds=seconds)
    except EndpointFault as fault:
        where = say_where(fault.kind, spec, named, config, typed_url=typed_url)
        said = f"{fault}; {where}" if where else str(fault)
        raise NoAnswer(said, of_model=fault.kind in OF_THE_MODEL, passes=fault.kind in THAT_PASS) from fault


def find_key(variable: str | None, env: Mapping[str, str]) -> str | None:
    """The key that the host would use: of the keys file, else of this environment. Raises NoAnswer."""
    if not variable:
        return None
    try:
        return read_keys(keys_path()).get(variable) or env.get(variable) or None
    except ApolloError as problem:
        raise NoAnswer(str(problem), of_model=True) from problem


def say_where(kind: FaultKind, spec: ModelSpec, named: str, config: Config, *, typed_url: bool = False) -> str:
    """Where what is wrong is set, "" where it passes by itself or stands before the person's eyes."""
    profile = config.profiles.get(named)
    table = f"[profiles.{named}] in {config.path}"
    if kind == "key":
        if spec.key_env:
            return f"put {spec.key_env}=… into {keys_path()}, or export it before you start apollo"
        return f"write a profile with base_url and key_env into {config.path} (docs/providers.md), and choose that"
    if kind == "model":
        return f"`model` of {table} has it" if profile is not None else ""
    if kind in ("url", "tls") and not typed_url:
        if profile is not None and profile.base_url:
            return f"`base_url` of {table} has it"
        variable = BASE_URL_VARIABLES.get(spec.provider, "")
        return f"it is from {variable}" if spec.base_url and os.environ.get(variable) else ""
    return ""


def say_missing(config: Config, env: Mapping[str, str]) -> str:
    """What is missing for a model of one's own, "" where a profile or a provider's key is there."""
    try:
        named = read_keys(keys_path())
    except ApolloError as problem:
        return str(problem)
    if config.profiles or any(named.get(variable) or env.get(variable) for variable in KEY_VARIABLES.values()):
        return ""
    return f"no {' or '.join(KEY_VARIABLES.values())}, and no profile in {config.path}: give a server's URL"

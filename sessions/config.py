"""The user's config file (TOML): model profiles, keys, labels, thresholds, looks.

Every error is one line: the file, the key, what was expected. docs/providers.md describes the profiles.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from sessions.attention.settings import RULE_NAMES, Thresholds
from sessions.errors import ApolloError
from sessions.events import Handover, ModelSpec, SpaceLimits
from sessions.paths import config_path

KEY_VARIABLES: Final = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
"""Where a provider's key is by convention. Used for its own address only: a key never goes to another one by itself."""
BASE_URL_VARIABLES: Final = {"openai": "OPENAI_BASE_URL", "anthropic": "ANTHROPIC_BASE_URL"}
SUMMARY_SHARE: Final = 100 / 128
"""Of the context: where a summary is due if the profile does not say (100k of 128k)."""
MAX_OUTPUT_TOKENS: Final = 8_192
"""Of one reply, if the profile does not say; at most a quarter of the context."""

_Section = TypeVar("_Section")


class ConfigError(ApolloError):
    """The config file is wrong; the text names file and key and says what was expected."""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model and how to reach it. Prices are US dollars per million tokens."""

    model: str
    base_url: str | None = None
    key_env: str | None = None
    price_input: float | None = None
    price_output: float | None = None
    price_cached: float | None = None
    context_tokens: int = 128_000
    summary_threshold: int | None = None
    max_output_tokens: int | None = None
    first_token_seconds: float = 600.0
    stall_seconds: float = 120.0
    quirks: dict[str, Any] = {}
    inside: str | None = None
    """What contains the sessions of this model, in place of ``[containment]``."""


class Labels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``file``: a TOML file of flag labels that replaces the default ones."""

    file: str | None = None


class Ui(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the app looks. ``mouse`` ``auto``: on, but off over SSH. ``slow_link``: a line per session instead of panes;
    ``auto``: where the terminal does not keep up.

    ``alerts``: how the terminal is told of a session that needs you. ``auto``: the bell, and the notification that
    this terminal is known to take; ``off`` also leaves the window's title alone.
    """

    theme: str = ""
    motion: Literal["full", "reduced"] = "full"
    mouse: Literal["auto", "on", "off"] = "auto"
    slow_link: Literal["auto", "on", "off"] = "auto"
    alerts: Literal["auto", "off", "bell", "osc9", "osc777", "osc99"] = "auto"


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The background process. ``notify``: a command that is run when a session needs a person.

    It is split like a shell would, but no shell runs it. ``output_gb``: how much output of jobs `apollo gc` leaves.
    """

    resume_on_start: bool = False
    notify: str = ""
    output_gb: float = 4.0

    @property
    def notify_command(self) -> tuple[str, ...]:
        """Program and arguments, empty if there is no command. Raises ValueError for quotes that do not close."""
        words = shlex.split(self.notify)
        if words and words[0].startswith("~"):
            words[0] = str(Path(words[0]).expanduser())
        return tuple(words)


class ExportSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What exports would ask otherwise. ``advice``: whether it stays in the prompts. ``trainable``: patterns of the
    names of models whose replies may be targets (``glm-*``), empty: all."""

    advice: Literal["kept", "dropped", "both"] | None = None
    trainable: tuple[str, ...] = ()
    require: tuple[Literal["license", "source", "consent"], ...] = ()
    """What each session that takes part must say of its terms."""


class ContainmentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What contains the commands of new sessions. ``inside``: auto, bwrap, landlock or none. ``read`` and ``write`` are
    files and folders that they may touch besides the system and the workspace; ``limits`` what they may use.
    ``network`` "": off where that can be had."""

    inside: str = "auto"
    network: Literal["", "off", "all"] = ""
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    limits: SpaceLimits = SpaceLimits()


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How agent programs are handed replies (``stream``, where neither session nor preset say so), and kept waiting.

    A program that waits hears something after ``first_seconds``, then every ``pause_seconds``; from ``headers_seconds``
    on it has the headers of its answer. The host reads these three when it starts.
    """

    stream: Handover = "buffered"
    first_seconds: float = 20.0
    headers_seconds: float = 100.0
    pause_seconds: float = 15.0


class Config(msgspec.Struct, frozen=True):
    """The whole file. ``keys`` maps key ids to keys."""

    path: Path
    profiles: dict[str, Profile] = {}
    keys: dict[str, str] = {}
    labels: Labels = Labels()
    attention: Thresholds = Thresholds()
    ui: Ui = Ui()
    host: Host = Host()
    export: ExportSettings = ExportSettings()
    containment: ContainmentSettings = ContainmentSettings()
    gateway: GatewaySettings = GatewaySettings()

    @property
    def labels_file(self) -> Path | None:
        """The labels file, relative to the config file's folder."""
        return self.path.parent / Path(self.labels.file).expanduser() if self.labels.file else None


SECTIONS: Final[dict[str, Any]] = {
    "keys": dict[str, str],
    "labels": Labels,
    "attention": Thresholds,
    "ui": Ui,
    "host": Host,
    "export": ExportSettings,
    "containment": ContainmentSettings,
    "gateway": GatewaySettings,
}


def load_config(path: Path | None = None) -> Config:
    """Read the config at ``path`` (default: ``APOLLO_CONFIG``, else the user's). A missing file is an empty config."""
    path = path or config_path()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config(path=path)
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path}: cannot be read: {problem}") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{path}: no valid TOML: {problem}") from None
    profiles = data.pop("profiles", {})
    if not isinstance(profiles, dict):
        raise ConfigError(f"{path}: profiles: expected tables such as [profiles.NAME]")
    for name in data:
        if name not in SECTIONS:
            section = next((section for section, kind in SECTIONS.items() if name in _fields_of(kind)), "")
            if section:
                raise ConfigError(f"{path}: {name}: it stands under [{section}]")
            raise ConfigError(f"{path}: {name}: unknown; expected one of profiles, {', '.join(SECTIONS)}")
    sections = {name: _convert(path, name, value, SECTIONS[name]) for name, value in data.items()}
    _check(path, sections)
    return Config(path=path, profiles={name: _profile(path, name, profiles[name]) for name in profiles}, **sections)


def remember_setting(path: Path, section: str, key: str, value: str | list[str]) -> None:
    """Put ``key = value`` under ``[section]`` of the config file, all else as it is. Raises ConfigError.

    What stands there under this key already has to be changed by hand.
    """
    line = f"{key} = {msgspec.json.encode(value).decode()}"
    head = f"[{section}]"
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = text.splitlines()
        at = next((n for n, one in enumerate(lines, 1) if one.strip() == head), None)
        lines = [*lines[:at], line, *lines[at:]] if at is not None else [*lines, *([""] if lines else []), head, line]
        made = "\n".join(lines) + "\n"
        tomllib.loads(made)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(made, encoding="utf-8")
        if path.exists():
            shutil.copymode(path, beside)
        beside.replace(path)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{path}: {line} cannot be put under {head} ({problem}): write it there yourself") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path}: cannot be written: {problem}; write {line} under {head} yourself") from None


def resolve_model(text: str, base_url: str | None = None, *, config: Config | None = None) -> ModelSpec:
    """The model that a profile's name, or ``provider:name``, stands for. ``base_url`` wins over the profile's.

    Relative paths (``replay:FILE``) are resolved here, in the client's folder. Raises UnknownModel or ConfigError.
    """
    from sessions.providers.registry import UnknownModel, parse_model

    config = config or load_config()
    profile = config.profiles.get(text)
    if profile is None:
        try:
            provider, name = parse_model(text)
        except UnknownModel as problem:
            known = f"; profiles in {config.path}: {', '.join(config.profiles)}" if config.profiles else ""
            raise UnknownModel(f"{problem}{known}") from None
        profile = Profile(model=text)
    else:
        provider, name = parse_model(profile.model)
    key_env = profile.key_env
    if base_url is None:
        base_url = profile.base_url
    if base_url is None:
        base_url = os.environ.get(BASE_URL_VARIABLES.get(provider, "")) or None
        key_env = key_env or KEY_VARIABLES.get(provider)
    if provider == "replay":
        name = str(Path(name).expanduser().absolute())
    return ModelSpec(
        provider=provider,
        name=name,
        base_url=base_url,
        key_env=key_env,
        context_tokens=profile.context_tokens,
        summary_threshold=profile.summary_threshold or int(profile.context_tokens * SUMMARY_SHARE),
        max_output_tokens=profile.max_output_tokens or min(MAX_OUTPUT_TOKENS, profile.context_tokens // 4),
        first_token_seconds=profile.first_token_seconds,
        stall_seconds=profile.stall_seconds,
        price_input=profile.price_input,
        price_output=profile.price_output,
        price_cached=profile.price_cached,
        quirks=profile.quirks,
    )


def _fields_of(section: Any) -> tuple[str, ...]:
    """The keys that a section knows; none where it takes any."""
    return getattr(section, "__struct_fields__", ())


def _check(path: Path, sections: Mapping[str, Any]) -> None:
    """What a shape alone cannot say."""
    thresholds = sections.get("attention", Thresholds())
    unknown = [name for name in thresholds.off if name not in RULE_NAMES]
    if unknown:
        raise ConfigError(f"{path}: attention.off: there is no rule {unknown[0]!r}; rules: {', '.join(RULE_NAMES)}")
    gateway = sections.get("gateway", GatewaySettings())
    for field in ("first_seconds", "headers_seconds", "pause_seconds"):
        if not 0 < getattr(gateway, field) < float("inf"):
            raise ConfigError(f"{path}: gateway.{field}: expected more than 0, got {getattr(gateway, field)}")
    try:
        _ = sections.get("host", Host()).notify_command
    except ValueError as problem:
        raise ConfigError(f"{path}: host.notify: expected a command: {problem}") from None


def _profile(path: Path, name: str, data: object) -> Profile:
    from sessions.providers.quirks import BadQuirks, check_quirks
    from sessions.providers.registry import UnknownModel, parse_model

    where = f"profiles.{name}"
    profile = _convert(path, where, data, Profile)
    try:
        provider, _ = parse_model(profile.model)
        check_quirks(provider, profile.quirks)
    except UnknownModel as problem:
        raise ConfigError(f"{path}: {where}.model: {problem}") from None
    except BadQuirks as problem:
        raise ConfigError(f"{path}: {where}.quirks: {problem}") from None
    for field in ("first_token_seconds", "stall_seconds"):
        if not 0 < getattr(profile, field) < float("inf"):
            raise ConfigError(f"{path}: {where}.{field}: expected more than 0, got {getattr(profile, field)}")
    for field in ("summary_threshold", "max_output_tokens"):
        value = getattr(profile, field)
        if value is not None and not 0 < value < profile.context_tokens:
            raise ConfigError(
                f"{path}: {where}.{field}: expected more than 0 and less than "
                f"context_tokens ({profile.context_tokens}), got {value}"
            )
    return profile


def _convert(path: Path, where: str, data: object, kind: type[_Section]) -> _Section:
    try:
        return msgspec.convert(data, type=kind, strict=True)
    except msgspec.ValidationError as problem:
        expected, _, place = str(problem).partition(" - at `$")
        key = where + place.rstrip("`")
        raise ConfigError(f"{path}: {key}: {expected[:1].lower()}{expected[1:]}") from None

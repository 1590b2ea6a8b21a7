"""The file of advice templates: ``advice.toml`` beside the config, else the one that comes with the app."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import msgspec

from apollo_tui.state.advice_templates import AdviceTemplate

NAME: Final = "advice.toml"
SHIPPED: Final = Path(__file__).parents[1] / NAME
MOST_CHARS: Final = 20_000


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    advice: tuple[AdviceTemplate, ...] = ()


class Templates(msgspec.Struct, frozen=True):
    """All templates, the file that they are from, and what is wrong with it in one line, "" if nothing is."""

    templates: tuple[AdviceTemplate, ...]
    path: Path
    problem: str = ""


def load_templates(config: Path) -> Templates:
    """The templates for this config file. A file that is wrong costs its templates and nothing else."""
    own = config.parent / NAME
    path = own if own.is_file() else SHIPPED
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), type=_File, strict=True).advice
    except (OSError, UnicodeDecodeError) as problem:
        return Templates((), path, f"{path}: cannot be read: {problem}")
    except tomllib.TOMLDecodeError as problem:
        return Templates((), path, f"{path}: no valid TOML: {problem}")
    except msgspec.ValidationError as problem:
        return Templates((), path, f"{path}: {str(problem)[:1].lower()}{str(problem)[1:]}")
    names = [template.name for template in found]
    for template in found:
        if not template.name.strip() or not template.text.strip() or len(template.name.splitlines()) > 1:
            return Templates((), path, f"{path}: each [[advice]] needs a name of one line and a text")
        if len(template.text) > MOST_CHARS:
            return Templates((), path, f"{path}: {template.name}: more than {MOST_CHARS:,} characters")
        if names.count(template.name) > 1:
            return Templates((), path, f"{path}: {template.name} is there twice")
    return Templates(found, path)

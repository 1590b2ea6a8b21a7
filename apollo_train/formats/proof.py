"""What was run: which trainer trains exactly our tokens from which of our files, with which chat template.

``proof.json`` beside this file is written by the conformance runs (scripts/conformance.sh); docs/conformance.md shows
the same. A format is proven for a template if the trainer's own loader and collator trained our positions and no other.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Final

import msgspec

from apollo_train.errors import TrainError

FILE: Final = Path(__file__).with_name("proof.json")
EQUAL: Final = "equal"
TOKENS: Final = "take `apollo-train tokens`"


class UnknownTemplate(TrainError):
    """The name is no template that was tried, and no file that holds one."""


class Template(msgspec.Struct, frozen=True):
    """A chat template that was tried."""

    about: str
    sha256: str
    marks: tuple[str, ...]
    """Texts that all templates of its family have."""


class Result(msgspec.Struct, frozen=True):
    """What one trainer made of one file."""

    trainer: str
    format: str
    template: str
    says: str
    """``equal``, or in words what is trained too much, too little or otherwise."""


class Proof(msgspec.Struct, frozen=True):
    """All results, with the versions that gave them."""

    templates: dict[str, Template]
    versions: dict[str, dict[str, str]]
    """Of each trainer the packages that it was run with."""
    dates: dict[str, str]
    results: tuple[Result, ...]

    def of(self, format: str, template: str) -> Result | None:
        """The result for this format and template, if they were tried together."""
        return next((r for r in self.results if (r.format, r.template) == (format, template)), None)


@functools.cache
def proof() -> Proof:
    """The results that are committed."""
    return msgspec.json.decode(FILE.read_bytes(), type=Proof)


def refusal_of(format: str, family: str) -> str:
    """Why this format is not written for templates of this family, and what to take; "" if it is proven or unknown."""
    result = proof().of(format, family)
    if result is None or result.says == EQUAL:
        return ""
    reads = any((r.trainer, r.format, r.says) == (result.trainer, "tokens", EQUAL) for r in proof().results)
    return (
        f"{result.trainer} does not train exactly these masks from {format} with the {family} template "
        f"({result.says}): {TOKENS}, {'which it trains as they are' if reads else 'and a trainer that reads them'}"
    )


def tried(format: str) -> list[Result]:
    """What was made of this format; nothing of token rows, which many trainers read and none reads otherwise."""
    return [] if format == "tokens" else [r for r in proof().results if r.format == format]


def told_of(format: str, family: str = "") -> str:
    """One line on where this format is proven, for a report; "" where no trainer was tried with it."""
    found = tried(format)
    if not found:
        return ""
    trainer, good = found[0].trainer, [r.template for r in found if r.says == EQUAL]
    if family:
        known = any(r.template == family for r in found)
        return "" if known else f"{trainer} was not tried with this template: {TOKENS} to be sure of the masks"
    if not good:
        return f"{trainer} trains other tokens than these masks say, whatever the template: {TOKENS}"
    bad = [r.template for r in found if r.says != EQUAL]
    but = f", and other tokens with {', '.join(bad)}: name yours with --template, or {TOKENS}" if bad else ""
    return f"{trainer} trains exactly these masks with the templates {', '.join(good)}{but}"


def family_of(name: str) -> str:
    """The family of a template: by its name, or by the text in a model's folder or a file of its own.

    "" for a template of no family that was tried. Raises UnknownTemplate.
    """
    known = proof().templates
    if not name or name in known:
        return name
    text = _text(Path(name))
    if text is None:
        raise UnknownTemplate(
            f"there is no template {name!r}: choose one of {', '.join(known)}, or a model's folder, or a .jinja file"
        )
    digest = hashlib.sha256(text.encode()).hexdigest()
    exact = [family for family, template in known.items() if template.sha256 == digest]
    alike = [family for family, template in known.items() if all(mark in text for mark in template.marks)]
    return next(iter((*exact, *alike)), "")


def _text(path: Path) -> str | None:
    """The chat template in a file or in a model's folder."""
    try:
        if path.is_file():
            return path.read_text("utf-8")
        if (path / "chat_template.jinja").is_file():
            return (path / "chat_template.jinja").read_text("utf-8")
        config = msgspec.json.decode((path / "tokenizer_config.json").read_bytes())
        made = config.get("chat_template")
        return made if isinstance(made, str) else None
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, AttributeError):
        return None

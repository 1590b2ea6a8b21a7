"""What was run: which trainer trains exactly our tokens from which of our files, with which chat template.

``conformance.json`` beside this file is written by the conformance runs (scripts/conformance.sh), ``reasons.json`` by
those who read the trainer's code; docs/conformance.md shows both. A format is proven for a template if the trainer's
own loader and collator trained our positions and no other.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from apollo_train.runtime import TrainError

FILE: Final = Path(__file__).with_name("conformance.json")
REASONS: Final = Path(__file__).with_name("reasons.json")
EQUAL: Final = "equal"
INSTEAD: Final = {
    "dpo": "train with `apollo-train dpo`, on the same pairs as token ids",
    "kto": "train with `apollo-train kto`, on the same replies as token ids",
}
"""What to take instead of formats that have no token file."""
TOKENS: Final = "take `apollo-train tokens`"
TOKENS_OF_TEMPLATES: Final = ("bos_token", "eos_token", "pad_token", "unk_token")
"""Tokens that templates write by these names."""
LINE_FEED: Final = r'also trains "\n"'


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
    needs: str = ""
    """The setting of the trainer with which it says so, beside those that docs/formats.md names for the format."""

    @property
    def only_line_feed(self) -> bool:
        """Whether all that it trains besides is the line feed that a template writes after the stop token: no server
        samples it, and no model reads it before it is done. Rows that our file leaves out and counts are no difference.
        """
        said = [part for part in self.says.removesuffix(" (turns_do_not_alternate)").split("; ")]
        left_out = [part for part in said if re.fullmatch(r"has \d+ rows of \d+", part)]
        return self.says != EQUAL and [part for part in said if part not in left_out] == [LINE_FEED]


class Conformance(msgspec.Struct, frozen=True):
    """All results, with the versions that gave them."""

    templates: dict[str, Template]
    versions: dict[str, dict[str, str]]
    """Of each trainer the packages that it was run with."""
    dates: dict[str, str]
    results: tuple[Result, ...]

    def of(self, format: str, template: str) -> Result | None:
        """The result for this format and template, if they were tried together."""
        return next((r for r in self.results if (r.format, r.template) == (format, template)), None)


OTHER: Final = "other"
"""The family of a template that was named and is of none that was tried."""


@functools.cache
def conformance() -> Conformance:
    """The results that are committed."""
    return msgspec.json.decode(FILE.read_bytes(), type=Conformance)


@functools.cache
def reasons() -> dict[str, dict[str, str]]:
    """By format and template, why its trainer cannot train our tokens from it, in one line."""
    return msgspec.json.decode(REASONS.read_bytes(), type=dict[str, dict[str, str]])


def refusal_of(format: str, family: str) -> str:
    """Why this format is not written for templates of this family, and what to take; "" if it is proven or unknown."""
    result = conformance().of(format, family)
    if result is None or result.says == EQUAL or result.only_line_feed:
        return ""
    return (
        f"{result.trainer} does not train exactly these masks from {format} with the {family} template, because "
        f"{reasons().get(format, {}).get(family, f'it {result.says}')}: {_instead(format, result.trainer)}"
    )


def _instead(format: str, trainer: str) -> str:
    if format in INSTEAD:
        return INSTEAD[format]
    reads = any((r.trainer, r.format, r.says) == (trainer, "tokens", EQUAL) for r in conformance().results)
    return f"{TOKENS}, {'which it trains as they are' if reads else 'and a trainer that reads them'}"


def results_of(format: str) -> list[Result]:
    """What was made of this format; nothing of token rows, which many trainers read and none reads otherwise."""
    return [] if format == "tokens" else [r for r in conformance().results if r.format == format]


def describe_results(format: str) -> dict[str, Any]:
    """The results of this format for a manifest: the trainer, its versions, and what it trained with each template."""
    found = results_of(format)
    if not found:
        return {}
    trainer = found[0].trainer
    versions = conformance().versions.get(trainer, {})
    return {"trainer": trainer, "versions": versions, "templates": {r.template: r.says for r in found}}


def note_of(format: str, family: str = "") -> str:
    """One line on where this format is proven, for a report; "" where there is nothing to say."""
    found = results_of(format)
    if not found:
        return ""
    trainer, good = found[0].trainer, [r.template for r in found if r.says == EQUAL]
    nearly = [r.template for r in found if r.only_line_feed]
    take = INSTEAD.get(format, TOKENS)
    if family:
        result = next((r for r in found if r.template == family), None)
        if result is None:
            return f"{trainer} was not tried with this template: {take} to be sure of the masks"
        if result.only_line_feed:
            return f"{trainer} trains these masks, and after each reply the line feed that follows its stop token"
        return f"{trainer} trains exactly these masks if it is told {result.needs}" if result.needs else ""
    if not good and not nearly:
        return f"{trainer} trains other tokens than these masks say, whatever the template: {take}"
    bad = [r.template for r in found if r.says != EQUAL and not r.only_line_feed]
    said = [f"exactly these masks with the templates {', '.join(good)}"] if good else []
    if nearly:
        said.append(
            f"{'with' if good else 'these masks with'} {', '.join(nearly)} also the line feed after a stop token"
        )
    if bad:
        said.append(f"other tokens with {', '.join(bad)}")
    name = "" if len(said) == 1 else f": name your template{f', or {take}' if bad else ''}"
    return f"{trainer} trains {', and '.join(said)}{name}"


def family_of(name: str) -> str:
    """The family of a template: by its name, or by the text in a model's folder or a file of its own.

    "" for a template of no family that was tried. Raises UnknownTemplate.
    """
    known = conformance().templates
    if not name or name in known:
        return name
    text = _text_of(name)
    exact = [family for family, template in known.items() if template.sha256 == _digest(text)]
    alike = [family for family, template in known.items() if all(mark in text for mark in template.marks)]
    return next(iter((*exact, *alike)), "")


def is_tried(name: str) -> bool:
    """Whether a template is the very one that was tried, and not another of its family. Raises UnknownTemplate."""
    known = conformance().templates
    return name in known or any(template.sha256 == _digest(_text_of(name)) for template in known.values())


def read_template(name: str) -> tuple[str, dict[str, str]]:
    """The template in this file or model's folder, and what its tokenizer puts in. Raises UnknownTemplate."""
    config: Any = None
    with contextlib.suppress(OSError, msgspec.DecodeError):
        config = msgspec.json.decode((Path(name) / "tokenizer_config.json").read_bytes())
    said = config if isinstance(config, dict) else {}
    tokens = {key: value["content"] if isinstance(value, dict) else value for key, value in said.items()
              if key in TOKENS_OF_TEMPLATES and (isinstance(value, str) or "content" in (value or ()))}  # fmt: skip
    return _text_of(name), {**dict.fromkeys(TOKENS_OF_TEMPLATES, ""), **tokens}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _text_of(name: str) -> str:
    """The template itself. Raises UnknownTemplate."""
    text = _text(Path(name))
    if text is None:
        known = ", ".join(conformance().templates)
        raise UnknownTemplate(
            f"there is no template {name!r}: choose one of {known}, or a model's folder, or a .jinja file"
        )
    return text


def _text(path: Path) -> str | None:
    """The chat template in a file or in a model's folder."""
    try:
        if path.is_file():
            return path.read_text("utf-8")
        if (path / "chat_template.jinja").is_file():
            return (path / "chat_template.jinja").read_text("utf-8")
        config = msgspec.json.decode((path / "tokenizer_config.json").read_bytes())
        template = config.get("chat_template")
        return template if isinstance(template, str) else None
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, AttributeError):
        return None

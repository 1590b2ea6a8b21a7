"""The file formats, by the name that ``--format`` takes. docs/formats.md shows each with an example."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from apollo_train.formats.base import Format
from apollo_train.formats.conformance import (
    OTHER,
    UnknownTemplate,
    conformance,
    family_of,
    is_tried,
    read_template,
)
from apollo_train.formats.llamafactory import LlamaFactoryV0, LlamaFactoryV1
from apollo_train.formats.messages import MESSAGES
from apollo_train.formats.preferences import DpoFormat, KtoFormat
from apollo_train.formats.raw import RawFormat
from apollo_train.formats.steps import LAST_REPLY, StepsFormat
from apollo_train.formats.trajectories import AtifFormat, TraceFormat
from apollo_train.formats.trajectory_preferences import TrajectoryPreferences
from apollo_train.runtime import TrainError
from apollo_train.samples.scrub import load_scrub
from apollo_train.templates.jinja_template import JinjaTemplate
from apollo_train.templates.template_trial import OUTLINES, TemplateTrial

_ALL: Final[tuple[Format, ...]] = (
    StepsFormat(),
    *MESSAGES,
    LlamaFactoryV1(),
    LlamaFactoryV0(),
    *LAST_REPLY,
    DpoFormat(),
    KtoFormat(),
    TrajectoryPreferences(),
    AtifFormat(),
    TraceFormat(),
    RawFormat(),
)

FORMATS: Final[dict[str, Format]] = {format.name: format for format in _ALL}
"""Format by name, in the order that menus show them; the first is the default."""


class UnknownFormat(TrainError):
    """No format has this name."""


def find_format(name: str | Format) -> Format:
    """The format of this name (or one made already). Raises UnknownFormat, naming those that there are."""
    if not isinstance(name, str):
        return name
    if name == "tokens":
        raise UnknownFormat("tokens need a tokenizer: `apollo-train tokens --tokenizer MODEL --out FILE` writes them")
    if name not in FORMATS:
        raise UnknownFormat(f"there is no format {name!r}: choose one of {', '.join(FORMATS)}")
    return FORMATS[name]


def format_for(name: str | Format, template: str = "", *, labels: bool = False, scrub: Path | None = None) -> Format:
    """The format for a chat template: one of docs/conformance.md by name, a model's folder, or a ``.jinja`` file.

    ``labels``: its rows say which flags stand on their replies. ``scrub``: a file of rules for what is replaced. Raises
    UnknownFormat, UnknownTemplate, BadScrub or CannotExpress.
    A format whose trainer trains other tokens with it refuses when it writes.
    """
    family = family_of(template) or (OTHER if template else "")
    format = find_format(name)
    if labels:
        format = format.with_labels()
    if scrub is not None:
        format = format.with_scrub(load_scrub(scrub))
    if not family:
        return format
    exact = family == OTHER or is_tried(template)
    return format.adapt_to_template(family, exact=exact, trial=_open_trial(template))


def _open_trial(template: str) -> TemplateTrial | None:
    """The template, to try rows with; None for those that are known by name and refuse nothing."""
    if template in conformance().templates:
        return TemplateTrial(JinjaTemplate(OUTLINES[template])) if template in OUTLINES else None
    return TemplateTrial(JinjaTemplate(*read_template(template)))


__all__ = ["FORMATS", "Format", "UnknownFormat", "UnknownTemplate", "find_format", "format_for"]

"""The labels of a flag: ids that the log stores, and the letter, name and definition that a person sees.

The default taxonomy is ``labels.toml`` beside this module; the config may name another file of the same shape.
"""

from __future__ import annotations

import tomllib
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from sessions.errors import ApolloError

UNSPECIFIED = "unspecified"
"""What a bare flag stores. It counts as bad."""
RIGHT_THERE_TOO: Final = "right-there-too"
"""On a good flag: the action would have been right at the flagged step before it too. It is in every taxonomy."""

DEFAULT_FILE = Path(__file__).with_name("labels.toml")


class BadLabels(ApolloError):
    """A label file cannot be used; the message names the file and what is wrong, in one line."""


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One label. ``key`` is the one key that picks it ("": by name only), ``environment``: not the agent's fault."""

    id: str
    name: str
    definition: str
    key: str = ""
    group: str = ""
    source: str = ""
    environment: bool = False


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: tuple[Label, ...]
    version: int = 1


class Taxonomy(msgspec.Struct, frozen=True, dict=True):
    """All labels, in the order of their file."""

    labels: tuple[Label, ...]

    @cached_property
    def by_id(self) -> dict[str, Label]:
        """Label by the id that the log stores."""
        return {label.id: label for label in self.labels}

    @cached_property
    def by_key(self) -> dict[str, Label]:
        """Label by its one key."""
        return {label.key: label for label in self.labels if label.key}

    def name(self, label_id: str) -> str:
        """What a person reads for ``label_id``; ids of other taxonomies are shown as they are."""
        label = self.by_id.get(label_id)
        return label.name if label else label_id

    def is_environment(self, label_id: str) -> bool:
        """Whether flags with this label keep their loss by default."""
        label = self.by_id.get(label_id)
        return label.environment if label else label_id.split("/")[0] == "environment"


def load_labels(path: Path | None = None) -> Taxonomy:
    """The taxonomy in ``path`` (default: ours). Raises BadLabels with one line for a person."""
    source = path or DEFAULT_FILE
    try:
        found = msgspec.convert(tomllib.loads(source.read_text("utf-8")), _File)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as problem:
        raise BadLabels(f"{source}: {problem}") from problem
    seen: set[str] = set()
    keys: set[str] = set()
    for label in found.label:
        if label.id in ("", UNSPECIFIED, RIGHT_THERE_TOO) or label.id in seen:
            raise BadLabels(f"{source}: the id {label.id!r} is empty, reserved or used twice")
        if label.key and (len(label.key) != 1 or not label.key.isalnum() or label.key in keys):
            raise BadLabels(
                f"{source}: the key {label.key!r} of {label.id} is no single letter or digit, or used twice"
            )
        seen.add(label.id)
        keys |= {label.key} - {""}
    if not found.label:
        raise BadLabels(f"{source}: it holds no label")
    return Taxonomy(found.label)

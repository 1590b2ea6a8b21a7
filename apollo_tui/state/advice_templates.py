"""Advice with fields: what stands in braces is filled in. Pure: which fields a text has, and where the next one is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final, Literal

import msgspec

FIELD: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9_ -]{0,39})\}")
"""A field: words in braces. What code has in braces begins otherwise, mostly."""


class AdviceTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One template. ``reach``: how far advice of this kind reaches, "": as advice begins."""

    name: str
    text: str
    reach: Literal["general", "here", ""] = ""


def fields_of(text: str) -> list[str]:
    """The fields in a text, in order, each once.

    >>> fields_of('measure {metric}, then {next step}; {metric} and {"a": 1}')
    ['metric', 'next step']
    """
    return list(dict.fromkeys(FIELD.findall(text)))


def all_fields(templates: Iterable[AdviceTemplate]) -> frozenset[str]:
    """The fields of all templates: braces that no template has are just text."""
    return frozenset(field for template in templates for field in fields_of(template.text))


def next_field(text: str, at: int, by: int, known: Collection[str]) -> tuple[int, int] | None:
    """From where to where the next field goes (in characters), seen from ``at``; after the last one the first again.

    ``by`` -1: the one before. Only fields that are ``known``. None: there is none.
    """
    places = [found.span() for found in FIELD.finditer(text) if found[1] in known]
    if not places:
        return None
    if by > 0:
        return next((place for place in places if place[0] >= at), places[0])
    return next((place for place in reversed(places) if place[1] < at), places[-1])

"""Letters that can be read on what they stand on, whatever the theme."""

from __future__ import annotations

from typing import Final

from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.style import Style

LEGIBLE: Final = 4.5
"""The contrast that letters need (WCAG 2, level AA)."""
BLENDS: Final = 10
"""Steps from a colour to black or white."""


def contrast(one: ColorTriplet, other: ColorTriplet) -> float:
    """Between two colours: 1 (the same) to 21 (black and white)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def make_legible(style: Style) -> Style:
    """The style, its letters as much darker or lighter as they need to be on its background."""
    if style.color is None or style.bgcolor is None or style.color.triplet is None or style.bgcolor.triplet is None:
        return style
    colour, ground = style.color.triplet, style.bgcolor.triplet
    if contrast(colour, ground) >= LEGIBLE:
        return style
    end = max((ColorTriplet(0, 0, 0), ColorTriplet(255, 255, 255)), key=lambda each: contrast(each, ground))
    for step in range(1, BLENDS + 1):
        blended = ColorTriplet(*(round(a + (b - a) * step / BLENDS) for a, b in zip(colour, end, strict=True)))
        if contrast(blended, ground) >= LEGIBLE:
            break
    return style + Style(color=Color.from_triplet(blended))


def _luminance(colour: ColorTriplet) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4

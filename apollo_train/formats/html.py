"""Static pages that show what is trained: complete in themselves, no script, all foreign text escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final

from sessions.terminal_text import plain_text

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
  color: CanvasText; background: Canvas; color-scheme: light dark }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.45 ui-monospace, monospace;
  border-left: 3px solid GrayText; padding-left: .8rem; margin: 0 0 .6rem }}
h3 {{ font-size: .85rem; margin: 0 }}
.context {{ color: GrayText }}
.trained {{ background: color-mix(in srgb, seagreen 28%, transparent) }}
.masked {{ background: color-mix(in srgb, crimson 24%, transparent); text-decoration: line-through }}
</style></head><body><h1>{title}</h1>
<ul>{facts}</ul>
<p><span class="trained">trained</span> · <span class="masked">masked</span> ·
<span class="context">context</span></p>
{body}</body></html>
"""


def page(title: str, facts: Iterable[str], body: Iterable[str]) -> str:
    """The page; ``body`` is HTML that is escaped already."""
    listed = "".join(f"<li>{safe(line)}</li>" for line in facts)
    return _PAGE.format(title=safe(title), facts=listed, body="".join(body))


def span(text: str, role: str, about: str = "") -> str:
    """A stretch of text in the colour of its role; ``about`` is shown where the pointer rests."""
    return f'<span class="{role}" title="{safe(about or role)}">{safe(text)}</span>'


def safe(text: str) -> str:
    """Text from anywhere as text of a page: no control characters, no markup."""
    return html.escape(plain_text(text))

"""All of one entry as lines for the Action screen: what was said, how it ended, every flag with its author."""

from __future__ import annotations

from widgets.cells import text_of
from widgets.glyphs import KIND_WORDS, VERDICTS, duration
from widgets.rows import outcome_line
from widgets.sanitise import clean
from widgets.views import Entry, Line, Role


def document_of(entry: Entry, *, sections: tuple[tuple[str, str], ...] = (), minutes: int = 0) -> list[Line]:
    """``sections`` are (heading, whole text) that the app has read beyond what an entry carries, such as an output."""
    head = KIND_WORDS[entry.kind] if not entry.head else text_of(entry.head)
    lines: list[Line] = [((f"{entry.target}  " if entry.target else "", "dim"), (head, "strong"))]
    ended = outcome_line(entry, minutes)
    if ended:
        lines.append(ended)
    for flag in entry.flags:
        who = flag.by.removeprefix("human:")
        lines.append(((f"{VERDICTS[flag.verdict]} {flag.verdict} {flag.label}", "flag"), (f"  by {who}", "dim"),
                      (f"  {flag.note}" if flag.note else "", "text")))  # fmt: skip
    if entry.body:
        lines += [(), *entry.body]
    if sections:
        for heading, text in sections:
            lines += [(), *section(heading, text)]
    elif entry.detail:
        lines += [(), *entry.detail]
    if entry.duration_ms is not None:
        lines += [(), ((f"took {duration(entry.duration_ms)}", "dim"),)]
    return lines


def section(heading: str, text: str, role: Role = "text") -> list[Line]:
    """A heading and a text under it, cleaned; the text is not cut."""
    return [((f"── {heading} ", "dim"),), *(((row, role),) for row in clean(text).split("\n"))]

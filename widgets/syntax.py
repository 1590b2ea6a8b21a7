"""The colours of source code, for the lines that come into sight: a file of any length costs what a screen of it costs.

The text may be foreign, and a lexer is a heap of regular expressions: only those of common languages are used, on
little text at a time, in which no line is long, and one that takes too long is used no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import thread_time
from typing import Any, Final

from widgets.code_text import MOST_SECONDS, find_language, lexer_of, role_of_token
from widgets.models import Line, Span

BLOCK: Final = 100
"""Lines that are looked at together,"""
LEAD: Final = 60
"""after so many before them, which say what they begin in: a longer text between quotes may lose its colour."""
LONGEST: Final = 400
"""Characters of a line that have colours."""
MOST_CHARS: Final = 24_000
"""Characters of a block that have colours."""
LOOK_TOKENS: Final = 64
"""How many tokens pass between two looks at the clock."""

TRIED: Final = frozenset({
    "bash", "c", "cmake", "cpp", "css", "diff", "docker", "go", "html", "ini", "java", "javascript", "json", "julia",
    "latex", "lua", "make", "python", "r", "ruby", "rust", "sql", "toml", "typescript", "xml", "yaml",
})  # fmt: skip
"""Languages of files: a single regular expression cannot be interrupted, so that others are not let at whole files."""
JSON: Final = frozenset({"ipynb", "json", "jsonl"})
"""Endings of files whose text is laid out elsewhere, and coloured as it stands here."""
BY_PROGRAM: Final[dict[str, str]] = {
    "python": "python",
    "bash": "bash",
    "sh": "bash",
    "zsh": "bash",
    "node": "javascript",
}


def language_of(path: str, first_line: str = "") -> str:
    """Which language a file is in, as Pygments calls it; "" for one without colours.

    >>> language_of("src/train.py"), language_of("run", "#!/usr/bin/env python3"), language_of("notes.txt")
    ('python', 'python', '')
    """
    if found := "json" if path.lower().rpartition(".")[2] in JSON else find_language(path):
        return found if found in TRIED else ""
    if first_line.startswith("#!"):
        program = first_line[2:120].split()
        last = program[-1].rpartition("/")[2].rstrip("0123456789.") if program else ""
        return BY_PROGRAM.get(last, "")
    return ""


class SyntaxColours:
    """The lines of one text, which was cleaned, in the colours of its language."""

    def __init__(self, language: str, lines: Sequence[str]) -> None:
        self._language = language
        self._lines = lines
        self._blocks: dict[int, Iterator[tuple[int, Line]]] = {}
        self._done: dict[int, Line] = {}
        self.given_up = False
        """Whether it took too long, and the rest has no colours."""

    def line(self, number: int) -> Line:
        """The line ``number`` (from 0)."""
        found = self._done.get(number)
        if found is None and not self.given_up:
            found = self._reach(number)
        return found if found is not None else ((self._lines[number], "text"),)

    def _reach(self, number: int) -> Line | None:
        block = number // BLOCK
        lines = self._blocks.get(block)
        if lines is None:
            lines = self._blocks[block] = self._colour(block)
        for at, line in lines:
            if at >= block * BLOCK:
                self._done.setdefault(at, line)
            if at >= number:
                break
        return self._done.get(number)

    def _colour(self, block: int) -> Iterator[tuple[int, Line]]:
        """The lines from a little before the block to its end, each as soon as it is read."""
        first = max(0, block * BLOCK - LEAD)
        last = min(len(self._lines), (block + 1) * BLOCK)
        text, size, end = [], 0, first
        for whole in self._lines[first:last]:
            size += min(len(whole), LONGEST) + 1
            if size > MOST_CHARS:
                break
            # In what is nothing but space some lexers look for ever for something.
            text.append("" if whole.isspace() else whole[:LONGEST])
            end += 1
        number, spans = first, list[Span]()
        began = thread_time()
        for tokens, (kind, value) in enumerate(self._tokens("\n".join(text) + "\n"), 1):
            if tokens % LOOK_TOKENS == 0 and thread_time() - began > MOST_SECONDS:
                self.given_up = True
                return
            role = role_of_token(str(kind))
            *ended, rest = value.split("\n")
            for piece in ended:
                spans.append((piece, role))
                yield number, self._finish(number, spans)
                began = thread_time()  # who asks for lines may take time between them
                number, spans = number + 1, []
                if number >= end:
                    return
            if rest:
                spans.append((rest, role))

    def _finish(self, number: int, spans: list[Span]) -> Line:
        """A line of these spans: exactly its text, whatever the lexer made of it."""
        whole = self._lines[number]
        if "".join(text for text, _ in spans) != whole[:LONGEST]:
            return ((whole, "text"),)
        rest: list[Span] = [(whole[LONGEST:], "text")] if len(whole) > LONGEST else []
        return tuple(span for span in (*spans, *rest) if span[0])

    def _tokens(self, text: str) -> Iterator[tuple[Any, str]]:
        # Not get_tokens: that reads all of it first.
        for _, kind, value in lexer_of(self._language).get_tokens_unprocessed(text):
            yield kind, value

"""The colours of source code, for the lines that come into sight: a file of any length costs what a screen of it costs.

The text may be foreign, and a lexer is a heap of regular expressions: only those of common languages are used, on
little text at a time, in which no line is long, and one that takes too long is used no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import thread_time
from typing import TYPE_CHECKING, Any, Final

from widgets.models import Line, Role, Span

if TYPE_CHECKING:
    from pygments.lexer import Lexer

BLOCK: Final = 100
"""Lines that are looked at together,"""
LEAD: Final = 60
"""after so many before them, which say what they begin in: a longer text between quotes may lose its colour."""
LONGEST: Final = 400
"""Characters of a line that have colours."""
MOST_CHARS: Final = 24_000
"""Characters of a block that have colours."""
MOST_SECONDS: Final = 0.25
"""After so long a file goes on without colours."""
LOOK_TOKENS: Final = 64
"""How many tokens pass between two looks at the clock."""

BY_ENDING: Final[dict[str, str]] = {
    "py": "python", "pyi": "python", "sh": "bash", "bash": "bash", "zsh": "bash", "c": "c", "h": "c", "cc": "cpp",
    "cpp": "cpp", "cxx": "cpp", "hpp": "cpp", "cu": "cpp", "cuh": "cpp", "rs": "rust", "go": "go", "java": "java",
    "js": "javascript", "mjs": "javascript", "jsx": "javascript", "ts": "typescript", "tsx": "typescript",
    "json": "json", "jsonl": "json", "ipynb": "json", "yaml": "yaml", "yml": "yaml", "toml": "toml", "ini": "ini",
    "cfg": "ini", "css": "css", "html": "html", "xml": "xml", "sql": "sql", "rb": "ruby", "lua": "lua", "mk": "make",
    "diff": "diff", "patch": "diff", "tex": "latex", "r": "r", "jl": "julia",
}  # fmt: skip
BY_NAME: Final[dict[str, str]] = {
    "makefile": "make",
    "dockerfile": "docker",
    "cmakelists.txt": "cmake",
    ".bashrc": "bash",
}
BY_PROGRAM: Final[dict[str, str]] = {
    "python": "python",
    "bash": "bash",
    "sh": "bash",
    "zsh": "bash",
    "node": "javascript",
}

ROLES: Final[tuple[tuple[tuple[str, ...], Role], ...]] = (
    (("Comment",), "code-comment"),
    (("Literal", "String"), "code-string"),
    (("Literal", "Number"), "code-number"),
    (("Keyword",), "code-keyword"),
    (("Operator", "Word"), "code-keyword"),
    (("Name", "Function"), "code-name"),
    (("Name", "Class"), "code-name"),
    (("Name", "Decorator"), "code-name"),
    (("Name", "Tag"), "code-name"),
    (("Generic", "Deleted"), "remove"),
    (("Generic", "Inserted"), "add"),
    (("Generic", "Heading"), "strong"),
    (("Generic", "Subheading"), "dim"),
)
"""What a token's kind begins with, and its role; the rest is text."""


def language_of(path: str, first_line: str = "") -> str:
    """Which language a file is in, as Pygments calls it; "" for one without colours.

    >>> language_of("src/train.py"), language_of("run", "#!/usr/bin/env python3"), language_of("notes.txt")
    ('python', 'python', '')
    """
    name = path.rpartition("/")[2].lower()
    if name in BY_NAME:
        return BY_NAME[name]
    if found := BY_ENDING.get(name.rpartition(".")[2] if "." in name else ""):
        return found
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
        self._lexer: Lexer | None = None
        self._roles: dict[Any, Role] = {}
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
            role = self._role_of(kind)
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
        if self._lexer is None:
            from pygments.lexers import get_lexer_by_name  # the app starts without it

            self._lexer = get_lexer_by_name(self._language, stripnl=False, ensurenl=False)
        # Not get_tokens: that reads all of it first.
        for _, kind, value in self._lexer.get_tokens_unprocessed(text):
            yield kind, value

    def _role_of(self, kind: Any) -> Role:
        found = self._roles.get(kind)
        if found is None:
            names = tuple(kind)
            found = next((role for begins, role in ROLES if names[: len(begins)] == begins), None) or "text"
            self._roles[kind] = found
        return found

"""Code in the roles of its syntax. Pygments is loaded when the first code is painted; what it does not know is text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from time import thread_time
from typing import Any, Final

from widgets.cells import text_of
from widgets.models import Line, Role, Span

MOST: Final = 60_000
"""Characters that are told apart; what comes after them is plain."""
LONGEST_LINE: Final = 1_000
"""Code with a longer line was not written by hand, and lexers take their time for it."""
MOST_SECONDS: Final = 0.25
"""After so long the rest is plain: a lexer is a heap of regular expressions, and the text may be foreign."""
LOOK_TOKENS: Final = 64
"""How many tokens pass between two looks at the clock."""

_LANGUAGES: Final = {
    "bash": "bash", "c": "c", "cc": "cpp", "cfg": "ini", "conf": "ini", "cpp": "cpp", "cs": "csharp", "css": "css",
    "cu": "cpp", "diff": "diff", "go": "go", "h": "c", "hpp": "cpp", "html": "html", "ini": "ini", "java": "java",
    "jl": "julia", "js": "javascript", "jsx": "javascript", "kt": "kotlin", "lua": "lua", "mjs": "javascript",
    "ml": "ocaml", "php": "php", "pl": "perl", "py": "python", "pyi": "python", "python": "python", "r": "r",
    "rb": "ruby", "rs": "rust", "rust": "rust", "scala": "scala", "sh": "bash", "shell": "bash", "sql": "sql",
    "swift": "swift", "tex": "latex", "toml": "toml", "ts": "typescript", "tsx": "typescript", "xml": "xml",
    "yaml": "yaml", "yml": "yaml", "cxx": "cpp", "cuh": "cpp", "mk": "make", "patch": "diff", "zig": "zig",
    "zsh": "bash", "javascript": "javascript", "typescript": "typescript", "console": "console",
}  # fmt: skip
"""Pygments' name of what a file's ending or a fence says."""
_BY_NAME: Final = {"makefile": "make", "dockerfile": "docker", "cmakelists.txt": "cmake", ".bashrc": "bash"}

_WITHIN: Final = (
    re.compile(r"\bpython[\d.]*\s+(?:-\w+\s+)*-c\s+(?P<quote>[\"'])"),
    re.compile(r"(?:>|\btee)\s*(?P<path>[\w./~-]+\.\w+)\s*<<-?\s*[\"']?(?P<word>\w+)[^\n]*\n"),
    re.compile(r"<<-?\s*[\"']?(?P<word>\w+)[\"']?\s*>\s*(?P<path>[\w./~-]+\.\w+)[^\n]*\n"),
    re.compile(r"\bpython[\d.]*\s+(?:-\s+)?<<-?\s*[\"']?(?P<word>\w+)[^\n]*\n"),
)
"""How commands begin a program or a file within them."""

_ROLES: Final[tuple[tuple[str, Role], ...]] = (
    ("Token.Comment", "code-comment"),
    ("Token.Literal.String.Doc", "code-comment"),
    ("Token.Literal.String", "code-string"),
    ("Token.Literal.Number", "code-number"),
    ("Token.Keyword", "code-keyword"),
    ("Token.Operator.Word", "code-keyword"),
    ("Token.Name.Function", "code-name"),
    ("Token.Name.Class", "code-name"),
    ("Token.Name.Decorator", "code-name"),
    ("Token.Name.Tag", "code-name"),
    ("Token.Name.Attribute", "code-name"),
    ("Token.Name.Builtin", "code-keyword"),
    ("Token.Generic.Deleted", "remove"),
    ("Token.Generic.Inserted", "add"),
    ("Token.Generic.Heading", "strong"),
    ("Token.Generic.Subheading", "dim"),
)


def find_language(path: str) -> str:
    """The language of a file by its name, "" for none that is known.

    >>> find_language("src/train.py")
    'python'
    """
    name = path.rstrip().rpartition("/")[2].lower()
    return _BY_NAME.get(name) or (_LANGUAGES.get(name.rpartition(".")[2], "") if "." in name else "")


def fence_language(info: str) -> str:
    """The language that the first line of a fenced block names, "" for none that is known."""
    word = re.split(r"[\s{,:]", info.strip().lower(), maxsplit=1)[0]
    return _LANGUAGES.get(word, "")


def code_lines(text: str, language: str) -> list[Line]:
    """Clean code as lines; in one role where its language is not known."""
    plain: list[Line] = [((row, "text"),) for row in text.split("\n")]
    if not language or any(len(row[0][0]) > LONGEST_LINE for row in plain):
        return plain
    for at, line in enumerate(_lines_of(_lex(text[:MOST], language))):
        if at < len(plain) and text_of(line) == text_of(plain[at]):
            plain[at] = line
    return plain


def command_lines(command: str) -> list[Line]:
    """A clean command as lines: the shell's words, and the first program or file that it has within it in its own."""
    for form in _WITHIN:
        found = form.search(command) if "\n" in command else None
        end = _end_within(command, found) if found is not None else None
        if found is None or end is None or "\n" not in command[found.end() : end]:
            continue
        told = found.groupdict()
        before, after = (code_lines(part, "bash") for part in (command[: found.end()], command[end:]))
        code = code_lines(command[found.end() : end], find_language(told["path"]) if "path" in told else "python")
        return [*before[:-1], _join(before[-1], code[0]), *code[1:-1], _join(code[-1], after[0]), *after[1:]]
    return code_lines(command, "bash")


def _end_within(command: str, found: re.Match[str]) -> int | None:
    """Where a program within a command ends, None if it does not."""
    told = found.groupdict()
    end = rf"{told['quote']}(?=\s|$)" if "quote" in told else rf"^\s*{told['word']}\s*$"
    closes = re.compile(end, re.MULTILINE).search(command, found.end())
    return closes.start() if closes else None


def _join(one: Line, other: Line) -> Line:
    return tuple(span for span in (*one, *other) if span[0]) or (("", "text"),)


def _lines_of(spans: Iterable[Span]) -> Iterator[Line]:
    """Spans cut at line breaks."""
    line: list[Span] = []
    for piece, role in spans:
        first, *rest = piece.split("\n")
        if line and line[-1][1] == role:
            line[-1] = (line[-1][0] + first, role)
        elif first:
            line.append((first, role))
        for row in rest:
            yield tuple(line) or (("", "text"),)
            line = [(row, role)] if row else []
    yield tuple(line) or (("", "text"),)


def _lex(text: str, language: str) -> Iterator[Span]:
    from pygments.util import ClassNotFound

    try:
        lexer = lexer_of(language)
    except ClassNotFound:
        return
    # In what is nothing but space some lexers look for ever for something.
    text = "\n".join("" if line.isspace() else line for line in text.split("\n"))
    began = thread_time()
    # Not get_tokens: that reads all of it first.
    for count, (_, token, piece) in enumerate(lexer.get_tokens_unprocessed(text), 1):
        if count % LOOK_TOKENS == 0 and thread_time() - began > MOST_SECONDS:
            return
        yield piece, role_of_token(str(token))


@lru_cache(maxsize=8)
def lexer_of(language: str) -> Any:
    """Pygments' lexer of a language. Raises pygments.util.ClassNotFound."""
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(language, stripnl=False, ensurenl=False)


@lru_cache(maxsize=256)
def role_of_token(token: str) -> Role:
    """What a token is painted as, by the name of its kind: ``Token.Comment.Single``."""
    return next((role for begin, role in _ROLES if token.startswith(begin)), "text")

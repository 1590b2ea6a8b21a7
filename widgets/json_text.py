"""JSON laid out for reading: every token as it was written, short lists and objects on one row. Bounded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from widgets.models import Line, Role, Span, TextRow
from widgets.sanitise import clean, clean_line

MOST: Final = 100_000
"""Characters that are laid out; what comes after them stands as it was written."""
ONE_ROW: Final = 72
"""Characters of a list or an object that stays on one row."""
DEEPEST: Final = 40
"""Levels that are set in."""

MOST_AROUND: Final = 300
"""Characters that may stand beside a text that is wrapped."""
_WRAPPERS: Final = ('"output"', '"stdout"', '"text"', '"content"', '"result"')
_BREAK: Final = "\\n"
_LINE_WITHIN: Final = re.compile(r"(?:[^\\]|\\[^n])*\\n|(?:[^\\]|\\[^n])+")

_TOKEN: Final = re.compile(
    r'"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity|[{}\[\],:]|(\s+)'
)
_LITERALS: Final = ("true", "false", "null", "NaN", "Infinity", "-Infinity")


class Token(NamedTuple):
    """A piece of the text that is no white space."""

    start: int
    text: str


def json_rows(text: str) -> tuple[TextRow, ...] | None:
    """A clean text as rows if it is JSON: one list or object, or one on each line; None if it is something else."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    if len(text) <= MOST and not (_is_json(text) or _is_one_a_line(text)):
        return None
    tokens = _read_tokens(text[:MOST])
    if len(text) > MOST:
        # Where it is cut, a token may be, too: that it is JSON is told by the many before.
        tokens = tokens[:-1]
        if sum(len(token.text) for token in tokens) < MOST // 4:
            return None
    return tuple(_lay_out(text, tokens))


class Wrapped(NamedTuple):
    """A text within JSON: its lines, the pieces of the JSON that stand for them, what stands before and behind, and
    what else it says."""

    lines: tuple[str, ...]
    raw: tuple[str, ...]
    before: str
    behind: str
    rest: str


def find_wrapped(text: str) -> Wrapped | None:
    """The long text that an object wraps for a model, as ``{"output": "…", "metadata": {…}}``; None for other JSON."""
    if len(text) > MOST or text.lstrip()[:1] != "{" or not _is_json(text):
        return None
    tokens = _read_tokens(text)
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token.text in ("{", "[")) - (token.text in ("}", "]"))
        if depth == 1 and token.text in _WRAPPERS and at + 2 < len(tokens) and tokens[at + 2].text[0] == '"':
            start, value = tokens[at + 2]
            raw = tuple(_LINE_WITHIN.findall(value[1:-1]))
            before, behind = text[: start + 1], text[start + len(value) - 1 :]
            if len(before) + len(behind) > MOST_AROUND or len(raw) < 2:
                return None
            lines = (json.loads(f'"{piece.removesuffix(_BREAK)}"') for piece in raw)
            rest = {key: value for key, value in json.loads(text).items() if f'"{key}"' != token.text}
            told = clean_line(json.dumps(rest, ensure_ascii=False), 2 * MOST_AROUND)[1:-1] if rest else ""
            return Wrapped(tuple(clean(line).replace("\n", " ⏎ ") for line in lines), raw, before, behind, told)
    return None


def json_line(text: str) -> Line:
    """JSON on one row, in its roles."""
    tokens = _read_tokens(text)
    spans: list[Span] = []
    at = 0
    for index, token in enumerate(tokens):
        if token.start > at:
            spans.append((text[at : token.start], "text"))
        spans.append((token.text, _role(tokens, index)))
        at = token.start + len(token.text)
    if at < len(text):
        spans.append((text[at:], "text"))
    return tuple(spans)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_one_a_line(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    return len(lines) > 1 and all(line.lstrip()[0] in "{[" and _is_json(line) for line in lines)


def _read_tokens(text: str) -> list[Token]:
    """The tokens from the beginning on, up to something that is none."""
    tokens: list[Token] = []
    at = 0
    for found in _TOKEN.finditer(text):
        if found.start() != at:
            break
        at = found.end()
        if found.lastindex is None:
            tokens.append(Token(found.start(), found[0]))
    return tokens


def _lay_out(text: str, tokens: Sequence[Token]) -> Iterator[TextRow]:
    """A row for each member, but for what fits on one row. A row's piece of the text begins with its first token."""
    closes = _closing_places(tokens)
    spans: list[Span] = []
    begin, depth, flat_until = 0, 0, -1
    for index, token in enumerate(tokens):
        opens = token.text in ("{", "[")
        if token.text in ("}", "]"):
            depth = max(0, depth - 1)
        if index and index > flat_until and _begins_row(tokens, index):
            yield _row(text, spans, begin, token.start)
            spans, begin = [("  " * min(depth, DEEPEST), "text")] if depth else [], token.start
        if opens and index > flat_until:
            end = closes.get(index, -1)
            if end >= 0 and tokens[end].start + 1 - token.start <= ONE_ROW:
                flat_until = end
        if opens:
            depth += 1
        spans.append((token.text + _space_after(tokens, index), _role(tokens, index)))
    last = tokens[-1].start + len(tokens[-1].text) if tokens else 0
    if not text[last:].strip():
        yield _row(text, spans, begin, len(text))
        return
    yield _row(text, spans, begin, last)
    yield TextRow((("── from here as it was written: too long to be laid out ──", "dim"),), "", ends=False)
    for row in text[last:].split("\n"):
        yield TextRow(((row, "text"),), row)


def _row(text: str, spans: Sequence[Span], begin: int, end: int) -> TextRow:
    """A row, with the piece of the text up to the next one: line breaks in it are white space between tokens."""
    *before, (last, role) = spans
    return TextRow((*before, (last.rstrip(" "), role)), text[begin:end], ends=end == len(text))


def _closing_places(tokens: Sequence[Token]) -> dict[int, int]:
    open_: list[int] = []
    closes: dict[int, int] = {}
    for index, token in enumerate(tokens):
        if token.text in ("{", "["):
            open_.append(index)
        elif token.text in ("}", "]") and open_:
            closes[open_.pop()] = index
    return closes


def _begins_row(tokens: Sequence[Token], index: int) -> bool:
    before, here = tokens[index - 1].text, tokens[index].text
    if here in ("}", "]"):
        return before not in ("{", "[")
    return before in ("{", "[", ",") or (before in ("}", "]") and here in ("{", "["))


def _space_after(tokens: Sequence[Token], index: int) -> str:
    return " " if tokens[index].text in (":", ",") else ""


def _role(tokens: Sequence[Token], index: int) -> Role:
    text = tokens[index].text
    if text[0] == '"':
        return "code-name" if index + 1 < len(tokens) and tokens[index + 1].text == ":" else "code-string"
    if text in _LITERALS:
        return "code-keyword"
    return "dim" if text in ("{", "}", "[", "]", ",", ":") else "code-number"

"""All that a command prints passes here: for people harmless, for machines byte for byte where no terminal reads it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

import click
import msgspec

from sessions.terminal_text import plain_json, plain_line, plain_text

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


PLACELESS: Final = ("", "dumb", "unknown")
"""What TERM says of a terminal that is a sheet of paper, or of none: it shows escapes instead of acting on them."""


def say(text: str = "", *, err: bool = False, nl: bool = True, colour: str | None = None, bold: bool = False) -> None:
    """Print ``text`` for a person, on stdout or (``err``) stderr, without what a terminal would act on."""
    said = plain_text(text)
    if (colour or bold) and not is_placeless():
        said = click.style(said, fg=colour, bold=bold or None)
    click.echo(said, err=err, nl=nl)


def say_json(value: object, *, err: bool = False) -> None:
    """Print one JSON value on one line."""
    say_data(msgspec.json.encode(value).decode(), err=err)


def say_data(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print JSON for a program: byte for byte, or on a terminal equal JSON whose odd characters are escapes."""
    stream = sys.stderr if err else sys.stdout
    click.echo(plain_json(text) if reads_person(stream) else text.encode(), err=err, nl=nl)


def ask(question: str, **more: Any) -> Any:
    """Ask the person at the terminal; as ``click.prompt``."""
    return click.prompt(plain_text(question), **more)


def confirm(question: str, *, default: bool = False, err: bool = False) -> bool:
    """Ask the person at the terminal for a yes."""
    return click.confirm(plain_line(question), default=default, err=err)


@contextmanager
def progress_on_stderr(
    length: int, label: str, shown: Callable[[], str], *, show_pos: bool = False
) -> Iterator[ProgressBar[int]]:
    """A bar on stderr, with what ``shown`` says beside it; where a line cannot be written anew, its last line alone."""
    placeless = is_placeless()
    bar: ProgressBar[int] = click.progressbar(
        length=length, label=plain_line(label), file=io.StringIO() if placeless else sys.stderr, show_pos=show_pos,
        item_show_func=lambda _: plain_line(shown()),
    )  # fmt: skip
    with bar:
        yield bar
    if placeless:
        told = (f"{bar.pos:,} of {bar.length:,}" if show_pos else "", plain_line(shown()))
        say(f"{plain_line(label)}: {'  '.join(one for one in told if one)}", err=True)


def is_placeless() -> bool:
    """Whether the terminal, if there is one, would show escapes instead of acting on them."""
    return os.environ.get("TERM", "") in PLACELESS


def reads_person(stream: TextIO) -> bool:
    """Whether what is written there is shown by a terminal."""
    try:
        return stream.isatty()
    except ValueError:
        return False

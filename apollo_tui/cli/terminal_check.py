"""``apollo doctor --terminal``: clipboard and notifications tried in this terminal; the person says what arrived."""

from __future__ import annotations

import base64
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import click

from apollo_train.cli import terminal_output
from apollo_train.cli.terminal_output import say
from apollo_tui.terminal.alerts import Channel, channel, notification
from apollo_tui.terminal.clipboard import tmux_load


@dataclass(frozen=True, slots=True)
class Trial:
    """One channel: whether it worked, and what follows from it ("" if nothing does)."""

    name: str
    worked: bool
    advice: str = ""


Ask = Callable[[str], str]
Write = Callable[[str], None]


def osc52(text: str) -> str:
    """The bytes that ask a terminal to put ``text`` into its clipboard."""
    return f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07"


def try_all(ask: Ask, write: Write, env: Mapping[str, str] = os.environ) -> Iterator[Trial]:
    """Try each channel that could work here. ``ask`` puts a question to the person, ``write`` goes to the terminal."""
    yield from _clipboards(ask, write, env)
    yield from _notifications(ask, write, env)


def _clipboards(ask: Ask, write: Write, env: Mapping[str, str]) -> Iterator[Trial]:
    word = f"apollo-{secrets.token_hex(3)}"
    write(osc52(word))
    worked = _ask_paste(ask, "by OSC 52", word)
    aside = "" if worked else "the app uses tmux's buffer here" if env.get("TMUX") else "use `:copy-file` in the app"
    yield Trial("clipboard by OSC 52", worked, aside)
    if env.get("TMUX"):
        word = f"apollo-{secrets.token_hex(3)}"
        sent = tmux_load(["load-buffer", "-w", "-"], word)
        worked = sent and _ask_paste(ask, "by tmux load-buffer -w", word)
        hint = "put `set -g set-clipboard on` into ~/.tmux.conf; until then paste with prefix ]"
        yield Trial("clipboard by tmux", worked, "" if worked else hint)


def _ask_paste(ask: Ask, way: str, word: str) -> bool:
    said = ask(
        f"the word {word} was sent to your clipboard {way}: paste it here, then enter (enter alone: it is not there)"
    )
    return said.strip() == word


def questions(env: Mapping[str, str] = os.environ) -> int:
    """How many questions ``try_all`` asks."""
    return (2 if env.get("TMUX") else 1) + len(_ways(env))


def _ways(env: Mapping[str, str]) -> tuple[Channel, ...]:
    inside = bool(env.get("TMUX") or env.get("STY"))
    return ("bell",) if inside else ("bell", "osc9", "osc777", "osc99")


def _notifications(ask: Ask, write: Write, env: Mapping[str, str]) -> Iterator[Trial]:
    auto = channel("auto", env)
    for way in _ways(env):
        write(notification(way, "a test from apollo doctor"))
        seen = _is_yes(ask(f"{way}: did you {'hear or see a bell' if way == 'bell' else 'see a notification'}? y/n"))
        advice = ""
        if seen and way != auto:
            advice = f'`alerts = "{way}"` under [ui] in the config uses it'
        elif not seen and way == auto:
            advice = "this is what the app uses here; set `alerts` under [ui], or `notify` under [host]"
        yield Trial(f"notification by {way}", seen, advice)


def _is_yes(answer: str) -> bool:
    return answer.strip().lower().startswith("y")


def run_terminal_check() -> None:
    """Ask the person at this terminal. Raises UsageError without one."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("--terminal asks you what you see: run it in a terminal")

    count = questions()
    say(
        f"What the app copies goes to this terminal's clipboard, and what needs you rings here. To see what arrives, "
        f"{count} questions:\na test word replaces what is on your clipboard, then "
        f"{'a bell rings' if count < 4 else 'a bell and notifications are tried'}. ctrl+c ends it."
    )
    numbers = iter(range(1, count + 1))

    def ask(question: str) -> str:
        numbered = f"\n{next(numbers)} of {count}: {question}"
        return str(terminal_output.ask(numbered, default="", show_default=False, prompt_suffix="\n> "))

    def write(data: str) -> None:
        sys.stdout.write(data)
        sys.stdout.flush()

    found = list(try_all(ask, write))
    say()
    for trial in found:
        say(f"{'ok  ' if trial.worked else 'no  '}  {trial.name}")
        if trial.advice:
            say(f"      {trial.advice}")

"""What an export has to know before it writes, asked on a terminal, once; elsewhere an option or the config answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

import click

from apollo_train.cli.terminal_output import ask, confirm, say
from apollo_train.export.open_questions import MEANINGS, are_models_asked, fill_open, find_advice, is_asked
from apollo_train.export.plan import plan_export
from apollo_train.export.terms import require_terms
from apollo_train.formats.base import Format
from apollo_train.policy import AdviceMode, FilterPolicy, load_policy
from sessions.config import load_config, remember_setting
from sessions.log.reader import LogReader
from sessions.terminal_text import plain_line, say_count

MODES: Final[tuple[AdviceMode, ...]] = get_args(AdviceMode)


def settle_policy(
    reader: LogReader,
    sessions: Sequence[str] | None,
    policy: str,
    *formats: Format,
    advice: str | None = None,
    trainable: Sequence[str] = (),
    position: int | None = None,
) -> FilterPolicy:
    """The policy with nothing left open that the options, the config or somebody at the terminal can answer.

    An option counts for more than the policy's file. Without a terminal it may stay open; then the export says so.
    """
    settled = load_policy(policy)
    if advice is not None:
        settled = settled.with_advice(_mode(advice))
    if trainable:
        settled = settled.with_trainable(trainable)
    config = load_config()
    settled = fill_open(settled, config.export)
    if formats:  # else nothing is written
        asks = settled if any(format.takes_policy for format in formats) else None
        require_terms(reader, sessions, asks, config.export.require, position)
    if not has_terminal():
        return settled
    asked = [format for format in formats if is_asked(settled, format)]
    if asked and (held := find_advice(reader, sessions, settled, position)):
        settled = settled.with_advice(_ask_advice(str(held), config.path))
    if ruled := [format for format in formats if are_models_asked(settled, format)]:
        plan = plan_export(reader, sessions, settled, ruled[0], position=position)
        if len(plan.counts.trained_by_model) > 1:
            settled = settled.with_trainable(_ask_models(plan.counts.trained_by_model, config.path))
    return settled


def has_terminal() -> bool:
    """Whether somebody is there to be asked; of many processes none asks."""
    return sys.stdin.isatty() and sys.stderr.isatty() and "RANK" not in os.environ


def _ask_advice(held: str, config: Path) -> AdviceMode:
    say(f"these sessions hold {held}:", err=True)
    for mode in MODES:
        say(f"  {mode}: {MEANINGS[mode]}", err=True)
    mode = _mode(ask("advice", type=click.Choice(MODES), err=True))
    _offer_to_remember(config, "advice", mode)
    return mode


def _ask_models(models: dict[str, int], config: Path) -> tuple[str, ...]:
    """Which models' replies may be targets; none: all."""
    say("these replies may be trained:", err=True)
    for name, number in sorted(models.items()):
        say(plain_line(f"  {say_count(number, 'reply', 'replies')} of {name or '?'}"), err=True)
    said = str(ask("models to train (patterns, with spaces between them)", default="all", err=True)).split()
    patterns = ("*",) if said == ["all"] else tuple(said)
    _offer_to_remember(config, "trainable", list(patterns))
    return patterns


def _offer_to_remember(config: Path, key: str, value: Any) -> None:
    if confirm(plain_line(f"always? {config} remembers it"), default=False, err=True):
        remember_setting(config, "export", key, value)


def _mode(text: str) -> AdviceMode:
    return next(mode for mode in MODES if mode == text)

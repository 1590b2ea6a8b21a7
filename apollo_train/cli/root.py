"""The root of ``apollo-train``: nothing of the trainers is imported to write a file, and a mistake is one line."""

from __future__ import annotations

import sys
import traceback
from typing import Any, Final

import click

from apollo_train.cli.lazy_group import LazyGroup
from apollo_train.cli.terminal_output import say
from sessions.terminal_text import plain_line

COMMANDS: Final = {
    "dataset": ("apollo_train.cli.main:dataset", "Make a folder that datasets loads, card included."),
    "diff": ("apollo_train.cli.main:diff", "Say how two exports differ, and why."),
    "tokens": ("apollo_train.cli.tokens:tokens", "Write token ids and labels for one tokenizer."),
    "eval": ("apollo_train.evaluation.cli:evaluate", "Play tasks with a base and a trained model, and compare."),
    "merge": ("apollo_train.trainers.merge:merge", "Write a trained model whole, adapters merged into their base."),
    "recipe": ("apollo_train.trainers.recipe_cli:recipe", "Say where a configuration for many devices lies."),
    "sft": ("apollo_train.trainers.cli:sft", "Fine-tune a model on what the policy trains."),
    "dpo": ("apollo_train.trainers.cli:dpo", "Train on pairs: a flagged action, and what was done instead."),
    "kto": ("apollo_train.trainers.cli:kto", "Train on single verdicts: flags and good marks."),
}
"""Where each command lives, and what the list of commands says of it."""


class TrainGroup(LazyGroup):
    """The group of all commands: those that write files are its own, the others are imported to be run."""

    def __init__(self, *args: Any, **extra: Any) -> None:
        super().__init__(*args, places={name: place for name, (place, _) in COMMANDS.items()}, **extra)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command; a mistake in its use is one line, as ``apollo`` has it."""
        run: Any = super().main
        if not extra.pop("standalone_mode", True):
            return run(*args, standalone_mode=False, **extra)
        try:
            sys.exit(run(*args, standalone_mode=False, **extra))
        except click.UsageError as error:
            where = f" ({error.ctx.command_path} --help)" if error.ctx else ""
            say(f"apollo-train: {plain_line(error.format_message())}{where}", err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:
            say(f"apollo-train: {plain_line(error.format_message())}", err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            say("apollo-train: interrupted", err=True)
            sys.exit(130)
        except Exception:  # noqa: BLE001 - the last boundary before a person's terminal: its message may be foreign
            say(traceback.format_exc(), err=True, nl=False)
            sys.exit(70)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the alphabet."""
        return sorted(super().list_commands(ctx))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        rows: list[tuple[str, str]] = []
        for name in self.list_commands(ctx):
            command = self.commands.get(name)
            rows.append((name, COMMANDS[name][1] if command is None else command.get_short_help_str(90)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

"""Commands that are imported when they are asked for: nothing of the trainers is loaded to write a file."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

import click

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


class LazyGroup(click.Group):
    """A group that knows of its lazy commands what a list needs, and imports one to run it."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command; a mistake in its use is one line, as ``apollo`` has it."""
        run: Any = super().main
        if not extra.pop("standalone_mode", True):
            return run(*args, standalone_mode=False, **extra)
        try:
            sys.exit(run(*args, standalone_mode=False, **extra))
        except click.UsageError as error:
            where = f" ({error.ctx.command_path} --help)" if error.ctx else ""
            click.echo(f"apollo-train: {plain_line(error.format_message())}{where}", err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("apollo-train: interrupted", err=True)
            sys.exit(130)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        found: Any = getattr(importlib.import_module(module), name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        rows: list[tuple[str, str]] = []
        for name in self.list_commands(ctx):
            command = self.commands.get(name)
            rows.append((name, COMMANDS[name][1] if command is None else command.get_short_help_str(90)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

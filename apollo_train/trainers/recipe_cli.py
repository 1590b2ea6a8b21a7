"""``apollo-train recipe``: where a configuration for many devices lies."""

from __future__ import annotations

import click

from apollo_train.cli.shared import report_errors
from apollo_train.cli.terminal_output import say
from apollo_train.trainers import shards


@click.command()
@click.argument("name")
def recipe(name: str) -> None:
    """Print the path of a configuration for `accelerate launch --config_file`: fsdp, deepspeed-zero2, -zero3."""
    with report_errors():
        say(str(shards.recipe(name)))

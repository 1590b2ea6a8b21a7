"""What the commands of ``apollo-train`` share: their options, the log they read, the signs of what is trained, one line
for an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from apollo_train.cli.terminal_output import say
from sessions.annotators import know_logins
from sessions.errors import ApolloError
from sessions.hints import say_in_shell
from sessions.log.reader import LogReader
from sessions.paths import log_paths
from sessions.terminal_text import plain_line

MARKS: Final = {"trained": "+", "masked": "-", "context": " "}
"""In the margin: what is trained and what is masked can be told without colour."""
COLOURS: Final = {"trained": "green", "masked": "red", "context": "bright_black"}

log_option = click.option(
    "--log", type=click.Path(path_type=Path, dir_okay=False), help="The log (default: APOLLO_LOG, else yours)."
)
template_option = click.option(
    "--template",
    default="",
    metavar="NAME|FOLDER|FILE",
    help="The model's chat template: rows take the form it needs, or are refused if it would be misread.",
)
tokenizer_option = click.option(
    "--tokenizer",
    default="",
    metavar="FOLDER",
    help="The model's tokenizer: compare its token counts with those of the servers.",
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that make rows (default: one per core, 4 at most; 1 for little and steps). The bytes are the same.",
)
labels_option = click.option(
    "--labels", is_flag=True, help="Let each row say in `meta` which flags, with which labels, stand on its replies."
)
scrub_option = click.option(
    "--scrub",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Rules (TOML) for what may not leave the log: replaced in prompts and replies, masked in files of tokens.",
)
advice_option = click.option(
    "--advice",
    type=click.Choice(["kept", "dropped", "both"]),
    help="Whether advice stays in the prompts, or both (twins). Without it the policy or the config says so.",
)
trainable_option = click.option(
    "--trainable",
    multiple=True,
    metavar="PATTERN",
    help="Only replies of these models are targets, like 'glm-*' (may be given again). Default: the config, else all.",
)
policy_option = click.option("--policy", default="default", show_default=True, metavar="FILE|PRESET")


class OneLine(click.ClickException):
    """An error as every Apollo command shows it."""

    def show(self, file: object = None) -> None:
        """One line on stderr."""
        say(f"apollo-train: {plain_line(self.message)}", err=True)


@contextmanager
def report_errors() -> Iterator[None]:
    """Our own errors, and those of files and disks, become one line on stderr and exit code 1."""
    try:
        yield
    except ApolloError as problem:
        raise OneLine(say_in_shell(problem)) from problem
    except BrokenPipeError:
        raise  # Who reads it has seen enough, as `head` has: click ends without a word.
    except OSError as problem:
        if problem.strerror is None:
            raise
        where = f"{problem.filename}: " if problem.filename else ""
        raise OneLine(f"{where}{problem.strerror}") from problem


def open_log(log: Path | None) -> LogReader:
    """The log to read, never written to."""
    reader = LogReader(log_paths(log).log)
    know_logins(reader.logins())
    return reader

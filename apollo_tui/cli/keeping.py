"""``backup`` and ``purge``: the whole log, kept a second time or without a session."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from apollo_tui.cli.connection import Cli
from apollo_tui.cli.output import json_option, print_json
from sessions.terminal_text import plain_line, say_count


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@json_option
@click.pass_obj
def backup(cli: Cli, file: Path, overwrite: bool, as_json: bool) -> None:
    """Copy the whole log to FILE, beside a running host, and verify the copy. Workspaces and jobs are not in it."""
    from sessions.log.backup import back_up_log, note_backup

    made = back_up_log(cli.paths.log, file.resolve(), overwrite=overwrite)
    note_backup(cli.paths.folder, made)
    if as_json:
        print_json({"id": made.path, **msgspec.to_builtins(made)})
        return
    said = f"{say_count(made.sessions, 'session')}, {say_count(made.events, 'event')}, {made.bytes:,} bytes"
    click.echo(plain_line(f"{made.path}: {said}, up to position {made.position}; verified"))

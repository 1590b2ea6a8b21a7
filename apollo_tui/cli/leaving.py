"""``apollo leave``: what will stop before morning, the question of somebody who goes home."""

from __future__ import annotations

import time

import click

from apollo_tui.cli.context import Cli
from apollo_tui.cli.shared import json_option, print_json, reader_of
from apollo_tui.drafts import Drafts
from apollo_tui.leaving import all_well, morning, worries
from sessions.host.client import host_status
from sessions.plain import plain_line


@click.command()
@json_option
@click.pass_obj
def leave(cli: Cli, as_json: bool) -> None:
    """What will stand still before morning, and why. Starts and stops nothing."""
    now = int(time.time() * 1000)
    reader = reader_of(cli)
    summaries = [s for s in reader.summaries() if not s.archived]
    reader.close()
    drafts = {draft.session for draft in Drafts(cli.paths.drafts, cli.actor).all()}
    found = worries(summaries, drafts, now, host=host_status(cli.paths) is not None)
    if as_json:
        print_json(
            {
                "morning": morning(now),
                "sessions": len(summaries),
                "worries": [
                    {"id": w.session, "number": w.number, "title": w.title, "what": w.what, "why": w.why} for w in found
                ],
            }
        )
    elif not found:
        click.echo(all_well(summaries))
    for worry in found if not as_json else ():
        click.echo(plain_line(f"{worry.number} {worry.title}: {worry.what}: {worry.why}"))

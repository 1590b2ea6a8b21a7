"""``apollo digest``: what happened since you left."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Final

import click

from apollo_tui.cli.context import Cli
from apollo_tui.cli.shared import json_option, print_json, reader_of
from sessions.digest import session_digest
from sessions.fold.spending import UNKNOWN
from sessions.plain import plain_line

_UNITS: Final = {"m": 60, "h": 3600, "d": 86400}


def parse_since(text: str, now: int) -> int:
    """``90m``, ``6h``, ``2d`` ago, or a local date and time, as Unix ms. Raises UsageError."""
    short = re.fullmatch(r"(\d+)([mhd])", text)
    if short:
        return now - int(short[1]) * _UNITS[short[2]] * 1000
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except ValueError:
        raise click.UsageError(f"'{text}' is no time; write 6h, 90m, 2d or 2026-11-22T18:00") from None


@click.command()
@click.argument("session", required=False)
@click.option("--since", metavar="TIME", help="6h, 90m, 2d, or a date. Default: since you last read the session.")
@json_option
@click.pass_obj
def digest(cli: Cli, session: str | None, since: str | None, as_json: bool) -> None:
    """What happened while you were away: a line per session, worst first; all figures with SESSION given."""
    now = int(time.time() * 1000)
    since_at = parse_since(since, now) if since else None
    reader = reader_of(cli)
    chosen = [reader.find(session)] if session else [s.session for s in reader.summaries() if not s.archived]
    titles = {s.session: f"{s.number} {s.title}" for s in reader.summaries()}
    found = [session_digest(reader, each, actor=cli.actor, now=now, since_at=since_at) for each in chosen]
    reader.close()
    found.sort(key=lambda each: -each.badness)
    if as_json:
        print_json(
            [
                {
                    "id": each.session,
                    "since": each.since,
                    "until": each.until,
                    "figures": {
                        f.name: {"value": None if f.said == UNKNOWN else f.value, "said": f.said, "events": f.places}
                        for f in each.figures
                    },
                }
                for each in found
            ]
        )
        return
    for each in found:
        if session:
            click.echo(plain_line(titles[each.session]))
            for figure in each.told:
                place = f"  (events {', '.join(map(str, figure.places[:6]))})" if figure.places else ""
                click.echo(plain_line(f"  {figure.said}{place}"))
        else:
            said = ", ".join(figure.said for figure in each.told if figure.name != "score change")
            click.echo(plain_line(f"{titles[each.session]}: {said}"))

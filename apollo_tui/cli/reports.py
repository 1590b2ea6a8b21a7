"""``digest``, ``effort`` and ``leave``: what happened since you left, what it cost, what will stop before morning."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any, Final

import click

from apollo_train.cli.terminal_output import say
from apollo_tui.acts.drafts import Drafts
from apollo_tui.acts.leave_check import morning, nothing_stops_text, worries
from apollo_tui.cli.connection import Cli, open_log
from apollo_tui.cli.output import json_option, print_json, print_table, say_duration
from sessions.annotators import shown_name
from sessions.config import load_config
from sessions.fold.costs import UNKNOWN
from sessions.fold.effort import KINDS, Effort, effort_of, sum_effort
from sessions.host.client import host_status
from sessions.labels import Taxonomy, load_labels
from sessions.queries.digest import session_digest
from sessions.terminal_text import plain_line

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
    reader = open_log(cli)
    chosen = [reader.find(session)] if session else [s.session for s in reader.summaries() if not s.archived]
    titles = {s.session: f"{s.address} {s.title}" for s in reader.summaries()}
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
                        f.name: {"value": None if f.words == UNKNOWN else f.value, "said": f.words, "events": f.places}
                        for f in each.figures
                    },
                }
                for each in found
            ]
        )
        return
    for each in found:
        if session:
            say(plain_line(titles[each.session]))
            for figure in each.nonzero:
                place = f"  (events {', '.join(map(str, figure.places[:6]))})" if figure.places else ""
                say(plain_line(f"  {figure.words}{place}"))
        else:
            said = ", ".join(figure.words for figure in each.nonzero if figure.name != "score change")
            say(plain_line(f"{titles[each.session]}: {said}"))


@click.command()
@click.argument("session", required=False)
@click.option("--names", is_flag=True, help="Also who spent it.")
@json_option
@click.pass_obj
def effort(cli: Cli, session: str | None, names: bool, as_json: bool) -> None:
    """Active annotator time (idle cut off after a minute), keys, advice and flags per session. It stays local."""
    reader = open_log(cli)
    chosen = [reader.find(session)] if session else [summary.session for summary in reader.summaries()]
    titles = {summary.session: (summary.address, summary.title) for summary in reader.summaries()}
    spent = {one: effort_of(reader.events(one, kinds=sorted(KINDS))) for one in chosen}
    reader.close()
    whole = sum_effort(one for by in spent.values() for one in by.values())
    if as_json:
        print_json(
            {
                "sessions": [_plain(one, by, names) for one, by in spent.items()],
                "total": whole.as_dict(),
            }
        )
        return
    names_of = load_labels(load_config().labels_file)
    rows = []
    for one, by in spent.items():
        address, title = titles[one]
        rows.append([address, title, *_cells(sum_effort(by.values()), names_of)])
        for who, mine in sorted(by.items()) if names else ():
            rows.append(["", f"  {shown_name(who)}", *_cells(mine, names_of)])
    print_table(
        [*rows, ["", "all", *_cells(whole, names_of)]], ("no", "session", "active", "keys", "advice", "flags", "labels")
    )


def _plain(session: str, by: dict[str, Effort], names: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"id": session, **sum_effort(by.values()).as_dict()}
    if names:
        found["by"] = {shown_name(who): mine.as_dict() for who, mine in sorted(by.items())}
    return found


def _cells(spent: Effort, names: Taxonomy) -> list[str]:
    labels = ", ".join(f"{names.name(label)} {count}" for label, count in spent.labels.most_common())
    return [say_duration(spent.active_ms), str(spent.keys), str(spent.advice), str(spent.flags), labels]


@click.command()
@json_option
@click.pass_obj
def leave(cli: Cli, as_json: bool) -> None:
    """What will stand still before morning, and why. Starts and stops nothing."""
    now = int(time.time() * 1000)
    reader = open_log(cli)
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
        say(nothing_stops_text(summaries))
    for worry in found if not as_json else ():
        say(plain_line(f"{worry.address} {worry.title}: {worry.what}: {worry.why}"))

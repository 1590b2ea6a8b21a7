"""``effort``: what supervision cost, per session."""

from __future__ import annotations

from typing import Any

import click

from apollo_tui.cli.context import Cli
from apollo_tui.cli.shared import json_option, print_json, reader_of, span, table
from sessions.config import load_config
from sessions.fold.effort import KINDS, Effort, effort_of, together
from sessions.labels import Taxonomy, load_labels


@click.command()
@click.argument("session", required=False)
@click.option("--names", is_flag=True, help="Also who spent it.")
@json_option
@click.pass_obj
def effort(cli: Cli, session: str | None, names: bool, as_json: bool) -> None:
    """Active annotator time (idle cut off after a minute), keys, advice and flags per session. It stays local."""
    reader = reader_of(cli)
    chosen = [reader.find(session)] if session else [summary.session for summary in reader.summaries()]
    titles = {summary.session: (summary.number, summary.title) for summary in reader.summaries()}
    spent = {one: effort_of(reader.events(one, kinds=sorted(KINDS))) for one in chosen}
    reader.close()
    whole = together(one for by in spent.values() for one in by.values())
    if as_json:
        print_json(
            {
                "sessions": [_plain(one, by, names) for one, by in spent.items()],
                "total": whole.plain(),
            }
        )
        return
    names_of = load_labels(load_config().labels_file)
    rows = []
    for one, by in spent.items():
        number, title = titles[one]
        rows.append([str(number), title, *_cells(together(by.values()), names_of)])
        for who, mine in sorted(by.items()) if names else ():
            rows.append(["", f"  {who.removeprefix('human:')}", *_cells(mine, names_of)])
    table(
        [*rows, ["", "all", *_cells(whole, names_of)]], ("no", "session", "active", "keys", "advice", "flags", "labels")
    )


def _plain(session: str, by: dict[str, Effort], names: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"id": session, **together(by.values()).plain()}
    if names:
        found["by"] = {who.removeprefix("human:"): mine.plain() for who, mine in sorted(by.items())}
    return found


def _cells(spent: Effort, names: Taxonomy) -> list[str]:
    labels = ", ".join(f"{names.name(label)} {count}" for label, count in spent.labels.most_common())
    return [span(spent.active_ms), str(spent.keys), str(spent.advice), str(spent.flags), labels]

"""``search``: words over all sessions, newest first."""

from __future__ import annotations

import click

from apollo_tui.cli.context import Cli
from apollo_tui.cli.shared import ago, json_option, print_json, reader_of, table
from sessions.search.find import search_all
from sessions.search.query import parse_query


@click.command()
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@click.pass_obj
def search(cli: Cli, query: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search all sessions.

    QUERY: words (by their beginning; '*part' is found inside words), "phrases", tool:, label:, state:, session:.

    The first search makes an index beside the log; later ones only add what is new.
    """
    words = [word if " " not in word or '"' in word or ":" in word else f'"{word}"' for word in query]
    parsed = parse_query(" ".join(words))
    reader = reader_of(cli)
    try:
        found = search_all(reader, cli.paths.folder, parsed, limit=limit)
    finally:
        reader.close()
    if as_json:
        print_json(
            [
                {
                    "id": hit.session,
                    "number": hit.number,
                    "seq": hit.seq,
                    "step": hit.step,
                    "call": hit.call,
                    "kind": hit.kind,
                    "at": hit.at,
                    "text": hit.text,
                }
                for hit in found.hits
            ]
        )
        return
    if not found.hits:
        raise click.ClickException("nothing found (words are found by their beginning; '*part' looks inside them)")
    rows = [
        [f"{hit.number} {hit.title}", f"{hit.step or ''}" + (f".{hit.call}" if hit.call else ""), ago(hit.at),
         hit.text[:100]]
        for hit in found.hits
    ]  # fmt: skip
    table(rows, ("session", "step", "ago", "text"))
    if found.more:
        click.echo(f"these are the newest {limit}; --limit shows more")

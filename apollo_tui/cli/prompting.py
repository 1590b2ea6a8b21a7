"""``prompt``: what a model was sent, rebuilt from the log and checked against it."""

from __future__ import annotations

import json
import re
import sys

import click

from apollo_tui.cli.context import Cli
from apollo_tui.cli.shared import reader_of
from sessions.log import events as ev
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request
from sessions.plain import plain


@click.command()
@click.argument("session")
@click.argument("step")
@click.option("--pretty", is_flag=True, help="Indented, to be read; without it: canonical JSON, byte for byte.")
@click.pass_obj
def prompt(cli: Cli, session: str, step: str, pretty: bool) -> None:
    """Print the body of the request of STEP (or of summary S1), rebuilt from the log, as JSON.

    Its SHA-256 is checked against the log, with an exit code of 1 if it is another; stderr says what was found.
    """
    reader = reader_of(cli)
    try:
        found = reader.find(session)
        event, body, count = _request(reader, found, step)
        data = rebuild_request(reader, found, event.seq)
    finally:
        reader.close()
    origin = "exact: what the server was sent" if body.exact else "reconstructed: an import tells no more"
    newest = f", the newest of {count} requests" if count > 1 else ""
    click.echo(f"apollo: event {event.seq}{newest}; sha256 {body.sha256} as in the log; {origin}", err=True)
    text = json.dumps(json.loads(data), indent=2, ensure_ascii=False) if pretty else data.decode()
    if sys.stdout.isatty():
        click.echo(plain(text))
    else:
        click.echo(text.encode(), nl=False)


def _request(reader: LogReader, session: str, step: str) -> tuple[ev.Event, ev.ModelRequested, int]:
    """The newest request of a step, or that of a summary, and how many there are. Raises ClickException."""
    number = re.fullmatch(r"(S?)(\d{1,9})", step)
    if not number:
        raise click.UsageError(f"'{step}' is no step; write 41, or S1 for a summary")
    if number[1]:
        written = [event.body for event in reader.events(session, kinds={"summary.written"})]
        seqs = [b.request for b in written if isinstance(b, ev.SummaryWritten) and b.number == int(number[2])]
        asked = [event for seq in seqs if seq is not None and (event := reader.event(session, seq))]
    else:
        at = int(number[2])
        asked = reader.events(session, kinds={"model.request"}, steps=(at, at))
    found = [(e, e.body) for e in asked if isinstance(e.body, ev.ModelRequested)]
    found = [pair for pair in found if number[1] or pair[1].purpose == "step"]
    if not found:
        raise click.ClickException(f"the log holds no request of {'summary' if number[1] else 'step'} {step}")
    return *found[-1], len(found)

"""``signoff`` and ``note``: a person's word on a whole session."""

from __future__ import annotations

from typing import Literal, cast

import click

from apollo_tui.cli.context import Cli
from apollo_tui.cli.judging import annotate
from apollo_tui.cli.shared import done, find, json_option
from sessions.fold.remarks import said
from sessions.log import events as ev

WORDS = ("good", "partial", "discard", "invalid", "up-to", "none")


@click.command()
@click.argument("session")
@click.argument("word", type=click.Choice(WORDS))
@click.argument("step", type=click.IntRange(min=1), required=False)
@json_option
@click.pass_obj
def signoff(cli: Cli, session: str, word: str, step: int | None, as_json: bool) -> None:
    """Sign a session off: good, partial, discard, invalid (reward hack, leak), up-to STEP, or none to take it back."""
    if (word == "up-to") != (step is not None):
        raise click.UsageError("write 'up-to 41', or a word alone")
    verdict = None if word in ("up-to", "none") else cast(Literal["good", "partial", "discard", "invalid"], word)
    body = ev.SignedOff(verdict=verdict, up_to_step=step)
    answer = annotate(cli, find(cli, session), body)
    done(answer, as_json, "sign-off taken back" if word == "none" else f"signed off: {said(body)}")


@click.command()
@click.argument("session")
@click.argument("text")
@json_option
@click.pass_obj
def note(cli: Cli, session: str, text: str, as_json: bool) -> None:
    """Write your note on a session. Colleagues see it, the agent does not; an empty TEXT takes it away."""
    answer = annotate(cli, find(cli, session), ev.NoteWritten(text=text.strip()))
    done(answer, as_json, "note written" if text.strip() else "note taken away")

"""``rename`` and ``tag``: what a session is called, and by which words it is found."""

from __future__ import annotations

import click

from apollo_train.cli.terminal_output import say
from apollo_tui.acts.requests import annotation_request
from apollo_tui.cli.connection import Cli, ask_host, find_session, new_request_id, open_log
from apollo_tui.cli.output import json_option, print_done, print_json
from sessions.events import SessionRenamed, SessionTagged
from sessions.fold.names_and_tags import change_tags, check_tag_words, tag_change
from sessions.terminal_text import plain_line


@click.command()
@click.argument("session")
@click.argument("title")
@json_option
@click.pass_obj
def rename(cli: Cli, session: str, title: str, as_json: bool) -> None:
    """Call SESSION by another TITLE; its number and its id stay."""
    if not title.strip():
        raise click.UsageError("the title is empty")
    body = SessionRenamed(title=title.strip())
    answer = ask_host(cli, annotation_request(new_request_id(), find_session(cli, session), body))
    print_done(answer, as_json, f"session {session} is called {plain_line(title.strip())}")


@click.command(context_settings={"ignore_unknown_options": True})  # -x takes a tag away, it is no option
@click.argument("session")
@click.argument("tags", nargs=-1, metavar="[TAG | -TAG]...")
@json_option
@click.pass_obj
def tag(cli: Cli, session: str, tags: tuple[str, ...], as_json: bool) -> None:
    """Give SESSION tags; -TAG takes one away. Without tags: print them.

    Exports choose by tags (sessions.tags), and the board finds by them (/tag:TAG).
    """
    reader = open_log(cli)
    try:
        found = reader.find(session)
        summary = reader.summary(found)
    finally:
        reader.close()
    before = summary.tags if summary is not None else ()
    if not tags:
        if as_json:
            print_json({"id": found, "tags": list(before)})
        else:
            say(plain_line(" ".join(before) or "no tags"))
        return
    if wrong := check_tag_words(tags):
        raise click.UsageError(plain_line(wrong))
    change = tag_change(before, tags)
    if change == SessionTagged():
        raise click.ClickException(f"session {session} stays as it was: its tags are {', '.join(before) or 'none'}")
    answer = ask_host(cli, annotation_request(new_request_id(), found, change))
    print_done(answer, as_json, f"tags: {plain_line(' '.join(change_tags(before, change)) or 'none')}")

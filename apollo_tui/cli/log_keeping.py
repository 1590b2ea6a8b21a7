"""``terms``, ``backup`` and ``purge``: what a session may be used for, and the log a second time, or without one."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from apollo_train.cli.terminal_output import ask, confirm, say
from apollo_tui.acts.requests import annotation_request
from apollo_tui.cli.connection import Cli, ask_host, new_request_id, open_log
from apollo_tui.cli.output import json_option, print_done, print_json, print_lines
from sessions.events import Terms, TermsSet
from sessions.fold.notes import SessionNotes
from sessions.terminal_text import plain_line, say_count


@click.command()
@click.argument("session")
@click.option("--license", "license_", metavar="TEXT", help="On which terms its material may be used, in free words.")
@click.option("--source", metavar="TEXT", help="Where its material comes from.")
@click.option("--consent", metavar="TEXT", help="What the people in it agreed to.")
@json_option
@click.pass_obj
def terms(cli: Cli, session: str, license_: str | None, source: str | None, consent: str | None, as_json: bool) -> None:
    """Say on which terms SESSION may be used; exports carry the words along. Without an option: print them.

    "" takes words away.
    """
    reader = open_log(cli)
    try:
        found = reader.find(session)
        before = SessionNotes(reader.events(found, kinds=("session.created", "terms.set"))).terms
    finally:
        reader.close()
    said = TermsSet(license=license_, source=source, consent=consent)
    if said == TermsSet():
        if as_json:
            print_json({"id": found, **{name: getattr(before, name) for name in Terms.__struct_fields__}})
        else:
            print_lines(f"{name:<8} {getattr(before, name) or '–'}" for name in Terms.__struct_fields__)
        return
    answer = ask_host(cli, annotation_request(new_request_id(), found, said))
    print_done(answer, as_json, "terms set")


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
    say(plain_line(f"{made.path}: {said}, up to position {made.position}; verified"))


@click.command()
@click.argument("session")
@click.option("--why", required=True, metavar="TEXT", help="Why; it stays in the log, with your name.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@json_option
@click.pass_obj
def purge(cli: Cli, session: str, why: str, yes: bool, as_json: bool) -> None:
    """Take SESSION out of the log and off the disk, for good. The host must be stopped; a tombstone stays.

    After a purge that was cut off, SESSION as the full id removes what is left of its files.
    """
    from sessions.host.purging import purge_session
    from sessions.log.purge import tombstones

    if not why.strip():
        raise click.UsageError("--why is empty: say why it goes, for those who find it gone")
    reader = open_log(cli)
    try:
        gone = tombstones(cli.paths.log)
        found = session.upper() if session.upper() in gone else reader.find(session)
        summary = reader.summary(found)
        children = [one.address for one in reader.summaries() if one.begins is not None and one.begins.session == found]
    finally:
        reader.close()
    if summary is not None and not yes:
        if not is_asked():
            raise click.UsageError("nobody can be asked here: say --yes")
        name = f"session {summary.address} {summary.title}"
        began = f"; {', '.join(map(str, children))} began in it and will say so" if children else ""
        say(plain_line(f"{name}: {summary.last_seq} events, {summary.step} steps, its folder, drafts{began}"))
        if not confirm("Take it out for good?"):
            raise click.ClickException("nothing was purged")
        if str(ask("Its number, once more", type=str)).strip() != summary.address:
            raise click.ClickException("that is another number: nothing was purged")
    done = purge_session(cli.paths, found, cli.actor, why.strip())
    if as_json:
        print_json({"id": done.session, **msgspec.to_builtins(done)})
        return
    what = f"{say_count(done.events, 'event')}, {say_count(done.blobs, 'blob')}, {say_count(done.files, 'file')}"
    called = summary.address if summary is not None else str(done.number)
    say(plain_line(f"session {called} ({done.session}) is gone: {what}"))
    print_lines(f"  may still hold its words: {place}" for place in done.left)
    say("  backups, exports and snapshots of the disk are not searched: remove those yourself")


def is_asked() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()

"""What a person says of what was done: flags, corrections, sign-offs, preferences, notes."""

from __future__ import annotations

import difflib
import sys
from typing import cast

import click

from apollo_tui.acts.flags import Aftermath, read_aftermath, take_in
from apollo_tui.acts.requests import annotation_request
from apollo_tui.cli.connection import Cli, ask_host, find_session, new_request_id, open_log
from apollo_tui.cli.output import json_option, print_done
from apollo_tui.cli.targets import parse_target
from sessions import events as ev
from sessions.annotators import shown_name
from sessions.events.states import ENDED
from sessions.fold.flags import FlagBook, SessionVerdict, Verdict
from sessions.fold.notes import sign_off_text
from sessions.host import protocol
from sessions.labels import RIGHT_THERE_TOO, UNSPECIFIED, Taxonomy
from sessions.log.reader import LogReader


def annotate(cli: Cli, session: str, body: ev.Body) -> protocol.Done:
    """Append one annotation through the host."""
    return ask_host(cli, annotation_request(new_request_id(), session, body))


@click.command()
@click.argument("session")
@click.argument("target")
@click.option("--label", default="unspecified", show_default=True, help="Its id or name; a wrong one lists them.")
@click.option("--note", default="", help="Why.")
@click.option("--severity", type=click.IntRange(1, 5))
@click.option("--good", is_flag=True, help="A good action instead of a bad one.")
@click.option("--unsure", is_flag=True, help="Neither; somebody should look.")
@click.option("--until-recovery", is_flag=True, help="And what followed until the agent recovered: says which steps.")
@json_option
@click.pass_obj
def flag(
    cli: Cli,
    session: str,
    target: str,
    label: str,
    note: str,
    severity: int | None,
    good: bool,
    unsure: bool,
    until_recovery: bool,
    as_json: bool,
) -> None:
    """Flag an action so that it is kept out of the training loss. TARGET: STEP, STEP.CALL or STEP-STEP."""
    from sessions.config import load_config
    from sessions.labels import load_labels

    if good and unsure:
        raise click.UsageError("a flag is good or unsure, not both")
    verdict: Verdict = "good" if good else "unsure" if unsure else "bad"
    if label == RIGHT_THERE_TOO and not good:
        raise click.UsageError(f"{label} is said of a good action: add --good")
    if label not in (UNSPECIFIED, RIGHT_THERE_TOO):
        label = _find_label(label, load_labels(load_config().labels_file))
    reader = open_log(cli)
    found = reader.find(session)
    about, followed = parse_target(target), ""
    is_open = until_recovery
    if until_recovery and about.part != "summary":
        after = _read_aftermath(reader, found, about)
        followed = f" and what followed: {after.words(about.to_step or about.step)}"
        about, is_open = take_in(about, after)
    reader.close()
    name = new_request_id()[:12]
    body = ev.FlagSet(
        flag=name,
        target=about,
        verdict=verdict,
        label=label,
        note=note,
        severity=severity,
        until_recovery=is_open,
    )
    answer = annotate(cli, found, body)
    print_done(answer, as_json, f"flagged {target} {verdict} as {label}{followed} (flag {name})", flag=name)


def _read_aftermath(reader: LogReader, session: str, target: ev.Target) -> Aftermath:
    marks = FlagBook(reader.events(session, kinds=("recovery.marked",))).recoveries
    summary = reader.summary(session)
    return read_aftermath(reader, session, target, marks, ended=summary is not None and summary.state in ENDED)


def _find_label(name: str, known: Taxonomy) -> str:
    """The id of the label that is called so, by its id or its name. Raises UsageError that lists what there is."""
    found = [one.id for one in known.labels if name.casefold() in (one.id.casefold(), one.name.casefold())]
    if found:
        return found[0]
    near = difflib.get_close_matches(name, known.by_id, n=3, cutoff=0.4)
    listed = f"near: {', '.join(near)}" if near else f"labels: {', '.join(known.by_id)}"
    raise click.UsageError(f"there is no label '{name}'; {listed}")


@click.command()
@click.argument("session")
@click.argument("which")
@json_option
@click.pass_obj
def unflag(cli: Cli, session: str, which: str, as_json: bool) -> None:
    """Take back a flag: WHICH is its id, or a target of which you take back your newest flag."""
    reader = open_log(cli)
    found = reader.find(session)
    book = FlagBook(reader.events(found, kinds=("flag.set", "flag.removed")))
    reader.close()
    active = book.active
    mine = [item for item in active if item.id == which]
    if not mine:
        target = parse_target(which)
        mine = [item for item in active if item.target == target and item.by == cli.actor]
    if not mine:
        raise click.ClickException(
            f"you have no flag on {which} in this session; 'apollo log {session} --kind flag.set' lists all flags"
        )
    answer = annotate(cli, found, ev.FlagRemoved(flag=mine[-1].id))
    print_done(answer, as_json, f"took back the flag on {mine[-1].target}", flag=mine[-1].id)


@click.command()
@click.argument("session")
@click.argument("target")
@click.argument("text")
@json_option
@click.pass_obj
def correct(cli: Cli, session: str, target: str, text: str, as_json: bool) -> None:
    """Write what the agent should have done instead. TARGET: STEP or STEP.CALL; an empty TEXT takes it back.

    TEXT may end with calls, each as `tool {"argument": 1}` at the beginning of a line: such a correction makes a pair
    for DPO. `-` reads it from standard input. It masks nothing: that is what `apollo flag` is for.
    """
    from sessions.fold.corrections import CorrectionBook, broken_call

    place = parse_target(target)
    if place.part not in ("reply", "call"):
        raise click.UsageError(f"'{target}' cannot be corrected; write 41 (step) or 41.2 (call)")
    said = (sys.stdin.read() if text == "-" else text).strip()
    reader = open_log(cli)
    found = reader.find(session)
    events = list(reader.events(found, kinds=("flag.set", "flag.removed", "correction.written")))
    reader.close()
    if not said and not CorrectionBook(events).own(cli.actor, place):
        raise click.ClickException(f"you have no correction of {target} in this session to take back")
    answer = annotate(cli, found, ev.CorrectionWritten(target=place, text=said))
    line = f"correction of {target} written" if said else f"correction of {target} taken back"
    if said and (name := broken_call(said)):
        line += f"; kept as words: {name} is followed by no whole JSON object, or by more than calls"
    flags = FlagBook(events).active
    if said and not any(flag.target.step <= place.step <= (flag.target.to_step or flag.target.step) for flag in flags):
        line += f"; it masks nothing: 'apollo flag {session} {target}' flags what the agent did"
    print_done(answer, as_json, line)


@click.command()
@click.argument("session")
@click.argument("step", type=click.IntRange(min=1))
@click.option("--remove", is_flag=True, help="Take the mark back.")
@json_option
@click.pass_obj
def recovery(cli: Cli, session: str, step: int, remove: bool, as_json: bool) -> None:
    """Mark STEP as the one on which the agent recovered: flags that hold until recovery end before it."""
    reader = open_log(cli)
    found = reader.find(session)
    marks = FlagBook(reader.events(found, kinds=("recovery.marked",))).recoveries
    reader.close()
    if remove and step not in marks:
        listed = f"; marked are {', '.join(map(str, marks))}" if marks else ""
        raise click.ClickException(f"step {step} has no recovery mark{listed}")
    if not remove and step in marks:
        raise click.ClickException(f"step {step} is marked already, by {shown_name(marks[step])}")
    answer = annotate(cli, found, ev.RecoveryMarked(at_step=step, removed=remove))
    print_done(answer, as_json, f"recovery {'no longer ' if remove else ''}marked at step {step}")


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
    verdict = None if word in ("up-to", "none") else cast(SessionVerdict, word)
    body = ev.SignedOff(verdict=verdict, up_to_step=step)
    answer = annotate(cli, find_session(cli, session), body)
    print_done(answer, as_json, "sign-off taken back" if word == "none" else f"signed off: {sign_off_text(body)}")


@click.command()
@click.argument("better")
@click.argument("worse")
@click.option("--why", default="", help="What makes it better: exports carry it.")
@click.option("--equal", is_flag=True, help="Neither is better.")
@click.option("--remove", is_flag=True, help="Take your word on the two back.")
@json_option
@click.pass_obj
def prefer(cli: Cli, better: str, worse: str, why: str, equal: bool, remove: bool, as_json: bool) -> None:
    """Say that session BETTER is better than session WORSE, of the same task: a preference between the two as wholes.

    `apollo export --format preferences` writes them.
    """
    from apollo_tui.acts.preferences import EQUAL, preference_body

    if equal and remove:
        raise click.UsageError("say that both are equal, or take your word back")
    one, other = find_session(cli, better), find_session(cli, worse)
    session, body = preference_body(one, other, "" if remove else EQUAL if equal else one, why.strip())
    answer = annotate(cli, session, body)
    said = "your word is taken back" if remove else "both are equally good" if equal else f"{better} is the better one"
    print_done(answer, as_json, f"sessions {better} and {worse}: {said}")


@click.command()
@click.argument("session")
@click.argument("text")
@json_option
@click.pass_obj
def note(cli: Cli, session: str, text: str, as_json: bool) -> None:
    """Write your note on a session. Colleagues see it, the agent does not; an empty TEXT takes it away."""
    answer = annotate(cli, find_session(cli, session), ev.NoteWritten(text=text.strip()))
    print_done(answer, as_json, "note written" if text.strip() else "note taken away")

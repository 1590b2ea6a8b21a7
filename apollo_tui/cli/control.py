"""``advise``, ``withdraw``, ``answer``, ``pause``, ``limit`` and the rest: what changes the course of a session."""

from __future__ import annotations

from typing import Final, cast, get_args

import click

from apollo_tui.acts.requests import KEYED, annotation_request, find_budget, is_limit_change, limit_request
from apollo_tui.cli.connection import Cli, ask_host, find_session, new_request_id, open_log
from apollo_tui.cli.output import json_option, print_done
from apollo_tui.cli.targets import parse_target
from sessions.agent.advice import read_queued
from sessions.events import AdviceKind, AdviceReach, AdviceStanding, Reach, Verb
from sessions.host import protocol
from sessions.host.api_keys import key_here
from sessions.terminal_text import plain_line

LISTED: Final = 40
"""Characters of each piece of advice where several wait."""

REACHES: Final = get_args(Reach)


@click.command()
@click.argument("session")
@click.argument("text")
@click.option("--now", is_flag=True, help="Deliver at once: cuts a reply, leaves commands running as jobs.")
@click.option("--kind", type=click.Choice(["knowledge", "strategy", "correction", "stop"]))
@click.option("--about", metavar="STEP[.CALL]", help="The action that it is about.")
@click.option(
    "--reach",
    type=click.Choice(REACHES),
    default="general",
    show_default=True,
    help="It would help anybody from the beginning, or holds here only: `--advice dropped` drops the former.",
)
@click.option("--reopen", is_flag=True, help="Reopen the session if it has ended.")
@click.option("--edit", "edits", type=click.IntRange(min=1), metavar="N", help="Advice N, which waits, says this now.")
@json_option
@click.pass_obj
def advise(
    cli: Cli,
    session: str,
    text: str,
    now: bool,
    kind: str | None,
    about: str | None,
    reach: str,
    reopen: bool,
    edits: int | None,
    as_json: bool,
) -> None:
    """Give advice: it is delivered at the next boundary and disturbs nothing that is under way."""
    if not text.strip():
        back = f"; 'apollo withdraw {session} {edits}' takes it back" if edits is not None else ""
        raise click.UsageError(f"the advice is empty{back}")
    if edits is not None:
        given = click.get_current_context().get_parameter_source("reach")
        if kind or about or reopen or given is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("--edit changes the words of advice alone; 'apollo reach' says how far it reaches")
        edit = protocol.EditAdvice(
            request=new_request_id(), session=find_session(cli, session), advice=edits, text=text, now=now
        )
        print_done(ask_host(cli, edit), as_json, f"advice {edits} changed")
        return
    params = protocol.QueueAdvice(
        request=new_request_id(),
        session=find_session(cli, session),
        text=text,
        now=now,
        kind=cast("AdviceKind | None", kind),
        about=parse_target(about) if about else None,
        reopen=reopen,
        reach=cast("Reach", reach),
        hold_ms=0,
    )
    answer = ask_host(cli, params)
    print_done(answer, as_json, f"advice {answer.number} queued, {reach}")


@click.command()
@click.argument("session")
@click.argument("advice", type=click.IntRange(min=1))
@click.argument("word", type=click.Choice(REACHES))
@json_option
@click.pass_obj
def reach(cli: Cli, session: str, advice: int, word: str, as_json: bool) -> None:
    """Say how far a piece of ADVICE (its number) reaches: general, or here only. Also after its delivery."""
    body = AdviceReach(advice=advice, reach=cast("Reach", word))
    answer = ask_host(cli, annotation_request(new_request_id(), find_session(cli, session), body))
    print_done(answer, as_json, f"advice {advice}: {word}")


@click.command()
@click.argument("session")
@click.argument("advice", type=click.IntRange(min=1))
@click.option("--done", is_flag=True, help="It holds no longer.")
@json_option
@click.pass_obj
def standing(cli: Cli, session: str, advice: int, done: bool, as_json: bool) -> None:
    """Have a piece of ADVICE (its number) hold as long as the work goes on.

    Where a harness replaces its conversation by one that has lost it, it is said again, once.
    """
    body = AdviceStanding(advice=advice, standing=not done)
    answer = ask_host(cli, annotation_request(new_request_id(), find_session(cli, session), body))
    print_done(answer, as_json, f"advice {advice}: {'done' if done else 'standing'}")


@click.command()
@click.argument("session")
@click.argument("advice", type=click.IntRange(min=1), required=False)
@json_option
@click.pass_obj
def withdraw(cli: Cli, session: str, advice: int | None, as_json: bool) -> None:
    """Take back advice that still waits: number ADVICE, or the only one. Its words are printed: none is lost."""
    reader = open_log(cli)
    try:
        found = reader.find(session)
        summary = reader.summary(found)
        waiting = [one.advice for one in summary.open_advice] if summary is not None else []
        texts = {piece.advice: piece.text for piece in read_queued(reader, found, waiting)}
    finally:
        reader.close()
    if not waiting and advice is None:
        raise click.ClickException(f"no advice to session {session} waits")
    if advice is None and len(waiting) > 1:
        listed = "; ".join(f"{number} ({plain_line(texts.get(number, ''))[:LISTED]})" for number in waiting)
        raise click.UsageError(f"{len(waiting)} pieces of advice wait, say which: {listed}")
    number = advice if advice is not None else waiting[0]
    call = protocol.WithdrawAdvice(request=new_request_id(), session=found, advice=number)
    # What does not wait is refused by the host, in its words.
    done = ask_host(cli, call)
    text = texts.get(number, "")
    print_done(done, as_json, f"advice {number} taken back: {text}", advice=str(number), text=text)


@click.command()
@click.argument("session")
@click.argument("text")
@json_option
@click.pass_obj
def answer(cli: Cli, session: str, text: str, as_json: bool) -> None:
    """Answer the question that the session has asked."""
    print_done(
        ask_host(cli, protocol.Answer(request=new_request_id(), session=find_session(cli, session), text=text)),
        as_json,
        "answered",
    )


def _control(verb: Verb, doc: str) -> click.Command:
    @click.command(name=verb, help=doc)
    @click.argument("session")
    @json_option
    @click.pass_obj
    def command(cli: Cli, session: str, as_json: bool) -> None:
        reader = open_log(cli)
        found = reader.find(session)
        key = key_here(reader, found) if verb in KEYED else None
        reader.close()
        reply = ask_host(cli, protocol.Control(request=new_request_id(), session=found, verb=verb, key=key))
        print_done(reply, as_json, f"{verb} asked for")

    return command


pause = _control("pause", "Pause a session at its next boundary.")
resume = _control("resume", "Let a paused, stopped or finished session go on.")
stop = _control("stop", "Stop a session now: its reply, action and jobs end. It can be resumed later.")
hold = _control("hold", "Hold a session's next reply: nothing of it happens until 'resume' lets it go.")
interrupt = _control("interrupt", "Cancel the reply under way, then pause.")
drop = _control("drop", "Leave a session's last reply out of its context; one that its server refuses goes on.")
shorten = _control("shorten", "Have a session summarise what was said; one that its server refuses goes on from that.")
retry = _control("retry", "Send a request that the server refused once more as it is.")
archive = _control("archive", "Put a session out of sight; nothing is deleted.")
unarchive = _control("unarchive", "Bring a session back from the archive: paused, or ended if it had ended.")


@click.command(context_settings={"ignore_unknown_options": True})  # -50 is a value, not an option
@click.argument("session")
@click.argument("name", metavar="NAME")
@click.argument("value", required=False)
@json_option
@click.pass_obj
def limit(cli: Cli, session: str, name: str, value: str | None, as_json: bool) -> None:
    """Set a budget (steps, active_hours, tokens, money, evaluations): a number, +N or -N, or 'none' to lift it.

    NAME=VALUE does, too.
    """
    if value is None:
        name, _, value = name.partition("=")
    budget = find_budget(name)
    if budget is None:
        raise click.UsageError(f"there is no limit of '{name}'; limits: {', '.join(protocol.BUDGETS)}")
    if not value:
        raise click.UsageError(f"say how much: {name} 200, {name} +50 or {name} none")
    if not is_limit_change(value):
        raise click.UsageError(f"'{value}' is no limit; give a number, +N, -N or 'none'")
    params = limit_request(new_request_id(), find_session(cli, session), budget, value)
    print_done(ask_host(cli, params), as_json, f"limit of {name} set")

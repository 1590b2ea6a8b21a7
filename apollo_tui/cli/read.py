"""``ls``, ``show``, ``log``, ``prompt`` and ``search``: reading the log. They never start a host."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import click
import msgspec

from apollo_train.cli.terminal_output import say, say_data
from apollo_tui.cli.connection import Cli, open_log
from apollo_tui.cli.output import (
    json_option,
    print_json,
    print_lines,
    print_table,
    say_active,
    say_age,
    say_endings,
    say_reason,
    say_spent,
    say_title,
    say_tokens,
    session_row,
)
from apollo_tui.state.session_facts import AS_THEY_COME, say_agent, say_together
from sessions import events as ev
from sessions import hints
from sessions.annotators import shown_actor
from sessions.events.session import add_what_is_in_sight
from sessions.events.states import ACTIVE
from sessions.fold.beginning import say_beginning
from sessions.fold.costs import UNKNOWN
from sessions.fold.families import Families, count_together
from sessions.fold.recording import KINDS as RECORDING_KINDS
from sessions.fold.recording import RecordingBook
from sessions.fold.released_reply import REPLY_KINDS, released_reply
from sessions.fold.remedies import remedies_where_it_stands
from sessions.fold.result_status import result_status
from sessions.fold.summary import Summary
from sessions.fold.trajectory import CallRecord, StepRecord, steps
from sessions.host import lock
from sessions.host.watcher import say_what_host_waits_for
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request
from sessions.queries.search import search_all
from sessions.queries.search_query import parse_query
from sessions.terminal_text import plain_line, plain_text, say_count


@click.command()
@click.option("--all", "everything", is_flag=True, help="Archived sessions too.")
@json_option
@click.pass_obj
def ls(cli: Cli, everything: bool, as_json: bool) -> None:
    """List the sessions, sub-agents below the one that started them."""
    reader = open_log(cli)
    now = int(time.time() * 1000)
    every = {s.session: s for s in reader.summaries()}
    families = Families.of(every.values())
    gone = {s.session for s in every.values() if s.archived and not everything}
    found = [s for s in every.values() if gone.isdisjoint((s.session, *families.above(s.session)))]
    reader.close()
    waits = say_what_host_waits_for(cli.paths)
    if waits:
        say(f"{waits}; sessions that need the log go on by themselves then", err=True)
    if as_json:
        print_json([session_row(s, now) for s in found])
        return
    if not found:
        say("no sessions yet; 'apollo new TASK.md --model PROVIDER:MODEL' makes one, 'apollo demo' shows five")
        return
    addresses = {s.session: s.address for s in every.values()}
    endings = say_endings(list(every))
    places = {session: at for at, session in enumerate(families.order())}
    rows = [
        [s.address, endings[s.session], "  " * families.level(s.session) + say_title(s, addresses),
         s.state.replace("_", " "), str(s.step),
         say_active(s, now), say_tokens(s),
         say_spent(s), say_age(s.last_at, now), say_reason(s)[:60]]
        for s in sorted(found, key=lambda s: places[s.session])
    ]  # fmt: skip
    print_table(rows, ("no", "id ends", "title", "state", "step", "active", "tokens", "cost", "last", "reason"))
    if any(s.state in ACTIVE for s in found) and not waits and lock.holder(cli.paths.lock) is None:
        say("no host runs, so none of them is at work; 'apollo host start' starts one", err=True)


@click.command()
@click.argument("session")
@click.option(
    "--steps",
    "count",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many of the newest steps; 0: all.",
)
@json_option
@click.pass_obj
def show(cli: Cli, session: str, count: int, as_json: bool) -> None:
    """Show a session: its facts and its newest steps."""
    reader = open_log(cli)
    found = reader.find(session)
    summary = reader.summary(found)
    assert summary is not None
    first = max(1, summary.step - count + 1) if count else 1
    window = reader.events(found, steps=(first, summary.step)) if summary.step else []
    records = list(steps(window))
    now = int(time.time() * 1000)
    recording = RecordingBook(reader.events(found, kinds=RECORDING_KINDS))
    if as_json:
        kept = {"notes": recording.lines_of_file, "steps": [_step_json(record) for record in records]}
        print_json(session_row(summary, now) | kept)
        return
    say(plain_line(f"{summary.address} {summary.title}  {summary.state.replace('_', ' ')}  {_reason(summary)}"))
    say(f"  id {found}")
    if summary.begins is not None:
        parent = reader.summary(summary.begins.session) if summary.begins.session else None
        addresses = {parent.session: parent.address} if parent else {}
        say(f"  {say_beginning(summary.begins, addresses)}, after its event {summary.begins.seq}")
    counts = (
        f"step {summary.step}",
        f"active {say_active(summary, now)}",
        _tokens(summary),
        _cost(summary),
        "" if summary.harness else f"{summary.malformed} malformed",
        say_count(summary.flags, "flag"),
    )
    say(f"  {', '.join(filter(None, counts))}")
    known = {each.session: each for each in reader.summaries()}
    below = [known[one] for one in Families.of(known.values()).below(found)]
    if below:
        say(f"  with its {say_count(len(below), 'sub-agent')}: {say_together(count_together(summary, below))}")
    if summary.harness:
        say(plain_line(f"  its agent is {say_agent(summary)}"))
    if summary.passes_replies:
        say(f"  replies: {AS_THEY_COME}")
    if summary.contained:
        say(plain_line(f"  {add_what_is_in_sight(summary.contained)}"))
    for item in summary.plan:
        say(plain_line(f"  [{item.status}] {item.text}"))
    print_lines(f"  note: {line}" for line in recording.lines_of_file)
    for record in records:
        _print_step(record, reader.text)
    for waiting in summary.open_advice:
        say(plain_line(f"  advice {waiting.advice} waits: {waiting.text}"))
    reader.close()


def _tokens(summary: Summary) -> str:
    if not summary.input_tokens and not summary.output_tokens:
        return "tokens unknown" if summary.step else ""
    return f"{summary.input_tokens:,} tokens in, {summary.output_tokens:,} out"


def _cost(summary: Summary) -> str:
    said = say_spent(summary)
    return "cost unknown (no prices)" if said == UNKNOWN else said


def _print_step(record: StepRecord, text: Callable[[ev.LongText], str]) -> None:
    if record.dropped:
        say(f"{record.step:>5}  left out of the context")
    for word, said in (("reasoning", record.reasoning), ("says", record.text)):
        if said.strip():
            say(f"{record.step:>5}  {word:<10} {plain_line(said)[:100]}")
    for call in record.calls:
        say(f"{record.step:>5}.{call.number} {plain_line(_call_line(call, text))[:110]}")


def _call_line(call: CallRecord, text: Callable[[ev.LongText], str]) -> str:
    said = f"{call.name} {call.part.arguments if call.part else ''}"
    if call.refusal:
        return f"{said}  not run: {call.refusal.problem or call.refusal.why}"
    if call.result:
        last = (text(call.result.output).strip().splitlines() or [""])[-1]
        return f"{said}  {result_status(call.result).replace('background', 'in background')}: {last}"
    return f"{said}  {call.fate}"


def _step_json(record: StepRecord) -> dict[str, Any]:
    return {
        "step": record.step,
        "reasoning": record.reasoning,
        "text": record.text,
        "calls": [
            {
                "call": call.number,
                "name": call.name,
                "arguments": call.part.arguments if call.part else None,
                "fate": call.fate,
                "result": msgspec.to_builtins(call.result or call.refusal),
            }
            for call in record.calls
        ],
    }


@click.command()
@click.argument("session")
@click.option("--follow", "-f", is_flag=True, help="Go on as events arrive; ctrl+c ends.")
@click.option("--kind", "kinds", multiple=True, help="Only events of this kind (may be given again).")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the newest N, oldest of them first.")
@json_option
@click.pass_obj
def log(cli: Cli, session: str, follow: bool, kinds: tuple[str, ...], last: int | None, as_json: bool) -> None:
    """Print the events of a session, one a line."""
    unknown = [kind for kind in kinds if kind not in ev.KINDS]
    if unknown:
        raise click.UsageError(f"there is no kind of event '{unknown[0]}'; docs/log.md lists them")
    reader = open_log(cli)
    found = reader.find(session)
    after = 0
    if last is not None:
        newest = reader.events(found, kinds=kinds or None, limit=last, newest_first=True)
        after = newest[-1].seq - 1 if newest else 0
    while True:
        page = reader.events(found, after=after, kinds=kinds or None, limit=500)
        for event in page:
            if as_json:
                say_data(event_json(event))
            else:
                say(event_line(event))
            after = event.seq
        if not page:
            if not follow:
                break
            time.sleep(0.3)
    reader.close()


def event_json(event: ev.Event) -> str:
    """One event as JSON, ``id`` first; ``shown_actor`` where the name is self-declared."""
    found = msgspec.to_builtins(event)
    shown = shown_actor(event.actor)
    return msgspec.json.encode(found if shown == event.actor else found | {"shown_actor": shown}).decode()


def event_line(event: ev.Event) -> str:
    """One event as a line for a person."""
    place = f"{event.step}.{event.call}" if event.step and event.call else str(event.step or "")
    clock = time.strftime("%m-%d %H:%M:%S", time.localtime(event.at / 1000))
    said = msgspec.json.encode(event.body).decode()
    actor = plain_line(shown_actor(event.actor))
    return f"{event.seq:>6}  {clock}  {place:<7} {actor:<14} {event.kind:<18} {plain_text(said)[:140]}"


def _reason(summary: Summary) -> str:
    """Why it stands where it stands, with the commands that help."""
    return hints.say_remedies(say_reason(summary), remedies_where_it_stands(summary), hints.command_of)


@click.command()
@click.argument("session")
@click.argument("step")
@click.option("--pretty", is_flag=True, help="Indented, to be read; without it: canonical JSON, byte for byte.")
@click.pass_obj
def prompt(cli: Cli, session: str, step: str, pretty: bool) -> None:
    """Print the body of the request of STEP (or of summary S1), rebuilt from the log, as JSON.

    Its SHA-256 is checked against the log, with an exit code of 1 if it is another; stderr says what was found.
    """
    reader = open_log(cli)
    try:
        found = reader.find(session)
        event, body, count = _request(reader, found, step)
        data = rebuild_request(reader, found, event.seq)
    finally:
        reader.close()
    origin = "exact: what the server was sent" if body.exact else "reconstructed: an import tells no more"
    newest = f", the newest of {count} requests" if count > 1 else ""
    say(f"apollo: event {event.seq}{newest}; sha256 {body.sha256} as in the log; {origin}", err=True)
    text = json.dumps(json.loads(data), indent=2, ensure_ascii=False) if pretty else data.decode()
    say_data(text, nl=sys.stdout.isatty())


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
        reply = released_reply(reader.events(session, kinds=REPLY_KINDS, steps=(at, at)), at)
        # Of several, the one that the step's reply answered comes last.
        asked.sort(key=lambda event: reply is not None and event.seq == reply.request)
    found = [(e, e.body) for e in asked if isinstance(e.body, ev.ModelRequested)]
    found = [pair for pair in found if number[1] or pair[1].purpose == "step"]
    if not found:
        raise click.ClickException(f"the log holds no request of {'summary' if number[1] else 'step'} {step}")
    return *found[-1], len(found)


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
    reader = open_log(cli)
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
                    "address": hit.address,
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
        [f"{hit.address} {hit.title}", f"{hit.step or ''}" + (f".{hit.call}" if hit.call else ""), say_age(hit.at),
         hit.text[:100]]
        for hit in found.hits
    ]  # fmt: skip
    print_table(rows, ("session", "step", "ago", "text"))
    if found.more:
        say(f"these are the newest {limit}; --limit shows more")

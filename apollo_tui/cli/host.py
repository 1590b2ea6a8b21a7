"""``apollo host …``: the background process that runs the sessions."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

import click
import msgspec

from apollo_train.cli.terminal_output import confirm, say
from apollo_tui.cli.connection import Cli, ask_host, new_request_id
from apollo_tui.cli.output import json_option, print_json, print_table
from apollo_tui.terminal.shell_command import way_back
from sessions.events import Harness, HarnessOpened, SessionCreated
from sessions.events.states import ENDED
from sessions.host import protocol
from sessions.terminal_text import say_count

if TYPE_CHECKING:
    from sessions.log.reader import LogReader


@click.group()
def host() -> None:
    """The background process that runs sessions and alone writes the log."""


@host.command()
@json_option
@click.pass_obj
def start(cli: Cli, as_json: bool) -> None:
    """Start the host if none runs. Sessions held by an earlier stop stay held."""
    import asyncio

    from sessions.host.client import ensure_host, host_status

    asyncio.run(ensure_host(cli.paths, *cli.host_options))
    status = host_status(cli.paths)
    _print_status(status, as_json)


@host.command()
@click.option("--now", is_flag=True, help="Do not wait for boundaries.")
@click.option("--quiet", is_flag=True, help="Say nothing if none runs.")
@click.option("--sessions", is_flag=True, help="Stop its sessions first, which ends their jobs.")
@click.pass_obj
def stop(cli: Cli, now: bool, quiet: bool, sessions: bool) -> None:
    """Stop the host. Its sessions are held until you resume them, and their jobs run on, unless --sessions is given."""
    at_work = _at_work(cli)
    if sessions:
        _stop_sessions(cli)
    elif not now:
        _confirm_ends(_programs(cli, resumable=False))
    programs = [] if sessions else _programs(cli, resumable=True)
    report = _stop_report(cli, at_work, ended=sessions)
    if programs:
        report += f"; the program of {', '.join(programs)} was ended, and is started again then"
    _stop(cli, now=now, quiet=quiet, restart=False, report=report)


def _programs(cli: Cli, *, resumable: bool) -> list[str]:
    """The agent programs that run, and can go on once they have ended, or cannot, as a person names them."""
    from sessions.host.client import host_status
    from sessions.log.reader import LogReader

    if host_status(cli.paths) is None or not cli.paths.log.exists():
        return []
    with LogReader(cli.paths.log) as reader:
        return [
            f"session {summary.address} ({created.harness.name})"
            for summary in reader.summaries()
            if summary.harness and summary.open_jobs and summary.state not in ENDED
            and isinstance(created := reader.events(summary.session, limit=1)[0].body, SessionCreated)
            and created.harness is not None and _can_go_on(reader, summary.session, created.harness) == resumable
        ]  # fmt: skip


def _can_go_on(reader: LogReader, session: str, harness: Harness) -> bool:
    """Whether the program can go on once it has ended; one that is talked to says so itself."""
    if not harness.acp:
        return bool(harness.resume)
    opened = reader.events(session, kinds={"harness.opened"}, newest_first=True, limit=1)
    return any(isinstance(event.body, HarnessOpened) and event.body.can_load for event in opened)


def _confirm_ends(lost: list[str]) -> None:
    """Ask before agent programs lose the endpoint that they cannot do without. Raises ClickException without a yes."""
    if not lost:
        return
    said = f"{', '.join(lost)} cannot go on without the host, and would end early"
    if not sys.stdin.isatty():
        raise click.ClickException(f"{said}; --now stops the host all the same, 'apollo host restart' keeps them")
    if not confirm(f"{said}. Stop the host?"):
        raise click.Abort


def _at_work(cli: Cli) -> int:
    """How many sessions of the host have not ended."""
    from sessions.host.client import host_status

    status = host_status(cli.paths)
    return sum(state not in ENDED for state in status.sessions.values()) if status else 0


def _stop_report(cli: Cli, at_work: int, *, ended: bool) -> str:
    """What a stop of the host did to its sessions, and what lets one go on."""
    if not at_work:
        return "the host has stopped; no session was at work"
    became = "stopped, their jobs too" if ended else "held, their jobs run on"
    resume = f"{way_back(cli.paths.log)} resume SESSION"
    return f"the host has stopped; {say_count(at_work, 'session')} {became}: '{resume}' lets one of them go on"


def _stop_sessions(cli: Cli) -> None:
    """Stop every session that has not ended. Jobs outlive a host, but not a session that was stopped."""
    from sessions.host.client import RequestRefused, host_status

    status = host_status(cli.paths)
    for session, state in (status.sessions if status else {}).items():
        if state not in ENDED:
            params = protocol.Control(request=new_request_id(), session=session, verb="stop")
            # It may have ended by itself in the meantime.
            with contextlib.suppress(RequestRefused):
                ask_host(cli, params, start=False)
    _wait_for_end(cli)


def _wait_for_end(cli: Cli, seconds: float = 20.0) -> None:
    from sessions.host.client import host_status

    deadline = time.monotonic() + seconds
    while (status := host_status(cli.paths)) and not ENDED.issuperset(status.sessions.values()):
        if time.monotonic() > deadline:
            raise click.ClickException("some sessions did not stop in time; 'apollo ls' says which")
        time.sleep(0.1)


@host.command()
@click.option("--now", is_flag=True, help="Do not wait for boundaries.")
@click.pass_obj
def restart(cli: Cli, now: bool) -> None:
    """Stop the host and start it again; its sessions go on."""
    import asyncio

    from sessions.config import load_config
    from sessions.host.client import ensure_host

    load_config()  # a host that cannot read it would not come back
    _stop(cli, now=now, quiet=True, restart=True)
    asyncio.run(ensure_host(cli.paths, *cli.host_options))
    say("the host has been restarted")


def _stop(cli: Cli, *, now: bool, quiet: bool, restart: bool, report: str = "") -> None:
    """Stop the host, or restart it, and print ``report``."""
    from sessions.host.client import host_status, wait_for_stop
    from sessions.host.watcher import end_watcher

    if host_status(cli.paths) is None:
        # One that crashed may be about to be started again.
        ended = end_watcher(cli.paths)
        if not quiet:
            say(f"no host runs for this log{'; none will be started again by itself' if ended else ''}")
        return
    stopping = ask_host(cli, protocol.StopHost(by=cli.actor, at_boundary=not now, restart=restart), start=False)
    wait_for_stop(cli.paths, pid=stopping.pid)
    if not quiet:
        say(report)


@host.command()
@json_option
@click.pass_obj
def status(cli: Cli, as_json: bool) -> None:
    """Say whether a host runs, its pid, its log and its sessions. Exit code 3 if none runs."""
    from sessions.host.client import host_status
    from sessions.host.watcher import say_what_host_waits_for

    _print_status(host_status(cli.paths), as_json, say_what_host_waits_for(cli.paths))


def _print_status(status: protocol.HostStatus | None, as_json: bool, waits: str = "") -> None:
    """Print how the host is; ``waits``: what keeps one from running."""
    if status is None:
        if as_json:
            print_json({"id": None, "running": False} | ({"waits": waits} if waits else {}))
        else:
            say(waits or "no host runs for this log; 'apollo host start' starts one")
        raise click.exceptions.Exit(3)
    if as_json:
        print_json({"id": status.pid, "running": True, **msgspec.to_builtins(status)})
        return
    say(f"host {status.pid} (version {status.version}) writes {status.log}, position {status.position}")
    if status.waits:
        say(f"it waits: {status.waits}; sessions that need the log go on by themselves then")
    if not status.sessions:
        say("no session is at work")
        return
    print_table(
        [[session[-8:], state.replace("_", " ")] for session, state in status.sessions.items()], ("session", "state")
    )


@host.command()
@click.pass_obj
def run(cli: Cli) -> None:
    """Run the host in the foreground, without a watcher (for service managers and for debugging)."""
    from sessions.host.main import run_host

    raise click.exceptions.Exit(run_host(cli.paths, allow_network_fs=cli.allow_network_fs))

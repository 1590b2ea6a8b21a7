"""``apollo jobs`` and ``apollo gc``: what outlives sessions. Neither starts a host."""

from __future__ import annotations

import asyncio
import time

import click

from apollo_train.cli.terminal_output import say
from apollo_tui.cli.connection import Cli, open_log
from apollo_tui.cli.output import json_option, print_json, print_table, say_age, say_duration
from sessions import config
from sessions.events.states import ENDED
from sessions.fold.summary import Summary
from sessions.host import lock
from sessions.jobs.living import LivingJob, end_job, living_jobs
from sessions.queries.leftovers import Leftover, leftovers, remove
from sessions.terminal_text import say_count

GIGABYTE = 1_000_000_000
COARSE_SECONDS = 2.0
"""A file's time may be that much behind the clock: a kernel's tick, or the two seconds of an old file system."""


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def jobs(ctx: click.Context, as_json: bool) -> None:
    """List the jobs of this log that still run, also those of sessions that have ended."""
    if ctx.invoked_subcommand is not None:
        return
    cli: Cli = ctx.obj
    known = _summaries(cli)
    found = living_jobs(cli.paths.sessions)
    now = int(time.time() * 1000)
    if as_json:
        print_json([_row(one, known.get(one.session), now) for one in found])
        return
    if not found:
        say("no job of this log runs")
        return
    rows = [
        [_session(known.get(one.session), one), one.name, _state(known.get(one.session)), str(one.job.holder.pid),
         say_duration(max(0, now - one.job.started_at)), "ended" if one.job.end() else "running", one.job.command[:60]]
        for one in found
    ]  # fmt: skip
    print_table(rows, ("session", "job", "its session", "pid", "for", "command is", "command"))
    over = [one for one in found if (s := known.get(one.session)) is None or s.state in ENDED]
    if over:
        say(
            f"{say_count(len(over), 'job')} of sessions that have ended; 'apollo jobs end SESSION JOB' ends one",
            err=True,
        )


@jobs.command()
@click.argument("session")
@click.argument("job")
@click.pass_obj
def end(cli: Cli, session: str, job: str) -> None:
    """End a job, and all processes that it left: SESSION is a number or an id, JOB as the list has it."""
    known = _summaries(cli)
    by_address = {summary.address: summary.session for summary in known.values()}
    wanted = by_address.get(session, session.upper())
    found = [one for one in living_jobs(cli.paths.sessions) if one.session.endswith(wanted) and one.name == job]
    if len(found) != 1:
        raise click.ClickException(f"no job {job} of session {session} runs; 'apollo jobs' lists those that do")
    if not asyncio.run(end_job(cli.paths.sessions, found[0])):
        raise click.ClickException(f"job {job} of session {session} will not end (pid {found[0].job.holder.pid})")
    say(f"job {job} of session {session} has ended")


@click.command()
@click.option("--yes", is_flag=True, help="Remove it; without this, only say what would be removed.")
@click.option("--quota", type=click.FloatRange(min=0), help="Gigabytes that the output of jobs may take.")
@json_option
@click.pass_obj
def gc(cli: Cli, yes: bool, quota: float | None, as_json: bool) -> None:
    """Say what serves nobody any more: workspace copies without a session, and old output of jobs above the quota.

    Folders of sessions that ran and that the log does not know are named, and never removed: it may be an older copy.
    """
    found = find_leftovers(cli, quota)
    if as_json:
        print_json(
            [{"id": str(one.path), "what": one.what, "session": one.session, "bytes": one.size} for one in found]
        )
    else:
        for one in found:
            say(f"{one.size / 1e6:8.1f} MB  {say_age(round(one.at * 1000)):>8}  {one.path}: {one.reason}")
    going = [one for one in found if one.may_go]
    total = f"{sum(one.size for one in going) / 1e6:.1f} MB in {say_count(len(going), 'place')}"
    if yes:
        for one in going:
            remove(one)
        say(f"removed {total}", err=as_json)
    else:
        say(f"{total} would be removed; 'apollo gc --yes' does it" if going else "nothing to remove", err=as_json)


def find_leftovers(cli: Cli, quota: float | None = None) -> list[Leftover]:
    """What ``gc`` would remove, or names. ``quota`` in gigabytes; None: what the config says. Raises ApolloError."""
    most = config.load_config().host.output_gb if quota is None else quota
    holder = lock.holder(cli.paths.lock)
    before = time.time() if holder is None else holder.started_at / 1000 - COARSE_SECONDS
    return leftovers(cli.paths.sessions, _summaries(cli), round(most * GIGABYTE), before=before)


def _summaries(cli: Cli) -> dict[str, Summary]:
    reader = open_log(cli)
    try:
        return {summary.session: summary for summary in reader.summaries()}
    finally:
        reader.close()


def _session(summary: Summary | None, one: LivingJob) -> str:
    return f"{summary.address} {summary.title}" if summary else one.session


def _state(summary: Summary | None) -> str:
    return summary.state.replace("_", " ") if summary else "not in the log"


def _row(one: LivingJob, summary: Summary | None, now: int) -> dict[str, object]:
    return {
        "id": f"{one.session}/{one.name}",
        "session": one.session,
        "number": summary.number if summary else None,
        "state": summary.state if summary else None,
        "pid": one.job.holder.pid,
        "running_ms": max(0, now - one.job.started_at),
        "command": one.job.command,
    }

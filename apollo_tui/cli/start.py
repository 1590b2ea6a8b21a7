"""``new``, ``replay`` and ``demo``, which begin sessions; and ``apollo`` alone, which opens the app."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

import click
import msgspec

from apollo_train.cli.terminal_output import is_placeless, say
from apollo_tui.cli.connection import Cli, ask_host, new_request_id
from apollo_tui.cli.output import json_option, print_json
from apollo_tui.terminal.shell_command import on_log
from sessions.errors import ApolloError
from sessions.events import Handover, ModelSpec, TermsSet
from sessions.fold.notes import set_terms
from sessions.host import protocol
from sessions.terminal_text import plain_line

LEAST: Final = (24, 8)
"""Columns and rows: one pane has room in them."""


def open_app(cli: Cli, *, read_only: bool) -> None:
    """Open the terminal app on the log of ``cli``. Raises UsageError without a terminal."""
    check_terminal("'apollo ls' lists the sessions without it")
    from apollo_tui.run import run_app

    run_app(cli.paths, cli.actor, read_only=read_only)


def check_terminal(instead: str) -> None:
    """Raise UsageError unless keys can be read and something painted: the app paints on stderr."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(f"the app needs a terminal; {instead}")
    if is_placeless():
        name = plain_line(os.environ.get("TERM", "")) or "not set"
        raise click.UsageError(f"TERM is {name}: such a terminal cannot place text, and the app must; {instead}")
    columns, rows = shutil.get_terminal_size()
    if columns < LEAST[0] or rows < LEAST[1]:
        raise click.UsageError(
            f"the terminal is {columns}x{rows}, and the app needs {LEAST[0]}x{LEAST[1]} cells at least; {instead}"
        )


@click.command()
@click.argument("task", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", required=True, metavar="PROVIDER:MODEL", help="Or the name of a profile in the config.")
@click.option("--name", help="The session's title. Default: the task's.")
@click.option("--agent", metavar="NAME", help="An agent program ('apollo doctor' lists them). Default: Apollo's own.")
@click.option("--workspace", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder to copy.")
@click.option("--in-place", is_flag=True, help="Work in the folder itself instead of a copy.")
@click.option("--base-url", help="Where the model is served, for servers of your own.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="A budget, e.g. steps=200.")
@click.option("--inside", metavar="PREFIX", help="What contains its commands: auto, bwrap, landlock or none.")
@click.option("--network", type=click.Choice(["off", "all"]), help="Whether its commands may use the network.")
@click.option("--stream", type=click.Choice(["buffered", "pass"]), help="How an agent program is handed replies: when "
              "they are whole, or as they come.")  # fmt: skip
@click.option("--acp", is_flag=True, help="Talk to the program in the Agent Client Protocol: the task is its first "
              "prompt.")  # fmt: skip
@click.option("--license", "license_", metavar="TEXT", help="On which terms its material may be used, in free words.")
@click.option("--source", metavar="TEXT", help="Where its material comes from.")
@click.option("--consent", metavar="TEXT", help="What the people in it agreed to.")
@click.option("--no-start", is_flag=True, help="Create it, but let it wait for 'apollo resume'.")
@click.option("--anyway", is_flag=True, help="Create it without asking its model for a token first.")
@json_option
@click.pass_obj
def new(
    cli: Cli, task: Path, model: str, name: str | None, agent: str | None, workspace: Path | None, in_place: bool,
    base_url: str | None, limits: tuple[str, ...], inside: str | None, network: str | None,
    stream: Handover | None, acp: bool, license_: str | None, source: str | None, consent: str | None,
    no_start: bool, anyway: bool, as_json: bool,
) -> None:  # fmt: skip
    """Create a session from a task file (Markdown) and start it.

    Its model is asked for one token before anything is created: a wrong key, URL or name is told at once.

    With --acp the agent program is told the task as its first prompt, and asks you for permission, as with
    'apollo run --acp'.
    """
    from apollo_tui.acts.new_session import BadLimit, limits_with

    params = task_request(task, model, base_url=base_url, workspace=workspace, inside=inside, network=network)
    try:
        wanted = limits_with(params.limits, limits)
    except BadLimit as problem:
        raise click.UsageError(f"--limit {problem}") from problem
    terms = set_terms(params.terms, TermsSet(license=license_, source=source, consent=consent))
    params = msgspec.structs.replace(
        params, title=name or params.title, in_place=in_place, limits=wanted, terms=terms, start=not no_start
    )
    if stream is not None and agent is None:
        raise click.UsageError("--stream is for agent programs: name one with --agent")
    if acp and agent is None:
        raise click.UsageError("--acp is for agent programs: name one with --agent")
    if agent is not None:
        from apollo_tui.acts.agents import with_agent
        from sessions.config import load_config

        params = msgspec.structs.replace(params, stream=stream or params.stream)
        params = with_agent(params, agent, stream=load_config().gateway.stream, acp=acp)
    if not anyway:
        ask_model(params.model, model, agent or "", typed_url=base_url is not None)
    print_created(ask_host(cli, params), params.title, as_json)


def ask_model(spec: ModelSpec, named: str, agent: str, *, typed_url: bool) -> None:
    """Ask the model for one token. Raises ApolloError, which says what is wrong and that nothing was created; what may
    pass by itself (a server that is busy, slow, or failing) is only said."""
    from sessions.providers.addresses import is_asked

    if not is_asked(spec):
        return
    import asyncio

    from apollo_tui.acts.model_check import NoAnswer, check_model
    from sessions.config import load_config

    try:
        asyncio.run(check_model(spec, named, load_config(), agent=agent, typed_url=typed_url))
    except NoAnswer as problem:
        if problem.passes:
            say(plain_line(f"{problem}; created all the same: it is asked again"), err=True)
            return
        raise ApolloError(f"{problem}; nothing was created (--anyway creates it all the same)") from problem


def task_request(
    task: Path,
    model: str,
    *,
    base_url: str | None = None,
    workspace: Path | None = None,
    inside: str | None = None,
    network: str | None = None,
) -> protocol.CreateSession:
    """The request that makes a session of a task file. The key travels over the socket only, never into the log."""
    from apollo_tui.acts.new_session import session_request, wished_containment
    from sessions.config import load_config, resolve_model
    from sessions.taskfile import load_task

    loaded = load_task(task)
    config = load_config()
    spec = resolve_model(model, base_url=base_url, config=config)
    source = workspace.resolve() if workspace else loaded.workspace
    return session_request(
        new_request_id(), loaded, spec, title=loaded.title, workspace=source, limits=loaded.limits, file=task,
        contained=wished_containment(loaded, config, model, inside=inside or "", network=network or ""),
    )  # fmt: skip


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--speed", default=1.0, show_default=True, help="20: twenty times as fast as it was recorded.")
@click.option("--name", help="The session's title. Default: the recording's.")
@json_option
@click.pass_obj
def replay(cli: Cli, file: Path, speed: float, name: str | None, as_json: bool) -> None:
    """Play a recorded trajectory again, as if live. It executes nothing, and advice has no effect on it."""
    from sessions.importers.files import load_recording

    if speed <= 0:
        raise click.UsageError("--speed must be more than 0")
    recording = load_recording(file)
    params = protocol.CreateSession(
        request=new_request_id(),
        title=name or f"replay of {recording.title}",
        task=recording.task,
        model=ModelSpec(provider="replay", name=str(file.resolve()), quirks={"speed": speed}),
        task_id=f"replay/{file.stem}",
        origin="replay",
    )
    print_created(ask_host(cli, params), params.title, as_json)


def print_created(created: protocol.Created, title: str, as_json: bool) -> None:
    """Say which session came to be, and what contains it."""
    from apollo_tui.acts.new_session import explain_containment

    if as_json:
        print_json({"id": created.session, "number": created.number})
    else:
        say(plain_line(f"session {created.number} ({created.session}) {title}"))
        if why := explain_containment(created):
            say(plain_line(why))


@click.command()
@click.option("--headless", is_flag=True, help="Create and start the sessions, but do not open the app.")
@click.option("--pace", default=1.0, show_default=True, help="1: as for a person; 0.1: ten times as fast.")
@json_option
@click.pass_obj
def demo(cli: Cli, headless: bool, pace: float, as_json: bool) -> None:
    """Create five demo sessions that really run, start them, and open the app.

    Their models are scripted; tools, jobs, files, scorer and log are real.
    """
    if not headless:
        check_terminal("'apollo demo --headless' makes the sessions without it")
    from sessions.demo.requests import demo_sessions

    if not headless:
        say("starting a host and five sessions…", err=True)
    created = [ask_host(cli, params) for params in demo_sessions(pace=pace, request_id=new_request_id)]
    if as_json:
        print_json([{"id": each.session, "number": each.number} for each in created])
    elif headless:
        say(f"{len(created)} demo sessions run; '{on_log(cli.paths.log)} ls' lists them")
    if not headless:
        open_app(cli, read_only=False)

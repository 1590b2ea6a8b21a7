"""Sessions whose agent is a program of somebody else's: `run` and `gateway`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from apollo_train.cli.terminal_output import say
from apollo_tui.cli.connection import Cli, ask_host, new_request_id, open_log
from apollo_tui.cli.output import json_option, print_done, print_json
from apollo_tui.cli.start import print_created
from sessions.errors import ApolloError
from sessions.events import AdviceTurn, Handover
from sessions.host import protocol
from sessions.terminal_text import plain_line

if TYPE_CHECKING:
    from sessions.gateway.main_line import Conversation


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--model", required=True, metavar="PROVIDER:MODEL", help="Whose model answers. Or a profile's name.")
@click.option("--name", help="The session's title. Default: the command's name.")
@click.option("--agent", metavar="NAME", help="Which program it is: see 'apollo doctor'. Default: the command's name.")
@click.option("--task", "task_text", default="", metavar="TEXT", help="What the command tells the harness to do.")
@click.option("--base-url", help="Where the model is served, for servers of your own.")
@click.option("--workspace", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder to copy.")
@click.option("--in-place", is_flag=True, help="Work in the folder itself instead of a copy.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="A budget, e.g. steps=200.")
@click.option("--inside", metavar="PREFIX", help="What contains it: auto, bwrap, landlock or none.")
@click.option("--network", type=click.Choice(["off", "all"]), help="Whether it may use the network.")
@click.option("--stream", type=click.Choice(["buffered", "pass"]), help="Hand replies over when they are whole, or as "
              "they come ('pass': nothing of them can be held).")  # fmt: skip
@click.option("--advice-turn", type=click.Choice(["own", "joined"]), help="Advice is a turn of its own, or joined to "
              "the user's newest: for servers that want user and assistant in turn.")  # fmt: skip
@click.option("--acp", is_flag=True, help="Talk to it in the Agent Client Protocol: --task is its first prompt.")
@click.option("--elsewhere", is_flag=True, help="Start nothing: the program runs on another machine, say.")
@json_option
@click.pass_obj
def run(
    cli: Cli, command: tuple[str, ...], model: str, name: str | None, agent: str | None, task_text: str,
    base_url: str | None, workspace: Path | None, in_place: bool, limits: tuple[str, ...], inside: str | None,
    network: str | None, stream: Handover | None, advice_turn: AdviceTurn | None, acp: bool, elsewhere: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Start an agent program as a session: its model endpoint is the host's gateway.

    Without COMMAND the program is started as its preset says, with --task. If it has none, or with --elsewhere, nothing
    is started: `apollo gateway` says what points a program at the session.

    With --acp the program ('opencode acp', say) is told its task over its standard input. What it asks permission for
    is a question of its session, which takes one of the program's own options; advice that is there when it has ended
    its turn is its next prompt.
    """
    from apollo_tui.acts.agents import can_start, only_talks, with_agent
    from apollo_tui.acts.new_session import BadLimit, limits_with, session_request, wished_containment
    from sessions.config import load_config, resolve_model
    from sessions.taskfile import TaskFile

    config = load_config()
    spec = resolve_model(model, base_url=base_url, config=config)
    if acp and elsewhere:
        raise click.UsageError("--acp talks to a program that the host starts; --elsewhere has it start none")
    called = agent or (Path(command[0]).name if command else "harness")
    acp = acp or (not elsewhere and not command and only_talks(called))
    if acp and not task_text.strip():
        raise click.UsageError("--acp needs --task: it is what the program is told first")
    task = TaskFile(id="", title=name or called, text=task_text)
    try:
        wanted = limits_with(task.limits, limits)
    except BadLimit as problem:
        raise click.UsageError(f"--limit {problem}") from problem
    params = session_request(
        new_request_id(), task, spec, title=task.title, workspace=workspace.resolve() if workspace else None,
        limits=wanted, file=None,
        contained=wished_containment(task, config, model, inside=inside or "", network=network or ""),
    )  # fmt: skip
    starts = acp or (not elsewhere and (bool(command) or can_start(called)))
    params = msgspec.structs.replace(params, in_place=in_place, stream=stream)
    params = with_agent(
        params, called, command, starts=starts, stream=config.gateway.stream, acp=acp, advice_turn=advice_turn
    )
    print_created(ask_host(cli, params), params.title, as_json)


@click.command()
@click.argument("session")
@json_option
@click.pass_obj
def gateway(cli: Cli, session: str, as_json: bool) -> None:
    """Print what points a program at a session's model endpoint, as lines for a shell. They hold its token."""
    from sessions.gateway.access import EndpointAccess, read_token
    from sessions.gateway.listener import known_port

    reader = open_log(cli)
    found = reader.find(session)
    summary = reader.summary(found)
    assert summary is not None
    if not summary.harness:
        raise ApolloError(f"session {summary.address} runs our own agent: a harness gets a session by 'apollo run'")
    if summary.begins is not None and summary.begins.kind == "child":
        above = reader.summary(summary.begins.session)
        raise ApolloError(
            f"session {summary.address} is a sub-agent's, which asks by the endpoint of session "
            f"{above.address if above else summary.begins.session}"
        )
    port = known_port(cli.paths.folder)
    if not port:
        raise ApolloError("no host of this log has served a model endpoint yet: 'apollo run' starts one")
    variables = EndpointAccess(port, read_token(cli.paths.session_folder(found))).variables
    if as_json:
        print_json(variables)
        return
    for name, value in variables.items():
        say(f"export {name}={shlex.quote(value)}")


@click.command()
@click.argument("session")
@click.option("--main", metavar="NAME", help="The conversation of this name is the main line.")
@click.option(
    "--sub-agent", type=click.IntRange(min=1), metavar="STEP", help="The one with this step is a sub-agent's."
)
@json_option
@click.pass_obj
def conversations(cli: Cli, session: str, main: str | None, sub_agent: int | None, as_json: bool) -> None:
    """List the conversations of a session's harness: its main line, sub-agents, titles. Or put right which is which.

    It holds from the next request of that conversation on. Steps of one that is a sub-agent's are left out: their
    numbers stay, they are no targets.
    """
    from sessions.gateway.main_line import KINDS, find_named, read_conversations, say_steps

    if main is not None and sub_agent is not None:
        raise click.UsageError("--main or --sub-agent, not both")
    reader = open_log(cli)
    found = reader.find(session)
    known = read_conversations(reader, found)
    if main is None and sub_agent is None:
        if as_json:
            print_json([msgspec.structs.asdict(_ListedConversation.of(each)) for each in known])
            return
        for each in known:
            what = say_steps(each.steps) if each.kind == "main" else f"{each.name}, {len(each.requests)} requests"
            say(f"{KINDS[each.kind]:<10} {plain_line(what)}{'  (newest)' * each.is_newest}  {plain_line(each.words)}")
        return
    thread = ""
    if main is not None:
        chosen = find_named(known, main)
        if chosen is None or chosen.kind == "main":
            raise ApolloError(
                f"no conversation beside the main line is called {main!r}: without --main they are listed"
            )
        thread = chosen.thread
    call = protocol.AssignThread(request=new_request_id(), session=found, step=sub_agent, thread=thread)
    done = ask_host(cli, call)
    print_done(done, as_json, "done")


class _ListedConversation(msgspec.Struct, frozen=True):
    """A conversation as ``--json`` prints it."""

    kind: str
    name: str
    words: str
    steps: list[int]
    requests: int
    newest: bool

    @classmethod
    def of(cls, each: Conversation) -> _ListedConversation:
        return cls(each.kind, each.name, each.words, list(each.steps), len(each.requests), each.is_newest)

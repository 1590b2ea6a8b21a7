"""The root command: options that hold for all commands, and the one place where errors become a line on stderr."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Final

import click

from apollo_train.cli.lazy_group import LazyGroup
from apollo_train.cli.terminal_output import say
from apollo_tui.cli.connection import Cli
from apollo_tui.terminal import gc_tuning
from sessions.annotators import MAX_NAME_CHARS, name_problem, own_login
from sessions.errors import ApolloError
from sessions.hints import say_in_shell
from sessions.paths import log_paths

COMMANDS: Final[dict[str, str]] = {
    "demo": "start:demo",
    "new": "start:new",
    "run": "harness:run",
    "gateway": "harness:gateway",
    "replay": "start:replay",
    "ls": "read:ls",
    "show": "read:show",
    "log": "read:log",
    "prompt": "read:prompt",
    "advise": "control:advise",
    "reach": "control:reach",
    "standing": "control:standing",
    "conversations": "harness:conversations",
    "withdraw": "control:withdraw",
    "answer": "control:answer",
    "pause": "control:pause",
    "resume": "control:resume",
    "stop": "control:stop",
    "hold": "control:hold",
    "interrupt": "control:interrupt",
    "drop": "control:drop",
    "shorten": "control:shorten",
    "retry": "control:retry",
    "archive": "control:archive",
    "unarchive": "control:unarchive",
    "rename": "names_and_tags:rename",
    "tag": "names_and_tags:tag",
    "limit": "control:limit",
    "flag": "flags:flag",
    "unflag": "flags:unflag",
    "correct": "flags:correct",
    "recovery": "flags:recovery",
    "signoff": "flags:signoff",
    "prefer": "flags:prefer",
    "note": "flags:note",
    "terms": "log_keeping:terms",
    "search": "read:search",
    "effort": "reports:effort",
    "digest": "reports:digest",
    "leave": "reports:leave",
    "export": "export:export",
    "import": "imports:import_",
    "backup": "log_keeping:backup",
    "purge": "log_keeping:purge",
    "host": "host:host",
    "doctor": "doctor:doctor",
    "jobs": "jobs:jobs",
    "gc": "jobs:gc",
}
"""Command to ``module:attribute``; modules are imported only when their command is asked for."""


class ApolloGroup(LazyGroup):
    """All commands, in the order of the table; of a word that is none it suggests the nearest."""

    def __init__(self, *args: Any, **extra: Any) -> None:
        places = {name: f"apollo_tui.cli.{place}" for name, place in COMMANDS.items()}
        super().__init__(*args, places=places, **extra)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Keep the user's word in usage errors, and suggest the nearest command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"there is no command '{args[0]}'{hint}", ctx) from error


def default_name() -> tuple[str, str]:
    """Where one's name comes from if none was said, and the name: ``APOLLO_AS``, else the login name."""
    for variable in ("APOLLO_AS", "LOGNAME", "USER"):
        if named := os.environ.get(variable, ""):
            return variable, named
    return "the login name", own_login()


@click.group(cls=ApolloGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="The log to use (also: APOLLO_LOG).")
@click.option(
    "--as", "name", metavar="NAME", help="Who you are in the log (also: APOLLO_AS). Default: your login name."
)
@click.option("--read-only", is_flag=True, help="Only for the app: look, but start no host.")
@click.option("--allow-network-fs", is_flag=True, help="Use a log on a network file system all the same.")
@click.version_option(package_name="apollo-tui", prog_name="apollo")
@click.pass_context
def apollo(ctx: click.Context, log: Path | None, name: str | None, read_only: bool, allow_network_fs: bool) -> None:
    """Supervise long-running LLM-agent sessions. Without a command: open the app."""
    source, named = ("--as", name) if name is not None else default_name()
    if problem := name_problem(named):
        raise click.UsageError(f"{source}: the name {named[:MAX_NAME_CHARS]!a} {problem}")
    ctx.obj = Cli(log_paths(log), f"human:{named}", allow_network_fs)
    if ctx.invoked_subcommand is None:
        from apollo_tui.cli.start import open_app

        open_app(ctx.obj, read_only=read_only)
    else:
        gc_tuning.resume()


def main(args: list[str] | None = None) -> None:
    """Run the command line; every error is one line on stderr and a non-zero exit."""
    try:
        # Without standalone mode click returns the code of an Exit, and a command's own answer (None) otherwise.
        sys.exit(apollo.main(args=args, prog_name="apollo", standalone_mode=False))
    except click.Abort:
        fail("interrupted", 130)
    except click.UsageError as error:
        where = f" ({error.ctx.command_path} --help)" if error.ctx else ""
        said = error.format_message()
        if isinstance(error, click.NoSuchOption) and error.option_name in ("--log", "--as", "--allow-network-fs"):
            said = f"{error.option_name} stands before the command: apollo {error.option_name} … {_command_of(error)}"
        fail(said + where, 2)
    except click.ClickException as error:
        fail(error.format_message(), error.exit_code)
    except ApolloError as error:
        fail(say_in_shell(error), 1)
    except BrokenPipeError:
        # The reader of our output went away (`apollo log … | head`); not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except OSError as error:
        # The user's files and folders, and our own refusals to use them, which say all in their text.
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}", 1)
    except Exception as error:  # noqa: BLE001 - the last boundary before a person's terminal
        fail(f"{type(error).__name__}: {error}; details are in {write_traceback()}", 70)


def _command_of(error: click.UsageError) -> str:
    return (error.ctx.info_name or "") if error.ctx else ""


def fail(message: str, code: int) -> None:
    """One line on stderr, then exit."""
    from sessions.terminal_text import plain_line

    say(f"apollo: {plain_line(message)}", err=True)
    sys.exit(code)


def write_traceback() -> Path:
    """Write the current traceback to a file of its own (0600) and return its path."""
    import tempfile

    handle, name = tempfile.mkstemp(prefix=time.strftime("apollo-crash-%Y%m%d-%H%M%S-"), suffix=".txt")
    with os.fdopen(handle, "w") as file:
        traceback.print_exc(file=file)
    return Path(name)

"""``apollo doctor``: versions, paths, SQLite, space, terminal, log health, and what to do about each."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

import click

from apollo_train.cli.terminal_output import say
from apollo_tui.cli.connection import Cli
from apollo_tui.cli.output import json_option, print_json, say_duration
from apollo_tui.terminal.alerts import channel
from sessions.errors import ApolloError
from sessions.hints import say_in_shell
from sessions.terminal_text import plain_line, say_count

OLD_BACKUP_MS: Final = 7 * 86_400_000
Verdict = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``advice`` says what to do, empty if nothing is to be done."""

    what: str
    verdict: Verdict
    text: str
    advice: str = ""


@click.command()
@click.option("--terminal", is_flag=True, help="Try clipboard and notifications in this terminal, by asking you.")
@click.option("--deep", is_flag=True, help="Read the whole log and say what is damaged.")
@json_option
@click.pass_obj
def doctor(cli: Cli, terminal: bool, deep: bool, as_json: bool) -> None:
    """Check versions, paths, SQLite, free space, the terminal and the log. Exit code 1 if something is bad."""
    if terminal:
        from apollo_tui.cli.terminal_check import run_terminal_check

        run_terminal_check()
        return
    checks = (*CHECKS, _damage) if deep else CHECKS
    found = [finding for check in checks for finding in check(cli)]
    if as_json:
        print_json([{"id": f.what, "verdict": f.verdict, "said": f.text, "advice": f.advice} for f in found])
    else:
        for finding in found:
            say(plain_line(f"{finding.verdict:<4}  {finding.what:<14} {finding.text}"))
            if finding.advice:
                say(plain_line(f"{'':<21}{finding.advice}"))
    if any(finding.verdict == "bad" for finding in found):
        raise click.exceptions.Exit(1)


def _agents(cli: Cli) -> Iterator[Finding]:
    """Agent programs that sessions can be started with."""
    from sessions.gateway.agents import read_agents, read_version
    from sessions.paths import config_path

    try:
        presets = read_agents(config_path().parent)
    except ApolloError as error:
        yield Finding("agents", "bad", str(error), "mend the file; until then no agent program can be started")
        return
    startable = {name: preset for name, preset in presets.items() if preset.command or preset.acp}
    with ThreadPoolExecutor() as pool:
        versions = dict(zip(startable, pool.map(read_version, startable.values()), strict=True))
    here = [f"{name} ({said})" if said else name for name, said in versions.items() if said is not None]
    missing = [name for name, said in versions.items() if said is None]
    talked_to = [name for name, preset in presets.items() if preset.acp and shutil.which(preset.acp[0])]
    acp = f"; with --acp: {', '.join(talked_to)}" if talked_to else ""
    yield Finding("agents", "ok", f"installed: {', '.join(here) or 'none'}{acp}; not: {', '.join(missing) or 'none'}")


def _versions(cli: Cli) -> Iterator[Finding]:
    try:
        own = version("apollo-tui")
    except PackageNotFoundError:
        own = "not installed"
    yield Finding(
        "apollo", "ok", f"{own}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    )
    names = ("textual", "rich", "anthropic", "openai", "aiosqlite", "tiktoken", "msgspec")
    yield Finding("packages", "ok", ", ".join(f"{name} {version(name)}" for name in names))
    new = sqlite3.sqlite_version_info >= (3, 37)
    yield Finding(
        "sqlite", "ok" if new else "bad", sqlite3.sqlite_version,
        "" if new else "Apollo needs SQLite 3.37 or newer; use a Python that was built with one",
    )  # fmt: skip


def _paths(cli: Cli) -> Iterator[Finding]:
    from sessions.config import load_config
    from sessions.labels import load_labels
    from sessions.log.errors import NetworkFilesystem
    from sessions.log.filesystem import refuse_network_fs
    from sessions.paths import config_path

    try:
        refuse_network_fs(cli.paths.log)
    except NetworkFilesystem as refused:
        yield Finding("log", "warn" if cli.allow_network_fs else "bad", str(refused))
    else:
        yield Finding("log", "ok", str(cli.paths.log))
    yield Finding("state", "ok", str(cli.paths.folder))
    path = config_path()
    try:
        load_labels(load_config().labels_file)
    except ApolloError as error:
        yield Finding("config", "bad", str(error), "mend the file; until then commands that need it will refuse")
    else:
        yield Finding("config", "ok", f"{path}{'' if path.exists() else ' (none; the defaults hold)'}")
    folder = next((p for p in (cli.paths.log.parent, *cli.paths.log.parents) if p.exists()), Path("/"))
    free = shutil.disk_usage(folder).free
    low = free < 1 << 30
    yield Finding(
        "free space", "warn" if low else "ok", f"{free / (1 << 30):.1f} GB",
        "less than 1 GB: sessions pause when the log cannot grow; make room" if low else "",
    )  # fmt: skip


def _keys(cli: Cli) -> Iterator[Finding]:
    from sessions.config import ConfigError, load_config
    from sessions.host.api_keys import keys_path, read_keys

    path = keys_path()
    try:
        names = read_keys(path)
        profiles = load_config().profiles
    except ApolloError as error:
        if not isinstance(error, ConfigError):  # that one has its own line
            yield Finding("keys", "bad", str(error))
        return
    yield Finding("keys", "ok", f"{', '.join(names)} in {path}" if names else f"{path} (none)")
    for name, profile in profiles.items():
        variable = profile.key_env
        if variable and variable not in names and not os.environ.get(variable):
            yield Finding("keys", "warn", f"profile {name} has no key", f"set {variable} here, or put it into {path}")


def _terminal(cli: Cli) -> Iterator[Finding]:
    term, tmux = os.environ.get("TERM", ""), bool(os.environ.get("TMUX"))
    colours = "no colour" if os.environ.get("NO_COLOR") else os.environ.get("COLORTERM") or (
        "256 colours" if "256" in term else "16 colours"
    )  # fmt: skip
    where = ", ".join(
        word for word, on in (("tmux", tmux), ("screen", bool(os.environ.get("STY"))), ("ssh", _ssh())) if on
    )
    if not sys.stdout.isatty():
        yield Finding("terminal", "ok", "none (output is not a terminal)")
        return
    columns, rows = shutil.get_terminal_size()
    small = columns < 80 or rows < 24
    size = f"{term or 'unknown'} {columns}x{rows}"
    yield Finding(
        "terminal", "warn" if small else "ok", ", ".join(word for word in (size, colours, where) if word),
        "80x24 is the least that shows everything" if small else "",
    )  # fmt: skip
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    yield Finding(
        "encoding", "ok" if utf8 else "warn", sys.stdout.encoding or "unknown",
        "" if utf8 else "set LANG to a UTF-8 locale, e.g. C.UTF-8",
    )  # fmt: skip
    if tmux:
        yield Finding("copying", "ok", "through 'tmux load-buffer -w -'; tmux drops OSC 52 of applications by default")
    elif os.environ.get("STY"):
        yield Finding("copying", "warn", "screen may drop OSC 52", "copy to a file instead (key in the Action screen)")


def _alerts(cli: Cli) -> Iterator[Finding]:
    """Whether somebody would hear of a session that needs them."""
    from sessions.config import ConfigError, load_config

    try:
        config = load_config()
    except ConfigError:  # it has its own line
        return
    by = channel(config.ui.alerts, os.environ)
    yield Finding("alerts", "ok", "off" if by == "off" else f"{'bell' if by == 'bell' else f'bell and {by}'}, title")
    command = config.host.notify_command
    if not command:
        yield Finding("notify", "ok", "no command: only an open app tells you", "docs/attention.md says how to set one")
    elif shutil.which(command[0]) is None:
        yield Finding("notify", "bad", f"{command[0]} is not found", "correct host.notify in the config")
    else:
        yield Finding("notify", "ok", " ".join(command))


def _ssh() -> bool:
    return bool(os.environ.get("SSH_TTY") or os.environ.get("SSH_CONNECTION"))


def _log(cli: Cli) -> Iterator[Finding]:
    from sessions.log.reader import LogReader

    if not cli.paths.log.exists():
        yield Finding("log health", "ok", "there is no log yet", "'apollo demo' or 'apollo new' makes one")
        return
    try:
        reader = LogReader(cli.paths.log)
        position, count = reader.position(), len(reader.summaries())
    except ApolloError as error:
        yield Finding("log health", "bad", say_in_shell(error))
        return
    try:
        check = reader.check()
    except ApolloError as error:
        check = str(error)
    finally:
        reader.close()
    yield Finding(
        "log health", "ok" if check == "ok" else "bad", f"{position} events, {count} sessions, quick check: {check}",
        "" if check == "ok" else "copy the file and its -wal away before anything else; then export with --format raw",
    )  # fmt: skip
    wal = Path(f"{cli.paths.log}-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size > 64 << 20:
        yield Finding("write-ahead", "warn", f"{size >> 20} MB", "a reader holds an old snapshot; close other programs")


def _damage(cli: Cli) -> Iterator[Finding]:
    """What the log says of itself, read whole."""
    from sessions.log.reader import LogReader
    from sessions.queries.damage import find_damage

    if not cli.paths.log.exists():
        return
    try:
        with LogReader(cli.paths.log) as reader:
            addresses = {summary.session: summary.address for summary in reader.summaries()}
            found = list(find_damage(reader, cli.paths.sessions))
    except ApolloError as error:
        yield Finding("damage", "bad", say_in_shell(error))
        return
    for one in found:
        whose = f"session {addresses.get(one.session, one.session)}: " if one.session else ""
        yield Finding("damage", "bad", f"{whose}{one.text}")
    if not found:
        yield Finding("damage", "ok", "none found: file, blobs, prompts, replies and the folders of sessions agree")


def _leftovers(cli: Cli) -> Iterator[Finding]:
    """What of the sessions' folders serves nobody any more."""
    from apollo_tui.cli.jobs import find_leftovers

    if not cli.paths.log.exists():
        return
    try:
        found = find_leftovers(cli)
    except (ApolloError, OSError) as error:
        yield Finding("leftovers", "warn", say_in_shell(error))
        return
    going = [one for one in found if one.may_go]
    if unknown := len(found) - len(going):
        text = f"{say_count(unknown, 'folder')} of sessions that ran jobs, and that this log does not know"
        yield Finding("unknown", "warn", text, "is this log an older copy? 'apollo gc' names them, and removes none")
    size = sum(one.size for one in going) / 1e6
    if going:
        text = f"{size:,.1f} MB in {say_count(len(going), 'place')} serve nobody: orphans, and output above the quota"
        yield Finding("leftovers", "warn", text, "'apollo gc' lists them, 'apollo gc --yes' removes them")
    else:
        yield Finding("leftovers", "ok", "none")


def _backup(cli: Cli) -> Iterator[Finding]:
    from sessions.log.backup import newest_backup

    if not cli.paths.log.exists():
        return
    found = newest_backup(cli.paths.folder)
    advice = "'apollo backup FILE' makes one, beside a running host"
    if found is None:
        yield Finding("backup", "ok", "none was made of this log", advice)
    elif not Path(found.path).exists():
        yield Finding("backup", "warn", f"the newest, {found.path}, is not there any more", advice)
    else:
        age = int(time.time() * 1000) - found.at
        old = age > OLD_BACKUP_MS
        yield Finding(
            "backup", "warn" if old else "ok", f"the newest is {say_duration(max(0, age))} old: {found.path}",
            advice if old else "",
        )  # fmt: skip


def _host(cli: Cli) -> Iterator[Finding]:
    from sessions.host.client import host_status
    from sessions.host.version import code_version

    try:
        status = host_status(cli.paths)
    except (ApolloError, OSError) as error:
        yield Finding("host", "bad", say_in_shell(error))
        return
    if status is None:
        yield Finding("host", "ok", "none runs", "'apollo host start' or the app starts one")
        return
    said = f"pid {status.pid}, version {status.version}, {len(status.sessions)} sessions"
    if status.waits:
        yield Finding("host waits", "bad", status.waits, "sessions that need the log go on by themselves then")
    if status.version == code_version():
        yield Finding("host", "ok", said)
    else:
        advice = "'apollo host restart' restarts it at the sessions' boundaries"
        yield Finding("host", "warn", f"{said}; this is version {code_version()}", advice)


def _containment(cli: Cli) -> Iterator[Finding]:
    """Which prefixes work here, and what an administrator would have to allow for the others."""
    from sessions.containment import landlock
    from sessions.containment.choice import works_here
    from sessions.containment.limits import missing_limits

    found = works_here()
    best = next((kind for kind, reason in found.items() if not reason), "")
    for kind, reason in found.items():
        works = f"works (version {landlock.version()})" if kind == "landlock" else "works"
        text = reason or (f"{works}; new sessions are inside it" if kind == best else works)
        advice = {"bwrap": "install bubblewrap, and allow user namespaces (sysctl user.max_user_namespaces, and "
                           "kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile for bwrap)",
                  "landlock": "boot with lsm=landlock,… on Linux 6.2 or newer, best 6.12"}[kind]  # fmt: skip
        yield Finding(kind, "warn" if reason else "ok", text, advice if reason else "")
        if kind == "landlock" and not reason:
            if trouble := landlock.network_problem():
                yield Finding("landlock network", "warn", trouble, "a newer kernel; inside bwrap it can be")
            if left := landlock.left_open():
                yield Finding(
                    "landlock misses", "warn", f"not stopped: {', '.join(left)}", "a newer kernel (Linux 6.12)"
                )
    if not best:
        yield Finding("containment", "warn", "nothing contains the commands of agents here", "see docs/containment.md")
    for text in missing_limits():
        yield Finding("limits", "warn", text, "see docs/containment.md")


CHECKS: tuple[Callable[[Cli], Iterator[Finding]], ...] = (
    _versions,
    _paths,
    _keys,
    _terminal,
    _alerts,
    _log,
    _backup,
    _leftovers,
    _agents,
    _host,
    _containment,
)

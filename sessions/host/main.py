"""``python -P -m sessions.host.main --log PATH``: one host, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import functools
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from sessions.agent.session import Services, Session
from sessions.config import load_config
from sessions.errors import ApolloError
from sessions.events import ModelSpec
from sessions.hints import say_in_shell
from sessions.host import exit_codes, host_log
from sessions.host.api_keys import KeysFileError
from sessions.host.fault_injection import Faults
from sessions.host.lifecycle import STOP_SECONDS, Host, RunnerParts
from sessions.host.protocol import StopHost
from sessions.host.session_manager import RunnerFactory
from sessions.jobs.manager import JobManager
from sessions.log.filesystem import refuse_network_fs
from sessions.log.schema import check_sqlite
from sessions.paths import LogPaths, log_paths
from sessions.providers.base import ProviderError
from sessions.providers.registry import adapter_for
from sessions.queries.job_starts import job_starts
from sessions.tokens import Counter

THREADS: Final = 32
"""Of the host's executor, which reads, copies and imports."""


def runner_factory(parts: RunnerParts) -> RunnerFactory:
    """The factory of real runners."""

    @functools.cache
    def jobs_for(session: str) -> JobManager:
        folder = parts.paths.session_folder(session)
        space = parts.spaces.of(session)
        return JobManager(folder, space=space, started=lambda: job_starts(parts.reader, session))

    def key_for(session: str, model: ModelSpec) -> str | None:
        try:
            return parts.keys.key(session, model.key_env)
        except KeysFileError as problem:
            raise ProviderError("refused", str(problem), need_key=model.key_env or "") from problem

    services = Services(
        writer=parts.writer,
        reader=parts.reader,
        paths=parts.paths,
        adapter_for=adapter_for,
        counter_for=Counter.for_model,
        jobs_for=jobs_for,
        key_for=key_for,
        env_for=parts.environments.of,
        redactor_for=lambda _: parts.keys.redactor(),
        deltas=parts.notifications.delta,
        clock=parts.clock,
    )
    return parts.gateway.factory(lambda session: Session(session, services))


def run_host(paths: LogPaths, *, allow_network_fs: bool = False) -> int:
    """Run a host in this process until it ends; its exit status (``exit_codes``). Says why it cannot start."""
    os.umask(0o077)
    faulthandler.enable()
    host_log.set_up(paths.host_log)
    try:
        check_sqlite()
        refuse_network_fs(paths.log, allow_network_fs)
        paths.prepare()
        os.chdir(paths.folder)
        config = load_config()
        host = Host(
            paths,
            runner_factory,
            resume_on_start=config.host.resume_on_start,
            notify=config.host.notify_command,
            thresholds=config.attention,
            faults=Faults.from_environment(),
            gateway=config.gateway,
        )
        return exit_codes.RESTART if asyncio.run(_run_until_stop(host)) else exit_codes.STOPPED
    except (ApolloError, OSError) as problem:
        with contextlib.suppress(OSError):  # its file lies on the disk that may be full
            sys.stderr.write(f"{exit_codes.PREFIX}{' '.join(say_in_shell(problem).split())}\n")
            sys.stderr.flush()
        return exit_codes.REFUSED


async def _run_until_stop(host: Host) -> bool:
    loop = asyncio.get_running_loop()
    # Copies of large workspaces take a thread for minutes, and a short read must never wait for them.
    loop.set_default_executor(ThreadPoolExecutor(THREADS, "host"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _ask_to_stop, host, signal.Signals(number).name)
    # A handler, not SIG_IGN: what is ignored here would be ignored in every command of an agent too.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    return await host.run()


def _ask_to_stop(host: Host, by: str) -> None:
    host.stop(StopHost(timeout=STOP_SECONDS), by)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="apollo-host")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--allow-network-fs", action="store_true")
    parsed = parser.parse_args(arguments)
    paths = log_paths(parsed.log)
    return run_host(paths, allow_network_fs=parsed.allow_network_fs)


if __name__ == "__main__":
    raise SystemExit(main())

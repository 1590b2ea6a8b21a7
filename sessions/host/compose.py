"""The composition root: what the runners of a real host are made of."""

from __future__ import annotations

import functools

from sessions.agent.runner import SessionRunner
from sessions.agent.services import Services
from sessions.host.app import Parts
from sessions.host.fleet import RunnerFactory
from sessions.host.keys import KeysFileError
from sessions.jobs.manager import JobManager
from sessions.log.events import ModelSpec
from sessions.providers.base import ProviderError
from sessions.providers.registry import adapter_for
from sessions.tokens import Counter


def runners(parts: Parts) -> RunnerFactory:
    """The factory of real runners."""

    @functools.cache
    def jobs_for(session: str) -> JobManager:
        return JobManager(parts.paths.session_folder(session))

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
        deltas=parts.feed.delta,
    )
    return lambda session: SessionRunner(session, services)

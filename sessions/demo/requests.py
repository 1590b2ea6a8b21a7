"""The requests that make the five demo sessions."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sessions.containment.choice import AUTO
from sessions.events import Containment, Harness, ModelSpec
from sessions.host.protocol import CreateSession
from sessions.redaction import scrub_env
from sessions.taskfile import load_task

TASKS: Final = Path(__file__).parent / "tasks"
NAMES: Final = ("tune-lr", "poller", "formats", "steady", "errors")
_AGENT: Final = (sys.executable, "agent.py", "{task}", "{model}")
PROGRAMS: Final = {"errors": Harness("agent.py", _AGENT, resume=(*_AGENT, "--continue"))}
"""Those whose agent is a program of somebody's own, which lies in their workspace."""


def demo_sessions(*, pace: float, request_id: Callable[[], str]) -> list[CreateSession]:
    """One request a session. ``pace`` scales the scripted models' speaking and the jobs' duration (1: for a person)."""
    env = scrub_env(dict(os.environ)) | {"APOLLO_DEMO_PACE": str(pace)}
    found = []
    for name in NAMES:
        path = TASKS / f"{name}.md"
        task = load_task(path)
        found.append(
            CreateSession(
                request=request_id(),
                title=task.title,
                task=task.text,
                model=ModelSpec(provider="demo", name=name, quirks={"pace": pace}),
                workspace=str(task.workspace) if task.workspace else None,
                tools=task.tools,
                evaluate=task.evaluate,
                evaluate_base=str(path.parent),
                limits=task.limits,
                env=env,
                task_id=f"demo/{task.id}",
                tags=task.tags,
                harness=PROGRAMS.get(name),
                # What runs a program of somebody's own lies where this does.
                contained=Containment(
                    inside=AUTO, network="", read=(sys.prefix, sys.base_prefix) if name in PROGRAMS else ()
                ),
                origin="demo",
            )
        )
    return found

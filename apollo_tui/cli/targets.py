"""How a target is written on the command line: ``41``, ``41.2``, ``41-45``, ``41:reasoning``, ``S1``."""

from __future__ import annotations

import re

import click

from sessions.events import Target

_FORM = re.compile(
    r"(?:S(?P<summary>\d+)|(?P<step>\d+)(?:\.(?P<call>\d+)|-(?P<to>\d+)|:(?P<part>reasoning|text))?)", re.ASCII
)


def parse_target(text: str) -> Target:
    """Raises UsageError in one line for anything else."""
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise click.UsageError(f"'{text}' is no target; write 41 (step), 41.2 (call), 41-45 (span), 41:reasoning or S1")
    if found["summary"]:
        return Target(step=int(found["summary"]), part="summary")
    step = int(found["step"])
    if found["call"]:
        return Target(step=step, part="call", call=int(found["call"]))
    if found["to"]:
        if int(found["to"]) < step:
            raise click.UsageError(f"'{text}' ends before it begins")
        return Target(step=step, part="span", to_step=int(found["to"]))
    return Target(step=step, part="reasoning" if found["part"] == "reasoning" else "text" if found["part"] else "reply")

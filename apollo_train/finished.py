"""Whether a file of an earlier run of the same command is whole, so that ``--resume`` leaves it as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from apollo_train.formats.base import Configured, Format
from apollo_train.policy import FilterPolicy
from apollo_train.writing import journal_of


def finished(path: Path, made: Format, policy: FilterPolicy, sessions: Sequence[str] | None) -> int | None:
    """The log position of the whole export at ``path``; None where there is none, or it is another than is asked for.

    By its manifest: format, its settings, policy, and the sessions where they are named.
    """
    if not path.exists() or journal_of(path).exists():
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = msgspec.json.decode(path.with_name(f"{path.name}.manifest.json").read_bytes())
        wrote = {*told["sessions"], *told["left_out"]}
        settings = {"settings": made.settings} if isinstance(made, Configured) else {}
        same = told["format"] == {"name": made.name, "version": made.version, **settings}
        if same and told["policy_sha256"] == policy.digest and (sessions is None or wrote == set(sessions)):
            return int(told["position"])
    return None

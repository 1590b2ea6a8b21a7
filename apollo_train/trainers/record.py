"""The exact record of a run: from which log position, by which policy, with which template, versions and seed."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from apollo_train.runtime import TrainError
from sessions.private_files import write_private

NAME: Final = "apollo.train.json"
PACKAGES: Final = ("apollo-tui", "torch", "transformers", "trl", "peft", "datasets", "accelerate", "tokenizers")


class NothingToResume(TrainError):
    """There is no run to go on with, or it was another one."""


def versions() -> dict[str, str]:
    """The versions of all that decides the result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def file_checksum(path: Path) -> str:
    """The BLAKE3 of a file's bytes, as manifests have it."""
    return str(blake3().update_mmap(path).hexdigest())


def write_record(output: Path, record: dict[str, Any]) -> None:
    """Put the record in place, whole."""
    part = output / f".{NAME}.part"
    write_private(part, json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    part.replace(output / NAME)


def read_record(output: Path) -> dict[str, Any]:
    """The record of the run in ``output``. Raises NothingToResume."""
    try:
        record: dict[str, Any] = json.loads((output / NAME).read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise NothingToResume(f"{output} holds no run to resume: start one without --resume") from problem
    return record


def checkpoint_of(output: Path) -> Path | None:
    """The newest checkpoint that was written whole: its state is what the trainer writes last."""
    found = [path.parent for path in (output / "checkpoints").glob("checkpoint-*/trainer_state.json")]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def require_same_run(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises NothingToResume, naming what differs, if ``now`` asks for other data or another method."""
    for key, value in now.items():
        if before.get(key) != value:
            raise NothingToResume(f"the run to resume has another {key}: start a new one in another folder")

"""Which code runs: the release, and a fingerprint of ``sessions/`` as it was when the process first asked."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import sessions

DISTRIBUTION = "apollo-tui"


def package_root() -> Path:
    """The folder that holds our ``sessions`` package, absolute."""
    return Path(sessions.__file__).resolve().parent.parent


@cache
def code_version() -> str:
    """``0.1.0+1a2b3c4d``: differs between host and client as soon as one runs other code than the other.

    A host asks once, when it starts, because files change beneath it.
    """
    import importlib.metadata  # it takes as long as all of this module's users together, and is needed once

    try:
        release = importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        release = "0"
    digest = hashlib.blake2b(digest_size=4)
    root = package_root()
    for path in sorted((root / "sessions").rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return f"{release}+{digest.hexdigest()}"

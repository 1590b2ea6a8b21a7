"""Models and tokenizers in folders are read without asking the hub, which a machine without a network waits for."""

from __future__ import annotations

import os
from pathlib import Path


def stay_offline(*sources: str | Path) -> bool:
    """If all of these are folders, let the libraries that are loaded after this ask the hub for nothing.

    ``HF_HUB_OFFLINE`` in the environment wins. A folder of adapters may name a base that lies elsewhere: it decides
    nothing.
    """
    folders = [Path(source).expanduser() for source in sources if str(source)]
    local = bool(folders) and all(
        folder.is_dir() and not (folder / "adapter_config.json").exists() for folder in folders
    )
    if local:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return local

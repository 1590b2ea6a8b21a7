"""Tests of the trainers' environment (`make test-train`). Elsewhere none is collected; tests/conftest.py says so."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

HERE = importlib.util.find_spec("transformers") is not None
collect_ignore_glob = [] if HERE else ["test_*.py"]

if HERE:
    import sample_sessions
    import torch

    from sessions.log.reader import LogReader

    torch.set_num_threads(1)

    @pytest.fixture(scope="session", autouse=True)
    def config(tmp_path_factory: pytest.TempPathFactory) -> None:
        """What all commands of these tests say of advice: it stays where it was."""
        path = tmp_path_factory.mktemp("config") / "config.toml"
        path.write_text('[export]\nadvice = "kept"\n')
        os.environ["APOLLO_CONFIG"] = str(path)

    @pytest.fixture(scope="session")
    def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The folder of a log with one session in which most things happen."""
        folder = tmp_path_factory.mktemp("story")
        asyncio.run(sample_sessions.story(folder))
        return folder

    @pytest.fixture
    def reader(story: Path) -> Iterator[LogReader]:
        with LogReader(story / "log.sqlite") as made:
            yield made

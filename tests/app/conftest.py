from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_feed import FakeFeed


@pytest.fixture
def only_keys_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read and how long it took is told the log after seconds: later than any test on a busy machine lasts."""
    monkeypatch.setattr("apollo_tui.state.read_marks.COALESCE_MS", 3_600_000)
    monkeypatch.setattr("apollo_tui.acts.annotator_time.COALESCE_MS", 3_600_000)


@pytest.fixture
async def feed(tmp_path: Path) -> AsyncIterator[FakeFeed]:
    made = await FakeFeed(tmp_path).open()
    yield made
    await made.shut()

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_feed import FakeFeed


@pytest.fixture(autouse=True)
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apollo_tui.app.TICK_S", 0.02)


@pytest.fixture
async def feed(tmp_path: Path) -> AsyncIterator[FakeFeed]:
    made = await FakeFeed(tmp_path).open()
    yield made
    await made.shut()

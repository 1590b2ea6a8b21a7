from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from training_log import Teller, new_log

from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[LogWriter]:
    made = await new_log(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def told(writer: LogWriter) -> Teller:
    return await Teller(writer).begin()


@pytest.fixture
def reader(writer: LogWriter) -> Iterator[LogReader]:
    with LogReader(writer.path) as made:
        yield made

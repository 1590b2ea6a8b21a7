from __future__ import annotations

from pathlib import Path

from log_events import SESSION, session_created

from apollo_tui.state.transcript_pages import MOST_INDEXES, Indexes, read_index
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter


def changed(path: str, added: int) -> ev.NewEvent:
    return ev.NewEvent(SESSION, ev.FileChanged(path=path, added=added, removed=1))


def flagged(name: str) -> ev.NewEvent:
    return ev.NewEvent(SESSION, ev.FlagSet(flag=name, target=ev.Target(1, "call", 1), label="x"), 1, 1, "human:ana")


def acted(step: int) -> ev.NewEvent:
    return ev.NewEvent(SESSION, ev.ActionStarted(call_id=f"c{step}", name="run"), step, 1)


async def test_an_index_that_is_gone_on_from_equals_one_that_is_read_anew_and_leaves_the_old_one_alone(
    tmp_path: Path,
) -> None:
    writer = await LogWriter.open(tmp_path / "log.sqlite")
    await writer.append(session_created(), acted(1), changed("a.py", 3), flagged("one"))
    reader, indexes = LogReader(tmp_path / "log.sqlite"), Indexes()
    first = indexes.read(reader, SESSION)
    before = (list(first.anchors), list(first.sparse), dict(first.files))
    assert indexes.read(reader, SESSION) is first
    await writer.append(acted(2), flagged("two"), changed("a.py", 4), changed("b.py", 1))
    later = indexes.read(reader, SESSION)
    assert later == read_index(reader, SESSION)
    assert later.files["a.py"] == (7, 2)
    assert len(later.anchors) > len(first.anchors)
    assert (list(first.anchors), list(first.sparse), dict(first.files)) == before
    reader.close()
    await writer.close()


async def test_only_a_few_indexes_are_kept(tmp_path: Path) -> None:
    writer = await LogWriter.open(tmp_path / "log.sqlite")
    ids = [f"01JZZZZZZZZZZZZZZZZZZZZZ{number:02}" for number in range(MOST_INDEXES + 1)]
    for number, session in enumerate(ids, 1):
        await writer.append(session_created(session, number))
    reader, indexes = LogReader(tmp_path / "log.sqlite"), Indexes()
    first = indexes.read(reader, ids[0])
    for session in ids[1:]:
        indexes.read(reader, session)
    assert indexes.read(reader, ids[0]) is not first
    assert indexes.read(reader, ids[-1]) is indexes.read(reader, ids[-1])
    reader.close()
    await writer.close()

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from training_log import OTHER, SESSION, Teller, new_log

from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.queries import search_index
from sessions.queries.search import SearchResult, search_all
from sessions.queries.search_index import IndexFailed, SearchIndex, index_path
from sessions.queries.search_query import BadQuery, parse_query


async def story(folder: Path) -> Path:
    writer = await new_log(folder)
    first = await Teller(writer).begin("Train a small net.", title="tune-lr")
    await first.act("python train.py", "epoch 1 loss is nan\nTraceback: CUDA out of memory")
    await first.act("nvidia-smi", "memory 79 GiB used")
    await first.reply(("job_kill", '{"job": 7}'), text="I will kill the job because it is slow.")
    await first.result(1, "killed")
    await first.flag(ev.Target(3, "call", 1), label="x/impatience", note="it was healthy")
    second = await Teller(writer, OTHER).begin("Poll.", title="poller")
    await second.act("python train.py --resume", "loss is 0.3")
    await second.tell(ev.StateChanged(state="paused", reason="lunch"))
    await writer.close()
    return folder / "log.sqlite"


def search(path: Path, text: str, **more: int) -> SearchResult:
    with LogReader(path) as reader:
        return search_all(reader, path.parent, parse_query(text), **more)  # type: ignore[arg-type]


def places(found: SearchResult) -> list[tuple[int, int | None, int | None]]:
    return [(hit.number, hit.step, hit.call) for hit in found.hits]


async def test_words_phrases_and_filters_find_the_entries_newest_first(tmp_path: Path) -> None:
    log = await story(tmp_path)
    assert places(search(log, "train.py")) == [(2, 1, 1), (1, 1, 1)]
    assert places(search(log, "loss")) == [(2, 1, 1), (1, 1, 1)]
    assert places(search(log, '"loss is nan"')) == [(1, 1, 1)]
    assert places(search(log, "tool:job_kill")) == [(1, 3, 1)]
    assert places(search(log, "tool:run memory")) == [(1, 2, 1), (1, 1, 1)]
    assert places(search(log, "state:paused loss")) == [(2, 1, 1)]
    assert places(search(log, "session:1 python")) == [(1, 1, 1)]
    assert places(search(log, "label:x/impatience")) == places(search(log, "label:impatience")) == [(1, 3, 1)]
    assert places(search(log, "label:impatience kill")) == [(1, 3, 1)]
    assert places(search(log, "label:impatience memory")) == []
    assert places(search(log, "kill slow")) == [(1, 3, None)]
    assert not search(log, "healthier").hits and search(log, "healthy").hits


async def test_a_hit_opens_at_the_entry_that_holds_it_and_shows_the_line(tmp_path: Path) -> None:
    log = await story(tmp_path)
    (hit,) = search(log, '"out of memory"').hits
    with LogReader(log) as reader:
        anchor = reader.event(SESSION, hit.seq)
    assert anchor is not None and anchor.kind == "action.started" and (anchor.step, anchor.call) == (1, 1)
    assert "CUDA out of memory" in hit.text and "\n" not in hit.text


async def test_new_events_are_found_without_reading_the_old_ones_again_and_a_lost_index_is_made_anew(
    tmp_path: Path,
) -> None:
    writer = await new_log(tmp_path)
    teller = await Teller(writer).begin()
    await teller.act("one", "alpha")
    log = tmp_path / "log.sqlite"
    assert len(search(log, "alpha").hits) == 1
    await teller.act("two", "alpha again")
    assert len(search(log, "alpha").hits) == 2
    index_path(tmp_path).write_bytes(b"not a database, not at all" * 100)
    assert len(search(log, "alpha").hits) == 2
    await writer.close()


async def test_the_first_time_the_newest_is_found_before_all_is_read_and_the_rest_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.queries.search_index.BATCH", 7)
    writer = await new_log(tmp_path)
    teller = await Teller(writer).begin()
    for number in range(20):
        await teller.act(f"step{number}", f"alpha{number}")
    await writer.close()
    log = tmp_path / "log.sqlite"
    with LogReader(log) as reader:
        early = search_all(reader, tmp_path, parse_query("alpha19"), go_on=lambda _: False)
        assert len(early.hits) == 1 and early.left > 0
        assert not search_all(reader, tmp_path, parse_query("alpha0"), go_on=lambda _: False).hits
        late = search_all(reader, tmp_path, parse_query("alpha0"))
        assert len(late.hits) == 1 and late.left == 0


async def test_the_index_agrees_with_a_plain_scan_for_random_words(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(30)]
    rng = random.Random(4)
    writer = await new_log(tmp_path)
    teller = await Teller(writer).begin()
    held: dict[str, set[int]] = {word: set() for word in words}
    for step in range(1, 40):
        said = rng.sample(words, 5)
        await teller.act("go", " ".join(said))
        for word in said:
            held[word].add(step)
    await writer.close()
    for word in words:
        found = search(tmp_path / "log.sqlite", f'"{word}"', limit=1000)
        assert {hit.step for hit in found.hits} == held[word]
        ats = [hit.at for hit in found.hits]
        assert ats == sorted(ats, reverse=True)


async def test_the_index_of_another_log_is_not_used(tmp_path: Path) -> None:
    log = await story(tmp_path)
    assert search(log, "train.py").hits
    other = tmp_path / "other"
    other.mkdir()
    writer = await new_log(other)
    await (await Teller(writer, OTHER).begin("Nothing here.")).act("ls", "beta")
    await writer.close()
    with LogReader(other / "log.sqlite") as reader:
        index = SearchIndex(index_path(tmp_path), reader)
        assert index.span == (0, 0)
        index.close()


@pytest.mark.parametrize(
    ("text", "says"), [("", "type words"), ("state:running2", "no such state"), ("... --", "letters")]
)
def test_a_search_that_says_nothing_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(BadQuery, match=says) as caught:
        parse_query(text)
    assert "\n" not in str(caught.value)


def test_words_that_look_like_filters_of_nothing_are_words() -> None:
    query = parse_query('path:/tmp "two words" tool:run tool:wait http://x')
    assert query.tools == {"run", "wait"}
    assert query.words == ("path:/tmp", "http://x") and query.phrases == ("two words",)
    assert query.match == '"path"* "tmp"* "http"* "x"* "two words"'


SAID = (
    "学习率太高，损失在第三步之后下降缓慢。",
    "モデルの学習率を下げて、もう一度ﾄﾚｰﾆﾝｸﾞする。",
    "학습률이 너무 높아서 손실이 줄지 않는다.",
    "อัตราการเรียนรู้สูงเกินไป",
    "GPU内存不足 at step41x, Überfit, is_nan_loss",
)


async def cjk(folder: Path) -> Path:
    writer = await new_log(folder)
    teller = await Teller(writer).begin("Train.", title="cjk")
    for said in SAID:
        await teller.act("echo", said)
    await writer.close()
    return folder / "log.sqlite"


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("下降", [1]), ("率", [2, 1]), ("损失在", [1]), ("失损", []), ("学習", [2]),
        ("トレーニング", [2]), ("下げて", [2]),
        ("률이", [3]), ("손실이 높아서", [3]), ("เรียนรู้", [4]), ("内存", [5]), ("GPU内存", [5]), ("ＧＰＵ", [5]),
        ('"步之后下"', [1]), ("uberfit", [5]), ("U\u0308berfit", [5]), ("下降 学习", [1]),
        ("下降 学習", []),
    ],
)  # fmt: skip
async def test_text_without_spaces_is_found_anywhere_and_however_it_was_typed(
    tmp_path: Path, text: str, steps: list[int]
) -> None:
    found = search(await cjk(tmp_path), text)
    assert [hit.step for hit in found.hits] == steps


async def test_every_piece_of_a_text_without_spaces_is_found_as_a_plain_scan_finds_it(tmp_path: Path) -> None:
    log = await cjk(tmp_path)
    with LogReader(log) as reader:
        search_all(reader, tmp_path, parse_query("x"))
        for said in SAID[:2]:
            for start in range(0, len(said) - 3, 2):
                piece = said[start : start + 3]
                if piece.isalpha() and not set(piece) & set("ﾄﾚｰﾆﾝｸﾞ"):
                    held = [number for number, text in enumerate(SAID, 1) if piece in text]
                    hits = search_all(reader, tmp_path, parse_query(piece)).hits
                    assert sorted(hit.step or 0 for hit in hits) == held, piece


async def test_a_star_looks_inside_words_and_says_when_too_many_hold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await story(tmp_path)
    assert not search(log, "rain.py").hits
    assert places(search(log, "*rain")) == [(2, 1, 1), (1, 1, 1), (1, None, None)]
    assert places(search(log, "*ACE nan")) == [(1, 1, 1)]
    assert places(search(log, "*race *emor")) == [(1, 1, 1)]
    assert places(search(log, "*rain tool:run session:2")) == [(2, 1, 1)]
    assert not search(log, "*nowhere").hits
    with pytest.raises(BadQuery, match="one word"):
        search(log, "*rain.py")
    monkeypatch.setattr("sessions.queries.search_index.MOST_WORDS", 1)
    monkeypatch.setattr("sessions.queries.search.MOST_WORDS", 1)
    with pytest.raises(BadQuery, match="type more of it"):
        search(log, "*e")


async def test_an_index_of_an_older_version_is_made_anew_by_the_next_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await cjk(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("sessions.queries.search_index.VERSION", 1)
        patch.setattr("sessions.queries.search_index.space_words", lambda text: text)
        assert not search(log, "下降").hits and search(log, '"学习率太高"').hits == ()
    assert [hit.step for hit in search(log, "下降").hits] == [1]


async def test_an_index_that_another_search_is_at_work_with_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await story(tmp_path)
    search(log, "loss")
    monkeypatch.setattr(search_index, "BUSY_MS", 1)
    path = index_path(tmp_path)
    before = path.stat().st_ino
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexFailed, match="try again in a moment"):
            search(log, "loss")
        assert path.stat().st_ino == before
    assert places(search(log, "nvidia-smi")) == [(1, 2, 1)]

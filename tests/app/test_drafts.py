from __future__ import annotations

import stat
from pathlib import Path

from apollo_tui.acts.drafts import Draft, Drafts, join_drafts
from sessions.events import Target


def test_a_draft_comes_back_whole_and_only_its_author_can_read_the_file(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "drafts", "human:ada")
    draft = Draft("S1", "let it\nrun ☕ [/x]", 7, about=Target(40, "call", 1), request="r")
    drafts.save(draft)
    assert Drafts(tmp_path / "drafts", "human:ada").load("S1") == draft
    assert stat.S_IMODE(drafts.path("S1").stat().st_mode) == 0o600
    assert [path.name for path in drafts.folder.iterdir()] == [drafts.path("S1").name]


def test_drafts_are_apart_by_session_and_by_annotator(tmp_path: Path) -> None:
    ada, bob = Drafts(tmp_path, "human:ada"), Drafts(tmp_path, "human:../bob")
    ada.save(Draft("S1", "one", 1))
    ada.save(Draft("S2", "two", 1))
    bob.save(Draft("S1", "three", 1))
    assert [draft.text for draft in ada.all()] == ["one", "two"]
    assert [draft.text for draft in bob.all()] == ["three"]
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))


def test_an_empty_draft_is_no_draft(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path, "human:ada")
    drafts.save(Draft("S1", "one", 1))
    drafts.save(Draft("S1", "", 1))
    assert drafts.load("S1") is None and drafts.all() == []


def test_a_file_that_cannot_be_read_is_set_aside_not_overwritten(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path, "human:ada")
    drafts.path("S1").write_text("{broken")
    assert drafts.load("S1") is None
    drafts.save(Draft("S1", "new", 1))
    kept = [path for path in tmp_path.iterdir() if path != drafts.path("S1")]
    assert [path.read_text() for path in kept] == ["{broken"]


def test_text_that_is_no_valid_unicode_is_stored_as_what_it_can_be(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path, "human:ada")
    drafts.save(Draft("S1", "a\ud800b", 1))
    loaded = drafts.load("S1")
    assert loaded is not None and loaded.text == "a\N{REPLACEMENT CHARACTER}b"


def test_an_answer_and_an_edit_do_not_cost_the_draft_of_advice(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path, "human:ada")
    drafts.save(Draft("S1", "advice", 1))
    drafts.save(Draft("S1", "answer", 1, answers=2))
    drafts.save(Draft("S1", "edit", 1, edits=3))
    assert {draft.text for draft in drafts.all()} == {"advice", "answer", "edit"}
    drafts.clear("S1", "answer")
    assert {draft.text for draft in drafts.all()} == {"advice", "edit"}


def test_what_the_composer_opens_with_loses_nothing_and_reuses_nothing_of_another_question() -> None:
    stored = Draft("S1", "half a thought", 1, request="old")
    assert join_drafts(stored, Draft("S1", "", 2)) is stored
    assert join_drafts(stored, Draft("S1", "withdrawn", 2)).text == "half a thought\nwithdrawn"
    assert join_drafts(stored, Draft("S1", "withdrawn", 2)).request == ""
    assert join_drafts(Draft("S1", "yes", 1, answers=1), Draft("S1", "", 2, answers=2)).text == ""
    assert join_drafts(None, Draft("S1", "x", 2)).text == "x"

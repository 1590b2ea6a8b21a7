from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from training_log import Teller, kept_policy

from apollo_train.export.dataset_folder import write_folder
from apollo_train.export.message_page import SHOWN
from apollo_train.export.run import has_page, run_export
from apollo_train.formats import FORMATS
from apollo_train.policy import AdviceRules, FilterPolicy, FlagRules
from apollo_train.runtime import FileInTheWay
from sessions import events as ev
from sessions.log.reader import LogReader

HOSTILE = "</pre><script>alert(1)</script>\x1b[31m"
PAGED = [name for name, made in FORMATS.items() if has_page(made)]


async def mixed(told: Teller) -> None:
    """Trained, flagged, malformed and text-only replies, none with advice before it."""
    await told.act("ls", HOSTILE, reasoning="Look around.")
    calls = [("run", json.dumps({"command": command})) for command in ("pwd", "rm -r")]
    await told.reply(*calls, reasoning="Both at once.")
    await told.result(1)
    await told.result(2)
    await told.flag(ev.Target(2, "call", 2))
    await told.reply(("run", "{"), reasoning="Broken.")
    await told.refuse(1)
    await told.act("make", reasoning="Build it.")
    await told.flag(ev.Target(4), verdict="good")
    await told.tell(ev.StateChanged(state="finished"))


KEPT = kept_policy()


def page(reader: LogReader, folder: Path, name: str, policy: FilterPolicy = KEPT) -> str:
    report = run_export(reader, None, policy, name, folder / f"{name}.jsonl", overwrite=True)
    assert report.page == folder / f"{name}.jsonl.preview.html"
    return report.page.read_text("utf-8")


def said(found: str) -> list[tuple[str, str]]:
    """Of each part its head, and the class that it is shown in; each text is in a span of its own."""
    shown = re.findall(r'<h3>([^<]*)</h3><pre><span class="(\w+)" title="[^"]*">([^<]*)</span></pre>', found)
    return [(html.unescape(head), role) for head, role, _ in shown]


@pytest.mark.parametrize("name", ["openai", "messages", "axolotl", "llamafactory-v1", "steps"])
async def test_the_page_marks_each_reply_and_says_why_it_is_masked(
    told: Teller, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await mixed(told)
    assert said(page(reader, tmp_path, name)) == [
        ("system", "context"),
        ("user", "context"),
        ("step 1 reasoning — trained", "trained"),
        ("step 1 call 1 — trained", "trained"),
        ("tool", "context"),
        ("step 2 reasoning — masked: flagged", "masked"),
        ("step 2 call 1 — masked: flagged", "masked"),
        ("step 2 call 2 — masked: flagged", "masked"),
        ("tool", "context"),
        ("tool", "context"),
        ("step 3 reasoning — masked: malformed", "masked"),
        ("step 3 call 1 — masked: malformed", "masked"),
        ("tool", "context"),
        ("step 4 reasoning — trained", "trained"),
        ("step 4 call 1 — trained", "trained"),
    ]


async def test_a_part_with_a_reason_of_its_own_says_it(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await mixed(told)
    await told.flag(ev.Target(3, "reasoning"))
    heads = [head for head, _ in said(page(reader, tmp_path, "openai"))]
    assert "step 3 reasoning — masked: flagged" in heads
    assert "step 3 call 1 — masked: malformed" in heads


@pytest.mark.parametrize("name", PAGED)
async def test_every_format_has_a_page_that_foreign_text_cannot_break(
    told: Teller, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await told.act("ls", HOSTILE, reasoning=HOSTILE)
    await told.reply(("run", json.dumps({"command": HOSTILE})), reasoning="Too slow.")
    await told.refuse(why="skipped_for_advice", shown="skipped")
    if name in ("dpo", "kto"):
        await told.flag(ev.Target(2))
        await told.advise("Wait.", "strategy")
    await told.act("wait", HOSTILE, reasoning="Fine.")
    found = page(reader, tmp_path, name)
    assert "alert(1)" in found
    assert "<script" not in found
    assert "\x1b" not in found
    assert "trained" in found
    assert "policy default" in found


async def test_pairs_show_what_is_preferred_and_what_is_not(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await told.act("ls")
    await told.reply(("run", '{"command":"kill 7"}'), reasoning="Too slow.")
    await told.refuse(why="skipped_for_advice", shown="skipped")
    await told.flag(ev.Target(2, "call", 1))
    await told.advise("Let it run.", "strategy")
    await told.act("wait", reasoning="Fine.")
    await told.flag(ev.Target(3), verdict="good")
    assert said(page(reader, tmp_path, "dpo"))[-4:] == [
        ("chosen: reasoning — trained", "trained"),
        ("chosen: call 1 — trained", "trained"),
        ("rejected: reasoning — masked: rejected", "masked"),
        ("rejected: call 1 — masked: rejected", "masked"),
    ]
    heads = said(page(reader, tmp_path, "kto"))
    assert ("call 1 — masked: not wanted", "masked") in heads
    assert ("call 1 — trained", "trained") in heads


async def test_twins_are_shown_apart_and_a_reply_that_speaks_of_advice_says_so(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await told.act("ls")
    await told.advise("Use the smaller learning rate for now please.", "strategy")
    await told.act("train", reasoning="As advised, I use the smaller learning rate for now please.")
    await told.act("plot")
    both = kept_policy(advice=AdviceRules(strategy="both"))
    found = page(reader, tmp_path, "openai", both)
    with_advice, without = found.split("<h2>")[1:]
    assert ("step 2 call 1 — trained", "trained") in said(with_advice)
    assert ("step 2 call 1 — masked: target_refers", "masked") in said(without)
    assert ("step 3 call 1 — trained", "trained") in said(without)


async def test_a_copied_reply_is_context_and_the_page_ends_after_a_few_conversations(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    for _ in range(SHOWN + 3):
        await told.act("ls")
        await told.flag(ev.Target(told.step))
        await told.act("pwd")
        await told.summarise()
    found = page(reader, tmp_path, "openai")
    assert found.count("<h2>") == SHOWN
    for part in found.split("<h2>")[1:]:
        assert [role for head, role in said(part) if "call" in head] == ["masked", "trained"]


async def test_the_page_is_the_same_for_the_same_position_and_never_replaces_another(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await mixed(told)
    at = reader.position()
    first = page(reader, tmp_path, "openai")
    await told.act("later")
    path = tmp_path / "openai.jsonl"
    run_export(reader, None, KEPT, "openai", path, overwrite=True, position=at)
    assert (tmp_path / "openai.jsonl.preview.html").read_text() == first
    path.unlink()
    with pytest.raises(FileInTheWay):
        run_export(reader, None, KEPT, "openai", tmp_path / "openai.jsonl")
    assert not path.exists()


async def test_a_folder_for_datasets_has_the_page_too(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await mixed(told)
    policy = kept_policy(flags=FlagRules(conflict="exclude"))
    report = write_folder(reader, None, policy, "steps", tmp_path / "set")
    assert report.page == tmp_path / "set" / "preview.html"
    assert "step 2 call 2 — masked: flagged" in report.page.read_text()


async def test_events_have_no_page(told: Teller, reader: LogReader, tmp_path: Path) -> None:
    await mixed(told)
    assert run_export(reader, None, KEPT, "raw", tmp_path / "raw.jsonl").page is None

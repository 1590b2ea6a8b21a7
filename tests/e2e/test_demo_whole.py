from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from apollo_process import Apollo, wait_for
from prompt_rebuild import Rebuilder, assert_prompts_grow

from sessions.log.reader import LogReader


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Apollo, list[str]]]:
    """All five demo sessions from beginning to end, with nobody looking."""
    product = Apollo(tmp_path_factory.mktemp("demo"))
    sessions = [made["id"] for made in product.json("demo", "--headless", "--pace", "0")]
    wait_for("all sessions to end", lambda: ended(product) == {"finished"}, seconds=120, every=0.2)
    yield product, sessions
    product.close()


def ended(product: Apollo) -> set[str]:
    with LogReader(product.log) as reader:
        return {summary.state for summary in reader.summaries()}


def test_every_prompt_of_the_demo_rebuilds_in_another_process_from_a_copied_log(
    demo: tuple[Apollo, list[str]],
) -> None:
    product, sessions = demo
    rebuilder = Rebuilder()
    rebuilt = rebuilder(product.log, product.folder / "copy" / "log.sqlite")
    rebuilder.close()
    with LogReader(product.log) as reader:
        for session in sessions:
            requests = reader.events(session, kinds={"model.request"})
            # The poller says least when its job ends at once: six replies.
            assert len(requests) >= 6
            assert {(session, event.seq) for event in requests} <= set(rebuilt)
            assert assert_prompts_grow(reader, session) == len(requests) - 1


def test_malformed_calls_are_masked_without_any_flag(demo: tuple[Apollo, list[str]]) -> None:
    product, sessions = demo
    formats = sessions[2]
    assert product.session(formats)["malformed"] >= 6
    out = product.folder / "out.jsonl"
    product.run("export", "--format", "openai", "--advice", "kept", "--out", str(out), "--session", formats)
    refused = {
        e["step"]
        for e in product.events(formats, "action.refused")
        if e["body"]["why"] in ("malformed", "unknown_tool")
    }
    row = json.loads(out.read_text().splitlines()[0])
    assistants = [message for message in row["messages"] if message["role"] == "assistant"]
    assert {step for step, message in enumerate(assistants, start=1) if message["weight"] == 0} == refused

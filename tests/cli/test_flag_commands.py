"""Sign-off, notes, search and effort on the command line, against a real host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from apollo_process import Apollo, create_session, wait_for

TASK = "---\ntitle: count\nlimits: {steps: 50}\n---\nCount to three, and say the word zebra.\n"


@pytest.fixture(scope="module")
def apollo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apollo]:
    made = create_session(tmp_path_factory.mktemp("judging"), TASK)
    yield made
    made.close()


def json_of(apollo: Apollo, *args: str) -> Any:
    return json.loads(apollo.run(*args, "--json").stdout)


def test_a_sign_off_is_set_taken_back_and_counted(apollo: Apollo) -> None:
    assert json_of(apollo, "signoff", "1", "discard")["seq"] > 0
    assert json_of(apollo, "effort")["total"]["sign_offs"] == 1
    said = apollo.run("signoff", "1", "none").stdout
    assert "taken back" in said


def test_a_step_goes_with_up_to_and_with_nothing_else(apollo: Apollo) -> None:
    for words in (("up-to",), ("good", "3")):
        failed = apollo.run("signoff", "1", *words, check=False)
        assert failed.returncode == 2 and "write 'up-to 41', or a word alone" in failed.stderr
    beyond = apollo.run("signoff", "1", "up-to", "7", check=False)
    assert beyond.returncode != 0 and "has no step 7" in beyond.stderr


def test_a_note_is_written_and_an_empty_one_takes_it_away(apollo: Apollo) -> None:
    assert "note written" in apollo.run("note", "1", "leaks the answer?").stdout
    assert "note taken away" in apollo.run("note", "1", "").stdout


def test_a_session_gets_another_name_and_other_tags(apollo: Apollo) -> None:
    assert "is called tune-lr" in apollo.run("rename", "1", " tune-lr ").stdout
    assert "tags: keep lr" in apollo.run("tag", "1", "keep", "+lr", "-never").stdout
    assert "tags: lr" in apollo.run("tag", "1", "-keep").stdout
    assert apollo.run("tag", "1").stdout.strip() == "lr" and json_of(apollo, "tag", "1")["tags"] == ["lr"]
    (row,) = json_of(apollo, "ls")
    assert (row["title"], row["tags"]) == ("tune-lr", ["lr"])
    for words, said in (
        (("tag", "1", "lr"), "stays as it was"), (("tag", "1", "a,b"), "is no tag"), (("rename", "1", " "), "empty"),
        (("rename", "1", "tune-lr"), "called so already"), (("rename", "1", "x" * 300), "at most 200"),
        (("unarchive", "1"), "not archived"),
    ):  # fmt: skip
        failed = apollo.run(*words, check=False)
        assert failed.returncode != 0 and said in failed.stderr, words
    apollo.run("rename", "1", "count")


def test_search_finds_the_task_and_refuses_nonsense_in_one_line(apollo: Apollo) -> None:
    (hit,) = json_of(apollo, "search", "zebra")
    assert hit["number"] == 1 and "zebra" in hit["text"]
    nothing = apollo.run("search", "unheard-of", check=False)
    assert nothing.returncode != 0 and "nothing found" in nothing.stderr
    assert "no such state" in apollo.run("search", "state:nope", check=False).stderr
    assert json_of(apollo, "search", "session:1", "zebra")[0]["number"] == 1


def test_effort_names_nobody_unless_asked(apollo: Apollo) -> None:
    apollo.run("signoff", "1", "good")
    plain = apollo.run("effort", "--json").stdout
    named = apollo.run("effort", "--json", "--names").stdout
    (with_names,) = json.loads(named)["sessions"]
    assert list(with_names["by"]) and not any(name in plain for name in with_names["by"])


def loop(*commands: str) -> dict[str, Any]:
    """A recording in which the agent runs these commands, which all say the same."""
    steps: list[dict[str, Any]] = [{"step_id": 1, "source": "user", "message": "Build it."}]
    for number, command in enumerate(commands, 2):
        call = {"tool_call_id": f"c{number}", "function_name": "run", "arguments": {"command": command}}
        result = {"source_call_id": f"c{number}", "content": "no rule to make it"}
        steps.append(
            {
                "step_id": number,
                "source": "agent",
                "message": "",
                "tool_calls": [call],
                "observation": {"results": [result]},
            }
        )
    agent = {"name": "a", "version": "1", "model_name": "m"}
    return {"schema_version": "ATIF-v1.7", "session_id": "loop-1", "agent": agent, "steps": steps}


def test_a_flag_and_what_followed_says_which_steps_that_is_and_is_a_span(apollo: Apollo) -> None:
    (apollo.folder / "loop.json").write_text(json.dumps(loop("make", "make", "make", "ls")))
    apollo.run("import", "loop.json")
    said = apollo.run("flag", "2", "1.1", "--until-recovery").stdout
    assert said.startswith("flagged 1.1 bad as unspecified and what followed: steps 2 to 3")
    [event] = [json.loads(line) for line in apollo.run("log", "2", "--kind", "flag.set", "--json").stdout.splitlines()]
    assert "1-3" in json.dumps(event) or '"to_step": 3' in json.dumps(event)


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apollo]:
    made = Apollo(tmp_path_factory.mktemp("correcting"))
    made.run("demo", "--headless", "--pace", "0")
    wait_for("three steps", lambda: made.session("tune-lr")["step"] > 3)
    yield made
    made.close()


def events_of(apollo: Apollo, kind: str) -> list[dict[str, Any]]:
    return [event["body"] for event in apollo.events("1", kind)]


def test_a_correction_is_written_says_what_it_is_not_and_is_taken_back(stepped: Apollo) -> None:
    said = stepped.run("correct", "1", "2.1", 'run {"command": "wait 7"}').stdout
    assert said.startswith("correction of 2.1 written; it masks nothing: 'apollo flag 1 2.1'") and said.count("\n") == 1
    stepped.run("flag", "1", "2")
    again = stepped.run("correct", "1", "2.1", 'Wait.\nrun {"command":').stdout
    assert "kept as words: run is followed by no whole JSON object" in again and "masks nothing" not in again
    assert [body["text"] for body in events_of(stepped, "correction.written")] == [
        'run {"command": "wait 7"}',
        'Wait.\nrun {"command":',
    ]
    assert "taken back" in stepped.run("correct", "1", "2.1", "").stdout
    for words, says in (
        (("1", "2.1", ""), "you have no correction of 2.1"),
        (("1", "2-3", "x"), "cannot be corrected"),
        (("1", "2:text", "x"), "cannot be corrected"),
        (("1", "999", "x"), "has no step 999"),
    ):
        failed = stepped.run("correct", *words, check=False)
        assert failed.returncode != 0 and says in failed.stderr and failed.stderr.count("\n") == 1


def test_a_recovery_is_marked_once_and_taken_back_once(stepped: Apollo) -> None:
    assert "recovery marked at step 3" in stepped.run("recovery", "1", "3").stdout
    twice = stepped.run("recovery", "1", "3", check=False)
    assert twice.returncode != 0 and "step 3 is marked already" in twice.stderr
    assert "no longer marked at step 3" in stepped.run("recovery", "1", "3", "--remove").stdout
    for words, says in ((("3", "--remove"), "step 3 has no recovery mark"), (("999",), "has no step 999")):
        failed = stepped.run("recovery", "1", *words, check=False)
        assert failed.returncode != 0 and says in failed.stderr and failed.stderr.count("\n") == 1
    assert [body.get("removed", False) for body in events_of(stepped, "recovery.marked")] == [False, True]

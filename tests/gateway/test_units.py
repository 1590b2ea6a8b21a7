from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.events import Mark
from sessions.events.text import Blob
from sessions.gateway.conversation import Insertion, place_words
from sessions.gateway.dialects import DIALECTS, UnreadableRequest
from sessions.gateway.joined_words import find_turn, without_words
from sessions.gateway.units import take_marks
from sessions.log.rebuild import put_marks

BLOCKS = {"chat": "text", "messages": "text", "responses": "input_text"}
texts = st.text(max_size=12)
blocks = st.sampled_from(["text", "image"]).flatmap(
    lambda kind: st.fixed_dictionaries(
        {"type": st.just(kind), kind: texts}, optional={"cache_control": st.just({"type": "ephemeral"})}
    )
)
turns = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": st.one_of(texts, st.lists(blocks))},
    optional={"name": texts, "tool_call_id": texts},
)


@given(
    dialect=st.sampled_from(sorted(DIALECTS)),
    talk=st.lists(turns, max_size=4),
    before=st.dictionaries(texts, st.recursive(texts, lambda inner: st.lists(inner, max_size=2)), max_size=2),
    indent=st.sampled_from([None, 1]),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" , ", " :  ")]),
    ascii=st.booleans(),
)
def test_a_request_taken_apart_is_the_same_bytes_put_together(
    dialect: str, talk: list[Any], before: dict[str, Any], indent: int | None, separators: tuple[str, str], ascii: bool
) -> None:
    body = before | {"model": "m", DIALECTS[dialect].talk: talk, "stream": True}
    sent = json.dumps(body, indent=indent, separators=separators, ensure_ascii=ascii).encode("utf-8", "replace")
    assert DIALECTS[dialect].read_request(sent).body() == sent


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": "m"}', b"\xff{}", b'{"messages": [{}'])
def test_what_is_no_request_is_refused_in_one_line(body: bytes) -> None:
    with pytest.raises(UnreadableRequest, match=r"^the request is no chat request: .+$"):
        DIALECTS["chat"].read_request(body)


def units(dialect: str, *talk: Any) -> Any:
    body = json.dumps({DIALECTS[dialect].talk: talk}).encode()
    return DIALECTS[dialect].read_request(body).units


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_text_is_the_same_in_whatever_form_it_is_written(dialect: str) -> None:
    (plain,) = units(dialect, {"role": "user", "content": "Do it."})
    (block,) = units(dialect, {"role": "user", "content": [{"type": BLOCKS[dialect], "text": "Do it."}]})
    (marked,) = units(
        dialect,
        {"role": "user", "content": [{"type": BLOCKS[dialect], "text": "Do it.", "cache_control": {"type": "x"}}]},
    )
    (other,) = units(dialect, {"role": "user", "content": "Do that."})
    assert plain.identity == block.identity == marked.identity != other.identity
    assert block.text == marked.text, "what moves about stands beside it"


def test_a_conversation_that_is_a_text_becomes_a_list_where_we_have_something_to_say() -> None:
    dialect = DIALECTS["responses"]
    request = dialect.read_request(b'{"model": "m", "input": "Do it.", "stream": true}')
    (listed,) = units("responses", {"type": "message", "role": "user", "content": "Do it."})
    assert request.units[0].identity == listed.identity, "it goes on as a list"
    said, seqs = place_words(dialect, request, [Insertion(1, 7, "Wait.")])
    sent = json.loads(said.body())
    assert [item["content"][0]["text"] for item in sent["input"]] == ["Do it.", "Wait."]
    assert (sent["model"], sent["stream"], seqs) == ("m", True, [(), (7,)])
    assert place_words(dialect, request, [])[0].body() == b'{"model": "m", "input": "Do it.", "stream": true}'


def test_the_ids_of_items_say_nothing_and_those_of_calls_do() -> None:
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    (one,), (two,), (three,) = (
        units("responses", {"id": "fc-1"} | item),
        units("responses", item | {"id": "fc-2"}),
        units("responses", item | {"call_id": "d"}),
    )
    assert one.identity == two.identity != three.identity
    assert json.loads(one.text) == json.loads(two.text) == item
    assert (one.kind, one.call) == ("call", "c")


@given(texts, st.permutations(["type", "text", "cache_control", "id"]))
def test_marks_go_back_where_they_stood(text: str, order: list[str]) -> None:
    block = {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}, "id": "item-1"}
    written = json.dumps({key: block[key] for key in order}, ensure_ascii=False)
    bare, marks = take_marks(written, ["cache_control", "id"])
    assert put_marks(bare, marks) == written
    if marks:
        assert json.loads(bare) == {"type": "text", "text": text}
        assert all(isinstance(mark, Mark) for mark in marks)


def test_our_words_become_the_last_block_of_the_turn_that_the_results_are_in() -> None:
    talk = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "done"}]},
    ]
    dialect = DIALECTS["messages"]
    request = dialect.read_request(json.dumps({"messages": talk, "model": "m"}).encode())
    said = request.with_unit(len(request.units), dialect.user_unit("Wait.", request.units[-1]))
    sent = json.loads(said.body())["messages"]
    assert len(sent) == 3
    assert sent[-1]["content"] == [talk[-1]["content"][0], {"type": "text", "text": "Wait."}]  # type: ignore[index]  # a list
    # And when the harness goes on, they stay where they were.
    longer = dialect.read_request(
        json.dumps({"messages": [*talk, {"role": "assistant", "content": "Yes."}], "model": "m"}).encode()
    )
    place = len(request.units)
    again = longer.with_unit(place, dialect.user_unit("Wait.", longer.units[place - 1]))
    assert json.loads(again.body())["messages"][:3] == sent


@pytest.mark.parametrize(("dialect", "kind"), [("chat", "content"), ("responses", "content")])
def test_our_words_are_a_turn_of_their_own_where_results_are_messages(dialect: str, kind: str) -> None:
    result = {
        "chat": {"role": "tool", "tool_call_id": "c", "content": "done"},
        "responses": {"type": "function_call_output", "call_id": "c", "output": "done"},
    }[dialect]
    talk = DIALECTS[dialect]
    request = talk.read_request(json.dumps({talk.talk: [result], "model": "m"}).encode())
    said = json.loads(request.with_unit(1, talk.user_unit('Say "hi".', request.units[0])).body())[talk.talk]
    assert said[0] == result
    assert said[1]["role"] == "user"
    assert 'Say "hi".' in json.dumps(said[1][kind]).replace('\\"', '"')


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("listed", [True, False])
def test_words_are_joined_to_the_newest_text_of_the_user_and_nothing_else_changes(dialect: str, listed: bool) -> None:
    marked = [{"type": BLOCKS[dialect], "text": 'Look at "a".', "cache_control": {"type": "x"}, "more": 1}]
    talk = [{"role": "user", "content": marked if listed else 'Look at "a".'}, {"role": "assistant", "content": "Yes."}]
    api = DIALECTS[dialect]
    request = api.read_request(json.dumps({"model": "m", api.talk: talk}, indent=1).encode())
    said, seqs = place_words(api, request, [Insertion(1, 7, 'Say "hi".', joined=True)])
    told = 'Look at "a".\n\nSay "hi".'
    assert json.loads(said.body())[api.talk] == [
        {"role": "user", "content": [marked[0] | {"text": told}] if listed else told}, talk[1]
    ]  # fmt: skip
    assert seqs == [(7,), ()]
    assert said.units[0].own == Blob.of(request.units[0].text.encode()).hash
    assert without_words(said.body(), 'Say "hi".') == request.body()
    assert find_turn(request.units) == 0


NOTE = 'Advice is in <advice-1> "tags".'


@pytest.mark.parametrize(
    ("dialect", "key", "prompt", "told"),
    [
        ("messages", "system", "Be brief.", f"Be brief.\n\n{NOTE}"),
        ("messages", "system", [], [{"type": "text", "text": NOTE}]),
        (
            "messages",
            "system",
            [{"type": "text", "text": "a", "cache_control": {}}],
            [{"type": "text", "text": "a", "cache_control": {}}, {"type": "text", "text": NOTE}],
        ),
        ("responses", "instructions", "Be brief.", f"Be brief.\n\n{NOTE}"),
    ],
)
@pytest.mark.parametrize("last", [True, False])
def test_a_note_in_the_system_prompt_changes_nothing_else(
    dialect: str, key: str, prompt: Any, told: Any, last: bool
) -> None:
    talk = {DIALECTS[dialect].talk: [{"role": "user", "content": "Go."}]}
    body = {"model": "m", **talk, key: prompt} if last else {key: prompt, "model": "m", **talk}
    request = DIALECTS[dialect].with_note(DIALECTS[dialect].read_request(json.dumps(body).encode()), NOTE)
    assert request is not None
    assert json.loads(request.body()) == body | {key: told}
    assert list(json.loads(request.body())) == list(body)
    assert request.fields[key] == told


@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_a_note_goes_into_the_first_system_message(dialect: str) -> None:
    rest = [{"role": "system", "content": "Second."}, {"role": "user", "content": "Go."}]
    for prompt, told in (("First.", f"First.\n\n{NOTE}"), ([{"type": BLOCKS[dialect], "text": "a"}], None)):
        talk = [{"role": "system", "content": prompt}, *rest]
        body = json.dumps({"model": "m", DIALECTS[dialect].talk: talk}).encode()
        request = DIALECTS[dialect].with_note(DIALECTS[dialect].read_request(body), NOTE)
        assert request is not None
        sent = json.loads(request.body())[DIALECTS[dialect].talk]
        assert sent[1:] == rest
        assert sent[0]["content"] == (told or [{"type": BLOCKS[dialect], "text": f"a\n\n{NOTE}"}])


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_request_without_a_system_prompt_gets_no_note(dialect: str) -> None:
    body = json.dumps({DIALECTS[dialect].talk: [{"role": "user", "content": "Go."}]}).encode()
    assert DIALECTS[dialect].with_note(DIALECTS[dialect].read_request(body), NOTE) is None

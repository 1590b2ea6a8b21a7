from __future__ import annotations

import hashlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.events.text import MAX_TEXT_BYTES, canonical_json, long_text, valid_unicode

ANY_TEXT = st.text(st.characters())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(ANY_TEXT)
def test_valid_unicode_can_be_encoded_and_leaves_valid_text_alone(text: str) -> None:
    clean = valid_unicode(text)
    clean.encode()
    assert valid_unicode(clean) == clean
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert clean == text


def test_lone_surrogates_are_replaced_and_pairs_joined() -> None:
    assert valid_unicode("a\ud800b\udc00c") == "a\ufffdb\ufffdc"
    assert valid_unicode("\ud83d\ude00") == "😀"


@given(JSON)
def test_canonical_json_is_one_form_and_the_same_value(value: object) -> None:
    data = canonical_json(value)
    assert json.loads(data) == value
    assert canonical_json(json.loads(data)) == data


def test_canonical_json_sorts_keys_and_spends_no_spaces() -> None:
    assert canonical_json({"b": [1, 1.0], "a": "é\ud800\u2028"}) == '{"a":"é\ufffd\u2028","b":[1,1.0]}'.encode()
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


@given(ANY_TEXT, st.integers(0, 20))
def test_a_long_text_is_short_inside_and_whole_in_its_blob(text: str, inline: int) -> None:
    stored, blobs = long_text(text, inline=inline)
    whole = valid_unicode(text)
    assert stored.chars == len(whole)
    assert stored.text == whole[:inline]
    assert stored.lost == 0
    if len(whole) <= inline:
        assert (stored.blob, blobs) == (None, [])
    else:
        assert [blob.data.decode() for blob in blobs] == [whole]
        assert stored.blob == blobs[0].hash == hashlib.sha256(whole.encode()).hexdigest()


def test_beyond_the_cap_head_and_tail_are_kept_and_the_loss_is_said() -> None:
    text = "é" * MAX_TEXT_BYTES + "the end"
    stored, (blob,) = long_text(text, file="out.log")
    kept = blob.data.decode()
    head, tail = kept.split("\n[… ")[0], kept.split(" …]\n")[1]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert stored.lost == len(text) - len(head) - len(tail) > 0
    assert f"{stored.lost:,} characters" in kept
    assert (stored.chars, stored.file) == (len(text), "out.log")
    assert len(blob.data) <= MAX_TEXT_BYTES + 100


def test_a_text_of_exactly_the_cap_loses_nothing() -> None:
    stored, (blob,) = long_text("x" * MAX_TEXT_BYTES)
    assert (stored.lost, len(blob.data)) == (0, MAX_TEXT_BYTES)


def test_texts_have_one_canonical_form_whichever_encoder_makes_it() -> None:
    signs = [
        *map(chr, range(0x300)),
        "\u2028",
        "\ue000",
        "\uffff",
        "\U00010000",
        "\U0001f600",
        '"',
        "\\",
        "/",
        "\ud800",
    ]
    chance = random.Random(1)

    def text() -> str:
        return "".join(chance.choices(signs, k=chance.randrange(8)))

    def value(depth: int) -> object:
        if not depth or chance.random() < 0.3:
            return chance.choice((None, text(), 7, 1e16, True)) if chance.random() < 0.2 else text()
        if chance.random() < 0.5:
            return [value(depth - 1) for _ in range(3)]
        return {text(): value(depth - 1) for _ in range(3)}

    for _ in range(3000):
        made = {"role": "user", "content": value(3)}
        slow = json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert canonical_json(made) == valid_unicode(slow).encode()

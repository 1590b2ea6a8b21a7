from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.redaction import Redactor, looks_secret, scrub_env

SHORT, LONG = "abababababababab", "abababababababababcd"
REDACTOR = Redactor({"SHORT_KEY": SHORT, "LONG_KEY": LONG, "OTHER": "0123456789abcdef", "TINY": "hunter2"})


def test_a_value_is_replaced_by_its_name_and_a_short_one_is_left_alone() -> None:
    assert REDACTOR.redact(f"key={LONG}!") == "key=[redacted:LONG_KEY]!"
    assert REDACTOR.redact("hunter2") == "hunter2"
    assert Redactor({}).redact("anything") == "anything"


@given(
    st.lists(st.sampled_from([SHORT, LONG, "0123456789abcdef", "ab", "abab", "a", "0123456", "x", "cd"]), max_size=8),
    st.data(),
)
def test_a_text_in_pieces_is_redacted_like_the_whole(words: list[str], data: st.DataObject) -> None:
    text = "".join(words)
    edges = [0, *sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6))), len(text)]
    stream = REDACTOR.open_stream()
    shown = "".join(stream.feed(text[start:end]) for start, end in itertools.pairwise(edges))
    assert shown + stream.flush() == REDACTOR.redact(text)
    assert REDACTOR.redact(text).startswith(shown)


def test_nothing_of_a_secret_is_shown_while_it_arrives() -> None:
    stream = REDACTOR.open_stream()
    assert stream.feed("the key is 01234567") == "the key is "
    assert stream.feed("89abcdef.") == "[redacted:OTHER]."
    assert stream.flush() == ""


def test_what_only_looked_like_a_secret_is_shown_at_the_end() -> None:
    stream = REDACTOR.open_stream()
    assert stream.feed("0123") + stream.flush() == "0123"


def test_calls_are_redacted_in_their_arguments_and_in_their_raw_block() -> None:
    part = CallPart("c", "run", f'{{"x": "{LONG}"}}', raw={"function": {"arguments": [LONG]}, LONG: 1})
    clean = REDACTOR.redact_part(part)
    assert clean == CallPart(
        "c",
        "run",
        '{"x": "[redacted:LONG_KEY]"}',
        raw={"function": {"arguments": ["[redacted:LONG_KEY]"]}, "[redacted:LONG_KEY]": 1},
    )


def test_reasoning_that_had_to_change_loses_the_signature_that_no_longer_fits() -> None:
    raw = {"type": "thinking", "thinking": LONG, "signature": "s"}
    assert REDACTOR.redact_part(ReasoningPart(LONG, raw=raw)) == ReasoningPart("[redacted:LONG_KEY]")
    kept = ReasoningPart("fine", raw={"type": "thinking", "thinking": "fine", "signature": "s"})
    assert REDACTOR.redact_part(kept) == kept
    assert REDACTOR.redact_part(TextPart("fine", raw={"citations": []})) == TextPart("fine", raw={"citations": []})


@pytest.mark.parametrize(
    "name",
    [
        "OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "GITHUB_TOKEN",
        "PGPASSWORD", "MYSQL_PWD", "GOOGLE_APPLICATION_CREDENTIALS", "SSH_AUTH_SOCK", "GITHUB_PAT", "npm_config__auth",
        "hf_token",
        "SSH_PRIVATE_KEY_FILE", "DB_PASS", "SESSION_COOKIE",
    ],
)  # fmt: skip
def test_credentials_do_not_reach_the_tools(name: str) -> None:
    assert looks_secret(name)
    assert scrub_env({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "name",
    [
        "PATH", "HOME", "PWD", "OLDPWD", "LANG", "LC_ALL", "TERM", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES", "PYTHONPATH",
        "TOKENIZERS_PARALLELISM", "KEYBOARD_LAYOUT", "XDG_RUNTIME_DIR", "COMPASS_HOME", "HF_HOME",
        "MAX_TOKENS_PER_BATCH",
    ],
)  # fmt: skip
def test_ordinary_variables_do(name: str) -> None:
    assert scrub_env({name: "/value"}) == {name: "/value"}


def test_passwords_in_urls_and_our_own_variables_are_dropped() -> None:
    env = {
        "DATABASE_URL": "postgres://me:pw@db/x",
        "HTTP_PROXY": "http://proxy:3128",
        "APOLLO_LOG": "/l",
        "apollo_as": "x",
    }
    assert scrub_env(env) == {"HTTP_PROXY": "http://proxy:3128"}

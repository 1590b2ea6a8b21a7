from __future__ import annotations

import hashlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sessions import tokens
from sessions.tokens import VOCABULARIES, Counter

BLOCKED = """
import os, sys
def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        print("the network was touched:", event, args, file=sys.stderr)
        os._exit(3)
sys.addaudithook(refuse)
sys.path.insert(0, {root!r})
from sessions.tokens import Counter
for model in ("gpt-4", "gpt-4o", "claude-x", "glm-4.6"):
    counter = Counter.for_model(model)
    print(counter.method, counter.count("hello world " * 10))
"""


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing loaded yet, an empty private cache, no folder of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for cached in (tokens._counter, tokens._load):
        cached.cache_clear()
        monkeypatch.setattr(tokens, cached.__name__, cached)
    yield tmp_path
    for cached in (tokens._counter, tokens._load):
        cached.cache_clear()


def run_blocked(tmp_path: Path, **env: str) -> list[str]:
    root = str(Path(tokens.__file__).parents[1])
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_CACHE_DIR")}
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(root=root)],
        env={**clean, "XDG_CACHE_HOME": str(tmp_path / "cache"), **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_counting_never_touches_the_network_even_with_an_empty_or_a_broken_cache(tmp_path: Path) -> None:
    expected = ["cl100k_base 21", "o200k_base 21", "~cl100k_base 21", "~cl100k_base 21"]
    assert run_blocked(tmp_path) == expected
    broken = tmp_path / "broken"
    broken.mkdir()
    for vocabulary in VOCABULARIES.values():
        (broken / vocabulary.file).write_bytes(b"not it")
        (tmp_path / "cache" / "apollo-tui" / "vocabularies" / vocabulary.file).write_bytes(b"not it either")
    assert run_blocked(tmp_path, TIKTOKEN_CACHE_DIR=str(broken)) == expected
    assert (broken / VOCABULARIES["cl100k_base"].file).read_bytes() == b"not it"


def test_our_table_is_what_tiktoken_expects() -> None:
    import tiktoken_ext.openai_public

    for name, vocabulary in VOCABULARIES.items():
        source = inspect.getsource(getattr(tiktoken_ext.openai_public, name))
        (address,) = re.findall(r'"(\w+://\S+)"', source)
        assert vocabulary.file == hashlib.sha1(address.encode()).hexdigest()
        assert vocabulary.sha256 in source


def test_the_users_own_folder_is_used_if_the_file_in_it_is_genuine(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Counter.for_model("gpt-4").method == "cl100k_base"
    private = fresh / "cache" / "apollo-tui" / "vocabularies"
    tokens._load.cache_clear()
    tokens._counter.cache_clear()
    private.rename(fresh / "own")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(fresh / "own"))
    monkeypatch.setattr(tokens, "_seed", lambda *_: pytest.fail("seeded in spite of the user's own file"))
    assert Counter.for_model("gpt-4").method == "cl100k_base"
    assert os.environ["TIKTOKEN_CACHE_DIR"] == str(fresh / "own")


def test_loading_leaves_the_environment_as_it_was(fresh: Path) -> None:
    Counter.for_model("gpt-4")
    assert "TIKTOKEN_CACHE_DIR" not in os.environ


def test_without_a_vocabulary_the_estimate_says_what_it_is(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_seed", lambda *_: False)
    counter = Counter.for_model("gpt-4")
    assert counter.method == "bytes/4"
    assert [counter.count(text) for text in ("", "abcd", "abcde", "日本")] == [0, 1, 2, 2]


def test_a_packaged_vocabulary_with_another_hash_is_not_used(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = VOCABULARIES["cl100k_base"]
    monkeypatch.setitem(VOCABULARIES, "cl100k_base", tokens.Vocabulary(genuine.file, "0" * 64))
    assert Counter.for_model("gpt-4").method == "bytes/4"
    assert not (fresh / "cache" / "apollo-tui" / "vocabularies").exists()


def test_texts_that_break_tiktoken_are_counted() -> None:
    counter = Counter.for_model("gpt-4o")
    for text in (" " * 1_000_000, "^" * 300_000, "a" * 300_000, "<|endoftext|>", "\ud800 lone", "\x00"):
        assert counter.count(text) > 0


def test_the_same_text_is_encoded_once() -> None:
    encoded: list[str] = []
    counter = Counter(lambda text: encoded.append(text) or len(text), "test")
    assert [counter.count("abc"), counter.count("abc"), counter.count("abcd")] == [3, 3, 4]
    assert encoded == ["abc", "abcd"]


def test_importing_the_module_does_not_import_tiktoken() -> None:
    code = "import sys, sessions.tokens; sys.exit('tiktoken' in sys.modules)"
    root = Path(tokens.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0

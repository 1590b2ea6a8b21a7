from __future__ import annotations

from pathlib import Path

import pytest

from sessions.host.api_keys import KeyRing, KeysFileError


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_file_is_read_at_each_request_and_wins_over_what_the_client_sent(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    assert ring.key("s", "OPENAI_API_KEY") is None
    ring.remember("s", "from-the-client", "OPENAI_API_KEY")
    assert (ring.key("s", "OPENAI_API_KEY"), ring.key("other", "OPENAI_API_KEY")) == ("from-the-client", None)
    write(tmp_path / "keys", "# mine\nexport OPENAI_API_KEY='one'\n")
    assert ring.key("s", "OPENAI_API_KEY") == "one"
    write(tmp_path / "keys", "OPENAI_API_KEY=two\n")
    assert ring.key("s", "OPENAI_API_KEY") == "two"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    ring = KeyRing(write(tmp_path / "keys", "K=1\n", mode))
    with pytest.raises(KeysFileError, match="chmod 600"):
        ring.key("s", "K")


def test_a_bad_line_is_named_without_its_text(tmp_path: Path) -> None:
    ring = KeyRing(write(tmp_path / "keys", "A=1\nsk-very-secret\n"))
    with pytest.raises(KeysFileError, match="line 2") as refused:
        ring.key("s", "A")
    assert "sk-very-secret" not in str(refused.value)


def test_the_environment_of_the_host_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "somebody-elses")
    assert KeyRing(tmp_path / "keys").key("s", "OPENAI_API_KEY") is None


def test_all_values_that_must_not_be_logged_are_known(tmp_path: Path) -> None:
    ring = KeyRing(write(tmp_path / "keys", "A=1\nB=2\n"))
    ring.remember("s", "3", "A")
    assert sorted(ring.secrets().values()) == ["1", "2", "3"]
    write(tmp_path / "keys", "A=4\n")
    assert sorted(ring.secrets().values()) == ["1", "2", "3", "4"]
    assert len(ring.secrets()) == 4


def test_a_folder_in_place_of_the_file_is_refused_keeps_no_descriptor_and_stops_no_commit(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    ring = KeyRing(tmp_path / "keys")
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(KeysFileError, match="cannot be read"):
        ring.key("s", "K")
    assert ring.redactor().redact("as it is") == "as it is"
    assert len(list(Path("/dev/fd").iterdir())) == before

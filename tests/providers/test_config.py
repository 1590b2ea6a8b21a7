from __future__ import annotations

from pathlib import Path

import pytest

from sessions.config import ConfigError, load_config, resolve_model
from sessions.providers.registry import UnknownModel

GOOD = """
[profiles.glm]
model = "openai:glm-4.6"
base_url = "https://glm.example/v4"
key_env = "GLM_KEY"
price_input = 0.6
price_output = 2.2
price_cached = 0.11
context_tokens = 200_000
quirks = { send_reasoning = "reasoning_content", max_tokens_field = "max_tokens" }

[profiles.small]
model = "openai:smol"
base_url = "http://127.0.0.1:8000/v1"
context_tokens = 8192

[keys]
"flag.toggle" = "b"

[labels]
file = "labels.toml"

[attention]
silent_minutes = 14

[ui]
theme = "textual-light"
motion = "reduced"

[host]
resume_on_start = true
notify = "notify-send"
"""


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("APOLLO_CONFIG", str(path))
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GLM_KEY"):
        monkeypatch.delenv(name, raising=False)
    return path


def test_a_missing_file_is_an_empty_config(config_file: Path) -> None:
    config = load_config()
    assert (config.path, config.profiles, config.host.resume_on_start) == (config_file, {}, False)


def test_every_section_is_read(config_file: Path) -> None:
    config_file.write_text(GOOD)
    config = load_config()
    assert config.keys == {"flag.toggle": "b"}
    assert config.labels_file == config_file.parent / "labels.toml"
    assert (config.attention.silent_minutes, config.attention.malformed_streak) == (14, 3)
    assert (config.ui.theme, config.ui.motion, config.ui.mouse) == ("textual-light", "reduced", "auto")
    assert (config.host.resume_on_start, config.host.notify) == (True, "notify-send")


def test_a_profile_becomes_the_model_that_it_describes(config_file: Path) -> None:
    config_file.write_text(GOOD)
    spec = resolve_model("glm")
    assert spec.id == "openai:glm-4.6"
    assert (spec.base_url, spec.key_env) == ("https://glm.example/v4", "GLM_KEY")
    assert (spec.price_input, spec.price_output, spec.price_cached) == (0.6, 2.2, 0.11)
    assert (spec.context_tokens, spec.summary_threshold, spec.max_output_tokens) == (200_000, 156_250, 8_192)
    assert spec.quirks["send_reasoning"] == "reasoning_content"
    assert resolve_model("glm", "http://other/v1").base_url == "http://other/v1"


def test_what_a_profile_leaves_out_follows_from_its_context(config_file: Path) -> None:
    config_file.write_text(GOOD)
    spec = resolve_model("small")
    assert (spec.summary_threshold, spec.max_output_tokens) == (6400, 2048)
    assert resolve_model("openai:gpt").summary_threshold == 100_000


def test_a_providers_key_goes_to_its_own_address_only(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_model("anthropic:claude").key_env == "ANTHROPIC_API_KEY"
    assert resolve_model("openai:m", "https://elsewhere.example/v1").key_env is None
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/v1")
    spec = resolve_model("openai:m")
    assert (spec.base_url, spec.key_env) == ("https://proxy.example/v1", "OPENAI_API_KEY")


def test_a_recordings_path_is_made_absolute_where_it_was_named(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_model("replay:run.jsonl").name == str(tmp_path / "run.jsonl")


def test_a_name_may_hold_colons(config_file: Path) -> None:
    assert resolve_model("openai:llama3:8b").name == "llama3:8b"


def test_an_unknown_name_is_answered_with_the_known_ones(config_file: Path) -> None:
    config_file.write_text(GOOD)
    for text in ("glmm", "openai:", "nobody:m"):
        with pytest.raises(UnknownModel, match=r"openai, anthropic, replay, demo.*glm, small"):
            resolve_model(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profiles = 3", "profiles: expected tables"),
        ("[profiles.x]\nmodel = 3", "profiles.x.model: expected `str`, got `int`"),
        ("[profiles.x]\n", "profiles.x: object missing required field `model`"),
        ("[profiles.x]\nmodel = 'glm'", "profiles.x.model: 'glm' is no model"),
        ("[profiles.x]\nmodel = 'openai:m'\nkey = 'sk'", "profiles.x: object contains unknown field `key`"),
        ("[profiles.x]\nmodel = 'openai:m'\nquirks = {stream_usage = 3}", "profiles.x.quirks: stream_usage: Expected"),
        ("[profiles.x]\nmodel = 'openai:m'\nquirks = {colour = 3}", "profiles.x.quirks: Object contains unknown field"),
        (
            "[profiles.x]\nmodel='openai:m'\nquirks={extra_body={stream=false}}",
            "quirks: extra_body: may not replace stream",
        ),
        ("[profiles.x]\nmodel = 'replay:f'\nquirks = {speed = 0}", "profiles.x.quirks: speed: expected more than 0"),
        (
            "[profiles.x]\nmodel = 'openai:m'\nsummary_threshold = 999999",
            "summary_threshold: expected more than 0 and less",
        ),
        ("[profiles.x]\nmodel = 'openai:m'\nmax_output_tokens = 0", "max_output_tokens: expected more than 0"),
        ("[ui]\nmotion = 'none'", "ui.motion: invalid enum value"),
        ("[keys]\nx = 1", "keys"),
        ("[attention]\nx = 'soon'", "attention"),
        ("[attention]\nsilent_minutes = -1", "attention.silent_minutes"),
        ("[attention]\nmalformed_streak = 'many'", "attention.malformed_streak"),
        ("[attention]\noff = ['sillent']", "there is no rule 'sillent'"),
        ("[host]\nnotify = 'say \"it'", "host.notify"),
        ("[gateway]\nstream = 'slowly'", "gateway.stream: invalid enum value"),
        ("[gateway]\npause_seconds = 0", "gateway.pause_seconds: expected more than 0, got 0"),
        ("[colours]\nx = 1", "colours: unknown; expected one of profiles, keys"),
        ("[host", "no valid TOML"),
    ],
)
def test_each_mistake_is_one_line_with_file_key_and_what_was_expected(config_file: Path, text: str, said: str) -> None:
    config_file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config()
    line = str(caught.value)
    assert line.startswith(str(config_file)) and said in line and "\n" not in line

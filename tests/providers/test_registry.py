from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sessions.events import ModelSpec
from sessions.events.messages import Usage
from sessions.providers import registry
from sessions.providers.pricing import cost
from sessions.providers.registry import UnknownModel, adapter_for, parse_model

ROOT = Path(registry.__file__).parents[2]


@pytest.mark.parametrize("name", sorted(registry.MODULES))
def test_every_provider_has_an_adapter_of_its_name(name: str) -> None:
    adapter = adapter_for(ModelSpec(name, "x"))
    assert adapter.name == name
    assert adapter.version >= 1
    assert (adapter.playback is None) == (name != "replay")
    assert f"| `{name}:" in (ROOT / "docs" / "providers.md").read_text("utf-8"), "its row in docs/providers.md"


def test_a_text_without_a_known_provider_is_no_model() -> None:
    assert parse_model("replay:/a:b") == ("replay", "/a:b")
    for text in ("gpt-4", "nobody:x", "openai:", ":x", ""):
        with pytest.raises(UnknownModel):
            parse_model(text)
    with pytest.raises(UnknownModel):
        adapter_for(ModelSpec("nobody", "x"))


@pytest.mark.parametrize(("name", "sdk"), [("openai", "openai"), ("anthropic", "anthropic")])
def test_an_sdk_is_imported_by_preload_and_not_before(name: str, sdk: str) -> None:
    code = (
        "import sys\n"
        "from sessions.events import ModelSpec\n"
        "from sessions.providers.registry import adapter_for, preload\n"
        f"spec = ModelSpec({name!r}, 'm')\n"
        "adapter_for(spec)\n"
        f"assert not {{'openai', 'anthropic', 'httpx2'}} & set(sys.modules), 'too early'\n"
        "preload([spec])\n"
        f"assert {sdk!r} in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_is_imported_after_preload_because_files_change_beneath_a_running_host(provider: str) -> None:
    script = Path(__file__).with_name("preloaded_attempts.py")
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"}
    done = subprocess.run([sys.executable, script, provider], env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"ends": ["server", "cut", "connection", "timeout", "reply"], "late": []}


def test_money_is_counted_per_million_tokens_with_the_cache_apart() -> None:
    spec = ModelSpec("anthropic", "m", price_input=3.0, price_output=15.0, price_cached=0.3)
    usage = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=600_000, cache_write_tokens=200_000)
    assert cost(spec, usage) == pytest.approx(0.2 * 3 + 0.6 * 0.3 + 0.2 * 3 * 1.25 + 0.1 * 15)


def test_without_prices_or_usage_the_cost_is_unknown_not_nothing() -> None:
    usage = Usage(input_tokens=10, output_tokens=1)
    assert cost(ModelSpec("openai", "m"), usage) is None
    assert cost(ModelSpec("openai", "m", price_input=1.0, price_output=1.0), None) is None
    assert cost(ModelSpec("openai", "m", price_input=0.0, price_output=0.0), usage) == 0.0
    cached = Usage(input_tokens=1_000_000, cached_tokens=1_000_000)
    assert cost(ModelSpec("openai", "m", price_input=2.0, price_output=1.0), cached) == 2.0

"""What gets loaded when: the app starts without any SDK, and sessions load nothing of the screen."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution, packages_distributions

import pytest

HEAVY = {"openai", "anthropic", "tiktoken", "torch", "transformers", "trl", "datasets", "pyarrow", "pydantic"}
SCREEN = {"textual", "rich", "click", "widgets", "apollo_tui"}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["import apollo_tui.app", "import apollo_tui.cli", "import sessions.host.client", "import apollo_train.export"],
)
def test_no_sdk_and_no_trainer_is_loaded_by(statement: str) -> None:
    assert not loaded_by(statement) & HEAVY


def test_the_app_does_not_load_the_agent_or_the_host() -> None:
    code = "import sys, apollo_tui.app\nprint(*[m for m in sys.modules if m.startswith('sessions.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    inside = set(done.stdout.split())
    assert not [m for m in inside if m.startswith(("sessions.agent", "sessions.tools", "sessions.jobs"))]
    assert "sessions.log.writer" not in inside


@pytest.mark.parametrize("statement", ["import sessions.host.main", "import sessions.agent.runner"])
def test_sessions_load_nothing_of_the_screen(statement: str) -> None:
    assert not loaded_by(statement) & SCREEN


def test_no_dependency_brings_a_package_with_one_of_our_names() -> None:
    ours = {"sessions", "widgets", "apollo_tui", "apollo_train"}
    owners = packages_distributions()
    assert {name: set(owners.get(name, [])) for name in ours if set(owners.get(name, [])) - {"apollo-tui"}} == {}
    assert distribution("apollo-tui").metadata["Name"] == "apollo-tui"

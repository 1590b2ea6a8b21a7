"""What gets loaded when: the app starts without any SDK, and sessions load nothing of the screen."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution, packages_distributions

import pytest

HEAVY = {"openai", "anthropic", "tiktoken", "torch", "transformers", "trl", "datasets", "pyarrow", "pydantic"}
OURS = {"sessions", "widgets", "apollo_tui", "apollo_train"}
SCREEN = {"textual", "rich", "click", "widgets", "apollo_tui"}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import apollo_tui.app",
        "import apollo_tui.cli.root",
        "import sessions.host.client",
        "import apollo_train.export.run",
    ],
)
def test_no_sdk_and_no_trainer_is_loaded_by(statement: str) -> None:
    assert not loaded_by(statement) & HEAVY


def test_the_app_does_not_load_the_agent_or_the_host() -> None:
    code = "import sys, apollo_tui.app\nprint(*[m for m in sys.modules if m.startswith('sessions.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    inside = set(done.stdout.split())
    assert not [m for m in inside if m.startswith(("sessions.agent", "sessions.tools", "sessions.jobs"))]
    assert "sessions.log.writer" not in inside


APP = """import apollo_tui.cli.root, apollo_tui.run, apollo_tui.app, apollo_tui.backend.live_feed
import sessions.config, sessions.labels"""


def test_the_first_paint_waits_for_nothing_that_later_keys_and_the_host_need() -> None:
    later = {"sessions.host.client", "widgets.composer_area", "textual.widgets._text_area", "argparse", "_hashlib",
             "pygments", "widgets.code_text", "apollo_tui.key_functions", "sessions.redaction"}  # fmt: skip
    code = f"import sys\n{APP}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not later & set(done.stdout.split())


def test_a_session_and_the_command_line_open_without_what_reads_recordings_or_makes_training_data() -> None:
    code = "import sys, apollo_tui.screens.session, apollo_tui.commands\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert not [name for name in loaded if name.startswith(("apollo_train.", "sessions.importers"))]


def test_no_value_of_the_app_is_a_dataclass_because_each_takes_half_a_millisecond_of_the_start_to_make() -> None:
    code = f"""import sys\n{APP}
for name, module in list(sys.modules.items()):
    if name.split(".")[0] in {OURS!r}:
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == name and "__dataclass_fields__" in vars(value):
                print(f"{{name}}.{{value.__name__}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_what_talks_to_agent_programs_is_loaded_by_their_first_session_only() -> None:
    assert not loaded_by("import sessions.host.main, sessions.gateway.harness_loop") & {"acp", "pydantic"}
    assert "acp" in loaded_by("import sessions.gateway.acp.talk")


def test_the_host_starts_without_the_readers_of_recordings() -> None:
    code = "import sys, sessions.host.main\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "sessions.importers.detect" not in done.stdout.split()


@pytest.mark.parametrize("statement", ["import sessions.host.main", "import sessions.agent.runner"])
def test_sessions_load_nothing_of_the_screen(statement: str) -> None:
    assert not loaded_by(statement) & SCREEN


def test_no_dependency_brings_a_package_with_one_of_our_names() -> None:
    owners = packages_distributions()
    assert {name: set(owners.get(name, [])) for name in OURS if set(owners.get(name, [])) - {"apollo-tui"}} == {}
    assert distribution("apollo-tui").metadata["Name"] == "apollo-tui"

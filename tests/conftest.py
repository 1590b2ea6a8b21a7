"""Shared fixtures. Helper modules that several areas use live in tests/support/."""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path

import pytest

from sessions.annotators import forget_logins

sys.path.insert(0, str(Path(__file__).parent / "support"))

# A shell without job control starts what it puts in the background deaf to ctrl+c, `nohup` to a terminal that goes: all
# that we start would be deaf as well.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGQUIT) == signal.SIG_IGN:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


LONG = ("chaos", "e2e", "containment", "weather", "gateway")
"""Folders whose tests take seconds to minutes each."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long tests first: at the end of a run one of them would keep one process busy, and the others idle."""
    items.sort(key=lambda item: item.path.relative_to(Path(__file__).parent).parts[0] not in LONG)


@pytest.fixture(autouse=True)
def no_log_is_known() -> None:
    """Names are shown by what the log says that is read: no test reads another's."""
    forget_logins()


def pytest_terminal_summary(terminalreporter: object) -> None:
    """Say which tests are not collected here, and why."""
    if importlib.util.find_spec("transformers") is None:
        terminalreporter.write_line(  # type: ignore[attr-defined]  # pytest gives its TerminalReporter
            "tests/train_env is not collected: transformers is not installed here (`make test-train` runs it)"
        )

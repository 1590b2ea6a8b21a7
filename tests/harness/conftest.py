"""Programs of others, each in its own environment (`make test-harness`). Elsewhere none is collected."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("APOLLO_HARNESSES") else ["test_*.py"]

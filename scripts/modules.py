"""Keeps docs/modules.md, every module in one line, equal to the code: ``python scripts/modules.py``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "modules.md"
PACKAGES = ("sessions", "widgets", "apollo_tui", "apollo_train")
HEAD = """# Every module in one line

Made from the first lines of the modules by `python scripts/modules.py`. How
they fit: [architecture.md](architecture.md).
"""


def first_line(module: Path) -> str:
    """The first sentence or line of a module's docstring, in Markdown."""
    said = ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""
    return " ".join(said.partition("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


def sections() -> Iterator[str]:
    """A table per folder: what it is, then its modules in the order of their names."""
    for package in PACKAGES:
        for init in sorted((ROOT / package).rglob("__init__.py")):
            modules = sorted(module for module in init.parent.glob("*.py") if not module.stem.startswith("__"))
            yield f"\n## {init.parent.relative_to(ROOT)}/\n"
            yield f"{first_line(init)}\n"
            yield "| module | job |\n|---|---|"
            yield from (f"| `{module.stem}` | {first_line(module)} |" for module in modules)


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(sections()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")

"""The command ``apollo-train``, also ``python -m apollo_train``, and so ``accelerate launch -m apollo_train sft …``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run it; ctrl+c while its modules are loaded is no traceback either."""
    try:
        from apollo_train.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("apollo-train: interrupted\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()

"""``python -m apollo_train``, and so ``accelerate launch -m apollo_train sft …`` for many devices."""

from __future__ import annotations

from apollo_train.cli import main

if __name__ == "__main__":
    main()

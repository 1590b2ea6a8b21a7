"""``python -m apollo_tui`` is ``apollo``."""

from apollo_tui.cli import main

if __name__ == "__main__":
    main()

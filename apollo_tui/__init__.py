"""The terminal app and the command line: it wires ``sessions`` to ``widgets`` and holds no other logic."""

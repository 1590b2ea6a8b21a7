"""``apollo-train eval``: a task set, played by two models as real sessions of the product, and compared.

``plan`` (tasks, models, cells) → ``run`` (waits) over ``apollo_cli`` (the command line, in child processes) →
``outcome`` (what the log says of a cell) → ``compare`` (paired differences) → ``report``. Nobody advises the sessions.
"""

"""Commands of an agent as jobs: a holder process each, found again after a restart of the host."""

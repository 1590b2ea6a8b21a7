"""Pure folds of events into state. No I/O, no clock: the same events always give the same state."""

"""What the app knows, as pure folds of events and frozen views of them. No Textual, no I/O."""
